"""The two steps of a move, for tests that give and take away the right to act."""

from __future__ import annotations

from typing import Any

from tests.unit.operations.two_sides import ONE, SECOND, TWO, TwoSides, writes_of_cluster

from pgaas.errors import RefusedAsUnsafe
from pgaas.kube.promotion import Token
from pgaas.operations.exclusive import Exclusive
from pgaas.operations.moving import (
    demote_side,
    promote_side,
)
from pgaas.operations.pair import Pair, look
from pgaas.operations.progress import Silent


class Right(Exclusive):
    """The right to act; `left` says how many times it may be asked for before it is lost."""

    def __init__(self, left: int = 1000) -> None:
        super().__init__()
        self.left = left
        self.asked = 0

    def check(self) -> None:
        """Count."""
        self.asked += 1
        if self.asked > self.left:
            raise RefusedAsUnsafe("the Lease is lost")


def seen(sides: TwoSides) -> Pair:
    return look({dc: sides.subject(dc) for dc in (ONE, TWO)})


def demoted(
    sides: TwoSides, right: Exclusive | None = None, *, timeout: float = 5.0, told: Any = None
) -> Token:
    found = right or Right()
    return demote_side(seen(sides), ONE, SECOND, found, timeout=timeout, progress=told or Silent())


def promoted(
    sides: TwoSides,
    given: Token | None,
    right: Exclusive | None = None,
    *,
    timeout: float = 5.0,
    told: Any = None,
) -> Any:
    found = right or Right()
    return promote_side(seen(sides), TWO, given, found, timeout=timeout, progress=told or Silent())


def moves(sides: TwoSides) -> int:
    return sum(len(writes_of_cluster(server)) for server in sides.servers.values())

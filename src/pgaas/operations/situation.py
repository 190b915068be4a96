"""Find out from what is live how far a move of the primary has come: the same for everybody who looks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from pgaas.errors import NotHealthy, RefusedAsUnsafe
from pgaas.kube.promotion import demotion_token, parse_token
from pgaas.kube.resources import dig
from pgaas.operations.pair import Pair, Side


class Stage(Enum):
    """How far a move to one side has come."""

    PRIMARY_ELSEWHERE = "another side is the primary"
    DEMOTED = "another side is demoted, or about to be"
    PROMOTING = "the promotion was asked for"
    PRIMARY = "it is the primary"


@dataclass(frozen=True)
class Situation:
    """Where a move to one side stands; `source` is the side that was the primary before, None at the end."""

    stage: Stage
    source: Side | None


def situation(pair: Pair, dc: str) -> Situation:
    """Return how far the move to a side has come.

    Raise RefusedAsUnsafe if two sides are primaries, NotHealthy if nobody can tell which side was the last.
    """
    refuse_split(pair)
    side = pair[dc]
    if side.is_primary:
        return Situation(Stage.PRIMARY if side.writable else Stage.PROMOTING, None)
    elsewhere = next((other for other in pair.others(dc) if other.is_primary), None)
    if elsewhere:
        return Situation(Stage.PRIMARY_ELSEWHERE, elsewhere)
    return Situation(Stage.DEMOTED, last_primary(pair))


def last_primary(pair: Pair) -> Side:
    """Return the side that was the primary last, when none is now.

    That is one whose demotion is under way, or else the one whose token is of the latest end: a side keeps
    its token until it is the primary again, so that there may be one of an earlier round too. Raise
    NotHealthy if nothing tells, or if a side is on a later timeline than every token.
    """
    under_way = [
        side
        for side in pair.sides.values()
        if side.writable
        or dig(side.cluster, "status", "switchReplicaClusterStatus", "inProgress", default=False)
    ]
    if len(under_way) == 1:
        return under_way[0]
    found = [
        (token.timeline, token.lsn, side.dc)
        for side in pair.sides.values()
        if (text := demotion_token(side.cluster)) and (token := parse_token(text))
    ]
    timelines = [side.position.timeline for side in pair.sides.values() if side.position]
    if not under_way and found and max(found)[0] >= max(timelines, default=0):
        return pair[max(found)[2]]
    named = ", ".join(f"{side.dc}: {side.role}" for side in pair.sides.values())
    raise NotHealthy(
        f"no side is the primary, and nothing tells which was the last ({named}; {len(found)} with a token, "
        f"{len(under_way)} in a demotion)",
        next_step="look at both sides; a promotion without a token decides it: pgaas promote --dc …",
    )


def refuse_split(pair: Pair) -> None:
    """Raise RefusedAsUnsafe if more than one side is a primary."""
    if pair.split:
        names = " and ".join(side.name for side in pair.primaries)
        raise RefusedAsUnsafe(
            f"TWO PRIMARIES: {names} both take writes, or are to; what is written to one is not on the other",
            where=", ".join(f"{side.dc}: context {side.api.context}" for side in pair.primaries if side.api),
            next_step="stop the applications, decide which one stays, then: pgaas fence --dc THE_OTHER and "
            "pgaas rebuild --dc THE_OTHER",
        )

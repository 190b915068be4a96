"""What the tests of promotions share: a plan, its execution, a side that is lost, an archive."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.unit.operations.told import Told
from tests.unit.operations.two_sides import FIRST, ONE, TWO, TwoSides, writes_of_cluster

from pgaas.kube.resources import dig
from pgaas.operations.demote import demote
from pgaas.operations.progress import Silent
from pgaas.operations.promote import Plan, Promotion, plan_promotion, promote
from pgaas.tools.archive import Archive, Chain
from pgaas.tools.archived_wal import Stored

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
LAST = Stored("000000010000000000000004", NOW - timedelta(seconds=100), 20_000)
ARCHIVE = Archive(
    "s3://b/x/", FIRST, NOW, backup_count=1, newest_wal=LAST, rate=1048576.0, chain=Chain(reached=LAST)
)


def planned(sides: TwoSides, given: str | None = None, dc: str = TWO) -> Plan:
    return plan_promotion(sides.root, "ic1", "local", dc, given)


def carried_out(plan: Plan, told: Told | None = None, *, timeout: float = 5.0) -> Promotion:
    return promote(plan, timeout=timeout, progress=told or Told())


def demoted(sides: TwoSides) -> str:
    return demote(sides.root, "ic1", "local", ONE, TWO, timeout=5, progress=Silent()).token.text


def notes(sides: TwoSides, dc: str) -> Any:
    return dig(sides.servers[dc].cluster, "metadata", "annotations", default={})


def moves(sides: TwoSides) -> int:
    return sum(len(writes_of_cluster(server)) for server in sides.servers.values())


def lose(sides: TwoSides) -> None:
    """Lose local1, and the row that had not got to its archive."""
    sides.servers[ONE].archive()
    sides.write("lost")
    sides.servers[ONE].postgres.up = False
    sides.down.add(ONE)


def half_dead(sides: TwoSides) -> None:
    """Let local1's PostgreSQL be down, and its API server answer."""
    sides.servers[ONE].archive()
    sides.servers[ONE].postgres.up = False

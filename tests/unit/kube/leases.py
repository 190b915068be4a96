"""What the tests of a Lease share: a clock, somebody else who holds it, and a look at who does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.unit.kube.fakes import FakeServer, path_of

from pgaas.kube.holder import Holder, Process, holder_of
from pgaas.kube.resources import LEASE

SPACE, NAME = "ic1-local", "pgaas-ic1-local"
PATH = path_of(LEASE, SPACE, NAME)
NOON = datetime(2026, 5, 2, 12, tzinfo=UTC)
OTHER_MACHINE = Process("ci-7 boot pid:[1]", 42, "1000")
OTHER = Holder("jane@ci-7 42 abc", "jane@ci-7", "switchover", "2026-05-02 11:59:00 UTC", OTHER_MACHINE)


class Time:
    """One clock for both kinds of time, which passes while sleeping; `at` holds what happens when."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.at: list[tuple[float, Callable[[], Any]]] = []

    def clock(self) -> float:
        return self.passed

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.passed)

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.passed += seconds
        due = [action for moment, action in self.at if moment <= self.passed]
        self.at = [entry for entry in self.at if entry[0] > self.passed]
        for action in due:
            action()


def held(server: FakeServer, holder: Holder = OTHER, *, ago: float = 5.0, **spec: Any) -> None:
    """Leave a Lease that somebody else renewed so many seconds ago."""
    stamp = f"{NOON - timedelta(seconds=ago):%Y-%m-%dT%H:%M:%S.%fZ}"
    content = {"holderIdentity": holder.identity, "leaseDurationSeconds": 60, "renewTime": stamp, **spec}
    metadata = {"name": NAME, "namespace": SPACE, "annotations": holder.annotations}
    server.put(LEASE, server.versioned({"metadata": metadata, "spec": content}))


def renewing(server: FakeServer) -> None:
    """Change the Lease as its holder does."""
    server.objects[PATH] = server.versioned(server.objects[PATH])


def holder(server: FakeServer) -> Holder | None:
    return holder_of(server.objects[PATH])


def silent(_: str) -> None:
    """Be told nothing."""

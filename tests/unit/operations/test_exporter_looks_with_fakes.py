"""How the exporter looks: at some at the same time, at none for ever; what a look without an answer tells."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from tests.unit.operations.pair_worlds import PairWorld, make_pair_world
from tests.unit.operations.test_exporter_with_fakes import ONE, PAIR, TWO, Numbers, numbers
from tests.unit.tools.fake_s3 import FakeS3

from pgaas.config.naming import Target
from pgaas.errors import ConfigError, KubernetesError, UsageError
from pgaas.operations import exporter
from pgaas.operations.exporter import Looks, clients_of, collect, look_at_client
from pgaas.tools.exposition import Sample

ALWAYS = {"config_valid", "look_seconds", "last_look_timestamp_seconds"}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared_s3: FakeS3) -> PairWorld:
    return make_pair_world(tmp_path, shared_s3, monkeypatch)


def test_a_look_that_fails_leaves_nothing_but_that(world: PairWorld) -> None:
    def broken(_root: Path, _targets: list[Target]) -> list[Sample]:
        raise KubernetesError("no")

    told: list[str] = []
    found = numbers(collect(world.root, "local", Looks(broken), told.append))
    assert {name: value for (name, *_), value in found.items() if name == "up"} == {"up": 0}
    assert {name for name, *_ in found} == {"up", *ALWAYS}
    assert (found["up", *ONE], found["up", *TWO], found["config_valid", *PAIR]) == (0, 0, 1)
    assert told == ["ic1 in local could not be looked at: no"]


def test_a_bug_in_one_look_does_not_end_the_others(world: PairWorld) -> None:
    def half(_root: Path, targets: list[Target]) -> list[Sample]:
        if targets[0].env == "dev1":
            raise ZeroDivisionError("oops")
        return [Sample("pgaas_up", tuple(target), 1.0) for target in targets]

    told: list[str] = []
    found = numbers(collect(world.root, None, Looks(half), told.append))
    assert told == ["ic1 in dev1 could not be looked at: ZeroDivisionError: oops"]
    assert (found["up", "ic1", "dev1", "dc1"], found["up", *ONE]) == (0, 1)
    assert len([name for name, *_ in found if name == "look_seconds"]) == len(clients_of(world.root, None))


def test_a_clients_file_that_is_wrong_is_no_datacenter_that_is_down(world: PairWorld) -> None:
    world.healthy()
    told: list[str] = []

    def found() -> Numbers:
        return numbers(collect(world.root, "local", Looks(look_at_client), told.append))

    assert found()["config_valid", *PAIR] == 1
    world.edit("users/ic1/local/databases.yaml", "databases:", "databasses:")
    wrong = found()
    assert {name for name, *_ in wrong} == ALWAYS
    assert wrong["config_valid", *PAIR] == 0
    assert "did you mean databases?" in told[0]


class Slow:
    """Looks at a client that end when the test lets them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.begun = 0
        self.let_go = Event()
        self.looks = Looks(self.look, deadline=0.01)

    def look(self, _root: Path, targets: list[Target]) -> list[Sample]:
        self.begun += 1
        self.let_go.wait()
        return [Sample("pgaas_up", tuple(target), float(self.begun)) for target in targets]

    def found(self) -> Numbers:
        return numbers(collect(self.root, "local", self.looks))

    def up(self) -> float:
        return self.found()["up", *ONE]

    def end(self) -> float:
        """Let the look end, and return when it did."""
        self.let_go.set()
        (late,) = self.looks.running.values()
        found = late.work.result(10)
        assert found
        self.let_go.clear()
        return found.ended


@pytest.fixture
def slow(world: PairWorld) -> Iterator[Slow]:
    made = Slow(world.root)
    yield made
    made.let_go.set()


def test_a_look_that_hangs_is_not_begun_again_and_is_heard_when_it_ends(slow: Slow) -> None:
    assert (slow.up(), slow.up(), slow.begun) == (0, 0, 1)
    ended = slow.end()
    found = slow.found()
    assert (found["up", *ONE], slow.begun, slow.looks.running) == (1, 1, {})
    assert found["last_look_timestamp_seconds", *PAIR] == ended
    slow.let_go.set()
    slow.looks.deadline = 10
    assert (slow.up(), slow.begun) == (2, 2)


def test_looks_that_always_take_too_long_leave_no_gap_until_their_numbers_are_old(slow: Slow) -> None:
    slow.up()
    ended = slow.end()
    assert slow.up() == 1
    # The next one is under way.
    for _ in range(2):
        found = slow.found()
        assert (found["up", *ONE], found["last_look_timestamp_seconds", *PAIR], slow.begun) == (1, ended, 2)
    slow.looks.kept = 0
    assert slow.up() == 0


def test_a_look_that_fails_late_forgets_what_was_found_before(slow: Slow) -> None:
    slow.up()
    slow.end()
    assert slow.up() == 1
    assert slow.up() == 1
    (late,) = slow.looks.running.values()
    late.work._errors.append(KubernetesError("no"))
    assert (slow.up(), slow.looks.last) == (0, {})


def test_no_more_looks_at_once_than_are_allowed(world: PairWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter, "AT_ONCE", 2)
    lookers = set[threading.Thread]()

    def at(_looks: Looks, *_: Any) -> list[Sample]:
        lookers.add(threading.current_thread())
        return []

    monkeypatch.setattr(Looks, "at", at)
    assert len(clients_of(world.root, None)) > 4
    for _ in range(10):
        lookers.clear()
        collect(world.root, None, Looks(look_at_client))
        assert 1 <= len(lookers) <= 2


def test_an_environment_without_clients_is_an_error(world: PairWorld) -> None:
    with pytest.raises(UsageError, match="no client has a file"):
        collect(world.root, "nobody", Looks(look_at_client))


def test_files_that_cannot_be_read_are_an_error(world: PairWorld) -> None:
    world.edit("admin/local/clients.yaml", "clients:", "client:")
    with pytest.raises(ConfigError):
        collect(world.root, "local", Looks(look_at_client))

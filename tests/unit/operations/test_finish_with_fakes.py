"""After a promotion every part is tried, whatever became of the others; the next run does what is left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.kube.fakes import failure
from tests.unit.operations.records import FakeRecord
from tests.unit.operations.told import Told
from tests.unit.operations.two_sides import CLIENTS, FIRST, ONE, SECOND, TWO, TwoSides, writes_of_cluster

from pgaas.errors import KubernetesError, NotHealthy, RefusedAsUnsafe
from pgaas.kube.promotion import owners_of_primary
from pgaas.kube.resources import BACKUP, DATABASE
from pgaas.operations import finish as operation
from pgaas.operations.demote import demote
from pgaas.operations.exclusive import Exclusive
from pgaas.operations.finish import Finished, finish
from pgaas.operations.moving import promote_side
from pgaas.operations.pair import load_pair, look
from pgaas.operations.primary_name import NameMove
from pgaas.operations.progress import Silent
from pgaas.operations.steps import Steps

PARTS = [
    "write down the primary",
    "primary's name",
    "operator",
    "databases",
    "base backup",
    "write through the primary's name",
    "release of local1",
    "release of local2",
    "local1 follows",
    "base backup to its end",
]


@pytest.fixture(autouse=True)
def promoted(sides: TwoSides) -> None:
    """Let local2 be promoted, and nothing else be done."""
    token = demote(sides.root, "ic1", "local", ONE, TWO, timeout=5, progress=Silent()).token
    pair = look(load_pair(sides.root, "ic1", "local"))
    promote_side(pair, TWO, token, Exclusive(), timeout=5, progress=Silent())
    sides.journal.clear()


def finished(
    sides: TwoSides, told: Told | None = None, right: Exclusive | None = None, **options: Any
) -> Finished:
    subjects = load_pair(sides.root, "ic1", "local")
    name = NameMove(subjects, look(subjects), TWO)
    steps = Steps(told or Told())
    return finish(sides.root, subjects, TWO, right or Exclusive(), steps, name, timeout=0.1, **options)


def done(told: Told) -> list[str]:
    """Return the parts that ended well."""
    ended = []
    for line in told.lines:
        what, _, text = line.partition(" ")
        if what == "started":
            part = text
        elif what == "finished":
            ended.append(part)
    return ended


def test_everything_is_done_in_the_order_in_which_its_lack_would_hurt(sides: TwoSides, told: Told) -> None:
    found = finished(sides, told)
    assert done(told) == PARTS
    assert (found.clients_file, found.name) == (CLIENTS, "primary.ic1-local.pgaas.local")
    assert found.addresses == ("192.0.2.2",)
    assert found.backup.startswith(f"{SECOND}-")
    assert sides.clients()["primaryDatacenter"] == TWO
    assert sides.clients()["originDatacenter"] == ONE


def test_the_second_time_nothing_is_changed(sides: TwoSides, told: Told) -> None:
    first = finished(sides)
    before = list(sides.journal)
    again = finished(sides, told)
    assert done(told) == PARTS
    assert again.backup == first.backup
    # Only what is harmless again: looking whether the replica has everything.
    new = sides.journal[len(before) :]
    assert new == ["clients.yaml", "local2 checkpoint", "local2 select pg_switch_wal()", "local1 checkpoint"]


def break_name(sides: TwoSides, _: Any) -> Callable[[], None]:
    sides.name_moves = False
    return lambda: setattr(sides, "name_moves", True)


def break_operator(sides: TwoSides, _: Any) -> Callable[[], None]:
    pace = sides.servers[TWO].pace
    pace.asleep = True
    sides.servers[TWO].cluster["status"]["phase"] = "Waiting"
    return lambda: setattr(pace, "asleep", False)


def break_databases(sides: TwoSides, _: Any) -> Callable[[], None]:
    found = [each for path, each in sides.servers[TWO].objects.items() if f"/{DATABASE.plural}/" in path]
    found[0]["status"] = {"applied": False, "message": "no such owner", "observedGeneration": 1}
    return lambda: found[0].update(status={"applied": True, "observedGeneration": 1})


def break_helm(sides: TwoSides, _: Any) -> Callable[[], None]:
    sides.syncs = False
    return lambda: setattr(sides, "syncs", True)


def break_replica(sides: TwoSides, _: Any) -> Callable[[], None]:
    postgres = sides.servers[ONE].postgres
    kept, postgres.lsn = postgres.lsn, postgres.lsn + 2**24
    return lambda: setattr(postgres, "lsn", kept)


def break_backup(sides: TwoSides, patch: pytest.MonkeyPatch) -> Callable[[], None]:
    sides.backups_complete = False
    patch.setattr(operation, "BACKUP_SECONDS", 0.01)

    def mend() -> None:
        sides.backups_complete = True
        sides.complete_backups(TWO)

    return mend


def break_write(_: TwoSides, patch: pytest.MonkeyPatch) -> Callable[[], None]:
    def fail(*_: Any) -> Any:
        raise KubernetesError("what the name leads to takes no writes")

    kept = operation.write_through
    patch.setattr(operation, "write_through", fail)
    return lambda: patch.setattr(operation, "write_through", kept)


def break_file(sides: TwoSides, patch: pytest.MonkeyPatch) -> Callable[[], None]:
    kept = operation.write_primary  # type: ignore[attr-defined]

    def fail(*_: Any, **__: Any) -> Any:
        raise KubernetesError("the disk is full")

    patch.setattr(operation, "write_primary", fail)
    return lambda: patch.setattr(operation, "write_primary", kept)


BROKEN: dict[str, tuple[Any, list[str], str]] = {
    "the name": (break_name, ["primary's name"], "primary's name: the DNS server refuses; mend it"),
    "the operator": (break_operator, ["operator"], "but is not healthy after"),
    "a database": (break_databases, ["databases"], "not applied: local-ic1-local2-app-db: no such owner"),
    "helm": (break_helm, ["release of local1", "release of local2"], "helm failed in local1"),
    "the replica": (break_replica, ["local1 follows"], "does not follow: diverged"),
    "the backup": (break_backup, ["base backup to its end"], "pending after"),
    "the write": (break_write, ["write through the primary's name"], "takes no writes"),
    "clients.yaml": (
        break_file,
        ["write down the primary", "release of local1", "release of local2"],
        "write down the primary: the disk is full",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_part_that_fails_keeps_no_other_from_being_done(
    sides: TwoSides, told: Told, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    break_it, failing, reason = BROKEN[what]
    mend = break_it(sides, monkeypatch)
    with pytest.raises(NotHealthy) as caught:
        finished(sides, told)
    error = caught.value
    # The operator asleep, nobody takes the databases up either.
    missing = set(PARTS) - set(done(told))
    assert set(failing) <= missing <= {*failing, "databases"}
    assert reason in error.what
    assert f"{SECOND} is the primary and takes writes, but not all is done" in error.what
    assert all(f"\n  {part}: " in error.what for part in failing)
    assert error.exit_code == 9
    assert "run the same command again" in error.next_step
    mend()
    again = Told()
    finished(sides, again)
    assert done(again) == PARTS
    assert sides.primary() == TWO
    for server in sides.servers.values():
        assert owners_of_primary(server.cluster) == {"helm"}


def test_all_problems_are_in_one_error(sides: TwoSides, monkeypatch: pytest.MonkeyPatch) -> None:
    for break_it in (break_name, break_helm, break_replica, break_databases):
        break_it(sides, monkeypatch)
    with pytest.raises(NotHealthy) as caught:
        finished(sides)
    for part in ("primary's name", "databases", "release of local1", "release of local2", "local1 follows"):
        assert f"\n  {part}: " in caught.value.what


class Taken(Exclusive):
    """A right that another command has taken meanwhile."""

    def check_taken(self) -> None:
        raise RefusedAsUnsafe("jane@ci-7 runs `pgaas switchover`")


def test_nothing_is_written_down_once_another_command_is_at_work(sides: TwoSides) -> None:
    with pytest.raises(RefusedAsUnsafe, match="jane"):
        finished(sides, right=Taken())
    assert sides.journal == []
    assert sides.clients()["primaryDatacenter"] == ONE


def test_without_a_backup_s_end_it_is_only_asked_for(sides: TwoSides, told: Told) -> None:
    sides.backups_complete = False
    found = finished(sides, told, backup=False)
    assert found.backup
    assert done(told) == PARTS[:-1]


def test_a_backup_that_is_refused_is_no_failure(sides: TwoSides, told: Told) -> None:
    path = f"POST /apis/postgresql.cnpg.io/v1/namespaces/ic1-local/{BACKUP.plural}"
    sides.servers[TWO].answers[path] = failure(403, "Forbidden", "no")
    assert finished(sides, told).backup == ""
    assert "finished none: the schedule takes the next one" in told.text


def test_a_lost_side_is_left_alone(sides: TwoSides, told: Told) -> None:
    before = len(writes_of_cluster(sides.servers[ONE]))
    finished(sides, told, lost=ONE)
    assert "release of local1" not in done(told)
    assert "local1 follows" not in done(told)
    assert len(writes_of_cluster(sides.servers[ONE])) == before
    assert sides.clients()["lostDatacenters"] == [ONE]


def test_the_values_of_both_sides_are_written_anew(sides: TwoSides) -> None:
    finished(sides)
    for dc, source in ((ONE, SECOND), (TWO, FIRST)):
        text = (sides.root / f"confs/_generated/ic1-local/{dc}/values.yaml").read_text()
        assert f"primary: {SECOND}" in text
        assert f"source: {source}" in text


def test_a_name_is_moved_once_however_often_it_is_asked(sides: TwoSides) -> None:
    subjects = load_pair(sides.root, "ic1", "local")
    name = NameMove(subjects, look(subjects), TWO)
    for _ in range(3):
        name.start()
    name.finish()
    assert sides.journal.count("name to local2") == 1
    assert isinstance(name.record, FakeRecord)


def test_a_name_that_could_not_be_moved_is_tried_once_more(sides: TwoSides) -> None:
    subjects = load_pair(sides.root, "ic1", "local")
    name = NameMove(subjects, look(subjects), TWO)
    sides.name_moves = False
    name.start()
    assert name._thread is not None
    name._thread.join()
    sides.name_moves = True
    name.finish()
    assert sides.name_leads_to == TWO

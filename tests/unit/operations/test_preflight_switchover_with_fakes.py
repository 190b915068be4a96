"""What is looked at before a primary is moved: each check made to fail once, and what it says."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.kube.fakes import path_of
from tests.unit.operations.told import Told
from tests.unit.operations.two_sides import CLIENTS, FIRST, ONE, SECOND, TWO, TwoSides

from pgaas.errors import KubernetesError, NotHealthy, PgaasError, RefusedAsUnsafe, ToolFailed
from pgaas.kube.promotion import Topology, apply_topology
from pgaas.kube.resources import BACKUP, CERTIFICATE, CLUSTER, OBJECT_STORE
from pgaas.kube.snapshot import UNRECOVERABLE
from pgaas.operations import preflight_switchover as operation
from pgaas.operations.pair import load_pair, look
from pgaas.operations.preflight_switchover import SKIPPABLE, switchover_checks
from pgaas.operations.rows import Row, refuse_rows
from pgaas.operations.trust import TrustState

NAMES = ["configuration", "health of local1", "health of local2", "following", "certificates",
         "standby settings", "trust", "trust", "dns"]  # fmt: skip


def rows(sides: TwoSides, *skipped: str, told: Told | None = None) -> list[Row]:
    pair = look(load_pair(sides.root, "ic1", "local"))
    return switchover_checks(pair, ONE, TWO, skipped, told or Told())


def failed(sides: TwoSides) -> dict[str, Row]:
    return {row.name: row for row in rows(sides) if row.state == "failed"}


def test_a_healthy_pair_passes_everything_and_nothing_is_changed(sides: TwoSides) -> None:
    found = rows(sides)
    assert [row.name for row in found] == NAMES
    assert {row.state for row in found} == {"ok"}
    assert sides.journal == []
    refuse_rows(found, where="local1 to local2")


def server_of(sides: TwoSides, dc: str) -> Any:
    return sides.servers[dc].cluster


def status(dc: str, **changes: Any) -> Callable[[TwoSides, Any], None]:
    def change(sides: TwoSides, _: Any) -> None:
        sides.servers[dc].pace.asleep = True
        server_of(sides, dc)["status"].update(changes)

    return change


def no_cluster(sides: TwoSides, _: Any) -> None:
    del sides.servers[TWO].objects[path_of(CLUSTER, "ic1-local", SECOND)]


def no_backup(sides: TwoSides, _: Any) -> None:
    for kind, name in ((BACKUP, "first"), (OBJECT_STORE, "store")):
        del sides.servers[TWO].objects[path_of(kind, "ic1-local", name)]


def no_archiving(sides: TwoSides, _: Any) -> None:
    entries = [
        {"type": "Ready", "status": "True"},
        {"type": "ContinuousArchiving", "status": "False", "message": "S3"},
    ]
    status(ONE, conditions=entries)(sides, _)


def mute(sides: TwoSides, _: Any) -> None:
    sides.mute.add(TWO)


def fenced(sides: TwoSides, _: Any) -> None:
    server_of(sides, TWO)["metadata"]["annotations"] = {"cnpg.io/reconciliationLoop": "disabled"}


def diverged(sides: TwoSides, _: Any) -> None:
    sides.servers[TWO].postgres.timeline = 5


def another_system(sides: TwoSides, _: Any) -> None:
    sides.servers[TWO].postgres.system = "8"


def expiring(sides: TwoSides, _: Any) -> None:
    path = path_of(CERTIFICATE, "ic1-local", f"{SECOND}-server")
    sides.servers[TWO].objects[path]["status"]["notAfter"] = "2020-01-01T00:00:00Z"


def smaller(sides: TwoSides, _: Any) -> None:
    server_of(sides, TWO)["spec"]["postgresql"]["parameters"]["max_connections"] = "10"


def stale_trust(sides: TwoSides, patch: Any) -> None:
    states = {
        ONE: TrustState(ONE, FIRST, created=True, stale=True, detail="lacks local2's CA"),
        TWO: TrustState(TWO, SECOND, created=True, detail="fresh"),
    }
    patch.setattr(operation, "look_at_trust", lambda *_: states)


def stuck_name(sides: TwoSides, _: Any) -> None:
    sides.name_moves = False


def confs_elsewhere(sides: TwoSides, _: Any) -> None:
    sides.edit("admin/local/clients.yaml", "primaryDatacenter: local1", "primaryDatacenter: local2")


def marked_lost(sides: TwoSides, _: Any) -> None:
    sides.edit("admin/local/clients.yaml", "    s3Bucket", "    lostDatacenters: [local2]\n    s3Bucket")


def read_only(sides: TwoSides, patch: Any) -> None:
    patch.setattr(os, "access", lambda path, mode: not str(path).endswith(CLIENTS) or mode != os.W_OK)


BROKEN: dict[str, tuple[Callable[[TwoSides, Any], None], str, str, str, type[PgaasError]]] = {
    "confs name another primary": (
        confs_elsewhere, "configuration", "says that local2 is the primary, but local1 is", "git pull",
        RefusedAsUnsafe,
    ),
    "the new side is marked as lost": (
        marked_lost, "configuration", "local2 is marked as lost: its data is older",
        "pgaas rebuild --ins ic1 --env local --dc local2", RefusedAsUnsafe,
    ),
    "clients.yaml cannot be written": (
        read_only, "configuration", "clients.yaml cannot be written", "is written to it", RefusedAsUnsafe
    ),
    "the new side is not there": (
        no_cluster, "health of local2", f"{SECOND} is not created",
        "pgaas create --ins ic1 --env local --dc local2", NotHealthy,
    ),
    "the new side has no base backup": (
        no_backup, "health of local2", "base backup: none started yet", "pgaas status", NotHealthy
    ),
    "the old side does not archive": (
        no_archiving, "health of local1", "WAL archive: S3", "pgaas status", NotHealthy
    ),
    "the old side is not ready": (
        status(ONE, readyInstances=0), "health of local1", "instances: 0 ready of 1", "pgaas status",
        NotHealthy,
    ),
    "the old side is unrecoverable": (
        status(ONE, phase=UNRECOVERABLE, phaseReason="volumes"), "health of local1",
        f"{UNRECOVERABLE}: volumes", "pgaas status", NotHealthy,
    ),
    "the new side cannot be asked": (mute, "health of local2", "was refused", "pgaas status", NotHealthy),
    "nobody looks after the new side": (
        fenced, "health of local2", "reconciliationLoop is disabled", "pgaas status", NotHealthy
    ),
    "the new side has diverged": (
        diverged, "following", "local2: diverged: on timeline 5",
        "pgaas rebuild --ins ic1 --env local --dc local2", NotHealthy,
    ),
    "the new side is of another system": (
        another_system, "following", "local2: of another system (8)", "rebuild", NotHealthy
    ),
    "a certificate has ended": (
        expiring, "certificates", f"{SECOND}-server in local2 ends at 2020-01-01T00:00:00Z",
        f"kubectl describe certificate {SECOND}-server -n ic1-local", NotHealthy,
    ),
    "the new side allows less": (
        smaller, "standby settings", "max_connections 10 < 50", "raise the replica first", RefusedAsUnsafe
    ),
    "trust is stale": (
        stale_trust, "trust", "local1: lacks local2's CA", "pgaas trust sync --ins ic1 --env local",
        NotHealthy,
    ),
    "the name cannot be moved": (stuck_name, "dns", "stuck", "mend it", KubernetesError),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_each_check_fails_with_what_mends_it(
    sides: TwoSides, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    break_it, name, detail, next_step, kind = BROKEN[what]
    break_it(sides, monkeypatch)
    found = failed(sides)
    assert name in found
    row = found[name]
    assert detail in row.detail
    assert next_step in row.next_step
    assert row.error is kind
    # One fault is told once, but for what follows from it.
    assert set(found) <= {name, "following"}


def test_the_severest_of_several_decides_the_exit_code(
    sides: TwoSides, monkeypatch: pytest.MonkeyPatch
) -> None:
    for break_it in (stuck_name, diverged, confs_elsewhere):
        break_it(sides, monkeypatch)
    with pytest.raises(RefusedAsUnsafe) as caught:
        refuse_rows(rows(sides), where="local1 to local2")
    for word in (
        "dns: stuck",
        "following: ",
        "configuration: ",
        "3 preflight checks failed",
        "next: mend it",
    ):
        assert word in caught.value.what


def test_an_unfinished_move_is_to_be_finished_first(sides: TwoSides, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients.yaml is behind because the move to the present primary was cut off, not because of git."""
    apply_topology(sides.api("cluster1"), FIRST, "ic1-local", Topology(FIRST, FIRST, SECOND))
    confs_elsewhere(sides, None)
    again = "pgaas switchover --ins ic1 --env local --to local1"
    assert again in failed(sides)["configuration"].next_step
    no_archiving(sides, None)
    assert again in failed(sides)["health of local1"].next_step


@pytest.mark.parametrize("name", SKIPPABLE)
def test_what_may_be_left_out_is_not_looked_at(
    sides: TwoSides, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for break_it in (stuck_name, stale_trust, expiring, no_backup):
        break_it(sides, monkeypatch)
    found = failed(sides)
    left = {row.name: row for row in rows(sides, name)}
    if name == "base backup":
        assert left["health of local2"].state == "ok"
        assert "health of local2" in found
    else:
        assert (left[name].state, left[name].detail) == ("skipped", "as asked")
        assert name in found


def test_a_base_backup_left_out_leaves_the_rest_of_the_health(
    sides: TwoSides, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_backup(sides, None)
    status(TWO, readyInstances=0)(sides, None)
    found = {row.name: row for row in rows(sides, "base backup")}
    assert found["health of local2"].detail == "instances: 0 ready of 1"


def test_a_check_that_cannot_be_made_is_a_failed_one(
    sides: TwoSides, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise ToolFailed("the DNS server is away", next_step="bring it back")

    monkeypatch.setattr(operation, "primary_record", fail)
    row = failed(sides)["dns"]
    assert (row.detail, row.next_step, row.error) == ("the DNS server is away", "bring it back", ToolFailed)


def test_trust_that_cannot_be_looked_at_warns(
    sides: TwoSides, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = {
        ONE: TrustState(ONE, FIRST, error="no right to Secrets"),
        TWO: TrustState(TWO, SECOND, created=True),
    }
    monkeypatch.setattr(operation, "look_at_trust", lambda *_: states)
    found = [row for row in rows(sides, told=told) if row.name == "trust"]
    assert [row.state for row in found] == ["warning", "ok"]
    assert told.lines == ["note trust: local1 could not be looked at: no right to Secrets"]

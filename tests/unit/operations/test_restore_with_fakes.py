"""Restoring beside what is there: from what, when it is refused, how it goes on, and what came back."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.kube.fakes import path_of
from tests.unit.operations.restores import FIRST, NEW, ROOT, SECOND, RestoreWorld, restore_world
from tests.unit.operations.told import Told
from tests.unit.operations.worlds import NAME, SPACE, TRUE, World
from tests.unit.tools.archives import NOW, put_history, put_wal

from pgaas.errors import NotHealthy, RefusedAsUnsafe, TimedOut, UsageError
from pgaas.kube.resources import CLUSTER, CONFIG_MAP, JOB, POD, SECRET, SERVICE, VOLUME_CLAIM
from pgaas.kube.trust import read_authorities
from pgaas.operations import restore as module
from pgaas.operations.delete import delete, plan_deletion
from pgaas.operations.restore import Choices
from pgaas.operations.restore_remove import check_confirmation, plan_removal, remove

BUNDLE = f"{NEW}-client-ca-bundle"
OURS = {"cnpg.io/cluster": NEW, "cnpg.io/jobRole": "full-recovery"}


@pytest.fixture
def made(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[RestoreWorld]:
    with restore_world(world, monkeypatch) as found:
        yield found


def cluster(made: RestoreWorld) -> dict[str, Any]:
    return made.world.server.objects[path_of(CLUSTER, SPACE, NEW)]


def source(made: RestoreWorld) -> dict[str, Any]:
    return made.world.server.objects[path_of(CLUSTER, SPACE, NAME)]


def lone(made: RestoreWorld) -> None:
    """Let the source be gone, with its archive left."""
    del made.world.server.objects[path_of(CLUSTER, SPACE, NAME)]


def told_to_switch(made: RestoreWorld) -> bool:
    return any(module.SWITCH in asked for asked in made.asked)


def test_it_restores_from_the_newest_backup_before_the_moment(made: RestoreWorld) -> None:
    done = made.restore()
    restore = made.values["restore"]
    assert (done.backup_id, restore["backupID"]) == (SECOND, SECOND)
    assert restore["targetTime"] == "2026-11-24T11:30:00.000000Z"
    assert restore["serverName"] == NAME
    assert done.checked
    assert (done.checked.end_lsn, done.checked.end_timeline) == ("0/3C0000F8", 1)
    assert done.checked.problems == ()
    assert {env["RESTORED"] for env in made.environments} == {NEW}
    earlier = made.restore(name="earlier", moment=NOW - timedelta(minutes=61), choices=Choices(dry_run=True))
    assert earlier.backup_id == FIRST


def test_the_source_is_asked_for_its_newest_wal_and_else_left_alone(made: RestoreWorld) -> None:
    before = json.dumps(source(made))
    made.restore()
    assert json.dumps(source(made)) == before
    assert {asked[0] for asked in made.asked if module.SWITCH in asked} == {f"{NAME}-1"}
    assert all(not asked.path.endswith(f"/{NAME}") for asked in made.world.server.writes())
    commit = next(asked for asked in made.asked if module.SWITCH in asked)
    # Two statements, two transactions: the first one's end is in the file that is closed then.
    assert commit[-4:] == ("-c", module.COMMIT, "-c", module.SWITCH)
    assert not [asked for asked in made.world.s3.asked if asked[0] in ("PUT", "DELETE", "POST")]


def test_a_dry_run_changes_nothing_and_asks_the_source_for_nothing(made: RestoreWorld) -> None:
    done = made.restore(Choices(dry_run=True), moment=NOW - timedelta(seconds=1))
    assert done.backup_id == SECOND
    assert made.world.server.writes() == []
    assert made.world.commands == []
    assert not told_to_switch(made)
    assert not (made.world.root / "confs/_generated/ic1-local/local1/restored").exists()


def test_a_moment_that_only_the_source_has_yet_is_archived_first(made: RestoreWorld) -> None:
    made.clock = NOW.timestamp() + 60
    assert made.restore(moment=NOW + timedelta(seconds=50)).backup_id == SECOND


@pytest.mark.parametrize(
    ("wanted", "kind", "says"),
    [
        ({"moment": NOW + timedelta(hours=1)}, UsageError, f"still to come: the clock of {NAME} says"),
        ({"moment": NOW - timedelta(hours=3)}, RefusedAsUnsafe, "from 2026-11-24T10:00:00.000000Z"),
        ({"backup_id": "20261124T090000"}, RefusedAsUnsafe, "there is no backup 20261124T090000"),
        ({"latest": True, "archive": "prod-ic1-dc1"}, UsageError, "no archive 'prod-ic1-dc1'"),
        ({"name": NAME, "latest": True}, UsageError, "never over it"),
        ({"name": "new"}, UsageError, "nothing says what to restore"),
    ],
)
def test_what_cannot_be_restored_is_refused_before_anything_is_made(
    made: RestoreWorld, wanted: dict[str, Any], kind: type[Exception], says: str
) -> None:
    with pytest.raises(kind, match=says):
        made.restore(**wanted)
    assert made.world.server.writes() == []


def test_a_hole_before_the_moment_is_named_with_what_can_be_restored(made: RestoreWorld) -> None:
    hole = next(key for key in made.world.s3.objects if key.endswith("000000010000000000000028.gz"))
    del made.world.s3.objects[hole]
    with pytest.raises(RefusedAsUnsafe) as caught:
        made.restore()
    assert "WAL 000000010000000000000028 is missing" in caught.value.what
    assert "one can restore to any moment from" in caught.value.what
    assert made.world.server.writes() == []
    # The hole is no concern of the backup that ended before it.
    assert made.restore(backup_id=SECOND).backup_id == SECOND


def test_a_backups_end_is_restored_on_its_own_timeline(made: RestoreWorld) -> None:
    made.restore(backup_id="backup-20261124114625")
    restore = made.values["restore"]
    assert (restore["targetImmediate"], restore["targetTLI"], restore["targetTime"]) == (True, "1", "")
    assert not told_to_switch(made)


def test_the_newest_is_on_the_newest_timeline(made: RestoreWorld) -> None:
    """The old primary took a backup, and a standby was promoted that had not got so far."""
    put_wal(made.world.s3, ROOT, 2, range(30, 62), every=60)
    put_history(made.world.s3, ROOT, 2, ["1\t0/1E000060"])
    assert made.restore(Choices(dry_run=True), latest=True).backup_id == FIRST
    assert made.restore(Choices(dry_run=True)).backup_id == FIRST
    assert made.restore(backup_id=SECOND).backup_id == SECOND
    assert made.values["restore"]["targetTLI"] == "1"


def test_a_replicas_archive_is_not_taken_for_all_that_there_is(made: RestoreWorld) -> None:
    source(made)["spec"]["replica"] = {"self": NAME, "primary": "local-ic1-local2"}
    told = Told()
    made.restore(Choices(dry_run=True), told, latest=True)
    assert f"{NAME} is a replica" in told.text
    assert not told_to_switch(made)


def test_without_a_source_it_is_s3s_clock_that_counts(made: RestoreWorld) -> None:
    lone(made)
    with pytest.raises(UsageError, match="the clock of S3 says 2026-11-24T12:00:00"):
        made.restore(moment=NOW + timedelta(hours=1))


def test_after_a_deletion_the_former_lifes_archive_is_found(made: RestoreWorld) -> None:
    lone(made)
    made.world.edit(
        "admin/local/clients.yaml", "  ic1:\n", f"  ic1:\n    archiveGenerations: {{{NAME}: 2}}\n"
    )
    done = made.restore(latest=True)
    assert (done.server_name, done.backup_id) == (NAME, SECOND)
    assert not told_to_switch(made)


@pytest.mark.parametrize(
    ("kind", "name", "labels"),
    [
        (SERVICE, f"{NEW}-rw", {}),
        (SECRET, f"{NEW}-server", {}),
        (SECRET, f"{NEW}-app", {"pgaas.io/restored-as": "another"}),
        (VOLUME_CLAIM, "left", {"cnpg.io/cluster": NEW}),
        (VOLUME_CLAIM, f"{NEW}-1", {}),
    ],
)
def test_a_name_that_anything_has_is_refused(
    made: RestoreWorld, kind: Any, name: str, labels: dict[str, str]
) -> None:
    made.world.server.put(kind, {"metadata": {"name": name, "namespace": SPACE, "labels": labels}})
    with pytest.raises(RefusedAsUnsafe, match=f"is taken: {kind.kind}/{name}"):
        made.restore()
    assert made.world.server.writes() == []


def test_a_foreign_release_or_cluster_of_that_name_is_refused(made: RestoreWorld) -> None:
    made.record(NEW, "kind: ConfigMap\n")
    with pytest.raises(RefusedAsUnsafe, match="Helm release"):
        made.restore()
    made.world.server.put(CLUSTER, {"metadata": {"name": NEW, "namespace": SPACE}})
    with pytest.raises(RefusedAsUnsafe, match="no cluster that pgaas restored"):
        made.restore()
    with pytest.raises(RefusedAsUnsafe, match="no cluster that pgaas restored"):
        plan_removal(made.world.root, made.world.subject.target, NEW)


def test_the_clients_authority_is_trusted_and_nobody_elses(made: RestoreWorld) -> None:
    done = made.restore()
    bundle = made.world.server.objects[path_of(SECRET, SPACE, BUNDLE)]
    text = base64.b64decode(bundle["data"]["ca.crt"]).decode()
    assert [each.subject for each in read_authorities(text, "")] == ["CN=new", "CN=old"]
    assert "PRIVATE" not in text
    assert bundle["metadata"]["labels"]["pgaas.io/restored-as"] == NEW
    assert "pgaas.io/dc" not in bundle["metadata"]["labels"]
    assert done.clients == ()


def test_without_the_clients_authority_it_has_certificates_of_its_own(made: RestoreWorld) -> None:
    lone(made)
    del made.world.server.objects[path_of(SECRET, SPACE, f"{NAME}-client-ca")]
    told = Told()
    done = made.restore(latest=True, progress=told)
    assert f"{NEW}-client-app-user" in done.clients
    assert "client certificates of its own" in told.text


def test_the_image_and_the_volume_are_the_sources(made: RestoreWorld) -> None:
    source(made)["status"]["image"] = "registry.example.com/postgresql:17.1"
    made.world.put(VOLUME_CLAIM, f"{NAME}-1", spec={"resources": {"requests": {"storage": "9Gi"}}})
    done = made.restore()
    assert (done.image, done.storage) == ("registry.example.com/postgresql:17.1", "9Gi")
    assert made.values["imageCatalog"]["images"] == [
        {"major": 17, "image": "registry.example.com/postgresql:17.1"}
    ]


def test_a_backup_of_a_major_version_that_is_not_offered_is_refused(made: RestoreWorld) -> None:
    for name in (FIRST, SECOND):
        key = f"{ROOT}base/{name}/backup.info"
        made.world.s3.objects[key] = made.world.s3.objects[key].replace(b"version=170012", b"version=130012")
    with pytest.raises(RefusedAsUnsafe, match="PostgreSQL 13"):
        made.restore()


def test_what_is_missing_afterwards_is_said(made: RestoreWorld) -> None:
    gone, role = made.databases.pop()["name"], made.roles.pop(0)
    made.broken[made.databases[0]["name"]] = [["public.t", "invalid page in block 0"]]
    done = made.restore()
    assert done.checked
    assert any(f"database {gone} is missing" in problem for problem in done.checked.problems)
    assert any(f"role {role} is missing" in problem for problem in done.checked.problems)
    assert any("public.t: invalid page in block 0" in problem for problem in done.checked.problems)


def failed_pod(made: RestoreWorld, *lines: str, phase: str = "Failed", name: str = "one") -> None:
    spec = {"containers": [{"name": "full-recovery"}]}
    metadata = {"name": name, "namespace": SPACE, "labels": OURS}
    made.world.server.put(POD, {"metadata": metadata, "spec": spec, "status": {"phase": phase}})
    made.world.server.raw[f"{path_of(POD, SPACE, name)}/log"] = "".join(f"{line}\n" for line in lines)


def said(severity: str, message: str) -> str:
    return json.dumps({"level": "info", "record": {"error_severity": severity, "message": message}})


def test_a_recovery_that_does_not_get_to_the_moment_says_where_it_ended(made: RestoreWorld) -> None:
    made.phase = "Setting up primary"
    failed_pod(
        made,
        said("LOG", "last completed transaction was at log time 2026-11-24 11:29:00.5+00"),
        said("FATAL", "recovery ended before configured recovery target was reached"),
        phase="Running",
    )
    with pytest.raises(NotHealthy) as caught:
        made.restore()
    assert "committed at 2026-11-24 11:29:00.5+00" in caught.value.what
    assert "--latest" in caught.value.next_step
    assert "--remove" in caught.value.next_step


def test_one_failed_attempt_is_waited_out_and_a_second_is_told(made: RestoreWorld) -> None:
    made.phase = "Setting up primary"
    failed_pod(made, said("FATAL", "could not restore file"))
    failed_pod(made, said("FATAL", "could not restore file again"), name="two")
    with pytest.raises(NotHealthy, match="could not restore file"):
        made.restore()


def test_one_failed_attempt_is_no_failure_when_the_time_is_up(made: RestoreWorld) -> None:
    made.phase = "Setting up primary"
    failed_pod(made, said("FATAL", "could not restore file"))
    with pytest.raises(TimedOut, match="is not healthy after") as caught:
        made.restore(Choices(timeout=0.0))
    assert "--remove" not in caught.value.next_step


def test_a_job_that_was_given_up_is_told(made: RestoreWorld) -> None:
    made.phase = "Setting up primary"
    failed = {"type": "Failed", "status": TRUE, "message": "Job has reached the specified backoff limit"}
    metadata = {"name": "job", "namespace": SPACE, "labels": OURS}
    made.world.server.put(JOB, {"metadata": metadata, "status": {"conditions": [failed]}})
    with pytest.raises(NotHealthy, match="backoff limit"):
        made.restore()


def test_the_last_transaction_is_read_while_its_pod_is_there(made: RestoreWorld) -> None:
    failed_pod(
        made,
        said("LOG", 'restored log file "000000010000000000000021" from archive'),
        said("LOG", "last completed transaction was at log time 2026-11-24 11:29:00.5+00"),
        phase="Succeeded",
    )
    done = made.restore()
    assert done.checked
    assert done.checked.last_transaction == "2026-11-24 11:29:00.5+00"


def removal(made: RestoreWorld, name: str = NEW) -> Any:
    return plan_removal(made.world.root, made.world.subject.target, name)


def test_a_removal_takes_what_is_its_own_and_nothing_else(made: RestoreWorld) -> None:
    made.restore()
    before = {path for path in made.world.server.objects if NEW not in path}
    plan = removal(made)
    assert any(f"Cluster {NEW} (restored to time" in line for line in plan.goes)
    with pytest.raises(UsageError):
        check_confirmation(plan, NAME)
    gone = remove(plan, timeout=3.0, progress=Told())
    assert gone.was_there
    left = {path for path in made.world.server.objects if NEW in path}
    assert left == set()
    assert before <= set(made.world.server.objects)
    assert made.world.s3.objects
    assert not (made.world.root / "confs/_generated/ic1-local/local1/restored" / NEW).exists()


def test_a_removal_of_nothing_touches_nothing(made: RestoreWorld) -> None:
    """A Secret that only has a name that a restored cluster's would have is somebody else's."""
    made.world.server.put(SECRET, {"metadata": {"name": f"{NEW}-server", "namespace": SPACE}})
    made.world.server.put(CONFIG_MAP, {"metadata": {"name": NEW, "namespace": SPACE}})
    gone = remove(removal(made), timeout=3.0, progress=Told())
    assert not gone.was_there
    assert path_of(SECRET, SPACE, f"{NEW}-server") in made.world.server.objects
    assert made.world.server.writes() == []


def test_deleting_the_source_leaves_the_restored_cluster(made: RestoreWorld) -> None:
    made.restore()
    before = {path for path in made.world.server.objects if f"/{NEW}" in path}
    plan = plan_deletion(made.world.root, made.world.subject.target)
    assert not any(NEW in line for line in plan.goes)
    for path in [path_of(CLUSTER, SPACE, NAME), path_of(POD, SPACE, f"{NAME}-1")]:
        del made.world.server.objects[path]
    delete(plan, skip_final_backup=True, timeout=3.0, progress=Told())
    assert before <= set(made.world.server.objects)


@pytest.mark.parametrize("own", [NAME, f"{NAME}-client", "local-ic1"])
def test_a_clients_own_cluster_cannot_be_removed_this_way(made: RestoreWorld, own: str) -> None:
    with pytest.raises(UsageError):
        removal(made, own)

"""An upgrade: when it refuses, has nothing to do, what it tells. A status: what it says in words."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.unit.kube.fakes import path_of
from tests.unit.operations.worlds import NAME, SPACE, TARGET, World, pod

from pgaas.errors import NotHealthy, RefusedAsUnsafe
from pgaas.kube.resources import DEPLOYMENT, POD, SCHEDULED_BACKUP, SERVICE
from pgaas.kube.snapshot import take_snapshot
from pgaas.operations.progress import Silent
from pgaas.operations.status import Status, status, status_of
from pgaas.operations.status_parts import Pgadmin
from pgaas.operations.upgrade import Follower, Upgraded, upgrade

NEW = "ghcr.io/cloudnative-pg/postgresql:17-new"


def upgrading(world: World, *, force: bool = False) -> Upgraded:
    return upgrade(world.root, TARGET, force=force, timeout=5.0, progress=Silent())


def wanting(world: World, image: str = NEW) -> str:
    old = world.subject.image
    world.edit("admin/local/postgresql.yaml", old, image)
    return old


def test_nothing_to_do(world: World) -> None:
    world.deploy()
    done = upgrading(world)
    assert (done.changed, done.happenings) == (False, ())
    assert world.commands == []
    assert world.server.writes() == []


def test_every_instance_ends_on_the_new_image(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgaas.operations.upgrade.SETTLE_SECONDS", 0.0)
    world.deploy()
    old = wanting(world)
    done = upgrading(world)
    assert "sync" in world.ran()
    assert (done.before, done.image, done.changed) == ({f"{NAME}-1": old}, NEW, True)


def test_no_cluster(world: World) -> None:
    world.s3.objects[f"ic1-local-local1-backup/{NAME}/wals/x"] = b"1"
    with pytest.raises(NotHealthy, match="is not created"):
        upgrading(world)


def test_a_change_of_major_version_is_refused_and_nothing_runs(world: World) -> None:
    world.deploy()
    world.edit("users/ic1/local/databases.yaml", "majorVersion: 17", "majorVersion: 18")
    with pytest.raises(RefusedAsUnsafe, match="offline upgrade"):
        upgrading(world, force=True)
    assert world.commands == []


def test_an_unhealthy_cluster_is_refused_unless_forced(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgaas.operations.upgrade.SETTLE_SECONDS", 0.0)
    world.deploy(phase="Failing over")
    wanting(world)
    with pytest.raises(RefusedAsUnsafe) as caught:
        upgrading(world)
    assert "--force" in caught.value.next_step
    assert world.commands == []
    upgrading(world, force=True)
    assert "sync" in world.ran()


def test_what_happens_to_each_instance_is_told(world: World) -> None:
    world.deploy()
    old = wanting(world)
    now = [10.0]
    api = world.subject.api()
    follower = Follower(
        world.subject, api, Silent(), {f"{NAME}-1": old, f"{NAME}-2": old}, 0.0, lambda: now[0]
    )

    def look(**pods: dict[str, Any]) -> None:
        for number, content in pods.items():
            world.put(POD, f"{NAME}-{number[1:]}", **content)
        follower(take_snapshot(api, NAME, SPACE))
        now[0] += 1

    look(p1=pod(old), p2=pod(old))
    look(p2=pod(NEW, ready=False))
    look(p2=pod(NEW))
    assert follower.rolled_out() is False
    world.cluster()["status"]["currentPrimary"] = f"{NAME}-2"
    look()
    look(p1=pod(NEW, ready=False))
    look(p1=pod(NEW))
    assert follower.rolled_out() is True
    assert [(happening.seconds, happening.text) for happening in follower.happenings] == [
        (11.0, f"{NAME}-2: restarted with postgresql:17-new, had {old.rpartition('/')[2]}"),
        (12.0, f"{NAME}-2: ready"),
        (13.0, f"switchover: {NAME}-2 is the primary now, {NAME}-1 was"),
        (14.0, f"{NAME}-1: restarted with postgresql:17-new, had {old.rpartition('/')[2]}"),
        (15.0, f"{NAME}-1: ready"),
    ]


def looked(world: World, now: datetime = datetime(2026, 5, 2, tzinfo=UTC)) -> Status:
    api = world.subject.api()
    return status_of(world.subject, api, take_snapshot(api, NAME, SPACE, everything=True), now)


def test_a_healthy_status(world: World) -> None:
    world.deploy()
    report = {"currentLsn": "0/1", "timeLineID": 3, "lastArchivedWAL": "W", "lastArchivedWALTime": "T"}
    world.server.raw[f"/api/v1/namespaces/{SPACE}/pods/https:{NAME}-1:8000/proxy/pg/status"] = report
    seen = looked(world)
    assert (seen.healthy, seen.problems, seen.created, seen.major) == (True, [], True, 17)
    [instance] = seen.instances
    assert (instance.role, instance.ready, instance.restarts, instance.lsn) == ("primary", True, 2, "0/1")
    assert (seen.archive.last_archived_wal, seen.archive.archiving) == ("W", True)
    assert {each.days_left for each in seen.certificates} == {30}
    assert {each.state for each in seen.roles} == {"reconciled"}
    json.dumps(asdict(seen))


def test_a_status_without_the_right_to_ask_the_pods(world: World) -> None:
    world.deploy()
    seen = looked(world)
    assert (seen.healthy, seen.instances[0].lsn) == (True, "")


def test_pgadmin_is_looked_at_and_no_cluster_is_ill_for_want_of_it(world: World) -> None:
    world.deploy()
    missing = looked(world)
    assert missing.healthy is True
    assert missing.pgadmin == Pgadmin(f"{NAME}-pgadmin", False, "not there", [])
    labels = {"app.kubernetes.io/name": "pgadmin4"}
    template = {"spec": {"containers": [{"image": "docker.io/dpage/pgadmin4:9.18"}]}}
    runs = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
    spec = {"selector": {"matchLabels": labels}, "template": template, "replicas": 1}
    world.put(DEPLOYMENT, f"{NAME}-pgadmin", spec=spec, status=runs)
    own = pod("docker.io/dpage/pgadmin4:9.18")
    world.put(POD, "pgadmin-x", **{**own, "metadata": {"labels": labels}})
    balancer = {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}
    world.put(SERVICE, f"{NAME}-pgadmin", spec={"type": "LoadBalancer"}, status=balancer)
    assert looked(world).pgadmin == Pgadmin(f"{NAME}-pgadmin", True, "pgadmin4:9.18", ["192.0.2.7"])
    world.edit("admin/local/postgresql.yaml", "pgadmin:\n  enabled: true", "pgadmin:\n  enabled: false")
    assert looked(world).pgadmin is None


def test_what_is_wrong_is_said_in_words(world: World) -> None:
    world.deploy(readyInstances=0)
    world.put(POD, f"{NAME}-1", **pod(world.subject.image, ready=False))
    seen = looked(world, datetime(2026, 6, 3, tzinfo=UTC))
    assert seen.healthy is False
    assert "instances: 0 ready of 1" in seen.problems
    assert any("has expired" in problem for problem in seen.problems)
    assert seen.instances[0].ready is False


def test_an_instance_that_is_down_is_seen_though_no_operator_says_so(world: World) -> None:
    world.deploy()
    world.put(POD, f"{NAME}-1", **pod(world.subject.image, ready=False))
    [problem] = looked(world).problems
    assert problem.startswith(f"instances: {NAME}-1 is not ready")
    world.server.objects.pop(path_of(POD, SPACE, f"{NAME}-1"))
    assert looked(world).problems == ["instances: 0 pods of 1"]


def test_a_primary_that_confs_do_not_know_of_is_a_problem(world: World) -> None:
    world.deploy()
    world.cluster()["spec"]["replica"] = {"self": NAME, "primary": "local-ic1-local2", "source": "x"}
    [problem] = looked(world).problems
    assert "the live primary is local-ic1-local2, but confs say local-ic1-local1" in problem


def test_another_archive_or_major_version_in_confs_is_a_note(world: World) -> None:
    world.deploy()
    world.edit("users/ic1/local/databases.yaml", "majorVersion: 17", "majorVersion: 18")
    world.cluster()["spec"]["plugins"][0]["parameters"]["serverName"] = f"{NAME}-g7"
    seen = looked(world)
    assert any("archives as local-ic1-local1-g7" in note for note in seen.notes)
    assert any("databases.yaml says 18" in note for note in seen.notes)


@pytest.mark.parametrize(
    ("scheduled", "says"),
    [
        (None, "no ScheduledBackup"),
        ({"spec": {"suspend": True}}, "suspended"),
        ({"status": {"nextScheduleTime": "2026-05-01T01:00:00Z"}}, "none was started"),
    ],
)
def test_backups_that_will_not_come(world: World, scheduled: dict[str, Any] | None, says: str) -> None:
    world.deploy()
    world.server.objects.pop(path_of(SCHEDULED_BACKUP, SPACE, NAME))
    if scheduled is not None:
        world.put(SCHEDULED_BACKUP, NAME, **scheduled)
    [problem] = looked(world).problems
    assert says in problem


def test_a_pending_upgrade_is_a_note_and_no_problem(world: World) -> None:
    world.deploy()
    wanting(world)
    seen = looked(world)
    assert seen.healthy
    assert any("pgaas upgrade" in note for note in seen.notes)


def test_a_cluster_that_is_not_there(world: World) -> None:
    seen = status(world.root, TARGET)
    assert (seen.created, seen.healthy, seen.problems) == (False, False, ["cluster: not created"])
    assert not any(asked.path == path_of(POD, SPACE, "x") for asked in world.server.asked)

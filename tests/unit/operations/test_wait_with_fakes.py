"""Following a cluster: what ends the wait, what it says then, and what it mends meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.kube.fakes import path_of
from tests.unit.operations.worlds import NAME, OURS, SPACE, TARGET, World, pod

from pgaas.errors import NotHealthy, TimedOut
from pgaas.kube.databases import WAITING
from pgaas.kube.resources import BACKUP, CERTIFICATE, CLUSTER, DATABASE, JOB, POD
from pgaas.kube.snapshot import SETTING_UP, UNRECOVERABLE, take_snapshot
from pgaas.operations.backup import GRACE_SECONDS, PURPOSE, FirstBackup
from pgaas.operations.progress import Silent
from pgaas.operations.unstick import Unstick
from pgaas.operations.wait import HOPELESS_LOOKS, Health, follow_until_healthy, wait_healthy


class Time:
    """Time that passes only while sleeping; `at` holds what happens when."""

    def __init__(self) -> None:
        self.now = 0.0
        self.at: list[tuple[float, Callable[[], Any]]] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        due = [action for moment, action in self.at if moment <= self.now]
        self.at = [entry for entry in self.at if entry[0] > self.now]
        for action in due:
            action()


def follow(world: World, time: Time, timeout: float = 30.0, **options: Any) -> Health:
    return follow_until_healthy(
        world.subject,
        world.subject.api(),
        timeout=timeout,
        progress=Silent(),
        clock=time,
        sleep=time.sleep,
        **options,
    )


def test_it_ends_as_soon_as_all_is_there(world: World) -> None:
    world.deploy(phase="Creating a new replica")
    time = Time()
    time.at.append((5.0, world.deploy))
    assert follow(world, time).seconds == 5.0


def test_no_such_cluster_is_said_at_once(world: World) -> None:
    with pytest.raises(NotHealthy, match="is not created") as caught:
        wait_healthy(world.root, TARGET, timeout=600.0, progress=Silent())
    assert "pgaas create" in caught.value.next_step


def test_a_timeout_says_what_is_missing_and_why(world: World) -> None:
    world.deploy(readyInstances=0)
    broken = pod(world.subject.image, ready=False)
    broken["status"]["containerStatuses"][0]["state"] = {"waiting": {"reason": "CrashLoopBackOff"}}
    world.put(POD, f"{NAME}-1", **broken)
    with pytest.raises(TimedOut) as caught:
        follow(world, Time())
    assert "not healthy after 30 s" in caught.value.what
    assert "missing: instances: 0 ready of 1" in caught.value.what
    assert f"why: pod {NAME}-1, container postgres: CrashLoopBackOff" in caught.value.what
    assert "pgaas wait" in caught.value.next_step


def test_a_hopeless_phase_must_stay_before_it_is_believed(world: World) -> None:
    world.deploy(phase=UNRECOVERABLE)
    time = Time()
    time.at.append((HOPELESS_LOOKS - 1.5, world.deploy))
    follow(world, time)
    world.deploy(phase=UNRECOVERABLE, phaseReason="token")
    time = Time()
    with pytest.raises(NotHealthy, match="token"):
        follow(world, time)
    assert time.now == HOPELESS_LOOKS - 1


def test_an_archive_that_refuses_ends_the_wait_though_the_phase_never_says_so(world: World) -> None:
    world.deploy(phase=SETTING_UP)
    labels = {**OURS, "cnpg.io/jobRole": "initdb"}
    world.put(POD, f"{NAME}-1-initdb", metadata={"labels": labels}, **pod("x", ready=False))
    line = json.dumps({"level": "error", "msg": "WAL archive check failed: Expected empty archive"})
    world.server.raw[f"{path_of(POD, SPACE, f'{NAME}-1-initdb')}/log"] = line
    time = Time()
    with pytest.raises(NotHealthy, match=r"archive is not empty.*Expected empty archive") as caught:
        follow(world, time, timeout=600.0)
    assert time.now < 10
    assert "pgaas delete" in caught.value.next_step


def test_a_live_cluster_is_not_believed_before_it_has_settled(world: World) -> None:
    world.deploy()
    assert follow(world, Time(), settle=3.0).seconds == 3.0
    assert follow(world, Time()).seconds == 0.0


def test_the_callers_own_goal_counts_too(world: World) -> None:
    world.deploy()
    time = Time()
    assert follow(world, time, done=lambda: time.now >= 7).seconds == 7.0


def test_until_it_is_healthy_the_cluster_alone_is_asked_each_second_and_the_rest_rarely(world: World) -> None:
    world.deploy(phase="Creating a new replica")
    time, looks = Time(), list[float]()
    time.at.append((12.0, world.deploy))
    follow(world, time, on_snapshot=[lambda _: looks.append(time.now)], done=lambda: time.now >= 13)
    assert looks == [0.0, 5.0, 10.0, 12.0, 13.0]
    asked = [path for path in (request.path for request in world.server.asked) if f"/{SPACE}/" in path]
    # What the cluster was last seen as decides whether it is asked for alone; once more where that changes.
    assert asked.count(path_of(CLUSTER, SPACE, NAME)) == 13 + 1 + 1
    assert asked.count(path_of(CERTIFICATE, SPACE)) == len(looks)


def test_what_was_seen_before_it_was_healthy_does_not_end_the_wait(world: World) -> None:
    name = world.subject.values.certificates.server.name
    world.deploy(phase="Creating a new replica")
    time = Time()

    def heal_and_lose_a_certificate() -> None:
        world.deploy()
        world.put(CERTIFICATE, name, status={"conditions": [{"type": "Ready", "status": "False"}]})

    time.at += [(2.0, heal_and_lose_a_certificate), (4.0, world.deploy)]
    assert follow(world, time).seconds == 4.0


def test_each_change_of_the_cluster_is_told_in_the_second_in_which_it_happens(world: World) -> None:
    class Details(Silent):
        def __init__(self) -> None:
            self.told: list[tuple[float, str]] = []

        def detail(self, text: str) -> None:
            self.told.append((time.now, text))

    phases = ["Setting up primary", "Creating a new replica", "Waiting for the instances to become active"]
    world.deploy(phase=phases[0], readyInstances=0)
    time, progress = Time(), Details()
    time.at += [
        (1.0, lambda: world.deploy(phase=phases[1], readyInstances=0)),
        (2.0, lambda: world.deploy(phase=phases[2])),
        (3.0, world.deploy),
    ]
    follow_until_healthy(
        world.subject,
        world.subject.api(),
        timeout=30.0,
        progress=progress,
        clock=time,
        sleep=time.sleep,
    )
    assert [moment for moment, _ in progress.told] == [0.0, 1.0, 2.0, 3.0]
    for phase, (_, text) in zip(phases, progress.told, strict=False):
        assert phase in text
    assert "instances: 1 ready of 1" in progress.told[2][1]


def backups(world: World) -> list[dict[str, Any]]:
    return [obj for path, obj in world.server.objects.items() if f"/{BACKUP.plural}/" in path]


def look(world: World, hook: Callable[[Any], None]) -> None:
    hook(take_snapshot(world.subject.api(), NAME, SPACE))


def test_a_first_backup_that_failed_is_asked_for_again_once(world: World) -> None:
    world.deploy()
    world.backup("first", "failed")
    hook = FirstBackup(world.subject.api(), world.subject, Silent(), Time())
    look(world, hook)
    look(world, hook)
    [asked] = world.server.writes()
    assert (asked.method, asked.query["fieldManager"]) == ("POST", "pgaas")
    assert asked.body["spec"]["cluster"] == {"name": NAME}
    assert asked.body["spec"]["method"] == "plugin"
    assert asked.body["spec"]["pluginConfiguration"] == {"name": "barman-cloud.cloudnative-pg.io"}
    assert asked.body["metadata"]["labels"][PURPOSE] == "first"
    assert len(backups(world)) == 2


def test_a_first_backup_that_never_starts_is_asked_for_after_a_while(world: World) -> None:
    world.deploy()
    world.server.objects.pop(path_of(BACKUP, SPACE, "first"))
    time = Time()
    hook = FirstBackup(world.subject.api(), world.subject, Silent(), time)
    look(world, hook)
    time.now = GRACE_SECONDS - 1
    look(world, hook)
    assert backups(world) == []
    time.now = GRACE_SECONDS
    look(world, hook)
    assert len(backups(world)) == 1


@pytest.mark.parametrize("phase", ["pending", "running", "completed"])
def test_a_backup_under_way_or_done_needs_no_other(world: World, phase: str) -> None:
    world.deploy()
    world.backup("first", phase)
    time = Time()
    hook = FirstBackup(world.subject.api(), world.subject, Silent(), time)
    look(world, hook)
    time.now = 2 * GRACE_SECONDS
    look(world, hook)
    assert world.server.writes() == []


def unpullable(image: str, **metadata: Any) -> dict[str, Any]:
    broken = pod(image, ready=False)
    broken["status"]["containerStatuses"][0]["state"] = {"waiting": {"reason": "ImagePullBackOff"}}
    return {**broken, "metadata": metadata}


def test_a_pod_that_waits_for_an_image_of_yesterday_goes_once(world: World) -> None:
    world.deploy(phase="Waiting")
    world.put(POD, f"{NAME}-1", **unpullable("postgres:typo", uid="u1"))
    hook = Unstick(world.subject.api(), world.subject, Silent())
    look(world, hook)
    assert [(asked.method, asked.path) for asked in world.server.writes()] == [
        ("DELETE", path_of(POD, SPACE, f"{NAME}-1"))
    ]
    world.put(POD, f"{NAME}-1", **unpullable("postgres:typo", uid="u1"))
    look(world, hook)
    assert len(world.server.writes()) == 1


def test_of_a_bootstrap_the_job_goes(world: World) -> None:
    world.deploy(phase="Waiting")
    labels = {**OURS, "cnpg.io/jobRole": "initdb"}
    owners = [{"kind": "Job", "name": "the-job"}]
    world.put(POD, "x", **unpullable("postgres:typo", uid="u2", labels=labels, ownerReferences=owners))
    world.put(JOB, "the-job")
    look(world, Unstick(world.subject.api(), world.subject, Silent()))
    assert [asked.path for asked in world.server.writes()] == [path_of(JOB, SPACE, "the-job")]


def test_a_pod_that_waits_for_the_image_that_is_wanted_stays(world: World) -> None:
    world.deploy(phase="Waiting")
    world.put(POD, f"{NAME}-1", **unpullable(world.subject.image))
    look(world, Unstick(world.subject.api(), world.subject, Silent()))
    assert world.server.writes() == []


def left_waiting(world: World) -> None:
    for path, each in world.server.objects.items():
        if f"/{DATABASE.plural}/" in path:
            each["status"] = {"applied": False, "message": WAITING, "observedGeneration": 1}


def test_the_databases_of_a_primary_that_was_promoted_by_hand_are_looked_at_again(world: World) -> None:
    world.deploy()
    left_waiting(world)
    hook = Unstick(world.subject.api(), world.subject, Silent())
    look(world, hook)
    asked = world.server.writes()
    assert {each.path.rpartition("/")[2] for each in asked} == {"status"}
    assert [each.body for each in asked] == [{"status": {"observedGeneration": 0}}] * 2
    for _ in range(9):
        look(world, hook)
    assert len(world.server.writes()) == 2
    look(world, hook)
    assert len(world.server.writes()) == 4


def test_nobody_asks_for_databases_of_a_cluster_that_is_not_healthy_yet(world: World) -> None:
    world.deploy(phase="Waiting")
    left_waiting(world)
    look(world, Unstick(world.subject.api(), world.subject, Silent()))
    assert world.server.writes() == []

"""Every reason for which a pair is not healthy, and the command that helps."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from tests.unit.kube.authorities import new_key
from tests.unit.kube.fakes import failure
from tests.unit.operations.pair_worlds import (
    AHEAD,
    DIVERGED,
    HERE,
    SPACE,
    THERE,
    Answers,
    PairWorld,
    make_pair_world,
)
from tests.unit.tools.fake_s3 import FakeS3

from pgaas.operations.status_pair import pair_status

A, B = "local-ic1-local1", "local-ic1-local2"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared_s3: FakeS3) -> PairWorld:
    return make_pair_world(tmp_path, shared_s3, monkeypatch).healthy()


def diverge(world: PairWorld) -> None:
    world.answers |= {f"{A}-1": AHEAD, f"{B}-1": DIVERGED}


def confs(**fields: str) -> Callable[[PairWorld], None]:
    return lambda world: world.confs(**fields)


def answer(name: str, answers: Answers | str) -> Callable[[PairWorld], None]:
    return lambda world: world.answers.update({name: answers})


def leads(value: str) -> Callable[[PairWorld], None]:
    return lambda world: setattr(world, "leads", value)


def other_key(world: PairWorld) -> None:
    world.trust.make(THERE, key=new_key())


def no_archiving(world: PairWorld) -> None:
    entries = world.cluster(THERE)["status"]["conditions"]
    entries[1] |= {"status": "False", "message": "it broke"}


def unreadable_trust(world: PairWorld) -> None:
    path = f"GET /api/v1/namespaces/{SPACE}/secrets/{B}-client-ca"
    world.trust.servers[THERE].answers[path] = failure(403, "Forbidden", "no")


def other_folder(world: PairWorld) -> None:
    world.cluster(HERE)["spec"]["plugins"][0]["parameters"]["serverName"] = f"{A}-g7"


def old_source(world: PairWorld) -> None:
    world.confs(archiveGenerations=f"{{{A}: 2}}")
    world.cluster(HERE)["spec"]["plugins"][0]["parameters"]["serverName"] = f"{A}-g2"
    world.archive(HERE)


def lost_in_confs(world: PairWorld) -> None:
    world.confs(lostDatacenters=f"[{THERE}]")
    world.hibernate(THERE)


def demote_all(world: PairWorld) -> None:
    world.deploy(HERE, THERE)


def gap_in_archive(world: PairWorld) -> None:
    [lost] = [key for key in world.s3.objects if f"{A}/wals" in key and "0000000000000004" in key]
    del world.s3.objects[lost]
    for key in world.s3.written:
        world.s3.written[key] -= timedelta(days=1)


def no_backup(world: PairWorld) -> None:
    for key in [key for key in world.s3.objects if f"{A}/base" in key]:
        del world.s3.objects[key]


STEP = "--ins ic1 --env local"
WRONG: dict[str, tuple[Callable[[PairWorld], object], str, str]] = {
    "diverged": (diverge, "local2: does not follow local1: diverged", f"pgaas rebuild {STEP} --dc local2"),
    "of another system": (
        answer(f"{B}-1", Answers(True, system="1")),
        "local2: does not follow local1: of another system (1)",
        f"pgaas rebuild {STEP} --dc local2",
    ),
    "replica cannot be asked": (
        answer(f"{B}-1", "it sleeps"),
        "local2: does not follow local1: it sleeps",
        "",
    ),
    "primary cannot be asked": (
        answer(f"{A}-1", "it sleeps"),
        "local1: nobody knows whether the primary takes writes: it sleeps",
        "",
    ),
    "primary in recovery": (
        answer(f"{A}-1", Answers(True)),
        "local1: the primary takes no writes: its PostgreSQL is still in recovery",
        "",
    ),
    "no primary": (demote_all, "no side is the primary: a move is under way", f"pgaas switchover {STEP}"),
    "follows itself no more": (
        lambda world: world.cluster(THERE)["spec"]["replica"].update(primary="x"),
        f"local2: follows x, the primary is {A}",
        "",
    ),
    "phase": (
        lambda world: world.cluster(HERE)["status"].update(phase="Failing over"),
        "local1: cluster: Failing over",
        f"pgaas status {STEP} --dc local1",
    ),
    "archiving": (no_archiving, "local2: WAL archive: it broke", f"pgaas status {STEP} --dc local2"),
    "other primary in confs": (
        confs(primaryDatacenter=THERE),
        "confs say that local2 is the primary, live it is local1",
        "set primaryDatacenter: local1",
    ),
    "lost only in confs": (
        lost_in_confs,
        "marked as lost by confs: local2; by the live clusters: none",
        "correct lostDatacenters",
    ),
    "archives elsewhere": (
        other_folder,
        f"local1: archives as {A}-g7, confs say {A}",
        "correct archiveGenerations",
    ),
    "reads elsewhere": (
        old_source,
        f"local2: reads the archive {A} of {A}, confs say {A}-g2",
        "correct archiveGenerations",
    ),
    "DNS elsewhere": (
        leads(THERE),
        "leads to local2, the primary is local1",
        f"pgaas update-dns {STEP} --to local1",
    ),
    "DNS unknown": (leads("192.0.2.9"), "is: 192.0.2.9", f"pgaas update-dns {STEP} --to local1"),
    "no DNS": (leads(""), "the primary is local1", f"pgaas update-dns {STEP} --to local1"),
    "trust stale": (other_key, "local1: trust is stale", f"pgaas trust sync {STEP}"),
    "trust unreadable": (unreadable_trust, "local2: trust is not known", ""),
    "absent": (lambda world: world.remove(THERE), "local2: not created", f"pgaas create {STEP} --dc local2"),
    "gap in the archive": (
        gap_in_archive,
        "local1: its archive is not whole behind the newest base backup: 000000010000000000000004",
        "",
    ),
    "no backup in S3": (no_backup, "local1: its archive holds no complete base backup", ""),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_said_with_what_helps(world: PairWorld, what: str) -> None:
    spoil, problem, step = WRONG[what]
    spoil(world)
    seen = pair_status(world.root, "ic1", "local")
    assert not seen.healthy
    assert any(problem in each for each in seen.problems), seen.problems
    assert any(step in each for each in seen.next_steps) or not step, seen.next_steps
    assert seen.loud == []
    assert seen.confs.agree is not any("confs" in each for each in seen.problems)

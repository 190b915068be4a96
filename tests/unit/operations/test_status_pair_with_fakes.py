"""A pair's status: what it says of each side, and every reason for which it is not healthy."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from tests.unit.kube.fakes import failure
from tests.unit.operations.pair_worlds import (
    AHEAD,
    DIVERGED,
    HERE,
    THERE,
    Answers,
    PairWorld,
    make_pair_world,
)
from tests.unit.tools.fake_s3 import FakeS3

from pgaas.operations import status_pair_parts
from pgaas.operations.pair import Side
from pgaas.operations.status_pair import PairStatus, SideState, pair_status, replicates

A, B = "local-ic1-local1", "local-ic1-local2"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared_s3: FakeS3) -> PairWorld:
    return make_pair_world(tmp_path, shared_s3, monkeypatch)


def look(world: PairWorld) -> PairStatus:
    return pair_status(world.root, "ic1", "local")


def sides(seen: PairStatus) -> tuple[SideState, SideState]:
    here, there = seen.sides
    return here, there


def test_a_healthy_pair(world: PairWorld) -> None:
    seen = look(world.healthy())
    assert (seen.healthy, seen.problems, seen.loud, seen.next_steps) == (True, [], [], [])
    assert (seen.primary, seen.two_primaries) == (HERE, False)
    here, there = sides(seen)
    assert [(side.role, side.healthy, side.writable, side.timeline) for side in (here, there)] == [
        ("primary", True, True, 1),
        ("replica", True, False, 1),
    ]
    assert (here.follows, there.follows, there.gap_bytes, there.gap_seconds) == (None, True, 0, 0.0)
    assert (here.archive.newest_wal, here.archive.newest_wal_age) == ("000000010000000000000005", 30.0)
    assert (here.archive.newest_backup, here.archive.missing) == ("20261124T114625", 0)
    assert [side.trust.state for side in (here, there)] == ["ok", "ok"]
    assert (seen.dns.points_to, seen.dns.drift) == (HERE, "")
    assert (seen.confs.primary_datacenter, seen.confs.agree) == (HERE, True)
    assert (here.certificate_days or 0) > 10_000
    assert json.loads(json.dumps(asdict(seen)))["sides"][1]["role"] == "replica"


def test_only_a_client_that_replicates_is_a_pair(world: PairWorld) -> None:
    assert replicates(world.root, "ic1", "local")
    assert not replicates(world.root, "ic1", "dev1")


def test_how_far_the_replica_is_behind(world: PairWorld) -> None:
    world.healthy()
    world.answers[f"{A}-1"] = Answers(False, lsn="0/6000100", transaction=705)
    replica = world.answers[f"{B}-1"] = Answers(True, replay_age=7200, transaction=704)
    behind = sides(look(world))[1]
    # It has applied the whole archive, which was young 30 s ago: what it lacks is no older.
    assert (behind.gap_bytes, behind.gap_seconds) == (256, 35.0)
    replica.lsn = "0/5000000"
    behind = sides(look(world))[1]
    assert (behind.gap_bytes, behind.gap_seconds) == (0x1000100, 7200.0)
    replica.replay_age = 12
    assert sides(look(world))[1].gap_seconds == 12.0


def test_an_idle_primary_leaves_nobody_behind(world: PairWorld) -> None:
    world.healthy()
    world.answers[f"{A}-1"] = Answers(False, lsn="0/6000100", transaction=704)
    world.answers[f"{B}-1"] = Answers(True, replay_age=86_400, transaction=704)
    behind = sides(look(world))[1]
    assert (behind.gap_bytes, behind.gap_seconds) == (256, 0.0)


def test_what_a_loss_would_cost_now(world: PairWorld) -> None:
    world.healthy()
    world.answers[f"{A}-1"] = Answers(False, lsn="0/6000100")
    loss = look(world).loss
    assert (loss.datacenter, loss.seconds, loss.at_least) == (HERE, 35.0, 256)


def test_two_primaries_are_loud(world: PairWorld) -> None:
    world.healthy()
    world.deploy(THERE, THERE)
    seen = look(world)
    assert (seen.healthy, seen.two_primaries, seen.primary) == (False, True, "")
    assert seen.problems[0] == seen.loud[0]
    assert seen.loud[0].startswith(f"TWO PRIMARIES: {A} and {B} both take writes")
    assert [side.role for side in seen.sides] == ["TWO PRIMARIES"] * 2
    fence, rebuild = seen.next_steps[:2]
    assert fence.endswith("if that is local1, as confs say: pgaas fence --ins ic1 --env local --dc local2")
    assert rebuild.endswith("pgaas rebuild --ins ic1 --env local --dc local2")


def test_a_second_primary_that_cannot_be_asked_counts(world: PairWorld) -> None:
    world.healthy()
    world.deploy(THERE, THERE)
    world.answers[f"{B}-1"] = "it sleeps"
    assert look(world).two_primaries


def test_two_that_take_writes_are_two_primaries_whatever_their_specs_say(world: PairWorld) -> None:
    world.healthy()
    world.answers[f"{B}-1"] = Answers(False)
    seen = look(world)
    assert (seen.two_primaries, seen.primary) == (True, "")
    assert seen.loud[0].startswith("TWO PRIMARIES")


def test_of_two_primaries_the_lost_one_is_to_be_fenced(world: PairWorld) -> None:
    world.healthy(THERE)
    world.confs(lostDatacenters="[local1]")
    world.deploy(HERE, HERE)
    world.cluster(THERE)["metadata"]["annotations"] = {"pgaas.io/lost-datacenters": HERE}
    seen = look(world)
    assert seen.loud[0].startswith("TWO PRIMARIES")
    assert seen.loud[1].startswith(f"LOST SIDE IS BACK: {A}")
    assert (
        seen.next_steps[0] == "local1 was given up: fence it: pgaas fence --ins ic1 --env local --dc local1"
    )


def test_a_lost_side_that_is_back_is_loud_until_it_is_fenced(world: PairWorld) -> None:
    world.healthy(THERE)
    world.cluster(THERE)["metadata"]["annotations"] = {"pgaas.io/lost-datacenters": HERE}
    world.answers |= {f"{A}-1": DIVERGED, f"{B}-1": AHEAD}
    seen = look(world)
    assert [text.split(":")[0] for text in seen.loud] == ["LOST SIDE IS BACK"]
    assert "pgaas fence --ins ic1 --env local --dc local1" in seen.next_steps
    assert sides(seen)[0].marked_lost
    assert any(
        "marked as lost by confs: none; by the live clusters: local1" in each for each in seen.problems
    )
    world.confs(lostDatacenters="[local1]")
    world.hibernate(HERE)
    seen = look(world)
    assert (seen.loud, seen.two_primaries, seen.primary) == ([], False, THERE)
    assert sides(seen)[0].role == "fenced"
    assert seen.problems == ["local1 is fenced, as it was lost: it has no instances"]
    assert seen.next_steps == ["pgaas rebuild --ins ic1 --env local --dc local1"]


def test_a_lost_side_that_is_being_rebuilt_is_not_loud(world: PairWorld) -> None:
    world.healthy(THERE)
    world.cluster(THERE)["metadata"]["annotations"] = {"pgaas.io/lost-datacenters": HERE}
    world.confs(lostDatacenters="[local1]")
    problem = "local1 is still marked as lost: its rebuild is not finished"
    assert (look(world).problems, look(world).loud) == ([problem], [])
    world.answers[f"{A}-1"] = "no instance yet"
    assert len(look(world).loud) == 1
    world.lease(HERE, "rebuild")
    seen = look(world)
    assert (seen.problems[0], seen.loud) == (problem, [])
    world.lease(HERE, "rebuild", renewed="2026-01-01T00:00:00Z")
    assert len(look(world).loud) == 1


def test_a_fenced_old_primary_is_no_second_one(world: PairWorld) -> None:
    world.healthy(THERE)
    world.deploy(HERE, HERE)
    world.hibernate(HERE)
    seen = look(world)
    assert (seen.two_primaries, seen.primary, seen.loud) == (False, THERE, [])


def test_a_side_that_cannot_be_reached_is_a_row(world: PairWorld) -> None:
    world.healthy()
    world.down = {THERE}
    seen = look(world)
    assert seen.problems == ["local2 cannot be reached: the API server of local2 did not answer in time"]
    away = sides(seen)[1]
    assert (away.role, away.instances_ready, away.archive.archiving) == ("unreachable", None, None)
    # Its archive is asked of the other side's S3.
    assert away.archive.newest_wal == "000000010000000000000005"
    assert seen.primary == HERE


def test_the_primarys_side_is_away(world: PairWorld) -> None:
    world.healthy()
    world.down = {HERE}
    seen = look(world)
    assert "no primary can be seen: it may be in local1" in seen.problems
    assert seen.next_steps == ["if it stays away: pgaas promote --ins ic1 --env local --dc local2"]
    assert (seen.loss.datacenter, seen.loss.seconds) == (HERE, 35.0)


def test_a_lost_side_that_is_away_is_to_be_fenced_when_it_returns(world: PairWorld) -> None:
    world.healthy(THERE)
    world.confs(lostDatacenters="[local1]")
    world.cluster(THERE)["metadata"]["annotations"] = {"pgaas.io/lost-datacenters": HERE}
    world.down = {HERE}
    seen = look(world)
    [problem] = seen.problems
    assert problem.endswith("did not answer in time, and is marked as lost: fence it when it returns")
    assert seen.next_steps == ["pgaas fence --ins ic1 --env local --dc local1 --wait-for-return 24h"]
    assert (seen.primary, seen.confs.lost_live) == (THERE, [HERE])


def test_both_sides_are_away(world: PairWorld) -> None:
    world.healthy()
    world.down = {HERE, THERE}
    seen = look(world)
    assert [side.role for side in seen.sides] == ["unreachable"] * 2
    assert seen.loss.detail == "not known: no side is the one primary"
    assert sides(seen)[0].archive.error == "no datacenter can be reached to ask its S3"


def test_a_side_that_never_answers_is_not_waited_for(
    world: PairWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    never, real = Event(), status_pair_parts._look_at

    def look_at(subject: Any) -> Side:
        if subject.target.dc == THERE:
            never.wait(60)
        return real(subject)

    world.healthy()
    monkeypatch.setattr(status_pair_parts, "_look_at", look_at)
    monkeypatch.setattr(status_pair_parts, "LOOK_SECONDS", 1.0)
    try:
        assert look(world).problems == ["local2 cannot be reached: no answer in time"]
    finally:
        never.set()


def test_s3_that_does_not_answer_is_a_note(world: PairWorld) -> None:
    world.healthy()
    world.s3.refuse["GET"] = (403, "AccessDenied")
    seen = look(world)
    assert (seen.healthy, seen.loss.seconds) == (True, None)
    assert seen.loss.detail.startswith("not known: ")
    assert sides(seen)[0].archive.error
    assert any(note.startswith("local1: its archive cannot be read") for note in seen.notes)


def test_a_replica_far_away_is_asked_what_its_s3_has_of_the_primary(world: PairWorld) -> None:
    world.edit("admin/local/clients.yaml", "enabled: true", "enabled: true\n      replicaSource: mirror")
    world.healthy()
    assert look(world).loss.detail == (
        "nobody can tell: there is nothing at s3://ic1-backups/ic1-local-local1-replica/local-ic1-local1/"
    )


def test_servers_that_answer_with_another_time_to_live_are_a_note(world: PairWorld) -> None:
    world.healthy()
    world.ttl = 60
    seen = look(world)
    assert (seen.healthy, seen.dns.drift) == (True, "its time to live is 60 s, not 5 s")
    assert "DNS: its time to live is 60 s, not 5 s" in seen.notes


def test_who_is_at_work(world: PairWorld) -> None:
    world.healthy()
    world.lease(HERE, "switchover")
    world.lease(THERE, "create", renewed="2026-01-01T00:00:00Z")
    seen = look(world)
    assert seen.healthy
    assert [(each.datacenter, each.verb, each.left_behind) for each in seen.working] == [
        (HERE, "switchover", False),
        (THERE, "create", True),
    ]
    assert seen.working[0].detail == "ann@host runs `pgaas switchover` since then"


def test_a_silent_dns_is_a_reason(world: PairWorld) -> None:
    world.healthy()
    for dc in (HERE, THERE):
        slice_path = "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices/pgaas-ic1-local"
        world.trust.servers[dc].answers[f"GET {slice_path}"] = failure(403, "Forbidden", "no")
    world.dns_error = "is silent"
    seen = look(world)
    assert seen.dns.points_to == "unknown"
    assert any(each.startswith("DNS: nobody knows where primary.ic1-local") for each in seen.problems)

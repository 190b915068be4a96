"""What the exporter tells of a client: every number of one look, and none that nobody knows."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.kube.fakes import path_of
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
from tests.unit.tools.archives import put_wal
from tests.unit.tools.fake_s3 import FakeS3

from pgaas.config.naming import Target
from pgaas.kube.resources import CERTIFICATE, POD
from pgaas.operations.exporter import look_at_client
from pgaas.operations.exporter_samples import FAMILIES, merged
from pgaas.tools.exposition import Sample, text_of

A, B = "local-ic1-local1", "local-ic1-local2"
PAIR = ("ic1", "local")
ONE, TWO = (*PAIR, HERE), (*PAIR, THERE)
TARGETS = [Target(*ONE), Target(*TWO)]
COPY = f"ic1-local-{HERE}-replica/{A}/"
Numbers = dict[tuple[str, ...], float]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared_s3: FakeS3) -> PairWorld:
    return make_pair_world(tmp_path, shared_s3, monkeypatch)


def numbers(samples: list[Sample]) -> Numbers:
    found = {(each.name.removeprefix("pgaas_"), *each.labels): each.value for each in samples}
    assert len(found) == len(samples)
    assert all(len(each.labels) == len(FAMILIES[each.name].labels) for each in samples)
    return found


def look(world: PairWorld) -> Numbers:
    return numbers(look_at_client(world.root, TARGETS))


def mirrored(world: PairWorld) -> PairWorld:
    world.edit("admin/local/clients.yaml", "enabled: true", "enabled: true\n      replicaSource: mirror")
    return world.healthy()


def test_a_healthy_pair(world: PairWorld) -> None:
    found = look(world.healthy())
    pair = {name: found[name, *PAIR] for name in ("replicated", "healthy", "primaries", "dns_correct")}
    assert pair == {"replicated": 1, "healthy": 1, "primaries": 1, "dns_correct": 1}
    assert found["estimated_loss_seconds", *PAIR] == 0
    for name, here, there in (
        ("up", 1, 1),
        ("side_primary", 1, 0),
        ("archive_age_seconds", 30, 30),
        ("bundle_stale", 0, 0),
        ("volume_size_bytes", None, None),
        ("side_follows", None, 1),
        ("replay_gap_bytes", None, 0),
        ("replay_gap_seconds", None, 0),
        ("mirror_delay_seconds", None, None),
    ):
        assert (found.get((name, *ONE)), found.get((name, *TWO))) == (here, there), name
    # 11:46:32 until 12:00 o'clock, by S3's clock.
    assert int(found["backup_age_seconds", *ONE]) == 807
    assert found["bundle_expiry_seconds", *ONE] > 86_400
    assert found["certificate_expiry_seconds", *ONE, f"{A}-server"] > 86_400
    assert {name for name, *_ in found} <= {name.removeprefix("pgaas_") for name in FAMILIES}


def test_the_size_that_a_volume_should_have(world: PairWorld) -> None:
    world.healthy()
    world.cluster(HERE)["spec"]["storage"] = {"size": "5Gi"}
    assert look(world)["volume_size_bytes", *ONE] == 5 * 2**30


def test_a_certificate_has_the_time_that_is_left_and_one_that_was_never_issued_has_none(
    world: PairWorld,
) -> None:
    objects = world.healthy().trust.servers[HERE].objects
    objects[path_of(CERTIFICATE, SPACE, f"{A}-server")]["status"]["notAfter"] = "2020-01-01T00:00:00Z"
    del objects[path_of(CERTIFICATE, SPACE, f"{A}-replication")]["status"]["notAfter"]
    found = look(world)
    assert found["certificate_expiry_seconds", *ONE, f"{A}-server"] < 0
    assert ("certificate_expiry_seconds", *ONE, f"{A}-replication") not in found


def test_two_primaries(world: PairWorld) -> None:
    world.healthy()
    world.answers[f"{B}-1"] = Answers(False)
    found = look(world)
    assert (found["primaries", *PAIR], found["healthy", *PAIR]) == (2, 0)
    # To which of them the name should lead, nobody can tell.
    assert ("dns_correct", *PAIR) not in found
    assert ("side_follows", *TWO) not in found


def test_a_replica_that_diverged_follows_nothing_and_is_no_distance_behind(world: PairWorld) -> None:
    world.healthy()
    world.answers |= {f"{A}-1": AHEAD, f"{B}-1": DIVERGED}
    found = look(world)
    assert (found["side_follows", *TWO], found["primaries", *PAIR]) == (0, 1)
    assert not {("replay_gap_bytes", *TWO), ("replay_gap_seconds", *TWO)} & found.keys()


def unready(world: PairWorld, dc: str) -> None:
    name = f"{world.name(dc)}-1"
    world.answers[name] = "the database system is shutting down"
    world.trust.servers[dc].objects[path_of(POD, SPACE, name)]["status"]["conditions"] = []


@pytest.mark.parametrize("primary_is_silent", [False, True])
def test_a_replica_that_is_not_up_follows_nothing(world: PairWorld, primary_is_silent: bool) -> None:
    world.healthy()
    unready(world, THERE)
    if primary_is_silent:
        world.answers[f"{A}-1"] = "pods/exec is forbidden"
    found = look(world)
    assert found["side_follows", *TWO] == 0
    assert not {("replay_gap_bytes", *TWO), ("side_follows", *ONE)} & found.keys()


def test_a_ready_replica_that_may_not_be_asked_may_follow(world: PairWorld) -> None:
    world.healthy()
    world.answers[f"{B}-1"] = "pods/exec is forbidden"
    assert ("side_follows", *TWO) not in look(world)


def test_a_replica_that_is_fenced_need_not_follow(world: PairWorld) -> None:
    world.healthy().hibernate(THERE)
    assert ("side_follows", *TWO) not in look(world)


def test_how_far_a_replica_is_behind(world: PairWorld) -> None:
    world.healthy()
    world.answers[f"{A}-1"] = Answers(False, lsn="0/6000100", transaction=705)
    world.answers[f"{B}-1"] = Answers(True, lsn="0/5000000", replay_age=7200, transaction=704)
    found = look(world)
    assert (found["replay_gap_bytes", *TWO], found["replay_gap_seconds", *TWO]) == (0x1000100, 7200)
    world.answers[f"{A}-1"] = Answers(False, lsn="0/6000100", transaction=704)
    assert look(world)["replay_gap_seconds", *TWO] == 0


@pytest.mark.parametrize("leads", [THERE, "198.51.100.7", ""])
def test_a_name_that_leads_elsewhere_or_nowhere(world: PairWorld, leads: str) -> None:
    world.healthy().leads = leads
    assert look(world)["dns_correct", *PAIR] == 0


def test_a_dns_that_is_silent_leads_nobody_to_the_primary(world: PairWorld) -> None:
    world.healthy().dns_error = "is silent"
    assert look(world)["dns_correct", *PAIR] == 0


def test_a_side_that_cannot_be_reached_has_one_number_and_those_of_its_archive(world: PairWorld) -> None:
    world.healthy().down.add(HERE)
    found = look(world)
    assert {name for name, *labels in found if tuple(labels[:3]) == ONE} == {
        "up",
        "archive_age_seconds",
        "backup_age_seconds",
    }
    assert (found["up", *ONE], found["up", *TWO]) == (0, 1)
    # No side is seen to take writes, which whoever is on call must hear of.
    assert (found["primaries", *PAIR], found["healthy", *PAIR]) == (0, 0)
    assert ("dns_correct", *PAIR) not in found


def test_a_ready_instance_that_may_not_be_asked_is_no_missing_primary(world: PairWorld) -> None:
    world.healthy()
    world.answers[f"{A}-1"] = "pods/exec is forbidden"
    found = look(world)
    assert not {("primaries", *PAIR), ("side_primary", *ONE)} & found.keys()
    assert found["side_primary", *TWO] == 0


def test_an_instance_that_is_down_is_a_missing_primary(world: PairWorld) -> None:
    world.healthy()
    unready(world, HERE)
    found = look(world)
    assert (found["primaries", *PAIR], found["side_primary", *ONE]) == (0, 0)


def test_a_client_that_was_never_created_misses_no_primary(world: PairWorld) -> None:
    found = look(world)
    assert (found["up", *ONE], found["up", *TWO]) == (1, 1)
    assert not {("primaries", *PAIR), ("healthy", *PAIR)} & found.keys()


def test_an_s3_that_does_not_answer_leaves_no_ages(world: PairWorld) -> None:
    world.healthy().s3.refuse["GET"] = (403, "AccessDenied")
    found = look(world)
    assert not {name for name, *_ in found} & {"archive_age_seconds", "backup_age_seconds"}
    assert ("estimated_loss_seconds", *PAIR) not in found


def test_a_copy_of_the_archive_that_lacks_nothing(world: PairWorld) -> None:
    mirrored(world)
    put_wal(world.s3, COPY, 1, [3, 4, 5])
    found = look(world)
    assert found["mirror_delay_seconds", *TWO] == 0
    assert ("mirror_delay_seconds", *ONE) not in found


@pytest.mark.parametrize(("copied", "delay"), [([3, 4], 30), ([3], 90), ([], 150)])
def test_a_copy_is_late_since_the_first_segment_that_it_lacks_was_written(
    world: PairWorld, copied: list[int], delay: float
) -> None:
    mirrored(world)
    put_wal(world.s3, COPY, 1, copied)
    assert look(world)["mirror_delay_seconds", *TWO] == delay


def test_a_client_with_one_cluster(world: PairWorld) -> None:
    world.healthy()
    world.edit("admin/local/clients.yaml", "enabled: true", "enabled: false")
    del world.cluster(HERE)["spec"]["replica"]
    found = numbers(look_at_client(world.root, [Target(*ONE)]))
    assert (found["up", *ONE], found["primaries", *PAIR], found["side_primary", *ONE]) == (1, 1, 1)
    assert (found["healthy", *PAIR], found["archive_age_seconds", *ONE]) == (1, 30)
    assert found["certificate_expiry_seconds", *ONE, f"{A}-server"] > 86_400
    assert not {name for name, *_ in found} & {"dns_correct", "bundle_stale", "side_follows"}
    assert found["replicated", *PAIR] == 0


@pytest.fixture
def apart(world: PairWorld) -> PairWorld:
    """Two clusters of one client that do not replicate, both as they should be."""
    world.healthy()
    world.edit("admin/local/clients.yaml", "enabled: true", "enabled: false")
    for dc, name in ((HERE, A), (THERE, B)):
        del world.cluster(dc)["spec"]["replica"]
        world.answers[f"{name}-1"] = Answers(False)
    return world


def test_two_clusters_that_do_not_replicate(apart: PairWorld) -> None:
    found = look(apart)
    assert (found["replicated", *PAIR], found["primaries", *PAIR], found["healthy", *PAIR]) == (0, 1, 1)
    assert (found["side_primary", *ONE], found["side_primary", *TWO]) == (1, 1)
    assert not {name for name, *_ in found} & {"dns_correct", "side_follows"}


@pytest.mark.parametrize("dc", [HERE, THERE])
def test_one_of_two_clusters_that_do_not_replicate_is_down(apart: PairWorld, dc: str) -> None:
    unready(apart, dc)
    found = look(apart)
    assert (found["primaries", *PAIR], found["healthy", *PAIR]) == (0, 0)
    sides = {HERE: found["side_primary", *ONE], THERE: found["side_primary", *TWO]}
    assert sides == {HERE: 1, THERE: 1} | {dc: 0}


def test_one_of_two_clusters_that_do_not_replicate_cannot_be_reached(apart: PairWorld) -> None:
    apart.down.add(THERE)
    found = look(apart)
    assert (found["up", *ONE], found["up", *TWO]) == (1, 0)
    assert (found["primaries", *PAIR], found["healthy", *PAIR]) == (1, 0)


@pytest.mark.parametrize(
    ("name", "values", "worst"),
    [("healthy", (0, 1), 0), ("primaries", (1, 0), 0), ("estimated_loss_seconds", (5, 7), 7)],
)
def test_of_looks_at_one_client_the_worst_counts(name: str, values: tuple[int, int], worst: float) -> None:
    for first, second in (values, values[::-1]):
        looks = [[Sample(f"pgaas_{name}", PAIR, float(value))] for value in (first, second)]
        assert merged(looks) == [Sample(f"pgaas_{name}", PAIR, worst)]


def test_the_text_for_prometheus() -> None:
    text = text_of(FAMILIES, [Sample("pgaas_up", ("i", 'e"', "d"), 1.0)])
    assert text == (
        "# HELP pgaas_up Whether the datacenter could be looked at\n"
        "# TYPE pgaas_up gauge\n"
        'pgaas_up{dc="d",env="e\\"",ins="i"} 1.0\n'
    )

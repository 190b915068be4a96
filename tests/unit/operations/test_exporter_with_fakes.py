"""What the exporter tells of a client: every number of one look, and none that nobody knows."""

from __future__ import annotations

import threading
from pathlib import Path
from threading import Event
from typing import Any

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
from pgaas.errors import ConfigError, KubernetesError, UsageError
from pgaas.kube.resources import CERTIFICATE, POD
from pgaas.operations import exporter
from pgaas.operations.exporter import Looks, clients_of, collect, look_at_client
from pgaas.operations.exporter_samples import FAMILIES
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
    pair = {name: found[name, *PAIR] for name in ("healthy", "primaries", "dns_correct")}
    assert pair == {"healthy": 1, "primaries": 1, "dns_correct": 1}
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
    world.answers[f"{A}-1"] = "the database system is shutting down"
    world.trust.servers[HERE].objects[path_of(POD, SPACE, f"{A}-1")]["status"]["conditions"] = []
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


def test_a_look_that_fails_leaves_nothing_but_that(world: PairWorld) -> None:
    def broken(_root: Path, _targets: list[Target]) -> list[Sample]:
        raise KubernetesError("no")

    told: list[str] = []
    found = numbers(collect(world.root, "local", Looks(broken), told.append))
    assert {name: value for (name, *_), value in found.items() if name == "up"} == {"up": 0}
    assert {name for name, *_ in found} == {"up", "look_seconds", "last_look_timestamp_seconds"}
    assert (found["up", *ONE], found["up", *TWO]) == (0, 0)
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


def test_a_look_that_hangs_is_not_begun_again_and_what_it_finds_later_is_not_believed(
    world: PairWorld,
) -> None:
    let_go, begun = Event(), list[list[Target]]()

    def hangs(_root: Path, targets: list[Target]) -> list[Sample]:
        begun.append(targets)
        let_go.wait()
        return [Sample("pgaas_up", tuple(target), 1.0) for target in targets]

    def up(looks: Looks) -> float:
        return numbers(collect(world.root, "local", looks))["up", *ONE]

    looks = Looks(hangs, deadline=0.01)
    try:
        assert (up(looks), up(looks), len(begun)) == (0, 0, 1)
    finally:
        let_go.set()
    (late,) = looks.running.values()
    assert late.result(10)
    assert (up(looks), len(begun), looks.running) == (0, 1, {})
    looks.deadline = 10
    assert (up(looks), len(begun)) == (1, 2)


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


def test_the_text_for_prometheus() -> None:
    text = text_of(FAMILIES, [Sample("pgaas_up", ("i", 'e"', "d"), 1.0)])
    assert text == (
        "# HELP pgaas_up Whether the datacenter could be looked at\n"
        "# TYPE pgaas_up gauge\n"
        'pgaas_up{dc="d",env="e\\"",ins="i"} 1.0\n'
    )

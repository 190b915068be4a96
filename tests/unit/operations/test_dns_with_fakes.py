"""The alias in two datacenters' CoreDNS: what is changed, what is read back, and what failures say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from tests.unit.kube.fakes import failure
from tests.unit.kube.test_corefile import KUBEADM
from tests.unit.operations.dns_worlds import (
    ADDRESS,
    DOWN,
    MAP,
    NAME,
    POD_PATH,
    RESOLVERS,
    SIDES,
    SLICE,
    Worlds,
    balance,
    make_worlds,
)

from pgaas.errors import KubernetesConflict, KubernetesError, KubernetesUnavailable, TimedOut
from pgaas.operations import dns
from pgaas.operations.dns import PrimaryRecord
from pgaas.tools.dns_read import Answer


@pytest.fixture
def worlds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Worlds:
    return make_worlds(tmp_path, monkeypatch)


def test_the_alias_is_made_in_every_datacenter_and_moved_by_its_endpoints_alone(worlds: Worlds) -> None:
    record = worlds.record()
    assert record.point_to("local1") == ()
    for dc, server in worlds.servers.items():
        assert worlds.corefile(dc).endswith(KUBEADM)
        assert f"{NAME}:53 {{" in worlds.corefile(dc)
        assert worlds.addresses(dc) == [ADDRESS["local1"]]
        # All names at once; the version that was read goes with the change, and the pod is nudged.
        (change,) = [asked for asked in server.writes() if asked.path == MAP]
        assert change.body["metadata"]["resourceVersion"] == "7"
        assert "pgaas.io/corefile" in server.objects[POD_PATH]["metadata"]["annotations"]
        server.asked.clear()
    assert record.point_to("local2") == ()
    for dc, server in worlds.servers.items():
        assert worlds.addresses(dc) == [ADDRESS["local2"]]
        # The first is what clients wait for.
        written = [asked.path.rpartition("/")[2] for asked in server.writes()]
        assert list(dict.fromkeys(written)) == ["pgaas-ic1-local", *(f"pgaas-ic1-local-{dc}" for dc in SIDES)]
        assert {whose: worlds.side(dc, whose) for whose in SIDES} == {
            "local1": [ADDRESS["local1"]],
            "local2": [ADDRESS["local2"]],
        }
    assert record.wait_for("local2", 1).seconds < 1
    assert record.remove() == ()
    assert record.remove() == ()
    for dc, server in worlds.servers.items():
        assert worlds.corefile(dc) == KUBEADM
        assert not any(path.startswith(SLICE) for path in server.objects)


def test_what_dns_says_is_read_back_with_whose_it_is(worlds: Worlds) -> None:
    record = worlds.record()
    nothing = record.read()
    assert (nothing.points_to, nothing.values, nothing.error, nothing.drift) == ("", (), "", "")
    record.point_to("local2")
    seen = record.read()
    assert (seen.points_to, seen.values, seen.ttl) == ("local2", (ADDRESS["local2"],), 5)
    assert (seen.error, seen.drift, seen.kind, seen.name) == ("", "", "A", NAME)


DRIFTS: dict[str, tuple[dict[str, Answer], str, str]] = {
    "servers disagree": (
        {"local2": Answer("b", (ADDRESS["local2"],), 5, True)}, "unknown", "b answers 192.0.2.2 (local2)",
    ),
    "one has none": ({"local2": Answer("b", (), None, True)}, "unknown", "b has no record"),
    "one is silent": ({"local2": Answer("b", error="is away", silent=True)}, "local1", "b is away"),
    "a stranger's": (
        dict.fromkeys(ADDRESS, Answer("b", ("203.0.113.9",), 5, True)), "unknown",
        "203.0.113.9 is no datacenter's",
    ),
    "another time to live": (
        dict.fromkeys(ADDRESS, Answer("b", (ADDRESS["local1"],), 4, True)), "local1",
        "time to live is 4 s, not 5 s",
    ),
    "a longer one in a cache": (
        dict.fromkeys(ADDRESS, Answer("b", (ADDRESS["local1"],), 6)), "local1",
        "time to live is 6 s, not 5 s",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", DRIFTS)
def test_drift_is_named(worlds: Worlds, what: str) -> None:
    says, points_to, text = DRIFTS[what]
    worlds.record().point_to("local1")
    worlds.says = says
    seen = worlds.record().read()
    assert seen.points_to == points_to
    assert text in seen.drift
    assert seen.drift in seen.detail
    assert seen.error == ""


def test_a_cache_may_count_down(worlds: Worlds) -> None:
    worlds.record().point_to("local1")
    worlds.says = dict.fromkeys(ADDRESS, Answer("b", (ADDRESS["local1"],), 2))
    assert worlds.record().read().drift == ""


def test_dns_that_cannot_be_asked_is_a_state(worlds: Worlds) -> None:
    worlds.record().point_to("local1")
    worlds.says = dict.fromkeys(ADDRESS, Answer("b", error="did not answer within 1.5 s", silent=True))
    seen = worlds.record().read()
    assert (seen.points_to, seen.values) == ("unknown", ())
    assert seen.error == "b did not answer within 1.5 s; b did not answer within 1.5 s"


@pytest.mark.parametrize("how", ["not given", "does not answer"])
def test_a_datacenter_that_is_away_is_reported_and_no_failure(worlds: Worlds, how: str) -> None:
    worlds.record().point_to("local1")
    if how == "not given":
        record = worlds.record("local1")
    else:
        for verb in ("GET", "PATCH"):
            worlds.servers["local1"].answers |= {f"{verb} {path}": DOWN for path in (MAP, SLICE)}
            service = SLICE.replace("/apis/discovery.k8s.io/v1", "/api/v1").replace(
                "endpointslices", "services"
            )
            worlds.servers["local1"].answers[f"{verb} {service}"] = DOWN
        record = worlds.record()
    (note,) = record.point_to("local2")
    assert note.startswith("local1: its DNS was not changed: the API server")
    assert worlds.addresses("local1") == [ADDRESS["local1"]]
    # Its DNS still says what was true before: that is not waited for, but seen.
    record.wait_for("local2", 1)
    seen = record.read()
    assert seen.points_to == "local2"
    assert "192.168.49.2:30053 answers 192.0.2.1 (local1)" in seen.drift


def test_nobody_left_to_change_is_an_error(worlds: Worlds) -> None:
    with pytest.raises(KubernetesUnavailable, match="the API server of local2 cannot be reached"):
        worlds.record("local2").point_to("local2")
    for server in worlds.servers.values():
        server.answers[f"GET {MAP}"] = failure(403, "Forbidden", "no")
    with pytest.raises(KubernetesError, match="not allowed"):
        worlds.record().point_to("local2")
    with pytest.raises(KubernetesUnavailable, match="cannot be reached"):
        worlds.record("local1", "local2").remove()


BALANCERS: dict[str, tuple[list[dict[str, str]] | None, str]] = {
    "none": (None, "Service is not there"),
    "no address": ([], "has no address yet"),
    "a name": ([{"hostname": "lb.example.com"}], "no IPv4 address.*lb.example.com"),
    "an IPv6 address": ([{"ip": "2001:db8::1"}], "no IPv4 address.*2001:db8::1"),
}


@pytest.mark.parametrize("what", BALANCERS)
def test_a_balancer_without_an_address_stops_the_move(worlds: Worlds, what: str) -> None:
    ingress, message = BALANCERS[what]
    server = worlds.servers["local2"]
    del server.objects["/api/v1/namespaces/ic1-local/services/local-ic1-local2-rw-lb"]
    if ingress is not None:
        balance(server, "local2", ingress)
    with pytest.raises(KubernetesError, match=message) as caught:
        worlds.record().point_to("local2")
    assert caught.value.next_step
    assert "local-ic1-local2-rw-lb" in caught.value.where
    assert all(not server.writes() for server in worlds.servers.values())
    assert worlds.record().check().state == "failed"


def test_a_check_asks_and_changes_nothing(worlds: Worlds) -> None:
    row = worlds.record().check()
    assert (row.name, row.state) == ("dns", "ok")
    assert row.detail == (
        "CoreDNS: local1: 192.0.2.1, not in its Corefile yet; local2: 192.0.2.2, not in its Corefile yet"
    )
    for dc, server in worlds.servers.items():
        assert {asked.query.get("dryRun") for asked in server.writes()} == {"All"}
        assert worlds.corefile(dc) == KUBEADM
    worlds.record().point_to("local1")
    assert worlds.record().check().detail == "CoreDNS: local1: 192.0.2.1; local2: 192.0.2.2"


def test_a_check_says_who_is_away_and_who_refuses(worlds: Worlds) -> None:
    row = worlds.record("local2").check()
    assert (row.state, row.detail.rpartition("; ")[2]) == (
        "warning",
        "local2: its API server cannot be reached",
    )
    assert worlds.record("local1", "local2").check().state == "failed"
    worlds.servers["local1"].answers[f"PATCH {MAP}"] = failure(403, "Forbidden", "configmaps is forbidden")
    row = worlds.record("local2").check()
    assert (row.state, row.next_step) == (
        "failed", "ask the platform team for this right, or use a context that has it",
    )  # fmt: skip
    assert "configmaps is forbidden" in row.detail


def test_a_corefile_that_is_not_understood_is_left_alone(worlds: Worlds) -> None:
    broken = KUBEADM.replace("    reload\n", "")
    for server in worlds.servers.values():
        server.objects[MAP]["data"]["Corefile"] = broken
    with pytest.raises(
        KubernetesError, match="the Corefile is left alone: it has no reload plugin"
    ) as caught:
        worlds.record().point_to("local1")
    assert caught.value.next_step
    assert worlds.corefile("local1") == broken
    assert worlds.record().check().state == "failed"
    for server in worlds.servers.values():
        server.objects[MAP]["data"] = {}
    with pytest.raises(KubernetesError, match="it has no Corefile"):
        worlds.record().point_to("local1")
    for server in worlds.servers.values():
        server.answers[f"GET {MAP}"] = failure(404, "NotFound", "coredns not found")
    with pytest.raises(KubernetesError, match="CoreDNS's configuration is not there"):
        worlds.record().point_to("local1")


def test_somebody_elses_change_at_the_same_time_is_kept(worlds: Worlds) -> None:
    server = worlds.servers["local1"]
    others = KUBEADM.replace("cache 30", "cache 10")

    def conflict(_: httpx2.Request) -> httpx2.Response:
        server.objects[MAP]["data"]["Corefile"] = others
        del server.answers[f"PATCH {MAP}"]
        return failure(409, "Conflict", "the object has been modified")

    server.answers[f"PATCH {MAP}"] = conflict
    worlds.record().point_to("local1")
    assert worlds.corefile("local1").endswith(others)
    server.objects[MAP]["data"]["Corefile"] = others
    server.answers[f"PATCH {MAP}"] = failure(409, "Conflict", "the object has been modified")
    with pytest.raises(KubernetesConflict, match="has been modified"):
        worlds.record("local2").point_to("local1")


def test_a_pod_that_may_not_be_nudged_is_no_failure(worlds: Worlds) -> None:
    worlds.servers["local1"].answers[f"PATCH {POD_PATH}"] = failure(403, "Forbidden", "no")
    assert worlds.record().point_to("local1") == ()


def clocked(record: PrimaryRecord, dc: str, each_second: Callable[[float], None]) -> list[str]:
    """Wait five seconds of a clock that only sleeping moves, and return what was reported."""
    now, told = [0.0], []

    def sleep(seconds: float) -> None:
        now[0] += seconds
        each_second(now[0])

    record.wait_for(
        dc, 5, on_change=lambda items: told.extend(item.detail for item in items),
        clock=lambda: now[0], sleep=sleep,
    )  # fmt: skip
    return told


def test_the_wait_ends_when_every_server_that_answers_says_so(worlds: Worlds) -> None:
    record = worlds.record()
    record.point_to("local1")
    worlds.says = {"local2": Answer("b", error="fails to answer (SERVFAIL)")}

    def later(now: float) -> None:
        if now > 1:
            worlds.says = {}

    assert clocked(record, "local1", later) == [
        "answers 192.0.2.1", "fails to answer (SERVFAIL)", "answers 192.0.2.1",
    ]  # fmt: skip
    # One that is silent misleads nobody.
    worlds.says = {"local2": Answer("b", error="did not answer", silent=True)}
    clocked(record, "local1", lambda _: None)
    worlds.says |= {"local1": Answer("a", error="did not answer", silent=True)}
    with pytest.raises(
        TimedOut, match="does not lead to local1 after 5 s: a did not answer; b did not answer"
    ):
        clocked(record, "local1", lambda _: None)


def test_addresses_come_from_the_side_that_could_be_changed(
    worlds: Worlds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dns, "addresses", lambda servers, name: [*servers, name])
    assert worlds.record().resolve_primary() == [*RESOLVERS, NAME]
    assert worlds.record("local1").resolve_primary() == [*reversed(RESOLVERS), NAME]

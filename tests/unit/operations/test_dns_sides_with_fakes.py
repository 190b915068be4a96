"""The names of the sides in two datacenters' CoreDNS: each leads to its own side, and only there."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.kube.fakes import failure
from tests.unit.operations.dns_worlds import (
    ADDRESS,
    MAP,
    NAME,
    RESOLVERS,
    SIDES,
    Worlds,
    balance,
    make_worlds,
)

from pgaas.kube.corefile import without_alias
from pgaas.operations.primary_name import forget_side, see_to_names


@pytest.fixture
def worlds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Worlds:
    return make_worlds(tmp_path, monkeypatch)


def test_a_side_that_moves_to_another_address_is_seen_and_written_anew(worlds: Worlds) -> None:
    worlds.record().point_to("local1")
    balance(worlds.servers["local2"], "local2", [{"ip": "192.0.2.7"}])
    seen = worlds.record().read()
    assert seen.points_to == "local1"
    said = [f"{SIDES['local2']}: {server} answers 192.0.2.2, wanted: 192.0.2.7" for server in RESOLVERS]
    assert seen.drift == "; ".join(said)
    assert seen.drift in seen.detail
    assert worlds.record().point_sides() == ()
    assert worlds.record().read().drift == ""
    # The primary's own record was no business of that.
    assert worlds.addresses("local2") == [ADDRESS["local1"]]


def test_a_name_of_a_side_that_an_older_pgaas_never_wrote_is_drift(worlds: Worlds) -> None:
    worlds.record().point_to("local1")
    server = worlds.servers["local2"]
    server.objects[MAP]["data"]["Corefile"] = without_alias(worlds.corefile("local2"), SIDES["local1"])
    drift = worlds.record().read().drift
    assert drift == (
        f"{SIDES['local1']}: 192.168.49.3:30053 fails to answer for this name (SERVFAIL), wanted: 192.0.2.1"
    )
    worlds.record().point_to("local1")
    assert worlds.record().read().drift == ""


def test_the_name_of_a_side_that_is_away_stays_as_it_is(worlds: Worlds) -> None:
    worlds.record().point_to("local1")
    worlds.record("local1").point_to("local2")
    assert worlds.side("local2", "local1") == [ADDRESS["local1"]]
    assert f"{SIDES['local1']}:53 {{" in worlds.corefile("local2")
    # What cannot be seen is not judged, and what is not made yet has no name.
    assert worlds.record("local1").provider.side_values() == {SIDES["local2"]: (ADDRESS["local2"],)}


def test_the_first_side_alone_has_its_name_and_the_second_gets_its_own_later(worlds: Worlds) -> None:
    service = "/api/v1/namespaces/ic1-local/services/local-ic1-local2-rw-lb"
    later = worlds.servers["local2"].objects.pop(service)
    worlds.record().point_to("local1")
    for dc in SIDES:
        assert worlds.side(dc, "local1") == [ADDRESS["local1"]]
        assert worlds.side(dc, "local2") is None
        assert SIDES["local2"] not in worlds.corefile(dc)
    assert worlds.record().read().drift == ""
    worlds.servers["local2"].objects[service] = later
    worlds.record().point_sides()
    for dc in SIDES:
        assert worlds.side(dc, "local2") == [ADDRESS["local2"]]
        assert SIDES["local2"] in worlds.corefile(dc)


def test_a_side_that_is_gone_is_forgotten_wherever_that_can_be_written(worlds: Worlds) -> None:
    worlds.record().point_to("local1")
    (note,) = worlds.record("local1").forget_side("local2")
    assert note.startswith("local1: its DNS was not changed: the API server")
    assert (worlds.side("local1", "local2"), worlds.side("local2", "local2")) == ([ADDRESS["local2"]], None)
    assert SIDES["local2"] not in worlds.corefile("local2")
    assert worlds.record().forget_side("local2") == ()
    assert worlds.side("local1", "local2") is None
    for dc in SIDES:
        assert NAME in worlds.corefile(dc)
        assert worlds.side(dc, "local1") == [ADDRESS["local1"]]


def test_a_new_side_gets_its_name_and_a_deleted_one_loses_it(worlds: Worlds) -> None:
    here, there = worlds.subjects["local1"], worlds.subjects["local2"]
    assert see_to_names(here, timeout=1.0) == f"{NAME}: leads to local1 now"
    balance(worlds.servers["local2"], "local2", [{"ip": "192.0.2.7"}])
    assert see_to_names(there, timeout=1.0) == ""
    assert {worlds.side(dc, "local2")[0] for dc in SIDES} == {"192.0.2.7"}
    assert forget_side(there) == ""
    assert [worlds.side(dc, "local2") for dc in SIDES] == [None, None]
    assert worlds.record().read().points_to == "local1"


def test_names_that_cannot_be_written_now_are_told_with_what_mends_them(worlds: Worlds) -> None:
    for server in worlds.servers.values():
        server.answers[f"GET {MAP}"] = failure(403, "Forbidden", "no")
    command = "pgaas update-dns --ins ic1 --env local --to local1"
    told = see_to_names(worlds.subjects["local2"], timeout=1.0)
    assert told.startswith("this side's name does not lead here yet: ")
    assert told.endswith(command)
    assert forget_side(worlds.subjects["local2"]).endswith("run the same command again when that is mended")

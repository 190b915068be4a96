"""`trust show` and `trust sync`: what they print, and how they exit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.unit.kube.authorities import private_pem
from tests.unit.kube.fakes import failure, path_of, use_kubeconfig
from tests.unit.operations.pairs import HERE, SPACE, THERE, Pair, replicate

from pgaas.kube.resources import SECRET
from pgaas.operations import subject

TARGET = ("--ins", "ic1", "--env", "local")
MEND = "pgaas trust sync --ins ic1 --env local"


@pytest.fixture
def pair(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pair:
    use_kubeconfig(tmp_path, monkeypatch)
    replicate(root)
    made = Pair(root)
    apis = {"cluster1": made.api(HERE), "cluster2": made.api(THERE)}
    monkeypatch.setattr(subject, "api_for", apis.__getitem__)
    return made


def lines(out: str) -> list[str]:
    return [" ".join(line.split()) for line in out.splitlines()]


def down(pair: Pair, dc: str) -> None:
    for suffix in ("client-ca", "client-ca-bundle"):
        path = path_of(SECRET, SPACE, f"local-ic1-{dc}-{suffix}")
        pair.servers[dc].answers[f"GET {path}"] = failure(503, "ServiceUnavailable", "restarting")


def test_sync_says_what_it_added_and_removed_and_show_that_all_is_well(pair: Pair, pgaas) -> None:
    for dc in (HERE, THERE):
        pair.make(dc)
    ran = pgaas("trust", "sync", *TARGET)
    assert (ran.code, ran.err) == (0, "")
    assert lines(ran.out)[0] == "local1: local-ic1-local1-client-ca-bundle"
    assert lines(ran.out)[1].startswith("+ CN=local1 client CA, of local1, SHA-256 ")
    assert lines(ran.out)[1].endswith(", added")
    pair.make(THERE)
    ran = pgaas("trust", "sync", *TARGET)
    assert [line[0] for line in lines(ran.out) if "CN=" in line] == ["+", "-"] * 2
    assert pgaas("trust", "sync", *TARGET).out.startswith("unchanged: ")
    ran = pgaas("trust", "show", *TARGET)
    assert (ran.code, ran.err) == (0, "")
    assert any(line.startswith("local1 local-ic1-local1 ok ") for line in lines(ran.out))
    assert any(line.startswith("local2 client local1 CN=local1 client CA trusted") for line in lines(ran.out))


def test_show_exits_9_when_a_bundle_is_stale_and_names_what_mends_it(pair: Pair, pgaas) -> None:
    pair.make(HERE)
    ran = pgaas("trust", "show", *TARGET)
    assert ran.code == 9
    assert "STALE" in ran.out
    assert "local1: local-ic1-local1-client-ca-bundle is missing" in ran.err
    assert f"next: {MEND}" in ran.err


def test_show_as_json_is_one_document_also_when_stale(pair: Pair, pgaas) -> None:
    pair.make(HERE)
    ran = pgaas("trust", "show", *TARGET, "-o", "json")
    here, there = json.loads(ran.out)
    assert (ran.code, here["stale"], here["created"], there["created"]) == (9, True, True, False)
    assert here["bundles"][0]["entries"][0]["state"] == "missing"
    assert len(here["bundles"][0]["entries"][0]["fingerprint"]) == 64


def test_sync_as_json(pair: Pair, pgaas) -> None:
    pair.make(HERE)
    ran = pgaas("trust", "sync", *TARGET, "-o", "json")
    shown = json.loads(ran.out)
    assert ran.code == 0
    assert [each["purpose"] for each in shown["written"]] == ["client", "server"]
    assert [state["stale"] for state in shown["trust"]] == [False, False]


def test_a_side_that_is_down_is_a_row_of_show_and_exit_6_of_sync(pair: Pair, pgaas) -> None:
    pair.make(HERE)
    down(pair, THERE)
    ran = pgaas("trust", "sync", *TARGET)
    assert ran.code == 6
    assert "+ CN=local1 client CA" in ran.out
    assert "local2: the API server failed (503)" in ran.err
    assert MEND in ran.err
    ran = pgaas("trust", "show", *TARGET)
    assert (ran.code, ran.err) == (0, "")
    row = "local2 local-ic1-local2 not known - the API server failed (503): restarting"
    assert row in lines(ran.out)


def test_show_exits_6_when_no_side_can_be_asked(pair: Pair, pgaas) -> None:
    down(pair, HERE)
    down(pair, THERE)
    ran = pgaas("trust", "show", *TARGET)
    assert ran.code == 6
    assert "local1: the API server failed (503)" in ran.err


def test_a_bundle_that_cannot_be_written_is_exit_6(pair: Pair, pgaas) -> None:
    pair.make(HERE)
    path = path_of(SECRET, SPACE, "local-ic1-local1-client-ca-bundle")
    pair.servers[HERE].answers[f"PATCH {path}"] = failure(403, "Forbidden", "may not patch")
    ran = pgaas("trust", "sync", *TARGET)
    assert ran.code == 6
    assert "local1: local-ic1-local1-client-ca-bundle: not allowed: may not patch" in ran.err
    assert "server-ca-bundle" in ran.out
    assert "client-ca-bundle" not in ran.out


def test_nothing_that_is_printed_is_a_key(pair: Pair, pgaas) -> None:
    pair.make(HERE)
    pair.secret(THERE, "client-ca", private_pem(pair.keys[HERE]))
    for verb in ("show", "sync"):
        for output in ("text", "json"):
            ran = pgaas("trust", verb, *TARGET, "-o", output)
            assert "BEGIN" not in ran.out + ran.err


def test_a_client_without_replication_is_a_usage_error(pair: Pair, root: Path, pgaas) -> None:
    replicate(root, enabled=False)
    for verb in ("show", "sync"):
        ran = pgaas("trust", verb, *TARGET)
        assert (ran.code, ran.out) == (2, "")
        assert "does not replicate" in ran.err

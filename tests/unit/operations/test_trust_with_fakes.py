"""Bundles: what they should hold, when they are stale, and what is written."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import httpx2
import pytest
from tests.unit.kube.authorities import NOW, ca_pem, private_pem
from tests.unit.kube.fakes import failure, path_of, use_kubeconfig
from tests.unit.operations.pairs import HERE, SPACE, THERE, Pair, make_pair

from pgaas.kube.resources import CONFIG_MAP, SECRET
from pgaas.operations.trust import (
    ORIGINS,
    TrustState,
    Written,
    look_at_sides,
    look_at_trust,
    write_sides,
    write_trust,
)

CLIENTS, SERVERS = "client-ca-bundle", "server-ca-bundle"


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pair:
    use_kubeconfig(tmp_path, monkeypatch)
    return make_pair(tmp_path / "pair")


@pytest.fixture
def trusting(pair: Pair) -> Pair:
    """Give a pair that trusts each other, and has been written to by nobody since."""
    for dc in (HERE, THERE):
        pair.make(dc)
    written(pair)
    for server in pair.servers.values():
        server.asked.clear()
    return pair


def look(pair: Pair, dc: str = HERE) -> TrustState:
    return look_at_trust(pair.subjects, pair.apis, now=NOW)[dc]


def written(pair: Pair) -> list[Written]:
    return write_trust(pair.subjects, pair.apis)


def states(pair: Pair, purpose: str, dc: str = HERE) -> list[tuple[str, str]]:
    (bundle,) = [bundle for bundle in look(pair, dc).bundles if bundle.purpose == purpose]
    return [(entry.datacenter, entry.state) for entry in bundle.entries]


def down(pair: Pair, dc: str) -> None:
    pair.apis[dc] = f"{dc} is down"


def test_both_sides_get_both_authorities_their_own_first_and_the_same_roots(pair: Pair) -> None:
    for dc in (HERE, THERE):
        pair.make(dc)
    done = written(pair)
    assert pair.client_bundle(HERE) == pair.own(HERE) + pair.own(THERE)
    assert pair.client_bundle(THERE) == pair.own(THERE) + pair.own(HERE)
    roots = pair.own(HERE, "server") + pair.own(THERE, "server")
    assert pair.server_bundle(HERE) == pair.server_bundle(THERE) == roots
    assert [(each.datacenter, each.purpose, len(each.added), each.removed, each.error) for each in done] == [
        (dc, purpose, 2, (), "") for dc in (HERE, THERE) for purpose in ("client", "server")
    ]
    assert not any(look(pair, dc).stale for dc in (HERE, THERE))


def test_the_bundle_is_an_opaque_secret_without_a_key_that_postgresql_reloads(trusting: Pair) -> None:
    secret = trusting.live(HERE, SECRET, CLIENTS)
    assert (secret["type"], list(secret["data"])) == ("Opaque", ["ca.crt"])
    assert secret["metadata"]["labels"] == {
        "cnpg.io/reload": "",
        "app.kubernetes.io/part-of": "pgaas",
        "pgaas.io/ins": "ic1",
        "pgaas.io/env": "local",
        "pgaas.io/dc": HERE,
    }
    assert "PRIVATE" not in trusting.client_bundle(HERE)
    origins = json.loads(secret["metadata"]["annotations"][ORIGINS])
    assert {dc: len(fingerprints) for dc, fingerprints in origins.items()} == {HERE: 1, THERE: 1}
    roots = trusting.live(HERE, CONFIG_MAP, SERVERS)
    assert list(roots["data"]) == ["ca.crt"]
    assert "cnpg.io/reload" not in roots["metadata"]["labels"]


def test_it_is_applied_as_pgaas_over_whatever_somebody_else_wrote(pair: Pair) -> None:
    pair.make(HERE)
    written(pair)
    for asked in pair.servers[HERE].writes():
        assert (asked.method, asked.query["fieldManager"], asked.query["force"]) == ("PATCH", "pgaas", "true")


def test_nothing_is_written_twice(trusting: Pair) -> None:
    assert written(trusting) == []
    assert [trusting.writes(dc) for dc in (HERE, THERE)] == [[], []]


def test_a_write_is_refused_if_somebody_wrote_since_the_look(trusting: Pair) -> None:
    trusting.live(HERE, SECRET, CLIENTS)["metadata"]["resourceVersion"] = "7"
    trusting.make(THERE)
    trusting.servers[HERE].answers[f"PATCH {path_of(SECRET, SPACE, f'local-ic1-{HERE}-{CLIENTS}')}"] = (
        failure(409, "Conflict", "the object has been modified")
    )
    first = written(trusting)[0]
    assert (first.datacenter, first.purpose, first.added) == (HERE, "client", ())
    assert "has been modified" in first.error
    assert trusting.servers[HERE].writes()[0].body["metadata"]["resourceVersion"] == "7"


def test_a_renewed_authority_of_the_same_key_replaces_the_old_one(trusting: Pair) -> None:
    old = trusting.own(HERE)
    trusting.make(HERE, key=trusting.keys[HERE], leaf=False, days=5000)
    assert look(trusting, THERE).stale
    assert "local1 client CA (local1) is missing" in look(trusting, THERE).detail
    written(trusting)
    assert old not in trusting.client_bundle(THERE)
    assert trusting.client_bundle(THERE) == trusting.own(THERE) + trusting.own(HERE)
    assert not look(trusting, THERE).stale


def test_an_authority_with_a_new_key_joins_the_old_one_until_the_leaves_are_renewed(trusting: Pair) -> None:
    old = trusting.own(HERE)
    trusting.make(HERE, leaf=False)
    written(trusting)
    new = trusting.own(HERE)
    assert trusting.client_bundle(HERE) == new + old + trusting.own(THERE)
    trusting.secret(HERE, "replication", new)
    assert look(trusting, THERE).stale
    assert "no datacenter has any more" in look(trusting, THERE).detail
    removed = [len(each.removed) for each in written(trusting)]
    assert removed == [1, 1]
    assert trusting.client_bundle(THERE) == trusting.own(THERE) + new


def test_the_former_authority_of_a_side_that_was_rebuilt_goes(trusting: Pair) -> None:
    old = trusting.own(THERE)
    trusting.make(THERE)
    state = look(trusting)
    assert state.stale
    assert states(trusting, "client") == [(HERE, "trusted"), (THERE, "missing"), (THERE, "not wanted")]
    written(trusting)
    assert old not in trusting.client_bundle(HERE)
    assert trusting.own(THERE) in trusting.client_bundle(HERE)


def test_a_side_that_is_down_loses_no_trust(trusting: Pair) -> None:
    before = trusting.client_bundle(HERE), trusting.server_bundle(HERE)
    down(trusting, THERE)
    state = look(trusting)
    assert (state.stale, state.error) == (False, "")
    assert states(trusting, "client") == [(HERE, "trusted"), (THERE, "kept")]
    assert look(trusting, THERE) == TrustState(THERE, "local-ic1-local2", error="local2 is down")
    assert written(trusting) == []
    trusting.make(HERE)
    written(trusting)
    assert trusting.client_bundle(HERE) == trusting.own(HERE) + trusting.own(THERE)
    assert trusting.server_bundle(HERE) == before[1]
    assert trusting.writes(THERE) == []


def test_a_side_that_is_down_and_was_never_trusted_is_not_missed(pair: Pair) -> None:
    pair.make(HERE)
    down(pair, THERE)
    written(pair)
    assert pair.client_bundle(HERE) == pair.own(HERE)
    assert not look(pair).stale


def test_what_nobody_knows_the_origin_of_goes_only_when_all_can_be_asked(trusting: Pair) -> None:
    stranger = ca_pem("stranger")
    secret = trusting.live(HERE, SECRET, CLIENTS)
    text = trusting.client_bundle(HERE) + stranger
    secret["data"]["ca.crt"] = base64.b64encode(text.encode()).decode()
    down(trusting, THERE)
    assert states(trusting, "client") == [(HERE, "trusted"), (THERE, "kept"), ("", "kept")]
    assert stranger in trusting.client_bundle(HERE)
    trusting.apis = Pair(trusting.root, trusting.servers).apis
    assert "CN=stranger (whose it is, nobody knows)" in look(trusting).detail
    written(trusting)
    assert stranger not in trusting.client_bundle(HERE)


@pytest.mark.parametrize("note", ["no json", "[]", '{"local1": 3}', None])
def test_a_spoiled_note_of_origins_loses_no_trust_in_a_side_that_is_down(
    trusting: Pair, note: str | None
) -> None:
    secret = trusting.live(HERE, SECRET, CLIENTS)
    secret["metadata"]["annotations"] = {} if note is None else {ORIGINS: note}
    down(trusting, THERE)
    written(trusting)
    assert trusting.client_bundle(HERE) == trusting.own(HERE) + trusting.own(THERE)


def test_what_a_datacenter_had_that_the_client_left_goes(trusting: Pair) -> None:
    left = trusting.own(THERE)
    here = {HERE: trusting.subjects[HERE]}
    (client, server) = write_trust(here, trusting.apis)
    assert [entry.datacenter for entry in (*client.removed, *server.removed)] == [THERE, THERE]
    assert left not in trusting.client_bundle(HERE)


def test_a_side_without_a_client_ca_is_not_written_and_the_other_keeps_what_it_had(trusting: Pair) -> None:
    before = trusting.client_bundle(HERE)
    trusting.remove(THERE, "client-ca")
    state = look(trusting, THERE)
    assert (state.created, state.stale, state.detail) == (False, False, "no client CA yet")
    assert written(trusting) == []
    assert trusting.client_bundle(HERE) == before


def test_a_side_that_was_never_created_says_so(pair: Pair) -> None:
    state = look(pair)
    assert (state.created, state.stale, state.error, state.days_left) == (False, False, "", None)
    assert written(pair) == []


def test_without_a_bundle_a_side_that_is_created_is_stale(pair: Pair) -> None:
    pair.make(HERE)
    state = look(pair)
    assert state.stale
    assert state.detail == f"local-ic1-local1-{CLIENTS} is missing; local-ic1-local1-{SERVERS} is missing"


def test_a_server_bundle_that_would_be_empty_is_not_missed(pair: Pair) -> None:
    pair.make(HERE)
    pair.remove(HERE, "server")
    assert look(pair).detail == f"local-ic1-local1-{CLIENTS} is missing"
    assert [each.purpose for each in written(pair)] == ["client"]
    assert not look(pair).stale


def test_days_left_are_those_of_the_authority_that_ends_first(trusting: Pair) -> None:
    assert look(trusting).days_left == 3650
    trusting.make(THERE, days=12)
    assert look(trusting).days_left == 12


@pytest.mark.parametrize("spoil", ["label", "order"])
def test_a_bundle_that_postgresql_would_not_heed_is_stale_and_mended(trusting: Pair, spoil: str) -> None:
    secret = trusting.live(HERE, SECRET, CLIENTS)
    if spoil == "label":
        del secret["metadata"]["labels"]["cnpg.io/reload"]
    else:
        text = trusting.own(THERE) + trusting.own(HERE)
        secret["data"]["ca.crt"] = base64.b64encode(text.encode()).decode()
    assert look(trusting).stale
    assert "looks at another CA first" in look(trusting).detail
    assert [(each.added, each.removed) for each in written(trusting)] == [((), ())]
    assert not look(trusting).stale
    assert trusting.client_bundle(HERE) == trusting.own(HERE) + trusting.own(THERE)


@pytest.mark.parametrize("text", ["rubbish", "key", "\udcff"])
def test_a_bundle_that_cannot_be_read_is_stale_and_mended(trusting: Pair, text: str) -> None:
    content = {"key": private_pem(trusting.keys[HERE])}.get(text, text).encode(errors="surrogateescape")
    trusting.live(HERE, SECRET, CLIENTS)["data"]["ca.crt"] = base64.b64encode(content).decode()
    assert look(trusting).stale
    assert look(trusting).detail.startswith("ca.crt of Secret ")
    written(trusting)
    assert trusting.client_bundle(HERE) == trusting.own(HERE) + trusting.own(THERE)


def test_a_secret_of_cert_manager_that_holds_no_ca_is_an_error_of_that_side_alone(trusting: Pair) -> None:
    before = trusting.client_bundle(HERE)
    trusting.secret(THERE, "client-ca", trusting.own(THERE) + private_pem(trusting.keys[THERE]))
    state = look(trusting, THERE)
    assert "private key" in state.error
    assert not look(trusting).stale
    assert written(trusting) == []
    assert trusting.client_bundle(HERE) == before


@pytest.mark.parametrize(
    "answer", [failure(403, "Forbidden", "may not get secrets"), httpx2.ConnectError("no route")]
)
def test_what_may_not_or_cannot_be_read_is_a_state(trusting: Pair, answer: object) -> None:
    path = path_of(SECRET, SPACE, "local-ic1-local2-client-ca")
    trusting.servers[THERE].answers[f"GET {path}"] = answer  # type: ignore[assignment]
    assert look(trusting, THERE).error
    assert not look(trusting).stale
    assert written(trusting) == []


def test_one_side_that_cannot_be_written_keeps_no_other_from_it(pair: Pair) -> None:
    for dc in (HERE, THERE):
        pair.make(dc)
    path = path_of(SECRET, SPACE, f"local-ic1-local1-{CLIENTS}")
    pair.servers[HERE].answers[f"PATCH {path}"] = failure(403, "Forbidden", "may not patch")
    errors = {(each.datacenter, each.purpose): each.error for each in written(pair)}
    assert "may not patch" in errors.pop((HERE, "client"))
    assert errors == {(HERE, "server"): "", (THERE, "client"): "", (THERE, "server"): ""}


def test_with_keep_nothing_goes_but_what_is_the_same_authority(trusting: Pair) -> None:
    old, other = trusting.own(HERE), trusting.own(THERE)
    trusting.make(THERE)
    trusting.make(HERE, key=trusting.keys[HERE], days=5000)
    sides = look_at_sides(trusting.subjects, trusting.apis)
    write_sides(sides, [HERE], keep=True)
    assert trusting.client_bundle(HERE) == trusting.own(HERE) + trusting.own(THERE) + other
    assert old != trusting.own(HERE)
    assert trusting.writes(THERE) == []


def test_a_side_alone_or_none(pair: Pair) -> None:
    assert look_at_trust({}, {}) == {}
    assert write_trust({}, {}) == []


def test_one_root_for_both_datacenters_is_there_once(trusting: Pair) -> None:
    trusting.secret(THERE, "server", trusting.own(HERE, "server"))
    written(trusting)
    assert trusting.server_bundle(HERE) == trusting.server_bundle(THERE) == trusting.own(HERE, "server")


def test_a_side_whose_server_has_no_certificate_yet_gives_what_it_knows(trusting: Pair) -> None:
    before = trusting.server_bundle(HERE)
    trusting.remove(THERE, "server")
    assert not look(trusting, THERE).stale
    assert written(trusting) == []
    assert trusting.server_bundle(HERE) == before

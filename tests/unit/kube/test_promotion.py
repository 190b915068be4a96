"""What is written to move a primary, by which manager; and what a token is."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.kube.fakes import failure, fake_api, path_of, use_kubeconfig
from tests.unit.kube.owners import OwningServer

from pgaas.errors import KubernetesError, PgaasError, RefusedAsUnsafe
from pgaas.kube import promotion
from pgaas.kube.client import Api
from pgaas.kube.promotion import (
    HIBERNATION,
    LOST_SIDE,
    MARKER,
    NUDGE,
    Topology,
    apply_topology,
    demotion_token,
    drop_foreign_token,
    mark,
    owners_of_primary,
    parse_token,
    promoted,
    promotion_failed,
    release_topology,
)
from pgaas.kube.resources import CLUSTER
from pgaas.kube.snapshot import HEALTHY, UNRECOVERABLE
from pgaas.tools.wal import parse_lsn

NAME, SPACE = "local-ic1-local1", "ic1-local"
PATH = path_of(CLUSTER, SPACE, NAME)
IDENTITY = {"apiVersion": CLUSTER.api_version, "kind": "Cluster"}
BARE = {**IDENTITY, "metadata": {"name": NAME, "namespace": SPACE}}
LEADS = Topology(NAME, NAME, "local-ic1-local2")
FOLLOWS = Topology(NAME, "local-ic1-local2", "local-ic1-local2")
CONTENT = {
    "latestCheckpointTimelineID": "3",
    "redoWalFile": "000000030000000000000010",
    "databaseSystemIdentifier": "7100000000000000001",
    "latestCheckpointREDOLocation": "1/10000028",
    "timeOfLatestCheckpoint": "Tue Nov 24 12:00:00 2026",
    "operatorVersion": "1.30.0",
}


def encoded(content: Any) -> str:
    return base64.b64encode(json.dumps(content).encode()).decode()


TOKEN = encoded(CONTENT)


@pytest.fixture
def server() -> OwningServer:
    made = OwningServer()
    helm_applies(made, LEADS)
    return made


@pytest.fixture
def api(server: OwningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Api:
    use_kubeconfig(tmp_path, monkeypatch)
    return fake_api(server)


def stanza(topology: Topology) -> dict[str, str]:
    return {"self": topology.self_name, "primary": topology.primary, "source": topology.source}


def helm_applies(
    server: OwningServer, topology: Topology, manager: str = "helm", **more: Any
) -> httpx2.Response:
    body = {**BARE, "spec": {"instances": 1, "replica": {**stanza(topology), **more}}}
    return server.apply_as(PATH, manager, body, force=False, dry=False)


def live(server: OwningServer) -> Any:
    return server.objects[PATH]


def only_write(server: OwningServer) -> Any:
    [asked] = server.writes()
    assert (asked.method, asked.path) == ("PATCH", PATH)
    assert asked.content_type == "application/apply-patch+yaml"
    server.asked.clear()
    return asked


def test_a_topology_is_applied_by_force_as_pgaas_and_nothing_else_with_it(
    server: OwningServer, api: Api
) -> None:
    apply_topology(api, NAME, SPACE, FOLLOWS)
    asked = only_write(server)
    assert (asked.query["fieldManager"], asked.query["force"]) == ("pgaas", "true")
    assert asked.body == {**BARE, "spec": {"replica": stanza(FOLLOWS)}}
    assert live(server)["spec"] == {"instances": 1, "replica": stanza(FOLLOWS)}
    assert owners_of_primary(live(server)) == {"pgaas"}


def test_a_token_and_a_nudge_go_with_the_topology_and_leave_with_it(server: OwningServer, api: Api) -> None:
    apply_topology(api, NAME, SPACE, LEADS, token=TOKEN, nudge="2")
    asked = only_write(server)
    noted = {**BARE["metadata"], "annotations": {NUDGE: "2"}}  # type: ignore[dict-item]
    assert asked.body == {
        **IDENTITY,
        "metadata": noted,
        "spec": {"replica": {**stanza(LEADS), "promotionToken": TOKEN}},
    }
    apply_topology(api, NAME, SPACE, LEADS)
    assert live(server)["spec"]["replica"] == stanza(LEADS)
    assert NUDGE not in live(server)["metadata"].get("annotations", {})


def test_a_token_that_somebody_else_put_there_is_taken_over_and_goes(server: OwningServer, api: Api) -> None:
    body = {**BARE, "spec": {"replica": {"promotionToken": TOKEN}}}
    server.apply_as(PATH, "kubectl", body, force=False, dry=False)
    # Without the first of the two applies it would stay: it is not ours to remove.
    apply_topology(api, NAME, SPACE, LEADS)
    assert live(server)["spec"]["replica"]["promotionToken"] == TOKEN
    server.asked.clear()
    drop_foreign_token(api, NAME, SPACE, LEADS, live(server))
    # With its own value the field would be shared, and stay.
    assert [asked.body["spec"]["replica"].get("promotionToken") for asked in server.writes()] == ["", None]
    assert {asked.query["force"] for asked in server.writes()} == {"true"}
    assert live(server)["spec"]["replica"] == stanza(LEADS)
    assert apply_topology(api, NAME, SPACE, FOLLOWS)["spec"]["replica"] == stanza(FOLLOWS)


def test_where_there_is_no_token_nothing_is_dropped(server: OwningServer, api: Api) -> None:
    drop_foreign_token(api, NAME, SPACE, LEADS, live(server))
    assert server.writes() == []


def test_a_release_leaves_helm_the_only_owner_and_the_primary_where_it_is(
    server: OwningServer, api: Api
) -> None:
    apply_topology(api, NAME, SPACE, FOLLOWS)
    apply_topology(api, NAME, SPACE, LEADS, token=TOKEN, nudge="1")
    assert helm_applies(server, LEADS).status_code == 200
    assert owners_of_primary(live(server)) == {"helm", "pgaas"}
    server.asked.clear()
    assert release_topology(api, live(server)) is True
    asked = only_write(server)
    assert asked.query["fieldManager"] == "pgaas"
    assert asked.query.get("force", "false") == "false"
    assert asked.body == BARE
    assert owners_of_primary(live(server)) == {"helm"}
    assert live(server)["spec"] == {"instances": 1, "replica": stanza(LEADS)}
    assert "annotations" not in live(server)["metadata"]
    # Helm may change all of it again.
    assert helm_applies(server, FOLLOWS).status_code == 200
    assert live(server)["spec"]["replica"] == stanza(FOLLOWS)


def test_nothing_is_released_that_helm_would_not_keep(server: OwningServer, api: Api) -> None:
    apply_topology(api, NAME, SPACE, FOLLOWS)
    server.asked.clear()
    assert release_topology(api, live(server)) is False
    assert server.writes() == []
    assert live(server)["spec"]["replica"] == stanza(FOLLOWS)


def test_nothing_is_released_that_pgaas_does_not_own(server: OwningServer, api: Api) -> None:
    assert release_topology(api, live(server)) is False
    assert server.writes() == []


def test_an_old_value_from_helm_is_refused_while_pgaas_owns_the_primary(
    server: OwningServer, api: Api
) -> None:
    apply_topology(api, NAME, SPACE, FOLLOWS)
    refused = helm_applies(server, LEADS)
    assert refused.status_code == 409
    assert live(server)["spec"]["replica"] == stanza(FOLLOWS)


def test_marks_are_of_a_manager_of_their_own_and_stay_through_a_release(
    server: OwningServer, api: Api
) -> None:
    mark(api, live(server), {HIBERNATION: "on"})
    asked = only_write(server)
    assert (asked.query["fieldManager"], asked.query["force"]) == (MARKER, "true")
    noted = {**BARE["metadata"], "annotations": {HIBERNATION: "on"}}  # type: ignore[dict-item]
    assert asked.body == {**IDENTITY, "metadata": noted}
    apply_topology(api, NAME, SPACE, LEADS)
    release_topology(api, live(server))
    assert live(server)["metadata"]["annotations"] == {HIBERNATION: "on"}
    mark(api, live(server), {})
    assert "annotations" not in live(server)["metadata"]
    assert live(server)["spec"]["replica"] == stanza(LEADS)


def test_a_mark_takes_the_place_of_the_one_before(server: OwningServer, api: Api) -> None:
    mark(api, live(server), {LOST_SIDE: "local2"})
    mark(api, live(server), {HIBERNATION: "on"})
    assert live(server)["metadata"]["annotations"] == {HIBERNATION: "on"}


@pytest.mark.parametrize("code", [409, 422, 403, 500])
def test_no_refusal_repeats_the_token(server: OwningServer, api: Api, code: int) -> None:
    """The webhook names the value that it refuses."""
    said = (
        f'spec.replica.token: Invalid value: "{TOKEN}": promotionToken is only allowed for primary clusters'
    )
    denied = f'admission webhook "vcluster.cnpg.io" denied the request: {said}' if code == 422 else said
    server.answers[f"PATCH {PATH}"] = failure(code, "Invalid", denied)
    with pytest.raises(KubernetesError) as caught:
        apply_topology(api, NAME, SPACE, LEADS, token=TOKEN)
    error = caught.value
    assert "promotionToken is only allowed" in error.what
    assert TOKEN not in f"{error!r} {error} {error.what} {error.where} {error.next_step}"
    assert TOKEN not in f"{error.__context__ if not error.__suppress_context__ else ''} {error.__cause__}"


def test_a_token_is_read() -> None:
    token = parse_token(f" {TOKEN}\n")
    assert (token.text, token.timeline, token.lsn) == (TOKEN, 3, 0x110000028)
    assert (token.system_id, token.wal) == ("7100000000000000001", "000000030000000000000010")
    assert token.at == "Tue Nov 24 12:00:00 2026"
    assert TOKEN not in repr(token)
    assert TOKEN not in f"{token}"


BAD = {
    "empty": "",
    "cut": TOKEN[:-9],
    "cut at a boundary": TOKEN[:-8],
    "no base64": "not a token!",
    "not ASCII": "tökén",
    "two": TOKEN + TOKEN,
    "quoted": f'"{TOKEN}"',
    "broken into lines": f"{TOKEN[:40]}\n{TOKEN[40:]}",
    "no JSON": base64.b64encode(b"hello, world").decode(),
    "not UTF-8": base64.b64encode(b'{"a": "\xff\xfe"}').decode(),
    "a list": encoded([CONTENT]),
    "a text": encoded("latestCheckpointTimelineID"),
    "a number": encoded(7),
    "null": encoded(None),
    "nested": base64.b64encode(b"[" * 100_000).decode(),
    **{f"without {key}": encoded({k: v for k, v in CONTENT.items() if k != key})
       for key in CONTENT if key != "operatorVersion"},
    "an odd timeline": encoded({**CONTENT, "latestCheckpointTimelineID": "three"}),
    "no timeline": encoded({**CONTENT, "latestCheckpointTimelineID": None}),
    "an endless timeline": encoded({**CONTENT, "latestCheckpointTimelineID": float("inf")}),
    "an odd LSN": encoded({**CONTENT, "latestCheckpointREDOLocation": "0-1"}),
    "an LSN that is no text": encoded({**CONTENT, "latestCheckpointREDOLocation": 5}),
    "an empty LSN": encoded({**CONTENT, "latestCheckpointREDOLocation": "/"}),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_what_is_no_token_is_refused_and_not_repeated(what: str) -> None:
    with pytest.raises(RefusedAsUnsafe) as caught:
        parse_token(BAD[what])
    error = caught.value
    assert error.exit_code == 8
    assert "pgaas demote" in error.next_step
    if BAD[what]:
        assert BAD[what] not in f"{error!r} {error.what} {error.where} {error.next_step}"


@given(st.one_of(st.text(), st.binary().map(lambda raw: base64.b64encode(raw).decode())))
def test_hostile_tokens_never_end_in_a_traceback(text: str) -> None:
    with pytest.raises(PgaasError):
        parse_token(text)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner)))
def test_hostile_values_never_end_in_a_traceback(value: Any) -> None:
    for key in CONTENT:
        try:
            parse_token(encoded({**CONTENT, key: value}))
        except RefusedAsUnsafe:
            continue


@pytest.mark.parametrize(
    ("text", "value"), [("0/0", 0), ("0/16B3740", 0x16B3740), ("A/0", 0xA00000000), ("1/1", 2**32 + 1)]
)
def test_an_lsn_is_a_number(text: str, value: int) -> None:
    assert parse_lsn(text) == value


@pytest.mark.parametrize("text", ["", "0", "0/", "/", "x/y"])
def test_what_is_no_lsn_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"^"):
        parse_lsn(text)


def cluster(*, status: str = "True", annotations: Any = None, **more: Any) -> Any:
    conditions = [{"type": "ReplicaClusterSwitch", "status": status}, {"type": "Ready", "status": "True"}]
    return {"metadata": {"annotations": annotations or {}}, "status": {"conditions": conditions, **more}}


def test_a_demotion_is_over_with_its_token_its_condition_and_no_fence() -> None:
    fence = {"cnpg.io/fencedInstances": '["*"]'}
    assert demotion_token(cluster(demotionToken=TOKEN)) == TOKEN
    assert demotion_token(None) == ""
    assert demotion_token({}) == ""
    assert demotion_token(cluster()) == ""
    assert demotion_token(cluster(demotionToken=TOKEN, status="False")) == ""
    assert demotion_token(cluster(demotionToken=TOKEN, annotations=fence)) == ""


def test_a_promotion_is_over_when_its_token_is_taken_and_the_cluster_healthy() -> None:
    asked = {"spec": {"replica": {"promotionToken": TOKEN}}}
    done = {**cluster(phase=HEALTHY, lastPromotionToken=TOKEN), **asked}
    assert promoted(done)
    assert promoted(cluster(phase=HEALTHY))
    assert not promoted(None)
    assert not promoted({**done, **cluster(phase=HEALTHY, lastPromotionToken="another")})
    assert not promoted({**done, **cluster(phase="Promoting to primary cluster", lastPromotionToken=TOKEN)})
    unready = cluster(phase=HEALTHY)
    unready["status"]["conditions"][1]["status"] = "False"
    assert not promoted(unready)


def test_only_an_unrecoverable_cluster_will_never_be_promoted() -> None:
    assert promotion_failed(None) == ""
    assert promotion_failed(cluster(phase="Promoting to primary cluster")) == ""
    failed = promotion_failed(
        cluster(phase=UNRECOVERABLE, phaseReason="Promotion token content is not correct")
    )
    assert failed.endswith(": Promotion token content is not correct")
    assert promotion_failed(cluster(phase=UNRECOVERABLE)).endswith("no reason given")


def test_a_topology_shows_no_token() -> None:
    assert "oken" not in repr(replace(LEADS))
    assert promotion.FIELD_MANAGER == "pgaas"

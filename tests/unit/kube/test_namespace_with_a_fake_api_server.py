"""The namespace: made, labelled, known as our own, never taken for empty while something is in it."""

from __future__ import annotations

from tests.unit.kube.fakes import FakeServer, failure, path_of

from pgaas.kube.client import Api
from pgaas.kube.namespace import MADE_BY, ensure_namespace, left_in, made_by_pgaas, namespace_state
from pgaas.kube.resources import CONFIG_MAP, NAMESPACE, SECRET, SERVICE_ACCOUNT

LABELS = {"pgaas.io/ins": "ic1"}
PATH = path_of(NAMESPACE, None, "ic1-local")


def test_a_new_one_is_marked_as_made_by_pgaas(server: FakeServer, api: Api) -> None:
    assert ensure_namespace(api, "ic1-local", LABELS) is True
    [asked] = server.writes()
    assert (asked.method, asked.content_type) == ("PATCH", "application/apply-patch+yaml")
    assert asked.query["fieldManager"] == "pgaas"
    assert asked.body["metadata"] == {
        "name": "ic1-local",
        "labels": LABELS,
        "annotations": {MADE_BY: "pgaas"},
    }
    assert made_by_pgaas(server.objects[PATH])


def test_a_second_time_nothing_is_written(server: FakeServer, api: Api) -> None:
    ensure_namespace(api, "ic1-local", LABELS)
    server.asked.clear()
    assert ensure_namespace(api, "ic1-local", LABELS) is False
    assert server.writes() == []


def test_one_that_existed_gets_labels_and_no_mark(server: FakeServer, api: Api) -> None:
    server.put(NAMESPACE, {"metadata": {"name": "ic1-local", "labels": {"team": "x"}}})
    assert ensure_namespace(api, "ic1-local", LABELS) is True
    assert not made_by_pgaas(server.objects[PATH])
    assert server.objects[PATH]["metadata"]["labels"] == {"team": "x", **LABELS}


def test_our_own_mark_is_sent_again_with_new_labels(server: FakeServer, api: Api) -> None:
    # A server-side apply that leaves a field out removes it, if it owned it.
    ensure_namespace(api, "ic1-local", {})
    ensure_namespace(api, "ic1-local", LABELS)
    assert server.writes()[-1].body["metadata"]["annotations"] == {MADE_BY: "pgaas"}


def test_credentials_that_may_not_look_leave_it_alone(server: FakeServer, api: Api) -> None:
    server.answers[f"GET {PATH}"] = failure(403, "Forbidden", "no")
    assert namespace_state(api, "ic1-local") == "Active"
    assert ensure_namespace(api, "ic1-local", LABELS) is False
    assert server.writes() == []


def test_its_state(server: FakeServer, api: Api) -> None:
    assert namespace_state(api, "not-there") == ""
    server.put(NAMESPACE, {"metadata": {"name": "ic1-local"}, "status": {"phase": "Terminating"}})
    assert namespace_state(api, "ic1-local") == "Terminating"


def test_what_kubernetes_puts_into_each_namespace_does_not_keep_it(server: FakeServer, api: Api) -> None:
    server.put(SERVICE_ACCOUNT, {"metadata": {"name": "default", "namespace": "ic1-local"}})
    server.put(CONFIG_MAP, {"metadata": {"name": "kube-root-ca.crt", "namespace": "ic1-local"}})
    assert left_in(api, "ic1-local") == []
    server.put(SECRET, {"metadata": {"name": "theirs", "namespace": "ic1-local"}})
    assert left_in(api, "ic1-local") == ["Secret/theirs"]

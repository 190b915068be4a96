"""What is sent, what comes back, and how each failure reads."""

from __future__ import annotations

import httpx2
import pytest
from tests.unit.kube.fakes import FakeServer, failure, path_of

from pgaas.errors import KubernetesConflict, KubernetesError, KubernetesForbidden, KubernetesUnavailable
from pgaas.kube.client import Api
from pgaas.kube.resources import BACKUP, CLUSTER, NAMESPACE, POD, SECRET

HERE = path_of(CLUSTER, "ns", "x")


def test_an_object_comes_back_as_a_plain_dictionary(server: FakeServer, api: Api) -> None:
    server.put(CLUSTER, {"metadata": {"name": "x", "namespace": "ns"}, "spec": {"instances": 3}})
    found = api.get(CLUSTER, "x", "ns")
    assert found is not None
    assert found["spec"] == {"instances": 3}
    assert type(found) is dict


def test_what_is_not_there_is_none(api: Api) -> None:
    assert api.get(CLUSTER, "not-there", "ns") is None


def test_a_list_asks_for_labels_and_fields(server: FakeServer, api: Api) -> None:
    server.put(POD, {"metadata": {"name": "a", "namespace": "ns", "labels": {"app": "x"}}})
    server.put(POD, {"metadata": {"name": "b", "namespace": "ns", "labels": {"app": "y"}}})
    found = api.find(POD, "ns", labels={"app": "x"}, fields={"status.phase": "Running"})
    assert [pod["metadata"]["name"] for pod in found] == ["a"]
    assert server.asked[-1].query == {"labelSelector": "app=x", "fieldSelector": "status.phase=Running"}


def test_apply_is_server_side_as_pgaas_and_never_forced(server: FakeServer, api: Api) -> None:
    sent = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n", "labels": {"a": "b"}}}
    api.apply(sent)
    [asked] = server.writes()
    assert (asked.method, asked.path) == ("PATCH", path_of(NAMESPACE, None, "n"))
    assert asked.content_type == "application/apply-patch+yaml"
    assert asked.query["fieldManager"] == "pgaas"
    assert asked.query.get("force", "false") == "false"
    assert "dryRun" not in asked.query
    assert asked.body == sent


def test_a_dry_run_says_so_to_the_server(server: FakeServer, api: Api) -> None:
    api.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "ns"}},
        manager="helm",
        dry_run=True,
    )
    [asked] = server.writes()
    assert (asked.query["dryRun"], asked.query["fieldManager"]) == ("All", "helm")
    assert server.objects == {}


def test_create_names_the_field_manager_and_the_kind(server: FakeServer, api: Api) -> None:
    api.create(BACKUP, {"metadata": {"name": "b", "namespace": "ns"}, "spec": {"method": "plugin"}})
    [asked] = server.writes()
    assert (asked.method, asked.path) == ("POST", path_of(BACKUP, "ns"))
    assert asked.content_type == "application/json"
    assert asked.query["fieldManager"] == "pgaas"
    assert asked.body == {
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "Backup",
        "metadata": {"name": "b", "namespace": "ns"},
        "spec": {"method": "plugin"},
    }


def test_delete_says_whether_there_was_something(server: FakeServer, api: Api) -> None:
    server.put(SECRET, {"metadata": {"name": "s", "namespace": "ns"}})
    assert api.delete(SECRET, "s", "ns") is True
    assert api.delete(SECRET, "s", "ns") is False


def test_logs_of_a_container_that_has_not_started_are_empty(server: FakeServer, api: Api) -> None:
    path = f"{path_of(POD, 'ns', 'p')}/log"
    server.raw[path] = "one\ntwo\n"
    assert api.logs("p", "postgres", "ns", tail=2) == ["one", "two"]
    assert server.asked[-1].query["tailLines"] == "2"
    server.answers[f"GET {path}"] = failure(400, "BadRequest", "container is waiting to start")
    assert api.logs("p", "postgres", "ns", tail=2) == []


def test_a_kind_that_pgaas_does_not_know_is_asked_for_once(server: FakeServer, api: Api) -> None:
    server.raw["/apis/example.com/v1"] = {
        "resources": [
            {"name": "things", "kind": "Thing", "namespaced": True},
            {"name": "things/status", "kind": "Thing", "namespaced": True},
        ]
    }
    thing = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t"}}
    assert api.kind_of(thing).plural == "things"
    assert api.kind_of(thing).plural == "things"
    assert len(server.asked) == 1
    with pytest.raises(KubernetesError, match=r"does not know Other of example\.com/v1"):
        api.kind_of({**thing, "kind": "Other"})


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (failure(401, "Unauthorized", "Unauthorized"), KubernetesError, "has expired or was revoked"),
        (
            failure(403, "Forbidden", 'clusters.postgresql.cnpg.io "x" is forbidden: User "u" cannot get'),
            KubernetesForbidden,
            'User "u" cannot get',
        ),
        (failure(409, "Conflict", "Apply failed with 1 conflict"), KubernetesConflict, "Apply failed"),
        (failure(500, "InternalError", "etcdserver: timed out"), KubernetesUnavailable, "etcdserver"),
        (httpx2.Response(502, text="<html>bad gateway"), KubernetesUnavailable, "502"),
        (httpx2.ConnectError("[Errno 111] Connection refused"), KubernetesUnavailable, "cannot be reached"),
        (
            httpx2.ConnectError("[Errno -2] Name or service not known"),
            KubernetesUnavailable,
            "Name or service",
        ),
        (httpx2.ReadTimeout("timed out"), KubernetesUnavailable, "did not answer in time"),
        (
            httpx2.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed"),
            KubernetesError,
            "TLS connection",
        ),
        (
            httpx2.ReadError("[SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert: expired certificate"),
            KubernetesError,
            "refuses this client certificate",
        ),
        (
            failure(
                403,
                "Forbidden",
                'admission webhook "vcluster.cnpg.io" denied the request: Cluster "x": spec.replica',
            ),
            KubernetesError,
            "refused by the CloudNativePG operator: Cluster",
        ),
        (
            failure(500, "", 'failed calling webhook "webhook.cert-manager.io": refused'),
            KubernetesUnavailable,
            "cert-manager does not answer",
        ),
        (failure(422, "Invalid", "spec.instances: Invalid value"), KubernetesError, "spec.instances"),
    ],
)
def test_each_failure_says_what_where_and_what_next(
    server: FakeServer, api: Api, answer: httpx2.Response | Exception, kind: type[KubernetesError], says: str
) -> None:
    server.answers[f"GET {HERE}"] = answer
    with pytest.raises(KubernetesError) as caught:
        api.get(CLUSTER, "x", "ns")
    assert type(caught.value) is kind
    assert says in caught.value.what
    assert "clusters.postgresql.cnpg.io ns/x" in caught.value.where
    assert 'context "fake"' in caught.value.where
    assert caught.value.next_step


def test_a_kind_that_is_not_served_means_a_missing_operator(server: FakeServer, api: Api) -> None:
    server.answers[f"POST {path_of(BACKUP, 'ns')}"] = httpx2.Response(404, text="404 page not found")
    with pytest.raises(KubernetesError, match="the CloudNativePG operator is not installed"):
        api.create(BACKUP, {"metadata": {"name": "b", "namespace": "ns"}})


def test_the_token_is_never_in_an_error(server: FakeServer, api: Api) -> None:
    server.answers[f"GET {HERE}"] = failure(401, "Unauthorized", "Unauthorized")
    with pytest.raises(KubernetesError) as caught:
        api.get(CLUSTER, "x", "ns")
    error = caught.value
    assert "secret-token" not in f"{error.what}{error.where}{error.next_step}"

"""What a deployment would change, as the API server's dry run tells it."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from tests.unit.kube.fakes import FakeServer, failure, path_of

from pgaas.errors import KubernetesError, KubernetesForbidden
from pgaas.kube.client import Api
from pgaas.kube.difference import as_helm_applies, differences, parse_manifest
from pgaas.kube.resources import CLUSTER, CONFIG_MAP, SECRET

MANIFEST = """
---
# Source: core/templates/cluster.yaml
apiVersion: postgresql.cnpg.io/v1
kind: Cluster
metadata: {name: c, labels: {a: b}}
spec:
  instances: 1
  postgresql:
    parameters: {max_connections: "51", work_mem: 4MB}
---
"""


def rendered(text: str = MANIFEST) -> list[dict[str, Any]]:
    return as_helm_applies(parse_manifest(text), "release", "ns")


def live(server: FakeServer, **spec: Any) -> None:
    [obj] = rendered()
    metadata = obj["metadata"] | {"resourceVersion": "7", "uid": "u", "managedFields": [1], "generation": 3}
    server.put(CLUSTER, {**obj, "metadata": metadata, "spec": obj["spec"] | spec, "status": {"phase": "x"}})


def test_helms_own_label_and_annotations_are_part_of_what_is_compared() -> None:
    [obj] = rendered()
    assert obj["metadata"] == {
        "name": "c",
        "namespace": "ns",
        "labels": {"a": "b", "app.kubernetes.io/managed-by": "Helm"},
        "annotations": {"meta.helm.sh/release-name": "release", "meta.helm.sh/release-namespace": "ns"},
    }


def test_what_is_live_already_is_no_change(server: FakeServer, api: Api) -> None:
    live(server)
    assert differences(api, rendered(), rendered(), fresh=False) == []
    [asked] = server.writes()
    assert asked.query["dryRun"] == "All"
    assert asked.query["fieldManager"] == "helm"
    assert asked.query.get("force", "false") == "false"
    assert asked.content_type == "application/apply-patch+yaml"


def test_a_change_is_shown_line_by_line_quoted_as_kubectl_does(server: FakeServer, api: Api) -> None:
    live(server, postgresql={"parameters": {"max_connections": "50", "work_mem": "4MB"}})
    [change] = differences(api, rendered(), [], fresh=False)
    assert (change.kind, change.name, change.action) == ("Cluster", "c", "changed")
    assert '-      max_connections: "50"' in change.lines
    assert '+      max_connections: "51"' in change.lines
    assert not any("resourceVersion" in line or "phase" in line for line in change.lines)


def test_nothing_is_asked_for_a_first_deployment(server: FakeServer, api: Api) -> None:
    [change] = differences(api, rendered(), [], fresh=True)
    assert change.action == "new"
    assert '+    max_connections: "51"'.replace("+    ", "+      ") in change.lines
    assert server.asked == []


def test_an_object_that_is_missing_is_new(api: Api) -> None:
    assert [change.action for change in differences(api, rendered(), [], fresh=False)] == ["new"]


def test_what_is_no_longer_rendered_would_be_removed(server: FakeServer, api: Api) -> None:
    live(server)
    old = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "old", "namespace": "ns"}}
    [change] = differences(api, rendered(), [*rendered(), old], fresh=False)
    assert (change.kind, change.name, change.action) == (CONFIG_MAP.kind, "old", "removed")


def test_a_conflict_is_told_with_what_would_change(server: FakeServer, api: Api) -> None:
    live(server, instances=3)

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.params.get("force") == "true":
            return httpx2.Response(200, json=rendered()[0])
        return failure(409, "Conflict", 'conflict with "kubectl-patch": .spec.instances')

    server.answers[f"PATCH {path_of(CLUSTER, 'ns', 'c')}"] = answer
    [change] = differences(api, rendered(), [], fresh=False)
    assert change.action == "conflict"
    assert "kubectl-patch" in change.conflict
    assert "-  instances: 3" in change.lines
    assert all(asked.query["dryRun"] == "All" for asked in server.writes())


def test_secrets_are_never_shown(server: FakeServer, api: Api) -> None:
    text = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {key: bmV3, same: c2FtZQ==}\n"
    [obj] = rendered(text)
    server.put(SECRET, {**obj, "data": {"key": "b2xk", "same": "c2FtZQ=="}})
    [change] = differences(api, rendered(text), [], fresh=False)
    shown = "\n".join(change.lines)
    assert "bmV3" not in shown
    assert "b2xk" not in shown
    assert "*** (before)" in shown
    assert "*** (after)" in shown
    [fresh] = differences(api, rendered(text), [], fresh=True)
    assert "bmV3" not in "\n".join(fresh.lines)


def test_what_the_api_server_refuses_is_raised_or_told(server: FakeServer, api: Api) -> None:
    live(server)
    webhook = 'admission webhook "vcluster.cnpg.io" denied the request: can\'t shrink existing storage'
    server.answers[f"PATCH {path_of(CLUSTER, 'ns', 'c')}"] = failure(403, "Forbidden", webhook)
    with pytest.raises(KubernetesError, match="shrink"):
        differences(api, rendered(), [], fresh=False)
    [change] = differences(api, rendered(), [], fresh=False, refusals=True)
    assert (change.action, change.lines) == ("refused", ())
    assert "shrink" in change.conflict


def test_one_who_may_not_ask_is_told_so_either_way(server: FakeServer, api: Api) -> None:
    live(server)
    server.answers[f"PATCH {path_of(CLUSTER, 'ns', 'c')}"] = failure(403, "Forbidden", "user may not patch")
    with pytest.raises(KubernetesForbidden):
        differences(api, rendered(), [], fresh=False, refusals=True)

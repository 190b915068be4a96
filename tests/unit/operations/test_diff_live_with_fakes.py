"""Reviews against what is live: a fake API server, a helm that prints what the test says."""

from __future__ import annotations

import base64
import copy
import gzip
import json
from typing import Any

import httpx2
import pytest
import yaml
from tests.unit.kube.fakes import failure, path_of
from tests.unit.operations.worlds import NAME, SPACE, TARGET, World

from pgaas.errors import KubernetesUnavailable, ToolMissing, UsageError
from pgaas.kube.resources import CLUSTER, NAMESPACE, SECRET
from pgaas.operations import diff_live
from pgaas.operations.diff import Comparison, diff, refuse_from
from pgaas.operations.diff_select import Selection
from pgaas.operations.diff_values import Diff, TargetDiff
from pgaas.operations.progress import Silent
from pgaas.render.marks import Mark
from pgaas.tools.versions import TOOLS, Found

CHOSEN = Selection(("ic1",), "local", "local1")
HELM = {
    "labels": {"app.kubernetes.io/managed-by": "Helm"},
    "annotations": {"meta.helm.sh/release-name": NAME, "meta.helm.sh/release-namespace": SPACE},
}


@pytest.fixture(autouse=True)
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diff_live, "check_tools", lambda _: [Found(tool, "ok", "9.9.9") for tool in TOOLS])


def cluster(**parameters: str) -> dict[str, Any]:
    """Return a rendered Cluster with these parameters."""
    return {
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "Cluster",
        "metadata": {"name": NAME},
        "spec": {"instances": 1, "postgresql": {"parameters": parameters}},
    }


def released(world: World, values: dict[str, Any], status: str = "deployed", revision: int = 1) -> None:
    content = {"manifest": world.rendered, "config": values, "info": {"status": status}}
    packed = base64.b64encode(gzip.compress(json.dumps(content).encode()))
    labels = {"owner": "helm", "name": NAME, "status": status, "version": str(revision), "modifiedAt": "1"}
    metadata = {"name": f"sh.helm.release.v1.{NAME}.v{revision}", "namespace": SPACE, "labels": labels}
    world.server.put(SECRET, {"metadata": metadata, "data": {"release": base64.b64encode(packed).decode()}})


@pytest.fixture
def deployed(world: World) -> World:
    """Give a world whose cluster is what confs say."""
    world.server.put(NAMESPACE, {"metadata": {"name": SPACE}, "status": {"phase": "Active"}})
    world.rendered = yaml.safe_dump(cluster(max_connections="50"))
    live = copy.deepcopy(cluster(max_connections="50"))
    live["metadata"] |= {"namespace": SPACE, **HELM}
    world.server.put(CLUSTER, live)
    released(world, world.subject.values.plain())
    return world


def looked(world: World, chosen: Selection = CHOSEN) -> Diff:
    return diff(world.root, chosen, Comparison(), Silent())


def one(found: Diff) -> TargetDiff:
    return next(each for each in found.targets if each.target == TARGET)


def only_reads(world: World) -> bool:
    return all(asked.query.get("dryRun") == "All" for asked in world.server.writes())


def test_what_is_deployed_does_not_differ(deployed: World) -> None:
    found = looked(deployed)
    assert [(each.target, each.state) for each in found.targets] == [(TARGET, "unchanged")]
    assert only_reads(deployed)
    assert deployed.ran() == ["template"]


def test_a_change_is_told_as_values_and_as_objects(deployed: World) -> None:
    deployed.edit("admin/local/postgresql.yaml", 'max_connections: "50"', 'max_connections: "60"')
    deployed.rendered = yaml.safe_dump(cluster(max_connections="60", work_mem="8MB"))
    found = one(looked(deployed))
    [value] = found.values
    assert (value.path, value.before, value.after) == ("cluster.parameters.max_connections", "50", "60")
    assert (value.mark, value.places[0].line) == (Mark.restart, 7)
    [obj] = found.objects
    assert (obj.kind, obj.action, obj.mark) == ("Cluster", "changed", Mark.restart)
    assert {each.field: each.effect.mark for each in obj.fields} == {
        "spec.postgresql.parameters.max_connections": Mark.restart,
        "spec.postgresql.parameters.work_mem": Mark.reload,
    }
    assert '+      max_connections: "60"' in obj.lines
    assert only_reads(deployed)


def test_what_somebody_changed_by_hand_is_told_though_no_value_changes(deployed: World) -> None:
    deployed.cluster()["spec"]["instances"] = 3
    found = one(looked(deployed))
    assert (found.values, found.state, found.mark) == ((), "changed", Mark.disruptive)
    assert "no value changes" in found.notes[0]


def test_what_helm_would_not_take_is_forbidden(deployed: World) -> None:
    path = path_of(CLUSTER, SPACE, NAME)
    deployed.cluster()["spec"]["instances"] = 3

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.params.get("force") == "true":
            return httpx2.Response(200, json={**deployed.cluster(), **cluster()})
        return failure(409, "Conflict", 'conflict with "kubectl-patch": .spec.instances')

    deployed.server.answers[f"PATCH {path}"] = answer
    found = one(looked(deployed))
    assert found.mark is Mark.forbidden
    assert "kubectl-patch" in found.objects[0].why


def test_what_the_api_server_would_not_take_is_forbidden_and_the_values_are_told(deployed: World) -> None:
    deployed.edit("admin/local/postgresql.yaml", "storage: { size: 1Gi }", "storage: { size: 512Mi }")
    webhook = 'admission webhook "vcluster.cnpg.io" denied the request: can not shrink'
    path = path_of(CLUSTER, SPACE, NAME)
    deployed.server.answers[f"PATCH {path}"] = failure(403, "Forbidden", webhook)
    found = one(looked(deployed))
    assert [(each.path, each.mark) for each in found.values] == [("cluster.storage.size", Mark.forbidden)]
    [obj] = found.objects
    assert (obj.action, obj.mark) == ("refused", Mark.forbidden)
    assert "shrink" in obj.why


def test_a_cluster_that_is_not_there_yet_is_new(world: World) -> None:
    world.rendered = yaml.safe_dump(cluster())
    found = one(looked(world))
    assert (found.state, found.mark, [each.action for each in found.objects]) == (
        "new",
        Mark.nothing,
        ["new"],
    )
    assert world.server.writes() == []


def test_what_would_be_removed(deployed: World) -> None:
    deployed.rendered = yaml.safe_dump({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}})
    found = one(looked(deployed))
    assert {(each.kind, each.action): each.mark for each in found.objects} == {
        ("ConfigMap", "new"): Mark.nothing,
        ("Cluster", "removed"): Mark.forbidden,
    }


def test_a_failed_deployment_is_not_what_is_compared_with(deployed: World) -> None:
    other = deployed.subject.values.plain()
    other["cluster"]["instances"] = 9
    released(deployed, other, "failed", 2)
    found = one(looked(deployed))
    assert found.values == ()
    assert found.notes == ("the last deployment, revision 2, is failed",)


def test_secrets_are_masked(deployed: World) -> None:
    deployed.edit("admin/local/clients.yaml", "ic1-local-secret", "another-secret")
    deployed.rendered = yaml.safe_dump(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"secretKey": "bmV3"}}
    )
    found = looked(deployed)
    for secret in ("ic1-local-secret", "another-secret", "bmV3"):
        assert secret not in repr(found)
    assert [(each.path, each.after) for each in one(found).values] == [("s3.secretKey", "***")]


def test_a_promotion_token_is_masked(deployed: World) -> None:
    deployed.cluster()["spec"]["replica"] = {"primary": NAME, "promotionToken": "c2VjcmV0"}
    deployed.rendered = yaml.safe_dump(cluster(max_connections="60"))
    found = one(looked(deployed))
    assert "c2VjcmV0" not in repr(found)
    assert any("promotionToken" in line for line in found.objects[0].lines)


def test_one_that_fails_is_a_row(deployed: World, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed.edit("users/ic1/hp/dev1/databases.yaml", "majorVersion: 17", "majorVersion: x")
    found = looked(deployed, Selection(("ic1",)))
    states = {str(each.target): each.state for each in found.targets}
    assert states["ic1/dev1/dc1"] == "failed"
    assert states["ic1/local/local1"] == "unchanged"
    assert states["ic1/prod/dc1"] == "new"


def test_an_api_server_that_does_not_answer_is_not_asked_by_everybody(
    deployed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diff_live, "AT_ONCE", 1)
    same = Selection(("ic1", "is1"))
    deployed.server.answers[f"GET {path_of(NAMESPACE, None, 'ic1-dev1')}"] = httpx2.ConnectError("refused")
    deployed.server.asked.clear()
    found = looked(deployed, same)
    down = [str(each.target) for each in found.of("failed")]
    assert {"ic1/dev1/dc1", "ic1/dev2/dc1"} <= set(down)
    assert not any("ic1-dev2" in asked.path for asked in deployed.server.asked)
    # Local's datacenters have contexts of their own.
    assert one(found).state == "unchanged"
    with pytest.raises(KubernetesUnavailable, match="could not be compared"):
        refuse_from(found, None)


def test_datacenters_without_a_context_of_their_own_are_told(world: World) -> None:
    world.rendered = yaml.safe_dump(cluster())
    found = looked(world, Selection((), "prod"))
    assert all("no kubeContext" in each.notes[0] for each in found.targets)
    assert not one(looked(world)).notes


def test_without_helm_nothing_is_asked(deployed: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diff_live, "check_tools", lambda _: [Found(tool, "missing", "") for tool in TOOLS])
    deployed.server.asked.clear()
    with pytest.raises(ToolMissing):
        looked(deployed)
    assert deployed.server.asked == []


def test_a_target_that_there_is_not(deployed: World) -> None:
    with pytest.raises(UsageError, match="there is no such cluster"):
        looked(deployed, Selection(("ic9",)))

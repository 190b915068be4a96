"""Create: what runs, in which order, and what a second time leaves alone."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import httpx2
import pytest
import yaml
from tests.unit.kube.fakes import failure, path_of
from tests.unit.operations.worlds import NAME, SPACE, TARGET, World, namespace_exists, pod

from pgaas.errors import KubernetesConflict, RefusedAsUnsafe, TimedOut, ToolFailed, UsageError
from pgaas.kube.namespace import MADE_BY
from pgaas.kube.resources import CLUSTER, CONFIG_MAP, ISSUER, LEASE, NAMESPACE, POD, SECRET
from pgaas.operations import deploy as deploy_module
from pgaas.operations.create import Choices, Created, create
from pgaas.operations.progress import Silent

OBJECT = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "rendered"}, "data": {"key": "new"}}


def creating(world: World, timeout: float = 5.0, **choices: Any) -> Created:
    return create(world.root, TARGET, Choices(timeout=timeout, **choices), Silent())


def released(world: World, status: str = "deployed", age: str = "1") -> None:
    """Leave Helm's record and its one object."""
    world.rendered = yaml.safe_dump(OBJECT)
    packed = base64.b64encode(gzip.compress(json.dumps({"manifest": world.rendered}).encode()))
    labels = {"owner": "helm", "name": NAME, "status": status, "version": "1", "modifiedAt": age}
    metadata = {"name": f"sh.helm.release.v1.{NAME}.v1", "namespace": SPACE, "labels": labels}
    data = {"release": base64.b64encode(packed).decode()}
    world.server.put(SECRET, {"metadata": metadata, "data": data})


def live_object(world: World, value: str) -> None:
    """Put the rendered object into the API server, as Helm applied it."""
    metadata = {
        "name": "rendered",
        "namespace": SPACE,
        "labels": {"app.kubernetes.io/managed-by": "Helm"},
        "annotations": {"meta.helm.sh/release-name": NAME, "meta.helm.sh/release-namespace": SPACE},
    }
    world.server.put(CONFIG_MAP, {"metadata": metadata, "data": {"key": value}})


def existing(world: World, value: str = "new") -> None:
    """Leave a healthy cluster whose one rendered object has this value."""
    creating(world)
    released(world)
    live_object(world, value)
    world.commands.clear()
    world.server.asked.clear()


def test_what_a_cluster_refers_to_goes_ahead_of_it_as_helm_would_apply_it(world: World) -> None:
    issuer = {"apiVersion": "cert-manager.io/v1", "kind": "Issuer", "metadata": {"name": "ahead"}, "spec": {}}
    cluster = {"apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": {"name": "later"}}
    world.rendered = yaml.safe_dump_all([issuer, cluster])
    creating(world)
    [sent] = [asked for asked in world.server.writes() if asked.path == path_of(ISSUER, SPACE, "ahead")]
    assert (sent.method, sent.query["fieldManager"]) == ("PATCH", "helm")
    assert sent.query.get("force", "false") == "false"
    body = sent.body if isinstance(sent.body, dict) else json.loads(sent.body)
    assert body["metadata"]["annotations"]["meta.helm.sh/release-name"] == NAME
    assert body["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm"
    assert not any(asked.path == path_of(CLUSTER, SPACE, "later") for asked in world.server.writes())
    assert world.ran() == ["template", "sync"]


def test_a_first_creation_ends_healthy(world: World) -> None:
    done = creating(world)
    assert world.ran() == ["template", "sync"]
    assert done.changed is True
    assert done.health is not None
    assert all(item.ok for item in done.health.items)
    assert done.values_file.is_file()
    namespace = world.server.objects[path_of(NAMESPACE, None, SPACE)]
    assert namespace["metadata"]["annotations"] == {MADE_BY: "pgaas"}
    assert namespace["metadata"]["labels"]["pgaas.io/ins"] == "ic1"


def test_the_only_write_of_pgaas_itself_is_the_namespace(world: World) -> None:
    creating(world)
    assert [(asked.method, asked.path) for asked in world.server.writes()] == [
        ("PATCH", path_of(NAMESPACE, None, SPACE))
    ]


def test_a_second_creation_changes_nothing(world: World) -> None:
    existing(world)
    done = creating(world)
    assert (done.changed, done.changes) == (False, ())
    assert world.ran() == ["template"]
    writes = [asked for asked in world.server.writes() if f"/{LEASE.plural}" not in asked.path]
    assert all(asked.query.get("dryRun") == "All" for asked in writes)


def test_a_change_is_synced_and_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgaas.operations.create.SETTLE_SECONDS", 0.0)
    existing(world, "old")
    done = creating(world)
    assert world.ran() == ["template", "sync"]
    assert [(change.name, change.action) for change in done.changes] == [("rendered", "changed")]


def test_a_new_image_must_run_before_it_is_done(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgaas.operations.create.SETTLE_SECONDS", 0.0)
    existing(world)
    world.put(POD, f"{NAME}-1", **pod("postgresql:17-old"))
    with pytest.raises(TimedOut, match="rollout: under way"):
        creating(world, timeout=0.0)
    world.put(POD, f"{NAME}-1", **pod(world.subject.image))
    assert creating(world).health is not None


def test_a_conflict_stops_before_helm_meets_it(world: World) -> None:

    existing(world, "old")
    path = path_of(CONFIG_MAP, SPACE, "rendered")
    world.server.answers[f"PATCH {path}"] = lambda request: (
        httpx2.Response(200, json=world.server.objects[path])
        if request.url.params.get("force") == "true"
        else failure(409, "Conflict", 'conflict with "kubectl-patch": .data.key')
    )
    with pytest.raises(KubernetesConflict, match=r"rendered: .*kubectl-patch"):
        creating(world)
    assert world.ran() == ["template"]


@pytest.mark.parametrize("status", ["failed", "pending-install", "pending-upgrade"])
def test_a_release_that_was_left_halfway_is_synced_without_comparing(
    world: World, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgaas.operations.create.SETTLE_SECONDS", 0.0)
    existing(world)
    released(world, status)
    creating(world)
    assert world.ran() == ["sync"]


def test_a_dry_run_of_a_first_creation_shows_all_as_new_and_makes_nothing(world: World) -> None:
    world.rendered = yaml.safe_dump(OBJECT)
    done = creating(world, dry_run=True)
    assert [(change.name, change.action) for change in done.changes] == [("rendered", "new")]
    assert world.server.writes() == []
    assert not namespace_exists(world)
    assert not any("/configmaps/" in asked.path for asked in world.server.asked)
    assert {method for method, _, _ in world.s3.asked} <= {"HEAD", "GET"}
    assert world.ran() == ["template"]


def test_a_dry_run_of_a_change(world: World) -> None:
    existing(world, "old")
    done = creating(world, dry_run=True)
    [change] = done.changes
    assert "-  key: old" in change.lines
    assert "+  key: new" in change.lines
    assert world.ran() == ["template"]
    assert all(asked.query.get("dryRun") == "All" for asked in world.server.writes())


def test_not_waiting(world: World) -> None:
    assert creating(world, wait=False).health is None


def test_helm_that_fails_says_what_to_run_next(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ToolFailed("helmfile sync ended with 1", where="helmfile sync")

    monkeypatch.setattr(deploy_module, "run", fail)
    with pytest.raises(ToolFailed) as caught:
        creating(world)
    assert "pgaas create --ins ic1 --env local --dc local1" in caught.value.next_step


def test_ctrl_c_says_what_to_run_next(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(deploy_module, "run", interrupt)
    with pytest.raises(KeyboardInterrupt, match="pgaas create --ins ic1 --env local --dc local1 takes up"):
        creating(world)


def test_an_archive_in_the_way_needs_the_next_generation(world: World) -> None:
    for name in (NAME, f"{NAME}-g2"):
        world.s3.objects[f"ic1-local-local1-backup/{name}/wals/x"] = b"1"
    with pytest.raises(RefusedAsUnsafe, match="former cluster") as caught:
        creating(world)
    assert "--next-generation" in caught.value.next_step
    assert world.commands == []
    assert not namespace_exists(world)
    creating(world, next_generation=True)
    assert world.subject.server_name == f"{NAME}-g3"
    assert f"{NAME}: 3" in (world.root / "confs/admin/local/clients.yaml").read_text()


def test_the_next_generation_is_not_taken_without_need(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgaas.operations.create.SETTLE_SECONDS", 0.0)
    before = (world.root / "confs/admin/local/clients.yaml").read_bytes()
    creating(world, next_generation=True)
    world.s3.objects[f"ic1-local-local1-backup/{NAME}/wals/x"] = b"1"
    creating(world, next_generation=True)
    assert (world.root / "confs/admin/local/clients.yaml").read_bytes() == before


@pytest.mark.parametrize(
    "choices", [{"dry_run": True, "next_generation": True}, {"skip_checks": ("live cluster",)}]
)
def test_what_cannot_be_asked_for(world: World, choices: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        creating(world, **choices)
    assert world.server.asked == []

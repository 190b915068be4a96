"""Delete: nobody's by accident, everything that pgaas made, never the archive; and resumed after a kill."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.unit.kube.fakes import Asked, path_of
from tests.unit.operations.test_create_with_fakes import released
from tests.unit.operations.worlds import NAME, SPACE, TARGET, World, namespace_exists

from pgaas.errors import RefusedAsUnsafe, UsageError
from pgaas.kube.namespace import MADE_BY
from pgaas.kube.resources import BACKUP, CLUSTER, CONFIG_MAP, LEASE, NAMESPACE, SECRET
from pgaas.operations import delete as module
from pgaas.operations import removal
from pgaas.operations.backup import PURPOSE
from pgaas.operations.delete import Deleted, Plan, check_confirmation, delete, plan_deletion
from pgaas.operations.progress import Silent

ARCHIVED = f"ic1-local-local1-backup/{NAME}/wals/x"


@pytest.fixture
def living(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a world with a healthy, archived cluster in a namespace that pgaas made."""
    monkeypatch.setattr(removal, "REST_SECONDS", 0.0)
    monkeypatch.setattr(module, "checkpoint", lambda *_: True)
    world.deploy()
    released(world)
    world.server.put(NAMESPACE, {"metadata": {"name": SPACE, "annotations": {MADE_BY: "pgaas"}}})
    world.s3.objects[ARCHIVED] = b"123"
    return world


def plan(world: World) -> Plan:
    return plan_deletion(world.root, TARGET)


def deleting(world: World, *, skip: bool = True) -> Deleted:
    return delete(plan(world), skip_final_backup=skip, timeout=3.0, progress=Silent())


def completing(world: World, phase: str) -> None:
    """Let every new Backup end like this at once."""

    def answer(request: Any) -> Any:
        body = json.loads(request.content)
        world.server.put(
            BACKUP, {**body, "status": {"phase": phase, "error": "boom" if phase == "failed" else ""}}
        )
        return httpx2.Response(201, json=body)

    world.server.answers[f"POST {path_of(BACKUP, SPACE)}"] = answer


def posted(world: World) -> list[Asked]:
    """Return the requests that made something, other than the Lease that keeps others out."""
    return [
        asked
        for asked in world.server.writes()
        if asked.method == "POST" and not asked.path.endswith(f"/{LEASE.plural}")
    ]


def test_the_plan_changes_nothing_and_says_what_stays(living: World) -> None:
    shown = plan(living)
    assert living.server.writes() == []
    assert living.commands == []
    assert any("Cluster local-ic1-local1" in line for line in shown.goes)
    assert shown.usage is not None
    assert (shown.usage.objects, shown.usage.bytes) == (1, 3)


@pytest.mark.parametrize("typed", [None, "", "local-ic1", f"{NAME}x", NAME.upper()])
def test_only_the_exact_name_confirms(living: World, typed: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        check_confirmation(plan(living), typed)
    assert NAME in caught.value.next_step
    check_confirmation(plan(living), f"{NAME}\n")


def test_everything_goes_but_the_archive_and_the_generation_is_raised(living: World) -> None:
    done = deleting(living)
    assert living.ran() == ["uninstall"]
    assert not living.has_cluster()
    assert not namespace_exists(living)
    assert list(living.s3.objects) == [ARCHIVED]
    assert done.generation == 2
    assert living.subject.server_name == f"{NAME}-g2"
    assert [path for path in living.server.objects if f"/{SPACE}/" in path] == []
    assert "Backup/first" in done.removed.objects


def test_a_second_deletion_raises_nothing_further(living: World) -> None:
    assert deleting(living).was_there is True
    done = deleting(living)
    assert (done.generation, living.subject.server_name) == (0, f"{NAME}-g2")
    assert done.was_there is False
    assert living.ran() == ["uninstall"]


def test_a_cluster_that_helm_left_behind_is_deleted_all_the_same(living: World) -> None:
    for path in [path for path in living.server.objects if "helm.release" in path]:
        del living.server.objects[path]

    def collect(_: Any) -> httpx2.Response:
        # As the garbage collector does once the Cluster is gone.
        living.uninstall()
        return httpx2.Response(200, json={})

    living.server.answers[f"DELETE {path_of(CLUSTER, SPACE, NAME)}"] = collect
    deleting(living)
    assert living.commands == []
    assert not living.has_cluster()


def test_secrets_of_cert_manager_go_too(living: World) -> None:
    name = living.subject.values.certificates.server.name
    living.uninstall()
    living.put(SECRET, name)
    done = deleting(living)
    assert f"Secret/{name}" in done.removed.objects


def test_what_is_left_of_a_cluster_was_there(living: World) -> None:
    """An interrupted deletion leaves the namespace, or only objects in one that stays."""
    living.uninstall()
    living.server.objects.pop(path_of(BACKUP, SPACE, "first"))
    assert deleting(living).was_there is True
    living.server.put(NAMESPACE, {"metadata": {"name": SPACE}})
    living.backup("last", "completed")
    assert deleting(living).was_there is True
    assert deleting(living).was_there is False


def test_a_namespace_with_something_foreign_in_it_stays(living: World) -> None:
    living.uninstall()
    living.server.put(CONFIG_MAP, {"metadata": {"name": "theirs", "namespace": SPACE}})
    done = deleting(living)
    assert (done.namespace_removed, done.namespace_kept) == (False, ("ConfigMap/theirs",))
    assert namespace_exists(living)


def test_a_namespace_that_pgaas_did_not_make_stays(living: World) -> None:
    living.server.put(NAMESPACE, {"metadata": {"name": SPACE}})
    assert deleting(living).namespace_removed is False
    assert namespace_exists(living)
    assert not any(f"/{LEASE.plural}/" in path for path in living.server.objects)


def test_the_final_backup_comes_first(living: World) -> None:
    completing(living, "completed")
    done = deleting(living, skip=False)
    [asked] = posted(living)
    assert asked.query["fieldManager"] == "pgaas"
    assert asked.body["metadata"]["name"] == done.final_backup
    assert asked.body["metadata"]["labels"][PURPOSE] == "final"
    assert asked.body["spec"]["method"] == "plugin"
    # On a standby a backup counts as complete before the WAL that it needs is archived.
    assert asked.body["spec"]["target"] == "primary"
    assert not living.has_cluster()


def test_a_final_backup_that_fails_deletes_nothing(living: World) -> None:
    completing(living, "failed")
    with pytest.raises(RefusedAsUnsafe, match="nothing was deleted: failed: boom"):
        deleting(living, skip=False)
    assert living.has_cluster()
    assert living.commands == []
    assert living.subject.server_name == NAME


def test_an_interrupted_deletions_backup_is_taken_up(living: World) -> None:
    living.backup("begun", "running", metadata={"labels": {PURPOSE: "final"}})
    path = path_of(BACKUP, SPACE, "begun")

    def answer(_: Any) -> Any:
        living.server.objects[path]["status"]["phase"] = "completed"
        return httpx2.Response(200, json=living.server.objects[path])

    living.server.answers[f"GET {path}"] = answer
    assert deleting(living, skip=False).final_backup == "begun"
    assert posted(living) == []


@pytest.mark.parametrize("status", [{"phase": "Failing over"}, {"conditions": []}])
def test_a_cluster_that_is_not_well_is_not_deleted_without_a_backup(
    living: World, status: dict[str, Any]
) -> None:
    living.cluster()["status"].update(status)
    with pytest.raises(RefusedAsUnsafe) as caught:
        deleting(living, skip=False)
    assert "--skip-final-backup" in caught.value.next_step
    assert living.has_cluster()


def test_ctrl_c_says_how_to_go_on(living: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(removal, "run", interrupt)
    with pytest.raises(
        KeyboardInterrupt, match=r"pgaas delete --ins ic1 --env local --dc local1 .*finishes it"
    ):
        deleting(living)


def test_helm_goes_where_pgaas_looked_though_the_kubeconfigs_current_context_moves(living: World) -> None:
    living.edit("admin/local/datacenters.yaml", "kubeContext: cluster1", "kubeContext: null")
    shown = plan(living)
    kubeconfig = Path(os.environ["KUBECONFIG"])
    kubeconfig.write_text(kubeconfig.read_text().replace("current-context: fake", "current-context: other"))
    delete(shown, skip_final_backup=True, timeout=3.0, progress=Silent())
    [uninstall] = living.commands
    assert uninstall[uninstall.index("--kube-context") + 1] == "fake"


def test_s3_that_does_not_answer_is_said_and_the_archive_counts_as_used(living: World) -> None:
    living.s3.refuse["GET"] = (403, "AccessDenied")
    shown = plan(living)
    assert shown.usage is None
    assert any("S3 could not be looked at" in doubt for doubt in shown.doubts)
    assert deleting(living).generation == 2

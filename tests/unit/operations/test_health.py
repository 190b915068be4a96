"""What must be true of a healthy cluster, judged from objects alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.operations.worlds import NAME, SPACE, World

from pgaas.kube.resources import CERTIFICATE, DATABASE, OBJECT_STORE
from pgaas.kube.snapshot import INVALID, UNRECOVERABLE, take_snapshot
from pgaas.kube.wait import Seen
from pgaas.operations.health import expected_of, judge


def seen(world: World) -> Seen:
    return judge(take_snapshot(world.subject.api(), NAME, SPACE), expected_of(world.subject))


def missing(world: World) -> dict[str, str]:
    return {item.name: item.detail for item in seen(world).missing}


def objects(world: World, kind: str) -> list[dict[str, Any]]:
    return [obj for path, obj in world.server.objects.items() if f"/{kind}/" in path]


def test_a_cluster_that_has_everything_is_done(world: World) -> None:
    world.deploy()
    found = seen(world)
    assert found.done
    assert {item.name for item in found.items} >= {
        "cluster",
        "instances",
        "certificate server",
        "certificate client-ca",
        "certificate client-app-user",
        "role pgadmin_readonly",
        "database app_db",
        "WAL archive",
        "base backup",
    }


def test_no_cluster(world: World) -> None:
    assert missing(world) == {"cluster": "not created"}


def scale(cluster: dict[str, Any]) -> None:
    cluster["status"]["readyInstances"] = 0


def not_ready(cluster: dict[str, Any]) -> None:
    cluster["status"]["conditions"][0]["status"] = "False"


def no_archive(cluster: dict[str, Any]) -> None:
    cluster["status"]["conditions"].pop(1)


def failing_archive(cluster: dict[str, Any]) -> None:
    cluster["status"]["conditions"][1] |= {"status": "False", "message": "no space"}


def busy(cluster: dict[str, Any]) -> None:
    cluster["status"] |= {"phase": "Creating a new replica", "phaseReason": "x-2"}


def lose_role(cluster: dict[str, Any]) -> None:
    cluster["status"]["managedRolesStatus"]["byStatus"]["reconciled"].remove("app_user")


def bad_role(cluster: dict[str, Any]) -> None:
    lose_role(cluster)
    cluster["status"]["managedRolesStatus"]["cannotReconcile"] = {"app_user": ["owns objects"]}


def annotate(name: str, value: str) -> Callable[[dict[str, Any]], None]:
    def change(cluster: dict[str, Any]) -> None:
        cluster["metadata"]["annotations"] = {f"cnpg.io/{name}": value}

    return change


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("reconciliationLoop", "disabled", "the operator does not look after it"),
        ("hibernation", "on", "hibernated"),
        ("fencedInstances", '["*"]', 'fenced: ["*"]'),
        ("fencedInstances", f'["{NAME}-1"]', "fenced"),
    ],
)
def test_a_cluster_that_is_held_back_is_not_healthy_whatever_its_status_still_says(
    world: World, name: str, value: str, says: str
) -> None:
    world.deploy()
    annotate(name, value)(world.cluster())
    assert says in missing(world)["cluster"]
    assert says in seen(world).hopeless


@pytest.mark.parametrize(
    ("name", "value"), [("reconciliationLoop", "enabled"), ("hibernation", "off"), ("fencedInstances", "[]")]
)
def test_a_cluster_that_is_held_back_no_more(world: World, name: str, value: str) -> None:
    world.deploy()
    annotate(name, value)(world.cluster())
    assert seen(world).done
    assert not seen(world).hopeless


@pytest.mark.parametrize(
    ("change", "name", "says"),
    [
        (scale, "instances", "0 ready of 1"),
        (not_ready, "cluster", "not Ready yet"),
        (busy, "cluster", "Creating a new replica (x-2)"),
        (no_archive, "WAL archive", "no WAL archived yet"),
        (failing_archive, "WAL archive", "no space"),
        (lose_role, "role app_user", "not reconciled yet"),
        (bad_role, "role app_user", "owns objects"),
    ],
)
def test_each_thing_that_the_cluster_lacks(
    world: World, change: Callable[[dict[str, Any]], None], name: str, says: str
) -> None:
    world.deploy()
    change(world.cluster())
    found = missing(world)
    assert list(found) == [name]
    assert says in found[name]


def test_an_instance_count_that_confs_no_longer_say(world: World) -> None:
    world.deploy()
    world.edit("admin/local/postgresql.yaml", "instances: 1", "instances: 2")
    assert missing(world) == {"instances": "1 ready of 1, but confs say 2"}


def test_databases_count_only_in_their_current_generation(world: World) -> None:
    world.deploy()
    [first, second] = objects(world, DATABASE.plural)
    first["metadata"]["generation"] = 2
    second["status"] = {"applied": False, "observedGeneration": 1, "message": "no such role"}
    found = missing(world)
    assert sorted(found.values()) == ["no such role", "not applied yet"]


def test_certificates(world: World) -> None:
    world.deploy()
    [first, *_] = objects(world, CERTIFICATE.plural)
    first["status"]["conditions"] = [{"type": "Ready", "status": "False", "message": "no issuer"}]
    assert list(missing(world).values()) == ["no issuer"]


def test_a_certificate_is_ready_only_if_cert_manager_has_seen_it_as_it_is_now(world: World) -> None:
    world.deploy()
    [first, *_] = objects(world, CERTIFICATE.plural)
    first["metadata"]["generation"] = 2
    [ready] = first["status"]["conditions"]
    ready["observedGeneration"] = 1
    assert list(missing(world).values()) == ["cert-manager has not seen its last change yet"]
    ready["observedGeneration"] = 2
    assert missing(world) == {}


@pytest.mark.parametrize(
    ("phases", "window", "detail"),
    [
        ([], {}, "none started yet"),
        (["running"], {}, "running"),
        (["failed"], {}, "failed: boom"),
        (["completed"], {}, None),
        ([], {"lastSuccessfulBackupTime": "x"}, None),
        (["completed", "failed"], {}, "the last one, b1, failed: boom"),
        (["failed", "completed"], {}, None),
        (["completed", "running"], {}, None),
    ],
)
def test_the_base_backup(world: World, phases: list[str], window: dict[str, str], detail: str | None) -> None:
    world.deploy()
    for path in [path for path in world.server.objects if "/backups/" in path]:
        del world.server.objects[path]
    servers = {world.subject.server_name: window} if window else {}
    world.put(OBJECT_STORE, "store", status={"serverRecoveryWindow": servers})
    for number, phase in enumerate(phases):
        status = {"error": "boom"} if phase == "failed" else {}
        world.backup(f"b{number}", phase, at=f"2026-01-0{number + 1}T00:00:00Z", status=status)
    assert missing(world).get("base backup") == detail


@pytest.mark.parametrize("phase", [UNRECOVERABLE, INVALID])
def test_hopeless_phases(world: World, phase: str) -> None:
    world.deploy(phase=phase, phaseReason="because")
    assert seen(world).hopeless == f"{phase}: because"


def test_a_cluster_that_is_being_deleted_is_hopeless(world: World) -> None:
    world.deploy()
    world.cluster()["metadata"]["deletionTimestamp"] = "x"
    assert seen(world).hopeless


def test_a_replica_gets_roles_and_databases_with_the_wal(world: World) -> None:
    world.deploy(managedRolesStatus={})
    assert "role app_user" in missing(world)
    world.cluster()["spec"]["replica"] = {"self": NAME, "primary": "elsewhere", "source": "elsewhere"}
    assert missing(world) == {}


def test_a_role_that_is_to_be_absent_is_not_waited_for(world: World) -> None:
    expected = expected_of(world.subject)
    assert "app_user" in expected.roles
    databases = world.root / "confs/users/ic1/local/databases.yaml"
    old = "  - name: old_user\n    ensure: absent\n"
    databases.write_text(databases.read_text().replace("roles:\n", f"roles:\n{old}"))
    assert "old_user" in {role.name for role in world.subject.values.cluster.roles}
    assert expected_of(world.subject).roles == expected.roles
    assert expected_of(world.subject).absent == ("old_user",)


@pytest.mark.parametrize(
    ("status", "detail"),
    [
        ({}, None),
        ({"byStatus": {"reconciled": ["old_user"]}}, "still there"),
        ({"byStatus": {"pending-reconciliation": ["old_user"]}}, "still there"),
        ({"byStatus": {"not-managed": ["old_user"]}}, "still there"),
        (
            {
                "byStatus": {"pending-reconciliation": ["old_user"]},
                "cannotReconcile": {"old_user": ["owns objects"]},
            },
            "still there: owns objects",
        ),
        ({"byStatus": {"not-managed": ["other"]}}, None),
    ],
)
def test_a_role_that_is_to_be_absent_may_not_stay(
    world: World, status: dict[str, Any], detail: str | None
) -> None:
    world.edit(
        "users/ic1/local/databases.yaml", "roles:\n", "roles:\n  - name: old_user\n    ensure: absent\n"
    )
    world.deploy()
    managed = world.cluster()["status"]["managedRolesStatus"]
    managed["byStatus"]["reconciled"].remove("old_user")
    reconciled = managed["byStatus"]["reconciled"] + status.get("byStatus", {}).get("reconciled", [])
    managed.update(status)
    managed["byStatus"] = {**status.get("byStatus", {}), "reconciled": reconciled}
    assert missing(world).get("role old_user") == detail

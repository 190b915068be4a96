"""Judge whether a cluster is what its configuration says: one item for each thing that must be true."""

from __future__ import annotations

from dataclasses import dataclass

from pgaas.kube.resources import Object, condition, dig, is_true, name_of
from pgaas.kube.snapshot import (
    BACKUP_DONE,
    BACKUP_FAILED,
    HEALTHY,
    INVALID,
    UNRECOVERABLE,
    Snapshot,
    is_following,
    recovery_window,
)
from pgaas.kube.wait import Item, Seen
from pgaas.operations.subject import Subject

HOPELESS_PHASES = (UNRECOVERABLE, INVALID)


@dataclass(frozen=True)
class Expected:
    """What must be there; `databases` maps a Database object's name to PostgreSQL's.

    Without `archives`, as a cluster that was restored, neither WAL in the archive nor a backup is missed.
    """

    instances: int
    roles: tuple[str, ...]
    absent: tuple[str, ...]
    databases: dict[str, str]
    certificates: tuple[str, ...]
    archives: bool = True


def expected_of(subject: Subject) -> Expected:
    """Return what the configuration asks for."""
    values = subject.values
    certificates = values.certificates
    return Expected(
        instances=values.cluster.instances,
        roles=tuple(role.name for role in values.cluster.roles if role.ensure == "present"),
        absent=tuple(role.name for role in values.cluster.roles if role.ensure == "absent"),
        databases={database.resource: database.name for database in values.databases},
        certificates=(
            certificates.server.name,
            certificates.client_ca,
            certificates.replication,
            *(client.name for client in certificates.clients),
        ),
        archives=bool(subject.server_name),
    )


def judge(snapshot: Snapshot, expected: Expected) -> Seen:
    """Return an item for the phase, the instances, each certificate, role, database, the archive, the backup.

    A cluster that follows another datacenter's is not asked for roles and databases: these come with the WAL.
    """
    cluster = snapshot.cluster
    if cluster is None:
        return Seen((Item("cluster", False, "not created"),))
    if snapshot.deleting:
        return Seen((Item("cluster", False, "being deleted"),), hopeless="the cluster is being deleted")
    items = [_phase(snapshot), _instances(cluster, expected)]
    items += [_certificate(snapshot, name) for name in expected.certificates]
    if not is_following(cluster):
        items += [_role(cluster, role) for role in expected.roles]
        items += [_absent_role(cluster, role) for role in expected.absent]
        items += [_database(snapshot, resource, name) for resource, name in expected.databases.items()]
    items += [_archive(snapshot), _first_backup(snapshot)] if expected.archives else []
    hopeless = held_back(cluster)
    if snapshot.phase in HOPELESS_PHASES:
        hopeless = f"{snapshot.phase}: {dig(cluster, 'status', 'phaseReason', default='no reason given')}"
    return Seen(tuple(items), hopeless)


def judge_alone(cluster: Object, expected: Expected) -> list[Item]:
    """Return the items that a Cluster tells by itself: phase, instances, roles, the archive."""
    snapshot = Snapshot(name_of(cluster), "", cluster, [], [], [], [])
    items = [_phase(snapshot), _instances(cluster, expected)]
    if not is_following(cluster):
        items += [_role(cluster, role) for role in expected.roles]
        items += [_absent_role(cluster, role) for role in expected.absent]
    return [*items, _archive(snapshot)] if expected.archives else items


def held_back(cluster: Object) -> str:
    """Say what somebody has set that keeps a cluster from its work, or return an empty string.

    Its status may stay as it was before: a healthy phase counts for nothing then.
    """
    annotations = dig(cluster, "metadata", "annotations", default={})
    fenced = annotations.get("cnpg.io/fencedInstances", "")
    if annotations.get("cnpg.io/reconciliationLoop") == "disabled":
        return "the operator does not look after it: annotation cnpg.io/reconciliationLoop is disabled"
    if annotations.get("cnpg.io/hibernation") == "on":
        return "hibernated: annotation cnpg.io/hibernation is on"
    if "".join(fenced.split()) not in ("", "[]"):
        return f"fenced: {fenced} in annotation cnpg.io/fencedInstances"
    return ""


def _phase(snapshot: Snapshot) -> Item:
    held = held_back(snapshot.cluster or {})
    if held:
        return Item("cluster", False, held)
    reason = dig(snapshot.cluster, "status", "phaseReason", default="")
    ready = snapshot.condition("Ready").get("status") == "True"
    text = snapshot.phase or "accepted"
    if reason and snapshot.phase != HEALTHY:
        text = f"{text} ({reason})"
    if snapshot.phase == HEALTHY and not ready:
        text = "healthy by its phase, but not Ready yet"
    return Item("cluster", snapshot.phase == HEALTHY and ready, text)


def _instances(cluster: Object, expected: Expected) -> Item:
    ready = dig(cluster, "status", "readyInstances", default=0)
    asked = dig(cluster, "spec", "instances", default=0)
    ok = ready == asked == expected.instances == dig(cluster, "status", "instances", default=0)
    wanted = (
        expected.instances if asked == expected.instances else f"{asked}, but confs say {expected.instances}"
    )
    return Item("instances", ok, f"{ready} ready of {wanted}")


def _certificate(snapshot: Snapshot, name: str) -> Item:
    found = next((entry for entry in snapshot.certificates if name_of(entry) == name), None)
    name = name.removeprefix(f"{snapshot.name}-")
    if found is None:
        return Item(f"certificate {name}", False, "not there yet")
    entry = condition(found, "Ready")
    generation = dig(found, "metadata", "generation", default=0)
    if entry.get("observedGeneration", generation) < generation:
        return Item(f"certificate {name}", False, "cert-manager has not seen its last change yet")
    ready = is_true(found, "Ready")
    return Item(f"certificate {name}", ready, "ready" if ready else entry.get("message", "asked"))


def _role(cluster: Object, role: str) -> Item:
    status = dig(cluster, "status", "managedRolesStatus", default={})
    if role in dig(status, "byStatus", "reconciled", default=[]):
        return Item(f"role {role}", True, "reconciled")
    failures = dig(status, "cannotReconcile", role, default=[])
    return Item(f"role {role}", False, "; ".join(failures) or "not reconciled yet")


def _absent_role(cluster: Object, role: str) -> Item:
    """Judge a role that is to go: the operator lists it for as long as PostgreSQL has it."""
    status = dig(cluster, "status", "managedRolesStatus", default={})
    there = any(role in names for names in dig(status, "byStatus", default={}).values())
    failures = dig(status, "cannotReconcile", role, default=[])
    detail = ": ".join(["still there", *(["; ".join(failures)] if failures else [])])
    return Item(f"role {role}", not there, detail if there else "absent")


def _database(snapshot: Snapshot, resource: str, name: str) -> Item:
    found = next((entry for entry in snapshot.databases if name_of(entry) == resource), None)
    if found is None:
        return Item(f"database {name}", False, "not there yet")
    current = dig(found, "status", "observedGeneration") == dig(found, "metadata", "generation")
    applied = bool(dig(found, "status", "applied", default=False)) and current
    message = dig(found, "status", "message", default="") if current else ""
    return Item(f"database {name}", applied, "applied" if applied else message or "not applied yet")


def _archive(snapshot: Snapshot) -> Item:
    entry = snapshot.condition("ContinuousArchiving")
    ok = entry.get("status") == "True"
    waiting = entry.get("message", "") if entry.get("status") == "False" else "no WAL archived yet"
    return Item("WAL archive", ok, "archiving" if ok else waiting)


def _first_backup(snapshot: Snapshot) -> Item:
    phases = [dig(backup, "status", "phase", default="pending") for backup in snapshot.backups]
    newest = snapshot.backups[-1] if snapshot.backups else {}
    error = dig(newest, "status", "error", default="")
    done = BACKUP_DONE in phases or recovery_window(snapshot).get("lastSuccessfulBackupTime")
    if done and phases and phases[-1] in BACKUP_FAILED:
        return Item("base backup", False, f"the last one, {name_of(newest)}, failed: {error or phases[-1]}")
    if done:
        return Item("base backup", True, "completed")
    if not phases:
        return Item("base backup", False, "none started yet")
    return Item("base backup", False, f"{phases[-1]}{f': {error}' if error else ''}")

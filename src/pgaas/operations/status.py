"""Look at a cluster once: everything that tells whether it is well."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pgaas.config.naming import Target
from pgaas.kube.client import Api
from pgaas.kube.resources import dig
from pgaas.kube.snapshot import (
    Snapshot,
    is_following,
    major_of,
    recovery_window,
    server_name,
    take_snapshot,
    users_revision,
)
from pgaas.operations import status_parts
from pgaas.operations.health import expected_of, judge
from pgaas.operations.preflight_live import unchanged_identity
from pgaas.operations.status_parts import Certificate, Database, Instance, Pgadmin, Role, Service
from pgaas.operations.subject import Subject, load_subject


@dataclass(frozen=True)
class Archive:
    """The WAL archive and the backups in it; times are RFC 3339, empty if there is none."""

    bucket: str
    server_name: str
    archiving: bool
    detail: str
    last_archived_wal: str
    last_archived_at: str
    first_recoverability_point: str
    last_backup: str
    last_failed_backup: str
    next_backup: str


@dataclass(frozen=True)
class Status:
    """One look at a cluster. `-o json` prints this shape: fields are added, never renamed or removed.

    `problems` say in words why the cluster is not healthy; `notes` are no problem, but worth knowing. `role`
    is primary, or replica for a cluster that follows another datacenter's. `pgadmin` is None where the
    client is to have none. `users_revision` is the commit of the clients' repository that it was deployed
    from, empty if that was not recorded.
    """

    cluster: str
    namespace: str
    context: str
    datacenter: str
    created: bool
    healthy: bool
    problems: list[str]
    notes: list[str]
    phase: str
    phase_reason: str
    role: str
    primary: str
    timeline: int
    major: int
    image: str
    instances_wanted: int
    instances_ready: int
    instances: list[Instance]
    roles: list[Role]
    databases: list[Database]
    archive: Archive
    certificates: list[Certificate]
    services: list[Service]
    pgadmin: Pgadmin | None
    users_revision: str


def status(root: Path, target: Target) -> Status:
    """Return how the cluster is; one that does not exist has `created` false and says so in `problems`.

    Raise ConfigError or KubernetesError if it cannot be looked at.
    """
    subject = load_subject(root, target)
    api = subject.api()
    snapshot = take_snapshot(api, subject.cluster, subject.namespace, everything=True)
    return status_of(subject, api, snapshot, datetime.now(UTC))


def status_of(subject: Subject, api: Api, snapshot: Snapshot, now: datetime) -> Status:
    """Return the status that one look shows."""
    seen = judge(snapshot, expected_of(subject))
    cluster = snapshot.cluster
    reports = status_parts.instance_reports(api, snapshot) if cluster else {}
    certificates = status_parts.certificates(snapshot, now)
    problems = [f"{item.name}: {item.detail}" for item in seen.missing]
    problems += [f"certificate {each.name} has expired" for each in certificates if each.days_left < 0]
    if cluster and (trouble := status_parts.backup_trouble(snapshot.scheduled, now)):
        problems.append(f"base backup: {trouble}")
    instances = status_parts.instances(snapshot, reports)
    if cluster and not any(item.name in ("cluster", "instances") for item in seen.missing):
        problems += status_parts.instance_troubles(instances, subject.values.cluster.instances)
    drifts = _drifts(subject, snapshot)
    problems += [text for name, text in drifts if name == "primary"]
    return Status(
        cluster=subject.cluster,
        namespace=subject.namespace,
        context=api.context,
        datacenter=subject.target.dc,
        created=cluster is not None,
        healthy=not problems,
        problems=problems,
        notes=[*_notes(subject, snapshot, instances), *(text for name, text in drifts if name != "primary")],
        phase=snapshot.phase,
        phase_reason=dig(cluster, "status", "phaseReason", default=""),
        role="replica" if is_following(cluster) else "primary",
        primary=dig(cluster, "status", "currentPrimary", default=""),
        timeline=dig(cluster, "status", "timelineID", default=0),
        major=major_of(cluster),
        image=dig(cluster, "status", "image", default=""),
        instances_wanted=subject.values.cluster.instances,
        instances_ready=dig(cluster, "status", "readyInstances", default=0),
        instances=instances,
        roles=status_parts.roles(snapshot, [role.name for role in subject.values.cluster.roles]),
        databases=status_parts.databases(snapshot),
        archive=_archive(subject, snapshot, reports),
        certificates=certificates,
        services=status_parts.services(snapshot),
        pgadmin=_pgadmin(subject, api),
        users_revision=users_revision(cluster),
    )


def _pgadmin(subject: Subject, api: Api) -> Pgadmin | None:
    values = subject.values.pgadmin4
    return status_parts.pgadmin(api, values.name, values.namespace) if values.enabled else None


def _archive(subject: Subject, snapshot: Snapshot, reports: status_parts.Reports) -> Archive:
    entry = snapshot.condition("ContinuousArchiving")
    window = recovery_window(snapshot)
    report = reports.get(dig(snapshot.cluster, "status", "currentPrimary", default=""), {})
    return Archive(
        bucket=str(subject.place),
        server_name=server_name(snapshot.cluster),
        archiving=entry.get("status") == "True",
        detail=entry.get("message", ""),
        last_archived_wal=str(report.get("lastArchivedWAL", "")),
        last_archived_at=str(report.get("lastArchivedWALTime", "")),
        first_recoverability_point=window.get("firstRecoverabilityPoint", ""),
        last_backup=window.get("lastSuccessfulBackupTime", ""),
        last_failed_backup=window.get("lastFailedBackupTime", ""),
        next_backup=dig(snapshot.scheduled, "status", "nextScheduleTime", default=""),
    )


def _drifts(subject: Subject, snapshot: Snapshot) -> list[tuple[str, str]]:
    """Return where the live cluster's identity is another than confs say: a name, and what to know."""
    if snapshot.cluster is None or snapshot.deleting:
        return []
    rows = unchanged_identity(subject, snapshot.cluster)
    return [(row.name, f"{row.name}: {row.detail}") for row in rows if row.state == "failed"]


def _notes(subject: Subject, snapshot: Snapshot, instances: list[Instance]) -> list[str]:
    notes = []
    old = [instance.name for instance in instances if instance.image != subject.image]
    if snapshot.cluster and old:
        notes.append(
            f"{', '.join(old)} {'does' if len(old) == 1 else 'do'} not run {subject.image}: "
            f"{subject.command('upgrade')}"
        )
    if snapshot.cluster and subject.values.cluster.instances == 1:
        notes.append("one instance: the ro Services have no endpoints")
    return notes

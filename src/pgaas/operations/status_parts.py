"""The parts of a cluster's status, each read from the objects that tell about it."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pgaas.errors import KubernetesError, KubernetesForbidden
from pgaas.kube.client import Api
from pgaas.kube.resources import DEPLOYMENT, SERVICE, Object, condition, dig, is_true, name_of
from pgaas.kube.snapshot import Snapshot
from pgaas.kube.workloads import look_at

Reports = dict[str, dict[str, Any]]
# The operator starts a backup within a minute of its time, unless it is down or another backup is running.
BACKUP_LATE = timedelta(hours=1)


@dataclass(frozen=True)
class Instance:
    """One instance; role is primary or replica, `lsn` the last position written or replayed, if known."""

    name: str
    role: str
    ready: bool
    detail: str
    node: str
    image: str
    restarts: int
    timeline: int
    lsn: str


@dataclass(frozen=True)
class Role:
    """One managed role."""

    name: str
    state: str
    detail: str


@dataclass(frozen=True)
class Database:
    """One database."""

    name: str
    owner: str
    applied: bool
    detail: str


@dataclass(frozen=True)
class Certificate:
    """One certificate; `days_left` are whole days, negative once it has expired."""

    name: str
    ready: bool
    not_after: str
    days_left: int


@dataclass(frozen=True)
class Service:
    """One Service and the addresses that it has outside Kubernetes, or its cluster IP."""

    name: str
    type: str
    addresses: list[str]
    port: int


@dataclass(frozen=True)
class Pgadmin:
    """The client's pgAdmin; it is beside the cluster, whose health does not depend on it."""

    name: str
    ready: bool
    detail: str
    addresses: list[str]


def instance_reports(api: Api, snapshot: Snapshot) -> Reports:
    """Return what each instance's manager says of itself: LSN, timeline, last archived WAL.

    It is asked through the API server's proxy; one that does not answer, or may not be asked, has none.
    """
    names = [name_of(pod) for pod in snapshot.pods if is_true(pod, "Ready") and not _is_job(pod)]

    def ask(name: str) -> dict[str, Any]:
        try:
            path = f"/api/v1/namespaces/{snapshot.namespace}/pods/https:{name}:8000/proxy/pg/status"
            return api.raw(path) or {}
        except (KubernetesError, ValueError):
            return {}

    with ThreadPoolExecutor(max(len(names), 1)) as pool:
        return dict(zip(names, pool.map(ask, names), strict=True))


def instances(snapshot: Snapshot, reports: Reports) -> list[Instance]:
    """Return the instances, the primary first."""
    primary = dig(snapshot.cluster, "status", "currentPrimary", default="")
    reported = dig(snapshot.cluster, "status", "instancesReportedState", default={})
    found = []
    for pod in snapshot.pods:
        if _is_job(pod):
            continue
        name = name_of(pod)
        containers = dig(pod, "spec", "containers", default=[])
        statuses = dig(pod, "status", "containerStatuses", default=[])
        statuses = statuses + dig(pod, "status", "initContainerStatuses", default=[])
        report = reports.get(name, {})
        ready = is_true(pod, "Ready") and not dig(pod, "metadata", "deletionTimestamp")
        found.append(
            Instance(
                name=name,
                role="primary" if name == primary else "replica",
                ready=ready,
                detail="" if ready else _why_not_ready(pod),
                node=dig(pod, "spec", "nodeName", default=""),
                image=next((part["image"] for part in containers if part["name"] == "postgres"), ""),
                restarts=sum(int(status.get("restartCount", 0)) for status in statuses),
                timeline=int(report.get("timeLineID") or dig(reported, name, "timeLineID", default=0)),
                lsn=str(
                    report.get("currentLsn") or report.get("replayLsn") or report.get("receivedLsn") or ""
                ),
            )
        )
    return sorted(found, key=lambda instance: (instance.role != "primary", instance.name))


def instance_troubles(found: list[Instance], wanted: int) -> list[str]:
    """Return which instances are down: the Cluster's own status is old when its operator is down too."""
    down = [each for each in found if not each.ready]
    troubles = [f"instances: {each.name} is not ready: {each.detail}".rstrip(": ") for each in down]
    if not down and len(found) < wanted:
        troubles.append(f"instances: {len(found)} pods of {wanted}")
    return troubles


def roles(snapshot: Snapshot, wanted: Iterable[str]) -> list[Role]:
    """Return each wanted role with the state that the operator gives it."""
    managed = dig(snapshot.cluster, "status", "managedRolesStatus", default={})
    states = {role: state for state, names in dig(managed, "byStatus", default={}).items() for role in names}
    failures = dig(managed, "cannotReconcile", default={})
    return [Role(name, states.get(name, "unknown"), "; ".join(failures.get(name, []))) for name in wanted]


def databases(snapshot: Snapshot) -> list[Database]:
    """Return the databases."""
    return [
        Database(
            name=dig(database, "spec", "name", default=""),
            owner=dig(database, "spec", "owner", default=""),
            applied=bool(dig(database, "status", "applied", default=False)),
            detail=dig(database, "status", "message", default=""),
        )
        for database in snapshot.databases
    ]


def certificates(snapshot: Snapshot, now: datetime) -> list[Certificate]:
    """Return the certificates with the days that they have left."""
    found = []
    for certificate in snapshot.certificates:
        ends = dig(certificate, "status", "notAfter", default="")
        left = (datetime.fromisoformat(ends) - now).days if ends else 0
        found.append(Certificate(name_of(certificate), is_true(certificate, "Ready"), ends, left))
    return found


def backup_trouble(scheduled: dict[str, Any] | None, now: datetime) -> str:
    """Say why no further base backup will come by itself, or return an empty string.

    The operator writes down when the next one is due, and moves that on as it starts one: a time that lies
    well in the past means that it does not.
    """
    if scheduled is None:
        return "no ScheduledBackup: nothing takes base backups"
    if dig(scheduled, "spec", "suspend", default=False):
        return "the ScheduledBackup is suspended: nothing takes base backups"
    due = dig(scheduled, "status", "nextScheduleTime", default="")
    if due and now - datetime.fromisoformat(due) > BACKUP_LATE:
        return f"a base backup was due at {due}, and none was started"
    return ""


def services(snapshot: Snapshot) -> list[Service]:
    """Return the Services."""
    found = []
    for service in snapshot.services:
        port = int(dig(service, "spec", "ports", 0, "port", default=0))
        kind = dig(service, "spec", "type", default="")
        found.append(Service(name_of(service), kind, _addresses(service), port))
    return found


def _addresses(service: Object) -> list[str]:
    ingress = dig(service, "status", "loadBalancer", "ingress", default=[])
    outside = [entry.get("hostname") or entry.get("ip", "") for entry in ingress]
    return outside or [dig(service, "spec", "clusterIP", default="")]


def pgadmin(api: Api, name: str, namespace: str) -> Pgadmin:
    """Return whether pgAdmin runs, and if not, what its pods say; a client's people may not look at it."""
    try:
        item = look_at(api, DEPLOYMENT.kind, name, namespace)
        service = api.get(SERVICE, name, namespace)
    except KubernetesForbidden:
        return Pgadmin(name, False, "not known: these credentials may not look at it", [])
    return Pgadmin(name, item.ok, item.detail, _addresses(service) if service else [])


def _is_job(pod: dict[str, Any]) -> bool:
    return dig(pod, "metadata", "labels", "cnpg.io/jobRole") is not None


def _why_not_ready(pod: dict[str, Any]) -> str:
    if dig(pod, "metadata", "deletionTimestamp"):
        return "being deleted"
    waiting = [
        dig(status, "state", "waiting", "reason")
        for status in dig(pod, "status", "containerStatuses", default=[])
    ]
    reasons = [reason for reason in waiting if reason]
    return ", ".join(reasons) or str(
        condition(pod, "Ready").get("message", dig(pod, "status", "phase", default=""))
    )

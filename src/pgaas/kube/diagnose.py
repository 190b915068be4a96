"""Say why a cluster is not healthy: events, pods, volumes, jobs, log lines, certificates, databases."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from pgaas.errors import KubernetesForbidden
from pgaas.kube.client import Api
from pgaas.kube.resources import (
    CERTIFICATE_REQUEST,
    EVENT,
    JOB,
    POD,
    VOLUME_CLAIM,
    Kind,
    Object,
    condition,
    dig,
    is_true,
    name_of,
)
from pgaas.kube.snapshot import BACKUP_FAILED, CLUSTER_LABEL, HEALTHY, Snapshot

EMPTY_ARCHIVE = "Expected empty archive"
NEWEST_EVENTS = 6
LOG_TAIL = 120
LINES_PER_CONTAINER = 2
LINE_LIMIT = 400
SEVERE = ("FATAL", "PANIC", "ERROR")


def explain_snapshot(snapshot: Snapshot) -> list[str]:
    """Return what the cluster's own objects say is wrong."""
    found: list[str] = []
    if snapshot.cluster is None:
        return [f"there is no Cluster {snapshot.namespace}/{snapshot.name}"]
    reason = dig(snapshot.cluster, "status", "phaseReason", default="")
    if snapshot.phase != HEALTHY:
        found.append(f"phase: {snapshot.phase or 'none yet'}{f' ({reason})' if reason else ''}")
    for kind in ("Ready", "ContinuousArchiving", "LastBackupSucceeded"):
        entry = snapshot.condition(kind)
        if entry.get("status") == "False":
            found.append(f"condition {kind}: {entry.get('message') or entry.get('reason')}")
    failures = dig(snapshot.cluster, "status", "managedRolesStatus", "cannotReconcile", default={})
    found += [f"role {role}: {'; '.join(reasons)}" for role, reasons in failures.items()]
    for database in snapshot.databases:
        message = dig(database, "status", "message", default="")
        if message and not dig(database, "status", "applied", default=False):
            found.append(f"database {dig(database, 'spec', 'name')}: {message}")
    for certificate in snapshot.certificates:
        if not is_true(certificate, "Ready"):
            entry = condition(certificate, "Issuing") or condition(certificate, "Ready")
            found.append(f"certificate {name_of(certificate)}: {entry.get('message', 'not issued yet')}")
    for backup in snapshot.backups[-1:]:
        if dig(backup, "status", "phase") in BACKUP_FAILED:
            error = dig(backup, "status", "error") or dig(backup, "status", "commandError", default="")
            found.append(f"backup {name_of(backup)}: {dig(backup, 'status', 'phase')}: {_short(error)}")
    return found


def explain_workloads(api: Api, name: str, namespace: str) -> list[str]:
    """Return what pods, jobs, volumes, certificate requests, events and logs say is wrong.

    What these credentials may not read is left out.
    """
    pods = _may_find(api, POD, namespace, {CLUSTER_LABEL: name})
    found = [line for pod in pods for line in pod_lines(pod)]
    for claim in _may_find(api, VOLUME_CLAIM, namespace, {CLUSTER_LABEL: name}):
        if dig(claim, "status", "phase") == "Pending":
            storage_class = dig(claim, "spec", "storageClassName", default="(default)")
            found.append(f"volume {name_of(claim)}: pending, storage class {storage_class}")
    for job in _may_find(api, JOB, namespace, {CLUSTER_LABEL: name}):
        if dig(job, "status", "failed", default=0):
            found.append(f"job {name_of(job)}: failed {dig(job, 'status', 'failed')} times")
    for request in _may_find(api, CERTIFICATE_REQUEST, namespace, {}):
        entry = condition(request, "Ready")
        if name_of(request).startswith(f"{name}-") and entry.get("reason") == "Failed":
            found.append(f"certificate request {name_of(request)}: {_short(entry.get('message', ''))}")
    found += event_lines(_may_find(api, EVENT, namespace, {}), name)
    for pod in pods:
        if not is_true(pod, "Ready"):
            found += [f"log of {line}" for line in _log_lines(api, pod, namespace)]
    return list(dict.fromkeys(found))


def archive_refused(api: Api, name: str, namespace: str) -> str:
    """Return the log line by which a bootstrap pod refuses an archive that is not empty, or an empty string.

    The Cluster's phase never says so: it stays "Setting up primary".
    """
    for pod in _may_find(api, POD, namespace, {CLUSTER_LABEL: name}):
        if dig(pod, "metadata", "labels", "cnpg.io/jobRole") is None:
            continue
        for container in _containers(pod):
            for line in reversed(api.logs(name_of(pod), container, namespace, tail=LOG_TAIL)):
                if EMPTY_ARCHIVE in line:
                    return f"{name_of(pod)}: {log_message(line) or EMPTY_ARCHIVE}"
    return ""


def event_lines(events: Iterable[Object], name: str) -> list[str]:
    """Return the newest warnings about the cluster or anything named after it, newest first."""
    warnings = [
        event
        for event in events
        if event.get("type") == "Warning"
        and (
            dig(event, "involvedObject", "name", default="") == name
            or dig(event, "involvedObject", "name", default="").startswith(f"{name}-")
        )
    ]
    warnings.sort(key=when, reverse=True)
    lines = []
    for event in warnings:
        about = f"{dig(event, 'involvedObject', 'kind')} {dig(event, 'involvedObject', 'name')}"
        line = f"event on {about}: {event.get('reason', '')}: {_short(event.get('message', ''))}"
        if line not in lines:
            lines.append(line)
    return lines[:NEWEST_EVENTS]


def log_message(line: str) -> str:
    """Return what an error line of a JSON log says, or an empty string for any other line."""
    try:
        entry = json.loads(line)
    except ValueError:
        return _short(line) if any(f"{word}:" in line for word in SEVERE) else ""
    if not isinstance(entry, dict):
        return ""
    record = entry.get("record")
    if isinstance(record, dict) and record.get("error_severity") in SEVERE:
        return _short(f"{record.get('error_severity')}: {record.get('message', '')}")
    if entry.get("level") == "error" or entry.get("error"):
        parts = [str(entry.get("msg", "")), str(entry.get("error", "")), str(entry.get("err", ""))]
        return _short(": ".join(part for part in parts if part))
    return ""


def pod_lines(pod: Object) -> Iterator[str]:
    """Yield why a pod cannot be scheduled, what its containers wait for, and how they ended."""
    name = name_of(pod)
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        yield f"pod {name}: cannot be scheduled: {_short(scheduled.get('message', ''))}"
    statuses = dig(pod, "status", "initContainerStatuses", default=[])
    statuses = statuses + dig(pod, "status", "containerStatuses", default=[])
    for status in statuses:
        waiting = dig(status, "state", "waiting", default={})
        ended = dig(status, "state", "terminated", default={}) or dig(
            status, "lastState", "terminated", default={}
        )
        if waiting.get("reason") and waiting["reason"] != "PodInitializing":
            text = f"{waiting['reason']}: {_short(waiting.get('message', ''))}".rstrip(": ")
            yield f"pod {name}, container {status['name']}: {text}"
        if ended.get("exitCode"):
            why = _short(ended.get("message") or ended.get("reason") or "")
            yield f"pod {name}, container {status['name']}: ended with {ended['exitCode']}: {why}"


def when(event: Object) -> str:
    """Return when an event last happened, whichever of Kubernetes' two ways it was written in."""
    return str(
        event.get("lastTimestamp")
        or dig(event, "series", "lastObservedTime")
        or event.get("eventTime")
        or dig(event, "metadata", "creationTimestamp", default="")
    )


def _log_lines(api: Api, pod: Object, namespace: str) -> Iterator[str]:
    for container in _containers(pod):
        lines = api.logs(name_of(pod), container, namespace, tail=LOG_TAIL)
        messages = [message for message in map(log_message, lines) if message]
        for message in list(dict.fromkeys(messages))[-LINES_PER_CONTAINER:]:
            yield f"{name_of(pod)}, {container}: {message}"


def _containers(pod: Object) -> list[str]:
    parts = dig(pod, "spec", "initContainers", default=[]) + dig(pod, "spec", "containers", default=[])
    return [str(part["name"]) for part in parts]


def _may_find(api: Api, kind: Kind, namespace: str, labels: dict[str, str]) -> list[Object]:
    try:
        return api.find(kind, namespace, labels=labels)
    except KubernetesForbidden:
        return []


def _short(text: object) -> str:
    line = " ".join(str(text).split())
    return line if len(line) <= LINE_LIMIT else f"{line[:LINE_LIMIT]}…"

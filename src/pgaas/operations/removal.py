"""The steps of a deletion, each of which finds out by itself what is left to do."""

from __future__ import annotations

from dataclasses import dataclass

from pgaas.config.generations import next_generation, write_generation
from pgaas.errors import KubernetesConflict, KubernetesForbidden, PgaasError, TimedOut, ToolFailed
from pgaas.kube.client import Api
from pgaas.kube.diagnose import event_lines
from pgaas.kube.namespace import left_in, made_by_pgaas
from pgaas.kube.release import latest_release, release_records
from pgaas.kube.resources import (
    BACKUP,
    CHART_KINDS,
    CLUSTER,
    EVENT,
    JOB,
    NAMESPACE,
    POD,
    SECRET,
    VOLUME_CLAIM,
    Kind,
    dig,
    name_of,
)
from pgaas.kube.snapshot import CLUSTER_LABEL, backups_of
from pgaas.kube.wait import Ending, Item, Seen, wait_for
from pgaas.operations.preflight_s3 import s3_keys
from pgaas.operations.progress import Progress, step
from pgaas.operations.subject import Subject
from pgaas.tools import helm, helmfile
from pgaas.tools.command import run
from pgaas.tools.s3 import Bucket

UNINSTALL_SECONDS = 120.0
REST_SECONDS = 20.0


@dataclass(frozen=True)
class Removed:
    """What a deletion removed after Helm's release was gone, as "Kind/name"."""

    objects: tuple[str, ...]


def remove_release(subject: Subject, api: Api, progress: Progress) -> None:
    """Uninstall the Helm release, and drop what records a killed helm left of it."""
    record = latest_release(api, subject.cluster, subject.namespace)
    if record is None:
        return
    with step(progress, f"uninstalling release {subject.cluster}"):
        argv = helm.uninstall_argv(subject.cluster, subject.namespace, context=subject.context, wait=False)
        try:
            run(argv, env=helmfile.environment(), timeout=UNINSTALL_SECONDS, echo=progress.command)
        except ToolFailed as error:
            # What helm could not remove is removed by name below; only its record must not stay.
            progress.note(f"{error.what.strip()}; going on without helm")
        for left in release_records(api, subject.cluster, subject.namespace):
            api.delete(SECRET, left.secret, subject.namespace)


def wait_gone(subject: Subject, api: Api, progress: Progress, *, timeout: float) -> None:
    """Delete what the release left of the cluster, and wait until it, its pods and its volumes are gone."""
    ours = {CLUSTER_LABEL: subject.cluster}

    def look() -> Seen:
        cluster = api.get(CLUSTER, subject.cluster, subject.namespace)
        if cluster is not None and not dig(cluster, "metadata", "deletionTimestamp"):
            api.delete(CLUSTER, subject.cluster, subject.namespace)
        items = [Item("cluster", cluster is None, "being deleted")]
        for kind in (POD, JOB, VOLUME_CLAIM):
            left = [name_of(obj) for obj in api.find(kind, subject.namespace, labels=ours)]
            items.append(Item(kind.plural, not left, ", ".join(left)))
        return Seen(tuple(items))

    def report(changed: list[Item]) -> None:
        progress.detail("; ".join(f"{item.name}: {'gone' if item.ok else item.detail}" for item in changed))

    with step(progress, f"waiting until {subject.cluster} is gone"):
        waited = wait_for(look, timeout=timeout, on_change=report)
        if waited.ending is not Ending.SUCCEEDED:
            left = "; ".join(f"{item.name}: {item.detail}" for item in waited.seen.missing)
            events = event_lines(api.find(EVENT, subject.namespace), subject.cluster)
            raise TimedOut(
                f"still there after {waited.seconds:.0f} s: {left}"
                + "".join(f"\n  {line}" for line in events),
                where=f'namespace {subject.namespace}, context "{api.context}"',
                next_step="look at finalizers and at the operator's log; run the same command again to go on",
            )


def remove_leftovers(subject: Subject, api: Api, progress: Progress) -> Removed:
    """Delete what still carries this target's labels: Secrets of cert-manager, CNPG's Backups."""
    removed: list[str] = []
    with step(progress, "removing what is left"):
        for kind in CHART_KINDS:
            for obj in _labelled(api, kind, subject):
                removed += _remove(api, kind, name_of(obj), subject.namespace)
        for name in (f"{subject.cluster}-server", *_secret_names(subject)):
            removed += _remove(api, SECRET, name, subject.namespace)
        for backup in backups_of(api, subject.cluster, subject.namespace):
            removed += _remove(api, BACKUP, name_of(backup), subject.namespace)
    return Removed(tuple(dict.fromkeys(removed)))


def remove_namespace(
    subject: Subject, api: Api, progress: Progress, *, timeout: float
) -> tuple[bool, tuple[str, ...]]:
    """Delete the namespace if pgaas made it and it is empty; return whether it is gone, or what keeps it."""
    try:
        namespace = api.get(NAMESPACE, subject.namespace)
    except KubernetesForbidden:
        return False, ("these credentials may not look at it",)
    if namespace is None:
        return True, ()
    if not made_by_pgaas(namespace):
        return False, ("pgaas did not make it",)
    if not dig(namespace, "metadata", "deletionTimestamp"):
        left = _settled(subject, api)
        if left:
            return False, tuple(left)
        api.delete(NAMESPACE, subject.namespace)
    with step(progress, f"waiting until namespace {subject.namespace} is gone"):

        def look() -> Seen:
            there = api.get(NAMESPACE, subject.namespace)
            blocked = [
                entry.get("message", "")
                for entry in dig(there, "status", "conditions", default=[])
                if entry.get("status") == "True"
            ]
            return Seen((Item("namespace", there is None, "; ".join(blocked) or "being deleted"),))

        waited = wait_for(look, timeout=timeout, on_change=lambda changed: progress.detail(changed[0].detail))
        if waited.ending is not Ending.SUCCEEDED:
            raise TimedOut(
                f"namespace {subject.namespace} is still there: {waited.seen.missing[0].detail}",
                where=f'context "{api.context}"',
                next_step="run the same command again to go on waiting",
            )
    return True, ()


def raise_generation(subject: Subject, api: Api, progress: Progress, *, existed: bool) -> tuple[int, str]:
    """Give the cluster's next life its own archive, if this one's was used; return its generation and file.

    When S3 does not say whether it was used, a cluster that `existed` counts as having used it.
    """
    try:
        prefix = f"{subject.archive_prefix}{subject.server_name}/"
        used = not Bucket(subject.place, s3_keys(subject, api)).is_empty(prefix)
    except PgaasError:
        used = existed
    if not used:
        return 0, ""
    generation = next_generation(subject.root, subject.target)
    path = write_generation(subject.root, subject.target, generation)
    progress.note(f"the next {subject.cluster} archives as generation {generation}: commit {path}")
    return generation, str(path)


def _settled(subject: Subject, api: Api) -> list[str]:
    """Return what is left once garbage collection has had a moment: Secrets follow their owners."""
    waited = wait_for(
        lambda: Seen(tuple(Item(name, False, "") for name in left_in(api, subject.namespace))),
        timeout=REST_SECONDS,
        on_change=lambda _: None,
    )
    return [item.name for item in waited.seen.missing]


def _labelled(api: Api, kind: Kind, subject: Subject) -> list[dict[str, object]]:
    try:
        return api.find(kind, subject.namespace, labels=subject.labels)
    except KubernetesForbidden:
        return []


def _secret_names(subject: Subject) -> list[str]:
    certificates, pgadmin = subject.values.certificates, subject.values.pgadmin4
    return [
        certificates.client_ca,
        certificates.replication,
        *(client.name for client in certificates.clients),
        *([pgadmin.certificate.name] if pgadmin.enabled else []),
    ]


def _remove(api: Api, kind: Kind, name: str, namespace: str) -> list[str]:
    try:
        return [f"{kind.kind}/{name}"] if api.delete(kind, name, namespace) else []
    except KubernetesConflict:
        return []

"""Bring a cluster's release to what its values file says, or find that it is there already."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from pgaas.errors import KubernetesConflict, KubernetesError, ToolFailed
from pgaas.kube.client import FIELD_MANAGER, Api
from pgaas.kube.difference import Change, as_helm_applies, differences, parse_manifest
from pgaas.kube.namespace import ensure_namespace
from pgaas.kube.promotion import HELM, owners_of_primary, release_topology
from pgaas.kube.release import DEPLOYED, PENDING, drop_stuck_release, latest_release
from pgaas.kube.resources import CLUSTER, SECRET, name_of
from pgaas.kube.wait import Item, Seen, wait_for
from pgaas.operations.progress import Progress
from pgaas.operations.recorded import keep_revision
from pgaas.operations.subject import Subject
from pgaas.tools import helmfile
from pgaas.tools.command import run

SYNC_SECONDS = 300.0
TEMPLATE_SECONDS = 60.0
# What the operator looks at by itself: it comes when all that it needs is there.
AFTERWARDS = ("Cluster", "Database", "ScheduledBackup")
AHEAD_SECONDS = 6.0
WORKERS = 8


@dataclass(frozen=True)
class Deployed:
    """Whether anything was applied; `changes` is empty after a first deployment, which compares nothing."""

    changed: bool
    changes: tuple[Change, ...] = ()


def deploy(
    subject: Subject,
    api: Api,
    progress: Progress,
    *,
    namespace: str,
    ready: Callable[[], bool] = lambda: True,
) -> Deployed:
    """Make the namespace, and sync the release unless nothing would change; `namespace` is its state.

    Before a first deployment, what the Cluster refers to goes ahead of it, and `ready` is asked a few times
    whether what is made of that is there.

    Raise KubernetesConflict if somebody else owns a field that would change, ToolFailed if helm fails.
    """
    progress.started(f"deploying {subject.cluster}")
    try:
        labels = {
            "app.kubernetes.io/part-of": "pgaas",
            "pgaas.io/ins": subject.target.ins,
            "pgaas.io/env": subject.target.env,
        }
        made = ensure_namespace(api, subject.namespace, labels)
        record = latest_release(api, subject.cluster, subject.namespace) if namespace else None
        first = record is None
        if record and record.status in PENDING:
            done = drop_stuck_release(api, subject.cluster, subject.namespace, on_wait=progress.detail)
            if done:
                progress.note(done)
            record = latest_release(api, subject.cluster, subject.namespace)
        changes: list[Change] = []
        if record and record.status == DEPLOYED:
            progress.detail("comparing with what is live")
            changes = changes_of(subject, api, fresh=False)
            _refuse_conflicts(changes, subject, api)
            if not changes and not _left_with_pgaas(subject, api):
                progress.finished("unchanged" if not made else "unchanged, but for the namespace's labels")
                return Deployed(made)
        if first:
            _go_ahead(subject, api, progress, ready)
        sync(subject, progress)
        _give_back(subject, api)
        progress.finished(_summary(changes) if changes else "applied")
        return Deployed(True, tuple(changes))
    except KeyboardInterrupt as interrupt:
        progress.failed("interrupted")
        raise KeyboardInterrupt(
            f"{subject.cluster} may be deployed in part; {subject.command('create')} takes up from there"
        ) from interrupt
    except Exception as error:
        progress.failed(str(error).partition("\n")[0])
        raise


def _go_ahead(subject: Subject, api: Api, progress: Progress, ready: Callable[[], bool]) -> None:
    """Apply what the Cluster refers to before helm does, as helm would.

    Helm applies a Cluster before the catalog and the Issuers that it needs. The operator then fails on it
    again and again, each time waiting twice as long, and comes back to it seconds after all is there. Nothing
    that fails here is told: helm meets it too, and says it better.
    """
    progress.detail("what the cluster refers to")
    try:
        rendered = as_helm_applies(parse_manifest(render(subject)), subject.cluster, subject.namespace)
        ahead = [obj for obj in rendered if obj["kind"] not in AFTERWARDS]
        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(lambda obj: api.apply(obj, manager=HELM), ahead))
    except (ToolFailed, KubernetesError):
        return
    names = {obj["spec"]["secretName"] for obj in ahead if obj["kind"] == "Certificate"}

    def probe() -> Seen:
        there = {name_of(secret) for secret in api.find(SECRET, subject.namespace)}
        return Seen((Item("secrets", names <= there and ready()),))

    with suppress(KubernetesError):
        wait_for(probe, timeout=AHEAD_SECONDS, interval=0.2, on_change=lambda _: None)


def changes_of(subject: Subject, api: Api, *, fresh: bool, refusals: bool = False) -> list[Change]:
    """Return what a sync would change; `fresh` says that nothing is there yet.

    With `refusals`, what the API server would not take is a change like the others, and else is raised.
    """
    if not fresh:
        keep_revision(subject, api)
    rendered = as_helm_applies(parse_manifest(render(subject)), subject.cluster, subject.namespace)
    record = None if fresh else latest_release(api, subject.cluster, subject.namespace)
    before = (
        as_helm_applies(parse_manifest(record.manifest), subject.cluster, subject.namespace) if record else []
    )
    return differences(api, rendered, before, fresh=fresh, refusals=refusals)


def render(subject: Subject, progress: Progress | None = None) -> str:
    """Return the objects of the chart, as helmfile renders them."""
    argv = helmfile.template_argv("cluster", context=subject.context)
    return _helmfile(subject, argv, TEMPLATE_SECONDS, progress)


def sync(subject: Subject, progress: Progress) -> None:
    """Apply the release with helm, server-side, never taking a field from another manager."""
    keep_revision(subject, subject.api())
    try:
        _helmfile(subject, helmfile.sync_argv("cluster", context=subject.context), SYNC_SECONDS, progress)
    except ToolFailed as error:
        raise ToolFailed(
            error.what,
            where=error.where,
            next_step=error.next_step
            or f"mend what is named above; {subject.command('create')} takes up from there",
        ) from error


def _helmfile(subject: Subject, argv: list[str], timeout: float, progress: Progress | None) -> str:
    target = subject.target
    env = helmfile.cluster_environment(
        ins=target.ins,
        env=target.env,
        dc=target.dc,
        namespace=subject.namespace,
        cluster_name=subject.cluster,
        restored=subject.restored,
    )
    secrets = (subject.values.s3.access_key, subject.values.s3.secret_key)
    echo = progress.command if progress else None
    return run(argv, env=env, cwd=subject.root, timeout=timeout, masked=secrets, echo=echo).stdout


def _refuse_conflicts(changes: list[Change], subject: Subject, api: Api) -> None:
    conflicts = [change for change in changes if change.conflict]
    if conflicts:
        named = "".join(f"\n  {change.kind} {change.name}: {change.conflict}" for change in conflicts)
        raise KubernetesConflict(
            f"somebody else changed what confs say otherwise, and helm would not overwrite it:{named}",
            where=f'namespace {subject.namespace}, context "{api.context}"',
            next_step="put the live value into confs, or take the change back; then run this again",
        )


def _left_with_pgaas(subject: Subject, api: Api) -> bool:
    """Return whether a move that was broken off has left the topology's fields with pgaas."""
    live = api.get(CLUSTER, subject.cluster, subject.namespace)
    return live is not None and FIELD_MANAGER in owners_of_primary(live)


def _give_back(subject: Subject, api: Api) -> None:
    live = api.get(CLUSTER, subject.cluster, subject.namespace)
    if live is not None:
        release_topology(api, live)


def _summary(changes: list[Change]) -> str:
    return ", ".join(f"{change.kind} {change.name} {change.action}" for change in changes)

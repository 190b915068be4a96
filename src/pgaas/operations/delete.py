"""Delete a cluster: a last backup, then everything that pgaas made, but never the archive in S3."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pgaas.config.naming import Target
from pgaas.errors import PgaasError, RefusedAsUnsafe, TimedOut, UsageError
from pgaas.kube.client import Api
from pgaas.kube.namespace import namespace_state
from pgaas.kube.release import latest_release
from pgaas.kube.resources import dig, name_of
from pgaas.kube.snapshot import HEALTHY, Snapshot, backups_of, is_following, take_snapshot
from pgaas.kube.wait import Ending
from pgaas.operations.backup import checkpoint, follow_backup, running_backup, start_backup
from pgaas.operations.exclusive import Exclusive, exclusive
from pgaas.operations.preflight_s3 import s3_keys
from pgaas.operations.primary_name import forget_side
from pgaas.operations.progress import Progress
from pgaas.operations.removal import (
    Removed,
    raise_generation,
    remove_leftovers,
    remove_namespace,
    remove_release,
    wait_gone,
)
from pgaas.operations.subject import Subject, load_subject
from pgaas.tools.s3 import Bucket, Usage

DEFAULT_TIMEOUT = 900.0
FINAL = "final"


@dataclass(frozen=True)
class Plan:
    """What a deletion will remove and what stays; `usage` is None if S3 could not be looked at."""

    subject: Subject
    exists: bool
    phase: str
    goes: tuple[str, ...]
    bucket: str
    prefix: str
    usage: Usage | None
    doubts: tuple[str, ...]

    @property
    def cluster(self) -> str:
        """Return the name to retype."""
        return self.subject.cluster


@dataclass(frozen=True)
class Deleted:
    """What was done; `generation` is the archive's generation from now on, 0 if it was not raised.

    `was_there` is false if neither the cluster nor anything of it was left to delete.
    """

    cluster: str
    was_there: bool
    final_backup: str
    removed: Removed
    namespace_removed: bool
    namespace_kept: tuple[str, ...]
    generation: int
    generation_file: str
    seconds: float = 0.0


def plan_deletion(root: Path, target: Target) -> Plan:
    """Look at what a deletion would remove and leave, and change nothing.

    Raise ConfigError or KubernetesError if it cannot be found out. A cluster that is gone may still
    have something left to remove.
    """
    subject = load_subject(root, target)
    api = subject.api()
    snapshot = take_snapshot(api, subject.cluster, subject.namespace)
    doubts = list(_doubts(subject, snapshot))
    usage = None
    try:
        usage = Bucket(subject.place, s3_keys(subject, api)).usage(subject.archive_prefix)
    except PgaasError as error:
        doubts.append(f"S3 could not be looked at: {error.what}")
    record = latest_release(api, subject.cluster, subject.namespace)
    goes = [f"Helm release {subject.cluster} (revision {record.revision}, {record.status})"] if record else []
    if snapshot.cluster:
        instances = subject.values.cluster.instances
        phase = snapshot.phase or "no phase yet"
        goes.append(f"Cluster {subject.cluster} ({phase}), its instances ({instances}) and their volumes")
        goes += [f"database {database['spec'].get('name')}" for database in snapshot.databases]
        goes += [f"certificate {name_of(certificate)} and its key" for certificate in snapshot.certificates]
    return Plan(
        subject=subject,
        exists=snapshot.cluster is not None,
        phase=snapshot.phase,
        goes=tuple(goes),
        bucket=str(subject.place),
        prefix=subject.archive_prefix,
        usage=usage,
        doubts=tuple(doubts),
    )


def check_confirmation(plan: Plan, typed: str | None) -> None:
    """Raise UsageError unless the cluster's name was retyped."""
    if typed is None:
        raise UsageError(
            "deleting a cluster asks for its name, and there is no terminal to ask at",
            next_step=f"add --confirm {plan.cluster}",
        )
    if typed.strip() != plan.cluster:
        raise UsageError(
            f'"{typed.strip()}" is not the name of the cluster: nothing was deleted',
            next_step=f"retype it exactly: {plan.cluster}",
        )


def delete(
    plan: Plan,
    *,
    skip_final_backup: bool,
    timeout: float = DEFAULT_TIMEOUT,
    progress: Progress,
    clock: Callable[[], float] = time.monotonic,
) -> Deleted:
    """Carry a plan out. Interrupted anywhere, it can be run again and takes up from there.

    Raise RefusedAsUnsafe if the cluster is not well enough for the final backup, KubernetesError or
    ToolFailed if something cannot be removed, TimedOut after `timeout` seconds.
    """
    start = clock()
    subject = plan.subject
    try:
        with exclusive([subject], "delete", progress) as held:
            done = _delete(plan, held, skip_final_backup, timeout, progress)
    except KeyboardInterrupt as interrupt:
        again = f"{subject.command('delete')} --confirm {subject.cluster}"
        raise KeyboardInterrupt(
            f"{subject.cluster} may be deleted in part; {again} finishes it"
        ) from interrupt
    return replace(done, seconds=clock() - start)


def _delete(
    plan: Plan, held: Exclusive, skip_final_backup: bool, timeout: float, progress: Progress
) -> Deleted:
    subject = plan.subject
    api = subject.api()
    state = namespace_state(api, subject.namespace)
    snapshot = take_snapshot(api, subject.cluster, subject.namespace)
    backup = ""
    if not skip_final_backup and snapshot.cluster and not snapshot.deleting:
        backup = _final_backup(subject, api, snapshot, timeout, progress)
    held.check()
    remove_release(subject, api, progress)
    held.check()
    wait_gone(subject, api, progress, timeout=timeout)
    # Before the namespace and with it the S3 Secret goes, or a killed run could not find out any more.
    generation, file = raise_generation(subject, api, progress, existed=plan.exists)
    held.check()
    removed = remove_leftovers(subject, api, progress)
    if told := forget_side(subject):
        progress.note(told)
    gone, kept = remove_namespace(subject, api, progress, timeout=timeout)
    held.leave_nothing()
    was_there = bool(plan.goes or removed.objects or (state and gone))
    return Deleted(subject.cluster, was_there, backup, removed, gone, kept, generation, file)


def _final_backup(subject: Subject, api: Api, snapshot: Snapshot, timeout: float, progress: Progress) -> str:
    """Take the last backup, or go on with one that an interrupted deletion has started."""
    if snapshot.phase != HEALTHY or snapshot.condition("ContinuousArchiving").get("status") != "True":
        raise RefusedAsUnsafe(
            f"{subject.cluster} is not well enough for a final backup: {snapshot.phase or 'no phase yet'}",
            where=f'namespace {subject.namespace}, context "{api.context}"',
            next_step=f"mend it ({subject.command('status')}), or give the backup up: --skip-final-backup",
        )
    progress.started("final backup")
    name = running_backup(backups_of(api, subject.cluster, subject.namespace), FINAL)
    try:
        if not name:
            progress.detail("checkpoint")
            primary = dig(snapshot.cluster, "status", "currentPrimary", default="")
            if not checkpoint(api, subject, primary):
                progress.note("no checkpoint could be made first: the backup may take some minutes longer")
            # Only the primary waits until the WAL that the backup needs is archived: a standby's backup is
            # complete before, and the cluster that would archive the rest is deleted now.
            name = start_backup(api, subject, FINAL, target="primary")
        progress.detail(name)
        waited = follow_backup(api, subject, name, timeout=timeout, progress=progress)
    except BaseException:
        progress.failed("interrupted")
        raise
    if waited.ending is Ending.SUCCEEDED:
        progress.finished(name)
        return name
    progress.failed(waited.ending.value)
    where = f"Backup {subject.namespace}/{name}"
    if waited.ending is Ending.TIMED_OUT:
        raise TimedOut(
            f"the final backup is not complete after {waited.seconds:.0f} s: nothing was deleted",
            where=where,
            next_step="run the same command again, it goes on waiting for this backup",
        )
    raise RefusedAsUnsafe(
        f"the final backup failed, so nothing was deleted: {waited.seen.hopeless}",
        where=where,
        next_step="mend it and run this again, or give the backup up with --skip-final-backup",
    )


def _doubts(subject: Subject, snapshot: Snapshot) -> list[str]:
    replication = subject.values.replication
    if snapshot.cluster and replication.enabled and not is_following(snapshot.cluster):
        others = [entry.name for entry in replication.external_clusters if entry.name != subject.cluster]
        return [
            f"this is the primary that {', '.join(others)} follows: without it, no datacenter takes writes"
        ]
    return []

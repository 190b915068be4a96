"""Take a base backup now, or join one that is under way, and follow it to its end."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pgaas.config.naming import Target
from pgaas.errors import KubernetesConflict, NotHealthy, PgaasError, TimedOut
from pgaas.kube.client import Api
from pgaas.kube.resources import BACKUP, CLUSTER, Object, dig, name_of
from pgaas.kube.snapshot import BACKUP_DONE, BACKUP_FAILED, backups_of, is_following
from pgaas.kube.wait import Ending
from pgaas.operations.archives import open_bucket
from pgaas.operations.backup import checkpoint, follow_backup, start_backup
from pgaas.operations.health import held_back
from pgaas.operations.progress import Progress, step
from pgaas.operations.subject import Subject, load_subject
from pgaas.tools.backup_info import BaseBackup, parse_backup_info

DEFAULT_TIMEOUT = 3600.0
PURPOSE = "on-demand"
INFO_LIMIT = 2**20


@dataclass(frozen=True)
class Taken:
    """A Backup; `joined` if it was under way already, `done` if it was followed to its end.

    `size` is that of the files before compression, None if S3 does not say; `took` are seconds.
    """

    cluster: str
    name: str
    joined: bool
    done: bool
    backup_id: str = ""
    begin_wal: str = ""
    end_wal: str = ""
    size: int | None = None
    took: float | None = None
    seconds: float = 0.0


def backup_now(root: Path, target: Target, *, wait: bool, timeout: float, progress: Progress) -> Taken:
    """Ask for a base backup, unless one is under way, and wait until it is complete if `wait`.

    A replica is backed up too: the archive of its own datacenter is made of that. Raise NotHealthy if there
    is no cluster that could, or the backup fails; TimedOut after `timeout` seconds.
    """
    start = time.monotonic()
    subject = load_subject(root, target)
    api = subject.api()
    # Only that: a client's own people may take backups, and look at no certificate.
    cluster = api.get(CLUSTER, subject.cluster, subject.namespace)
    _check_able(subject, api, cluster)
    name, joined = _begin(subject, api, cluster, progress, wait=wait)
    if not wait:
        return Taken(subject.cluster, name, joined, False, seconds=time.monotonic() - start)
    follow(subject, api, name, timeout=timeout, progress=progress)
    return _taken(subject, api, name, joined=joined, seconds=time.monotonic() - start)


def _begin(
    subject: Subject, api: Api, cluster: Object | None, progress: Progress, *, wait: bool
) -> tuple[str, bool]:
    """Return the Backup that is under way, and whether that was so already."""

    def running() -> str:
        return under_way(backups_of(api, subject.cluster, subject.namespace, since=cluster))

    name = running()
    if not name and wait and not is_following(cluster):
        with step(progress, "checkpoint"):
            instance = str(dig(cluster, "status", "currentPrimary", default=""))
            if not checkpoint(api, subject, instance):
                progress.note("no checkpoint could be made first: the backup may take some minutes longer")
        # That may have taken minutes.
        name = running()
    if not name:
        try:
            return start_backup(api, subject, PURPOSE), False
        except KubernetesConflict:
            # Somebody asked for one in the very same second.
            name = running()
            if not name:
                raise
    progress.note(f"{name} is under way already: no second one is begun")
    return name, True


def under_way(backups: list[Object]) -> str:
    """Return the name of a Backup that has not ended, whoever asked for it, or an empty string."""
    ended = (BACKUP_DONE, *BACKUP_FAILED)
    return next(
        (name_of(each) for each in backups if dig(each, "status", "phase", default="pending") not in ended),
        "",
    )


def follow(subject: Subject, api: Api, name: str, *, timeout: float, progress: Progress) -> None:
    """Wait for a Backup's end. Raise NotHealthy if it fails, TimedOut if it does not end in time."""
    where = f'Backup {subject.namespace}/{name}, context "{api.context}"'
    progress.started(f"base backup {name}")
    try:
        waited = follow_backup(api, subject, name, timeout=timeout, progress=progress)
    except KeyboardInterrupt as interrupt:
        progress.failed("interrupted")
        raise KeyboardInterrupt(
            f"{name} goes on by itself; {subject.command('backup')} joins it again"
        ) from interrupt
    except PgaasError as error:
        progress.failed(error.what)
        raise
    if waited.ending is Ending.SUCCEEDED:
        progress.finished("completed")
        return
    progress.failed(waited.ending.value)
    if waited.ending is Ending.TIMED_OUT:
        raise TimedOut(
            f"{name} is not complete after {waited.seconds:.0f} s: {waited.seen.items[0].detail}",
            where=where,
            next_step=f"it goes on by itself; {subject.command('backup')} joins it again",
        )
    raise NotHealthy(
        f"the backup {waited.seen.hopeless}",
        where=where,
        next_step=f"{subject.command('status')} shows the archive; the log is in the container "
        "plugin-barman-cloud of the instance that was backed up",
    )


def _check_able(subject: Subject, api: Api, cluster: Object | None) -> None:
    where = f'namespace {subject.namespace}, context "{api.context}"'
    if cluster is None:
        raise NotHealthy(
            f"{subject.cluster} is not there: nothing can be backed up",
            where=where,
            next_step=f"{subject.command('backups')} shows what its archive holds",
        )
    if dig(cluster, "metadata", "deletionTimestamp"):
        raise NotHealthy(
            f"{subject.cluster} is being deleted", where=where, next_step="wait until it is gone"
        )
    held = held_back(cluster)
    if held:
        raise NotHealthy(
            f"{subject.cluster} cannot be backed up: {held}", where=where, next_step=subject.command("status")
        )
    if not dig(cluster, "status", "readyInstances", default=0):
        raise NotHealthy(
            f"{subject.cluster} cannot be backed up: none of its instances is ready",
            where=where,
            next_step=subject.command("status"),
        )


def _taken(subject: Subject, api: Api, name: str, *, joined: bool, seconds: float) -> Taken:
    status = dig(api.get(BACKUP, name, subject.namespace), "status", default={})
    backup_id = str(status.get("backupId", ""))
    info = _info(subject, backup_id) if backup_id else None
    if info and info.status != "completed":
        raise NotHealthy(
            f"{name} has completed, as Kubernetes says, and backup {backup_id} in the archive has not: it is "
            f"{info.status}{f', {info.error}' if info.error else ''}",
            where=f"{subject.place}, {subject.archive_prefix}{subject.server_name}",
            next_step=f"{subject.command('backups')} shows all; then take another one",
        )
    begun, ended = _time(status.get("startedAt")), _time(status.get("stoppedAt"))
    if info and info.begin_time and info.end_time:
        begun, ended = info.begin_time, info.end_time
    return Taken(
        cluster=subject.cluster,
        name=name,
        joined=joined,
        done=True,
        backup_id=backup_id,
        begin_wal=str(status.get("beginWal", "")),
        end_wal=str(status.get("endWal", "")),
        size=info.size if info else None,
        took=(ended - begun).total_seconds() if begun and ended else None,
        seconds=seconds,
    )


def _info(subject: Subject, backup_id: str) -> BaseBackup | None:
    """Return what the archive says of a backup; None if it may not be asked: clients read no Secrets."""
    try:
        key = f"{subject.archive_prefix}{subject.server_name}/base/{backup_id}/backup.info"
        content = open_bucket(subject, environment=True).read(key, INFO_LIMIT)
    except PgaasError:
        return None
    return parse_backup_info(backup_id, content) if content else None


def _time(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(value)) if value else None
    except ValueError:
        return None

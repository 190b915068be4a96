"""Take a backup on demand, and follow it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from pgaas.errors import PgaasError
from pgaas.kube.client import Api
from pgaas.kube.postgres import ask
from pgaas.kube.resources import BACKUP, Object, dig, name_of
from pgaas.kube.snapshot import BACKUP_DONE, BACKUP_FAILED, HEALTHY, Snapshot
from pgaas.kube.wait import Item, Seen, Waited, wait_for
from pgaas.operations.backup_hurry import CHECKPOINT, CHECKPOINT_SECONDS, Hurry
from pgaas.operations.progress import Progress
from pgaas.operations.subject import Subject

PLUGIN = "barman-cloud.cloudnative-pg.io"
PURPOSE = "pgaas.io/purpose"
# What the ScheduledBackup's own first backup gets before one is asked for.
GRACE_SECONDS = 30.0


def start_backup(api: Api, subject: Subject, purpose: str, *, target: str = "") -> str:
    """Ask for a backup now, of the instance that the schedule's backups take unless `target` says another.

    Return the Backup's name.
    """
    name = f"{subject.cluster}-{datetime.now(UTC):%Y%m%d%H%M%S}"
    spec = {
        "cluster": {"name": subject.cluster},
        "method": "plugin",
        "pluginConfiguration": {"name": PLUGIN},
        "target": target or subject.values.scheduled_backup.target,
    }
    labels = {**subject.labels, PURPOSE: purpose, "app.kubernetes.io/part-of": "pgaas"}
    metadata = {"name": name, "namespace": subject.namespace, "labels": labels}
    api.create(BACKUP, {"metadata": metadata, "spec": spec})
    return name


def checkpoint(api: Api, subject: Subject, primary: str) -> bool:
    """Write all dirty pages now, so that a backup need not wait for a checkpoint spread over minutes.

    Return whether it was done; a backup works without, and takes longer.
    """
    try:
        ask(api, primary, subject.namespace, CHECKPOINT, timeout=CHECKPOINT_SECONDS)
    except PgaasError:
        return False
    return True


def follow_backup(
    api: Api,
    subject: Subject,
    name: str,
    *,
    timeout: float,
    progress: Progress,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Waited:
    """Wait until a Backup has completed, has failed or is not there any more; help its checkpoint on."""
    hurry = Hurry(api, clock)

    def look() -> Seen:
        backup = api.get(BACKUP, name, subject.namespace)
        if backup:
            hurry(backup)
        return backup_state(backup, name)

    return wait_for(
        look,
        timeout=timeout,
        on_change=lambda changed: progress.detail(changed[0].detail),
        clock=clock,
        sleep=sleep,
    )


def backup_state(backup: Object | None, name: str) -> Seen:
    """Return how far a Backup has come."""
    if backup is None:
        return Seen((Item(name, False, "gone"),), hopeless=f"the Backup {name} was removed")
    phase = str(dig(backup, "status", "phase", default="pending"))
    error = str(dig(backup, "status", "error") or dig(backup, "status", "commandError", default=""))
    item = Item(name, phase == BACKUP_DONE, f"{phase}: {error}" if error else phase)
    return Seen((item,), hopeless=item.detail if phase in BACKUP_FAILED else "")


def running_backup(backups: list[Object], purpose: str) -> str:
    """Return the name of a backup for this purpose that is still at work, or an empty string."""
    ended = (BACKUP_DONE, *BACKUP_FAILED)
    for backup in backups:
        mine = dig(backup, "metadata", "labels", PURPOSE) == purpose
        if mine and dig(backup, "status", "phase", default="pending") not in ended:
            return name_of(backup)
    return ""


class FirstBackup:
    """See to a cluster's first base backup: the schedule's own may fail, and is not tried again."""

    def __init__(
        self, api: Api, subject: Subject, progress: Progress, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._api = api
        self._subject = subject
        self._progress = progress
        self._clock = clock
        self._hurry = Hurry(api, clock)
        self._healthy_since: float | None = None
        self._asked = False

    def __call__(self, snapshot: Snapshot) -> None:
        """Ask for one backup, once, when the cluster could make one and none is done or under way.

        One that is under way is helped on: new databases have left many pages to write.
        """
        for backup in snapshot.backups:
            self._hurry(backup)
        archiving = snapshot.condition("ContinuousArchiving").get("status") == "True"
        if self._asked or snapshot.phase != HEALTHY or not archiving:
            self._healthy_since = None
            return
        if self._healthy_since is None:
            self._healthy_since = self._clock()
        phases = [dig(backup, "status", "phase", default="pending") for backup in snapshot.backups]
        late = not phases and self._clock() - self._healthy_since >= GRACE_SECONDS
        if late or (phases and all(phase in BACKUP_FAILED for phase in phases)):
            self._asked = True
            name = start_backup(self._api, self._subject, "first")
            why = "failed" if phases else "did not start"
            self._progress.note(f"the scheduled first backup {why}: asked for {name}")

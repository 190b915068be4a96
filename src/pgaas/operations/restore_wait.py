"""Follow a recovery: the base backup that is copied, the WAL that is replayed, and why it fails."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pgaas.errors import KubernetesForbidden, NotHealthy, PgaasError
from pgaas.kube.client import Api
from pgaas.kube.diagnose import log_message
from pgaas.kube.resources import JOB, POD, Kind, Object, condition, dig, is_true, name_of
from pgaas.kube.snapshot import CLUSTER_LABEL, HEALTHY, Snapshot, take_snapshot
from pgaas.kube.wait import Ending, Item, Seen, wait_for
from pgaas.operations.health import Expected, expected_of, judge
from pgaas.operations.progress import Progress
from pgaas.operations.subject import Subject
from pgaas.operations.wait import HOPELESS_LOOKS, describe, stuck

JOB_ROLE = "cnpg.io/jobRole"
ROLE = "full-recovery"
INTERVAL = 2.0
TAIL = 400
# One attempt may fail for what passes by itself; the same twice does not.
ATTEMPTS = 2
# PostgreSQL 14 to 18, xlogrecovery.c; the messages are English in CloudNativePG's images.
RESTORED = re.compile(r'restored log file "([0-9A-F]{24})" from archive')
STOPPING = re.compile(r"recovery stopping (?:before|after) .*?, time ([0-9][^,\"]*)")
LAST = re.compile(r"last completed transaction was at log time ([0-9][^\"]*)")
DONE = re.compile(r"redo done at ([0-9A-F]+/[0-9A-F]+)")
UNREACHED = "recovery ended before configured recovery target was reached"
COPIED = "Restore completed"


@dataclass
class Recovery:
    """What the log of a recovery has said so far; it is gone with its pod."""

    base_copied: bool = False
    wal: str = ""
    last_transaction: str = ""
    stopped_at: str = ""
    redo_done: str = ""
    failure: str = ""
    failed_pods: set[str] = field(default_factory=set)

    def read(self, line: str) -> None:
        """Take what one line of the log says."""
        text = _message(line)
        if COPIED in text:
            self.base_copied = True
        if found := RESTORED.search(text):
            self.base_copied, self.wal = True, found[1]
        if found := LAST.search(text):
            self.last_transaction = found[1].strip()
        if found := STOPPING.search(text):
            self.stopped_at = found[1].strip()
        if found := DONE.search(text):
            self.redo_done = found[1]

    @property
    def detail(self) -> str:
        """Return how far it has come."""
        if self.redo_done:
            return f"replayed to {self.redo_done}"
        if self.wal:
            return f"replaying WAL, at {self.wal}"
        return "base backup copied" if self.base_copied else "copying the base backup"


def follow_recovery(
    subject: Subject,
    api: Api,
    *,
    timeout: float,
    progress: Progress,
    hook: Callable[[Snapshot], object],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Recovery:
    """Wait until a restored cluster is healthy, and return what its recovery said.

    Raise NotHealthy with why if the recovery fails, TimedOut after `timeout` seconds.
    """
    recovery, watcher = Recovery(), _Watcher(subject, api, hook)

    def look() -> Seen:
        return watcher.look(recovery)

    def report(changed: list[Item]) -> None:
        progress.detail(describe([item for item in changed if not item.ok]) or "looking")

    progress.started(f"restoring {subject.cluster}")
    try:
        waited = wait_for(
            look, timeout=timeout, interval=INTERVAL, on_change=report, clock=clock, sleep=sleep
        )
    except KeyboardInterrupt as interrupt:
        progress.failed("interrupted")
        raise KeyboardInterrupt(
            f"{subject.cluster} is not ready yet; {subject.command('create')} sees to it, and waits again"
        ) from interrupt
    except PgaasError as error:
        progress.failed(error.what)
        raise
    if waited.ending is Ending.SUCCEEDED:
        progress.finished("it takes reads and writes, and archives nothing")
        return recovery
    progress.failed(waited.ending.value)
    # A failed attempt may be followed by one that is at work.
    if recovery.failure and waited.ending is Ending.FAILED:
        raise failed_recovery(subject, api, recovery)
    raise stuck(subject, api, waited, watcher.last)


def failed_recovery(subject: Subject, api: Api, recovery: Recovery) -> NotHealthy:
    """Return the error of a recovery that PostgreSQL or the plugin gave up."""
    remove = subject.command("delete")
    next_step = f"{remove}; then restore to another moment, or from another backup"
    why = recovery.failure
    if UNREACHED in why:
        seen = recovery.last_transaction
        why += (
            f"\n  the last transaction in the archive was committed at {seen}: after it nothing was written"
            if seen
            else "\n  nothing in the archive was committed after the moment that was asked for"
        )
        next_step = f"{remove}; then restore with --latest, which ends with that transaction"
    return NotHealthy(
        f"{subject.cluster} could not be restored: {why}",
        where=f'namespace {subject.namespace}, context "{api.context}"',
        next_step=next_step,
    )


class _Watcher:
    """Look at the cluster, and at the log of the pod that recovers it."""

    def __init__(self, subject: Subject, api: Api, hook: Callable[[Snapshot], object]) -> None:
        self._subject = subject
        self._api = api
        self._hook = hook
        self._expected: Expected = expected_of(subject)
        self._hopeless_looks = 0
        self.last: Snapshot | None = None

    def look(self, recovery: Recovery) -> Seen:
        subject = self._subject
        self.last = take_snapshot(self._api, subject.cluster, subject.namespace)
        self._hook(self.last)
        seen = judge(self.last, self._expected)
        if self.last.cluster is None:
            return Seen(seen.items, hopeless=f"there is no Cluster {subject.cluster} any more")
        pods, jobs = self._recovering(POD), self._recovering(JOB)
        for pod in pods:
            self._read(pod, recovery)
        given_up = any(is_true(job, "Failed") for job in jobs)
        # The operator may pass through a hopeless phase.
        self._hopeless_looks = self._hopeless_looks + 1 if seen.hopeless else 0
        hopeless = seen.hopeless if self._hopeless_looks >= HOPELESS_LOOKS else ""
        if given_up or len(recovery.failed_pods) >= ATTEMPTS or UNREACHED in recovery.failure:
            recovery.failure = recovery.failure or _job_failure(jobs)
            hopeless = recovery.failure
        if self.last.phase == HEALTHY:
            return Seen(seen.items, hopeless)
        return Seen((*seen.items, Item("recovery", False, recovery.detail)), hopeless)

    def _recovering(self, kind: Kind) -> list[Object]:
        labels = {CLUSTER_LABEL: self._subject.cluster, JOB_ROLE: ROLE}
        try:
            return self._api.find(kind, self._subject.namespace, labels=labels)
        except KubernetesForbidden:
            return []

    def _read(self, pod: Object, recovery: Recovery) -> None:
        name, failures = name_of(pod), list[str]()
        parts = dig(pod, "spec", "initContainers", default=[]) + dig(pod, "spec", "containers", default=[])
        for part in parts:
            lines = self._api.logs(name, str(part["name"]), self._subject.namespace, tail=TAIL)
            for line in lines:
                recovery.read(line)
            failures += [message for message in map(log_message, lines) if message]
        unreached = next((text for text in failures if UNREACHED in text), "")
        if unreached:
            recovery.failure = f"{name}: {unreached}"
        elif dig(pod, "status", "phase") == "Failed":
            recovery.failed_pods.add(name)
            fatal = [text for text in failures if text.startswith(("FATAL", "PANIC"))]
            why = (fatal or failures or ["its pod failed, and its log says nothing"])[-1]
            recovery.failure = f"{name}: {why}"


def _job_failure(jobs: list[Object]) -> str:
    said = next((condition(job, "Failed") for job in jobs if is_true(job, "Failed")), {})
    return f"the recovery's job failed: {said.get('message') or said.get('reason') or 'no reason given'}"


def _message(line: str) -> str:
    """Return what a line of the operator's JSON log says."""
    try:
        entry = json.loads(line)
    except ValueError:
        return line
    if not isinstance(entry, dict):
        return line
    record = entry.get("record")
    if isinstance(record, dict):
        return f"{record.get('message', '')} {record.get('detail', '')}"
    return str(entry.get("msg", ""))

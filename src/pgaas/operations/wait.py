"""Wait until a cluster is what its configuration says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pgaas.config.naming import Target
from pgaas.errors import NotHealthy, PgaasError, TimedOut
from pgaas.kube.client import Api
from pgaas.kube.diagnose import archive_refused, explain_snapshot, explain_workloads
from pgaas.kube.resources import CLUSTER
from pgaas.kube.snapshot import HEALTHY, SETTING_UP, Snapshot, take_snapshot
from pgaas.kube.wait import Ending, Item, Seen, Waited, wait_for
from pgaas.operations.health import expected_of, judge
from pgaas.operations.progress import Progress
from pgaas.operations.subject import Subject, load_subject

DEFAULT_TIMEOUT = 600.0
INTERVAL = 1.0
# How often all that belongs to a Cluster is looked at until it is healthy; each second only itself is. The
# API server may share its machine with the PostgreSQL that is to start.
WHOLE_SECONDS = 5.0
# The operator needs a moment to see a change; until then a live cluster still looks healthy.
SETTLE_SECONDS = 3.0
# A hopeless phase is believed when it is still there after so many looks: the operator may pass through it.
HOPELESS_LOOKS = 4
LOG_LOOK_SECONDS = 5.0
SHOWN = 4


@dataclass(frozen=True)
class Health:
    """The end of a wait: how long it took and what is there."""

    cluster: str
    seconds: float
    items: tuple[Item, ...]


def wait_healthy(
    root: Path, target: Target, *, timeout: float = DEFAULT_TIMEOUT, progress: Progress
) -> Health:
    """Wait until the cluster is healthy, whole, archiving and backed up.

    Raise NotHealthy if there is none or it cannot become healthy by itself, TimedOut after `timeout` seconds.
    """
    subject = load_subject(root, target)
    api = subject.api()
    if take_snapshot(api, subject.cluster, subject.namespace).cluster is None:
        raise NotHealthy(
            f"{subject.cluster} is not created",
            where=f'namespace {subject.namespace}, context "{api.context}"',
            next_step=subject.command("create"),
        )
    return follow_until_healthy(subject, api, timeout=timeout, progress=progress)


def follow_until_healthy(
    subject: Subject,
    api: Api,
    *,
    timeout: float,
    progress: Progress,
    on_snapshot: Sequence[Callable[[Snapshot], None]] = (),
    done: Callable[[], bool] | None = None,
    settle: float = 0.0,
    whole: float = WHOLE_SECONDS,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Health:
    """Follow the cluster, report each change, raise as `wait_healthy` does.

    `on_snapshot` see every look at all that belongs to it: each `whole` seconds until the Cluster is healthy,
    each second then. After these `done` says whether the caller's own goal is reached too. Nothing is
    believed to be healthy before `settle` seconds are over.
    """
    watcher = Watcher(subject, api, clock, on_snapshot, done, settle, whole)
    known: dict[str, Item] = {}

    def report(changed: list[Item]) -> None:
        news = [item for item in changed if item.name in known or not item.ok]
        known.update((item.name, item) for item in changed)
        there = sum(item.ok for item in known.values())
        progress.detail(f"{describe(news) or 'looking'} ({there} of {len(known)} there)")

    progress.started(f"waiting for {subject.cluster}")
    try:
        waited = wait_for(
            watcher.look, timeout=timeout, interval=INTERVAL, on_change=report, clock=clock, sleep=sleep
        )
    except KeyboardInterrupt as interrupt:
        progress.failed("interrupted")
        raise KeyboardInterrupt(
            f"{subject.cluster} goes on by itself; run the same command again, or {subject.command('status')}"
        ) from interrupt
    except PgaasError as error:
        progress.failed(error.what)
        raise
    if waited.ending is Ending.SUCCEEDED:
        progress.finished("healthy, roles and databases there, archiving, backed up")
        return Health(subject.cluster, waited.seconds, waited.seen.items)
    progress.failed(waited.ending.value)
    raise stuck(subject, api, waited, watcher.last)


class Watcher:
    """Look at a cluster again and again, and remember what only shows over several looks."""

    def __init__(
        self,
        subject: Subject,
        api: Api,
        clock: Callable[[], float],
        on_snapshot: Sequence[Callable[[Snapshot], None]] = (),
        done: Callable[[], bool] | None = None,
        settle: float = 0.0,
        whole: float = WHOLE_SECONDS,
    ) -> None:
        self._subject = subject
        self._api = api
        self._clock = clock
        self._on_snapshot = on_snapshot
        self._done = done
        self._settles = settle > 0
        self._settled_at = clock() + settle
        self._expected = expected_of(subject)
        self._hopeless_looks = 0
        self._next_log_look = clock() + LOG_LOOK_SECONDS
        self._whole = whole
        self._next_whole_look = clock()
        self._reached = False
        self.last: Snapshot | None = None

    def look(self) -> Seen:
        """Look once; hopeless is what stays so, or an archive that refuses the cluster."""
        self.last = self._look_at_the_cluster() or self._look_at_everything()
        seen = judge(self.last, self._expected)
        settled = self._clock() >= self._settled_at
        if self._settles:
            item = Item("change", settled, "seen" if settled else "the operator may not have seen it yet")
            seen = Seen((*seen.items, item), seen.hopeless)
        if self._done:
            item = Item("rollout", self._reached, "done" if self._reached else "under way")
            seen = Seen((*seen.items, item), seen.hopeless)
        self._hopeless_looks = self._hopeless_looks + 1 if seen.hopeless else 0
        if seen.hopeless and self._hopeless_looks < HOPELESS_LOOKS:
            return Seen(seen.items)
        if self.last.phase == SETTING_UP and self._clock() >= self._next_log_look:
            self._next_log_look = self._clock() + LOG_LOOK_SECONDS
            refused = archive_refused(self._api, self._subject.cluster, self._subject.namespace)
            if refused:
                return Seen(seen.items, hopeless=f"the archive is not empty: {refused}")
        return seen

    def _look_at_the_cluster(self) -> Snapshot | None:
        """Return what was seen last with the Cluster as it is now, or None if all has to be looked at.

        What is healthy, and so may end the wait, is never judged by what was seen before.
        """
        if self.last is None or self.last.phase == HEALTHY or self._clock() >= self._next_whole_look:
            return None
        now = replace(
            self.last, cluster=self._api.get(CLUSTER, self._subject.cluster, self._subject.namespace)
        )
        return None if now.phase == HEALTHY else now

    def _look_at_everything(self) -> Snapshot:
        seen = take_snapshot(self._api, self._subject.cluster, self._subject.namespace)
        for hook in self._on_snapshot:
            hook(seen)
        if self._done:
            self._reached = self._done()
        self._next_whole_look = self._clock() + self._whole
        return seen


def describe(changed: Iterable[Item]) -> str:
    """Return in one line what has changed: the cluster's own state first, a few items, how many more."""
    ordered = sorted(changed, key=lambda item: item.name != "cluster")
    shown = [f"{item.name}: {item.detail}" for item in ordered[:SHOWN]]
    more = len(ordered) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more > 0 else "")


def stuck(subject: Subject, api: Api, waited: Waited, last: Snapshot | None) -> PgaasError:
    """Return the error of a wait that did not succeed: what is missing, and why."""
    reasons = list(explain_snapshot(last)) if last else []
    try:
        reasons += explain_workloads(api, subject.cluster, subject.namespace)
    except PgaasError as error:
        reasons.append(f"no more could be found out: {error.what}")
    missing = [f"missing: {item.name}: {item.detail}" for item in waited.seen.missing]
    lines = "".join(f"\n  {line}" for line in [*missing, *(f"why: {reason}" for reason in reasons)])
    where = f'namespace {subject.namespace}, context "{api.context}"'
    if waited.ending is Ending.FAILED:
        return NotHealthy(
            f"{subject.cluster} cannot become healthy: {waited.seen.hopeless}{lines}",
            where=where,
            next_step=_after_failure(subject, waited.seen.hopeless),
        )
    return TimedOut(
        f"{subject.cluster} is not healthy after {waited.seconds:.0f} s{lines}",
        where=where,
        next_step=f"mend what is named above; it goes on by itself: {subject.command('wait')}",
    )


def _after_failure(subject: Subject, hopeless: str) -> str:
    if subject.restored:
        return f"mend what is named above, or begin anew: {subject.command('delete')}"
    if "archive is not empty" in hopeless:
        return (
            f"{subject.command('delete')} --skip-final-backup, then {subject.command('create')}: "
            "the next life of the cluster gets a new archive generation"
        )
    return f"mend what is named above; {subject.command('status')} shows the rest"

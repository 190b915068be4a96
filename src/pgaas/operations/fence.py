"""Keep a lost side from taking writes: it is marked, and hibernated as soon as it can be reached."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pgaas.errors import PgaasError, RefusedAsUnsafe, TimedOut
from pgaas.kube.promotion import HIBERNATION, LOST_SIDE, mark
from pgaas.kube.resources import CLUSTER, POD, dig
from pgaas.kube.snapshot import CLUSTER_LABEL
from pgaas.kube.wait import Ending, Item, Seen, wait_for
from pgaas.operations.exclusive import exclusive
from pgaas.operations.pair import Pair, Side, datacenter_named, load_pair, look, look_at
from pgaas.operations.progress import Progress, step
from pgaas.operations.subject import Subject

POLL_SECONDS = 1.0
GONE_SECONDS = 120.0


@dataclass(frozen=True)
class Fenced:
    """A side that takes no writes any more, and after how many seconds its last pod was gone."""

    cluster: str
    datacenter: str
    was_there: bool
    seconds: float


def fence(
    root: Path,
    ins: str,
    env: str,
    dc: str,
    *,
    wait_for_return: float = 0.0,
    progress: Progress,
    clock: Callable[[], float] = time.monotonic,
) -> Fenced:
    """Hibernate a side's cluster: its pods go, its volumes stay, and nothing can be written to it.

    `wait_for_return` are the seconds to wait for an API server that does not answer, so that a side which
    comes back is fenced within a second. Raise RefusedAsUnsafe for the only primary, TimedOut if the side did
    not come back.
    """
    start = clock()
    subjects = load_pair(root, ins, env)
    named = datacenter_named(subjects, dc)
    subject = subjects[named]
    _await_api(subject, wait_for_return, progress)
    with exclusive([subject], "fence", progress):
        pair = look(subjects)
        side = pair[named]
        api = side.reached()
        if side.cluster is None:
            return Fenced(side.name, named, False, clock() - start)
        marked = named in subject.resolved.client.lost_datacenters
        if side.is_primary and not marked and not any(other.is_primary for other in pair.others(named)):
            raise RefusedAsUnsafe(
                f"{side.name} is the only primary that can be seen: fenced, nothing would take writes",
                where=f'datacenter {named}, context "{api.context}"',
                next_step=f"promote another side first: {pair.others(named)[0].subject.command('promote')}",
            )
        with step(progress, f"fence {named}") as outcome:
            hibernate(side, progress)
            outcome.text = "its pods are gone, its volumes stay"
    return Fenced(side.name, named, True, clock() - start)


def hibernate(side: Side, progress: Progress) -> None:
    """Have the operator take the pods away, and wait until they are gone; done already, do nothing.

    The annotation is in force before the operator sees anything else of the Cluster: measured, it keeps a
    side that comes back from starting its instances.
    """
    api, namespace = side.reached(), side.subject.namespace
    if side.cluster is None:
        return
    mark(api, side.cluster, {HIBERNATION: "on"})

    def probe() -> Seen:
        pods = api.find(POD, namespace, labels={CLUSTER_LABEL: side.name})
        return Seen((Item("pods", not pods, f"{len(pods)} left"),))

    waited = wait_for(
        probe,
        timeout=GONE_SECONDS,
        interval=0.5,
        on_change=lambda changed: progress.detail(changed[0].detail),
    )
    if waited.ending is not Ending.SUCCEEDED:
        raise TimedOut(
            f"{side.name} is hibernated, but {waited.seen.items[0].detail} of its pods after "
            f"{waited.seconds:.0f} s",
            where=f'namespace {namespace}, context "{api.context}"',
            next_step="see whether the operator runs there; run the same command again",
        )


def fence_what_is_lost(pair: Pair, progress: Progress) -> list[str]:
    """Fence every side that is marked as lost and can be reached again; return their datacenters."""
    fenced = []
    for side in pair.sides.values():
        if is_marked(pair, side.dc) and side.reachable and side.cluster and not side.fenced:
            with step(progress, f"fence {side.dc}, which was lost and is back"):
                hibernate(side, progress)
            fenced.append(side.dc)
    return fenced


def is_marked(pair: Pair, dc: str) -> bool:
    """Return whether a side was given up by a promotion without a token: by confs, or by the survivor."""
    if dc in pair[dc].subject.resolved.client.lost_datacenters:
        return True
    marks = [
        str(dig(side.cluster, "metadata", "annotations", LOST_SIDE, default="")) for side in pair.others(dc)
    ]
    return any(dc in each.split(",") for each in marks)


def _await_api(subject: Subject, seconds: float, progress: Progress) -> None:
    if look_at(subject).reachable or seconds <= 0:
        return

    def probe() -> Seen:
        try:
            subject.api().get(CLUSTER, subject.cluster, subject.namespace)
        except PgaasError as error:
            return Seen((Item("API server", False, error.what),))
        return Seen((Item("API server", True, "answers"),))

    with step(progress, f"wait for {subject.target.dc} to come back") as outcome:
        waited = wait_for(
            probe,
            timeout=seconds,
            interval=POLL_SECONDS,
            on_change=lambda changed: progress.detail(changed[0].detail),
        )
        if waited.ending is not Ending.SUCCEEDED:
            raise TimedOut(
                f"{subject.target.dc} did not come back within {seconds:.0f} s",
                where=f"cluster {subject.cluster}",
                next_step="run the same command again; until then it is not fenced",
            )
        outcome.text = f"back after {waited.seconds:.0f} s"

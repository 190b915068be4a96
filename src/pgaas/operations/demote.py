"""Make a side's primary the replica of another datacenter's cluster; its token promotes that one."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from pgaas.errors import NotHealthy, RefusedAsUnsafe, UsageError
from pgaas.kube.promotion import Token
from pgaas.operations.exclusive import Exclusive, exclusive
from pgaas.operations.moving import catch_up, demote_side
from pgaas.operations.pair import Pair, Subjects, datacenter_named, load_pair, look
from pgaas.operations.progress import Progress
from pgaas.operations.settle import following
from pgaas.operations.situation import last_primary, refuse_split
from pgaas.operations.steps import Steps, Taken

CATCH_UP_SECONDS = 90.0


@dataclass(frozen=True)
class Demoted:
    """What was done; `token` promotes `new_primary`, once."""

    cluster: str
    new_primary: str
    new_datacenter: str
    token: Token
    already: bool
    steps: tuple[Taken, ...]
    seconds: float


def demote(
    root: Path, ins: str, env: str, dc: str, new_primary: str, *, timeout: float, progress: Progress
) -> Demoted:
    """Demote one side in favour of another, and return the token; demoted already, return its token again.

    Only this side's API server is needed. Raise RefusedAsUnsafe if this side is not the primary, NotHealthy
    if the other one can be seen and does not follow it.
    """
    start = time.monotonic()
    subjects = load_pair(root, ins, env)
    own, other = datacenter_named(subjects, dc), datacenter_named(subjects, new_primary)
    if own == other:
        raise UsageError(f"{own} cannot be demoted in favour of itself", next_step="name another datacenter")
    steps = Steps(progress)
    try:
        with exclusive(subjects.values(), "demote", progress) as right:
            done = _demote(subjects, own, other, right, steps, timeout, progress)
    except KeyboardInterrupt as interrupt:
        again = f"{subjects[own].command('demote')} --new-primary {other}"
        raise KeyboardInterrupt(f"stopped in the middle; run the same command again: {again}") from interrupt
    return replace(done, seconds=time.monotonic() - start)


def _demote(
    subjects: Subjects,
    own: str,
    other: str,
    right: Exclusive,
    steps: Steps,
    timeout: float,
    progress: Progress,
) -> Demoted:
    pair = look(subjects)
    pair[own].reached()
    refuse_split(pair)
    side = pair[own]
    already = not side.is_primary
    if already:
        _check_was_primary(pair, own, other)
    else:
        _let_catch_up(pair, own, other, steps, progress)
    right.check()
    with steps(f"demote {own}") as outcome:
        token = demote_side(pair, own, pair[other].name, right, timeout=timeout, progress=progress)
        outcome.text = f"ended on timeline {token.timeline}; {pair[other].name} can be promoted"
    return Demoted(side.name, pair[other].name, other, token, already, tuple(steps.taken), 0.0)


def _check_was_primary(pair: Pair, own: str, other: str) -> None:
    side = pair[own]
    if side.cluster is None:
        raise NotHealthy(
            f"{side.name} is not created", where=f"datacenter {own}", next_step=side.subject.command("create")
        )
    if side.named_primary != pair[other].name:
        raise RefusedAsUnsafe(
            f"{side.name} is a replica of {side.named_primary} already, not of {pair[other].name}",
            where=f"datacenter {own}",
            next_step=f"finish what was begun: pgaas promote … --dc {side.named_primary}",
        )
    seen = [each for each in pair.others(own) if each.reachable and each.cluster]
    if any(each.is_primary for each in seen) or (seen and last_primary(pair).dc != own):
        raise RefusedAsUnsafe(
            f"{side.name} is not the primary, and was not the last one",
            where=f"datacenter {own}",
            next_step=f"{side.subject.command('status')} shows which side is",
        )


def _let_catch_up(pair: Pair, own: str, other: str, steps: Steps, progress: Progress) -> None:
    replica = pair[other]
    if not replica.reachable:
        progress.note(f"{other} cannot be seen ({replica.error}): whether it follows is not known")
        return
    if replica.cluster is None or replica.position is None:
        raise NotHealthy(
            f"{replica.name} could not be promoted: {replica.position_error or 'it is not created'}",
            where=f"datacenter {other}",
            next_step=replica.subject.command("create"),
        )
    ok, detail = following(replica, pair[own])
    if not ok:
        raise NotHealthy(
            f"{replica.name} does not follow {pair[own].name}: {detail}",
            where=f"datacenter {other}",
            next_step=f"if it has diverged: {replica.subject.command('rebuild')}",
        )
    with steps(f"catch up {other}") as outcome:
        there = catch_up(pair[own], replica, timeout=CATCH_UP_SECONDS, progress=progress)
        outcome.text = f"has all up to {there.lsn}"

"""Make a replica the primary: with the token of a demotion, or without one when the primary is lost."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pgaas.errors import NotHealthy, PgaasError, RefusedAsUnsafe, UsageError
from pgaas.kube.promotion import HIBERNATION, LOST_SIDE, Token, demotion_token, mark, parse_token
from pgaas.kube.resources import dig
from pgaas.operations.exclusive import Exclusive, exclusive
from pgaas.operations.fence import fence_what_is_lost, hibernate, is_marked
from pgaas.operations.finish import Finished, finish
from pgaas.operations.loss import LastKnown, Loss, estimate
from pgaas.operations.moving import check_token, promote_side
from pgaas.operations.pair import Pair, Side, Subjects, datacenter_named, load_pair, look
from pgaas.operations.primary_name import NameMove
from pgaas.operations.progress import Progress
from pgaas.operations.side_archive import archive_of
from pgaas.operations.situation import last_primary, refuse_split
from pgaas.operations.steps import Steps, Taken
from pgaas.tools.wal import parse_lsn

DEFAULT_TIMEOUT = 300.0


@dataclass(frozen=True)
class Plan:
    """What a promotion will do; `forced` if it has no token, and then loses what `loss` says.

    `lost` is the datacenter that is given up, `seen` what is known of each other side.
    """

    root: Path
    subjects: Subjects
    pair: Pair
    dc: str
    token: Token | None
    already: bool
    forced: bool
    lost: str | None
    seen: tuple[str, ...]
    loss: Loss | None
    loss_detail: str

    @property
    def cluster(self) -> str:
        """Return the cluster that is to be the primary: the name to retype."""
        return self.pair[self.dc].name


@dataclass(frozen=True)
class Promotion:
    """What was done. `writable_after` are the seconds from the beginning until PostgreSQL took writes."""

    cluster: str
    forced: bool
    already: bool
    lost: str | None
    steps: tuple[Taken, ...]
    writable_after: float
    finished: Finished
    seconds: float


def plan_promotion(root: Path, ins: str, env: str, dc: str, token: str | None) -> Plan:
    """Look at all sides and find out what a promotion of this one means; change nothing.

    Raise RefusedAsUnsafe while another side is the primary and takes writes, or for a token that is not for
    this side; NotHealthy if there is nothing to promote.
    """
    subjects = load_pair(root, ins, env)
    own = datacenter_named(subjects, dc)
    pair = look(subjects)
    pair[own].reached()
    _refuse_lost(pair, own)
    # A side that is fenced is none that takes writes, though it was never demoted.
    refuse_split(pair)
    side = pair[own]
    if side.cluster is None or not side.instance:
        raise NotHealthy(
            f"{side.name} is not there to be promoted",
            where=f"datacenter {own}",
            next_step=side.subject.command("create"),
        )
    given = parse_token(token) if token else None
    seen = tuple(_seen(other) for other in pair.others(own))
    if side.is_primary:
        asked = str(dig(side.cluster, "spec", "replica", "promotionToken", default=""))
        found = given or (parse_token(asked) if asked else None)
        marked = next((other.dc for other in pair.others(own) if is_marked(pair, other.dc)), None)
        return Plan(root, subjects, pair, own, found, side.writable, False, marked, seen, None, "")
    _refuse_while_another_writes(pair, own, given)
    if given is None:
        given = _token_there(pair, own)
    if given:
        check_token(side, given)
        return Plan(root, subjects, pair, own, given, False, False, None, seen, None, "")
    lost = pair.by_name(side.named_primary)
    if lost is None or lost.dc == own:
        lost = pair.others(own)[0]
    loss, detail = _loss(side, lost)
    return Plan(root, subjects, pair, own, None, False, True, lost.dc, seen, loss, detail)


def check_confirmation(plan: Plan, typed: str | None) -> None:
    """Raise UsageError unless the name of the cluster was retyped; only a forced promotion asks for it."""
    if not plan.forced:
        return
    if typed is None:
        raise UsageError(
            "a promotion without a token loses data, and there is no terminal to ask at",
            next_step=f"add --confirm {plan.cluster}, or give the token: --demotion-token",
        )
    if typed.strip() != plan.cluster:
        raise UsageError(
            f'"{typed.strip()}" is not the name of the cluster: nothing was promoted',
            next_step=f"retype it exactly: {plan.cluster}",
        )


def promote(
    plan: Plan, *, timeout: float = DEFAULT_TIMEOUT, wait_backup: bool = True, progress: Progress
) -> Promotion:
    """Carry a plan out; run again, it does what is left.

    A forced one marks the other side as lost, in clients.yaml and on the survivor, and fences it if it can be
    reached. Raise RefusedAsUnsafe, TimedOut or NotHealthy as the steps do.
    """
    start = time.monotonic()
    try:
        with exclusive(plan.subjects.values(), "promote", progress) as right:
            return _promote(_still(plan), right, start, timeout, wait_backup, progress)
    except KeyboardInterrupt as interrupt:
        again = plan.pair[plan.dc].subject.command("promote")
        raise KeyboardInterrupt(f"stopped in the middle; run the same command again: {again}") from interrupt


def _promote(
    plan: Plan, right: Exclusive, start: float, timeout: float, wait_backup: bool, progress: Progress
) -> Promotion:
    steps = Steps(progress)
    side = plan.pair[plan.dc]
    name = NameMove(plan.subjects, plan.pair, plan.dc)
    fence_what_is_lost(plan.pair, progress)
    lost = plan.pair[plan.lost] if plan.lost else None
    if plan.forced and lost:
        mark(side.reached(), side.cluster or {}, {LOST_SIDE: lost.dc})
        if lost.reachable and lost.cluster:
            with steps(f"fence {lost.dc}"):
                hibernate(lost, progress)
    with steps(f"promote {plan.dc}") as outcome:
        promote_side(
            plan.pair,
            plan.dc,
            plan.token,
            right,
            timeout=timeout,
            progress=progress,
            on_reached=name.start,
        )
        writable = time.monotonic() - start
        outcome.text = "takes writes"
    finished = finish(
        plan.root,
        plan.subjects,
        plan.dc,
        right,
        steps,
        name,
        timeout=timeout,
        backup=wait_backup,
        lost=plan.lost,
    )
    return Promotion(
        side.name,
        plan.forced,
        plan.already,
        plan.lost,
        tuple(steps.taken),
        writable,
        finished,
        time.monotonic() - start,
    )


def _still(plan: Plan) -> Plan:
    """Plan again, now that nobody else acts: much may have happened while the name was typed.

    Raise RefusedAsUnsafe if it would lose what it was not confirmed for.
    """
    target = plan.subjects[plan.dc].target
    token = plan.token.text if plan.token else None
    now = plan_promotion(plan.root, target.ins, target.env, plan.dc, token)
    if now.forced and (now.forced, now.lost) != (plan.forced, plan.lost):
        raise RefusedAsUnsafe(
            f"{now.cluster} could only be promoted with a loss by now: nothing was promoted",
            where=f"datacenter {now.dc}",
            next_step="run the same command again, and see what it says",
        )
    return now


def _refuse_lost(pair: Pair, own: str) -> None:
    if is_marked(pair, own):
        raise RefusedAsUnsafe(
            f"{pair[own].name} was given up by a promotion without a token: its data is older than what the "
            "others have",
            where=f"datacenter {own}",
            next_step=f"rebuild it first: {pair[own].subject.command('rebuild')}; if nothing is left to "
            "rebuild it from, take it out of lostDatacenters in clients.yaml",
        )
    if pair[own].fenced:
        raise NotHealthy(
            f"{pair[own].name} is fenced, and has no instances",
            where=f"datacenter {own}",
            next_step=f"rebuild it: {pair[own].subject.command('rebuild')}; or take the annotation "
            f"{HIBERNATION} from its Cluster",
        )


def _refuse_while_another_writes(pair: Pair, own: str, given: Token | None) -> None:
    """Raise RefusedAsUnsafe if there would be two primaries; beside one, no token can be good any more."""
    for other in pair.others(own):
        leads = other.is_primary
        if not (other.writable or (leads and given)):
            continue
        target = other.subject.target
        what = "is the primary" if leads else "is being demoted"
        also = " and takes writes" if other.writable else ""
        raise RefusedAsUnsafe(
            f"{other.name} {what}{also}: with {pair[own].name} there would be two",
            where=f"datacenter {other.dc}",
            next_step=f"move it: pgaas switchover --ins {target.ins} --env {target.env} --to {own}",
        )


def _token_there(pair: Pair, own: str) -> Token | None:
    """Return the token of a demoted side that can be seen: with it nothing is lost.

    A side that cannot be seen may be the primary by now, with that very token.
    """
    if any(other.is_primary or other.cluster is None for other in pair.others(own)):
        return None
    try:
        source = last_primary(pair)
    except NotHealthy:
        return None
    text = demotion_token(source.cluster)
    return parse_token(text) if text else None


def _seen(side: Side) -> str:
    if side.error:
        return f"{side.name}: cannot be reached: {side.error}"
    if side.cluster is None:
        return f"{side.name}: is not there"
    phase = side.snapshot.phase if side.snapshot else ""
    where = f", at {side.position.lsn} on timeline {side.position.timeline}" if side.position else ""
    return f"{side.name}: {side.role}, {phase or 'no phase'}{where}"


def _loss(side: Side, lost: Side) -> tuple[Loss | None, str]:
    """Estimate what is lost, out of the lost side's archive as this side's S3 has it."""
    try:
        archive = archive_of(side.subject, side.reached(), lost.name)
    except PgaasError as error:
        return None, f"not known: the archive cannot be read: {error.what}"
    known = LastKnown(
        primary_lsn=parse_lsn(lost.position.lsn) if lost.position else None,
        replayed_lsn=parse_lsn(side.position.lsn) if side.position else None,
        at=datetime.now(UTC) if lost.position else None,
    )
    found = estimate(archive, archive.read_at, known)
    return found, found.detail

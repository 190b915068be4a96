"""The two steps that move a primary: demote one side, promote the other; each knows when it is done."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from pgaas.errors import KubernetesError, NotHealthy, PgaasError, RefusedAsUnsafe, TimedOut
from pgaas.kube.postgres import Position, ask, position, watch_positions
from pgaas.kube.promotion import (
    Token,
    Topology,
    apply_topology,
    demotion_token,
    drop_foreign_token,
    parse_token,
    promoted,
    promotion_failed,
)
from pgaas.kube.resources import CLUSTER, Object, dig
from pgaas.kube.wait import Ending, Item, Seen, wait_for
from pgaas.operations.exclusive import Exclusive
from pgaas.operations.pair import Pair, Side
from pgaas.operations.progress import Progress
from pgaas.tools.wal import parse_lsn

FAST = 0.1
LOOK_EVERY = 0.25
NUDGE_SECONDS = 1.0
# The instance manager loads a promotion's configuration within a second of it.
CALM_SECONDS = 2.0
PENDING_RESTART = "select string_agg(name, ', ') from pg_settings where pending_restart"
# The operator refuses to turn round in the middle: it is asked again until it has come to the end.
ONGOING = "ongoing operation"
# What a replica may have replayed beyond the token's REDO location: the shutdown checkpoint itself.
CHECKPOINT_BYTES = 8192
NONE_YET = Position(True, 0, "0/0", "", None, "", None)


@dataclass(frozen=True)
class Promoted:
    """A promotion: how many seconds from the patch until PostgreSQL took writes."""

    seconds: float
    already: bool = False


def topology(pair: Pair, dc: str, primary: str) -> Topology:
    """Return the replica stanza of one side when `primary` is the cluster that takes the writes."""
    own = pair[dc].name
    other = next(side.name for side in pair.others(dc))
    return Topology(own, primary, other if primary == own else primary)


def catch_up(primary: Side, replica: Side, *, timeout: float, progress: Progress) -> Position:
    """Have the replica apply all that the primary has written until now; return where the primary was.

    A checkpoint first makes the demotion's own one short, a new WAL segment leaves little to fetch within the
    write outage. Raise NotHealthy if the replica does not get there: it follows something else, or nothing.
    """
    api, instance, namespace = primary.reached(), primary.instance, primary.subject.namespace
    ask(api, instance, namespace, "checkpoint", timeout=timeout)
    there = position(api, instance, namespace)
    ask(api, instance, namespace, "select pg_switch_wal()")
    goal = parse_lsn(there.lsn)
    last = NONE_YET

    def take(found: Position) -> None:
        nonlocal last
        last = found
        behind = max(goal - parse_lsn(found.lsn), 0)
        progress.detail(f"{replica.dc} has {behind / 1048576:.1f} MiB to apply")

    reached, instance, namespace = replica.reached(), replica.instance, replica.subject.namespace
    watch_positions(
        reached, instance, namespace, take, goal=goal, every=LOOK_EVERY, timeout=timeout, wake=True
    )
    if parse_lsn(last.lsn) >= goal:
        # A replica notes down its timeline with a restartpoint; that LSN may lie on another one.
        ask(reached, instance, namespace, "checkpoint", timeout=timeout)
        last = position(reached, instance, namespace)
        if (last.system_id, last.timeline) == (there.system_id, there.timeline):
            return there
    why = (
        f"it has another system id ({last.system_id} instead of {there.system_id})"
        if last.system_id and last.system_id != there.system_id
        else f"it is at {last.lsn} on timeline {last.timeline}, the primary at {there.lsn} on "
        f"{there.timeline}"
    )
    raise NotHealthy(
        f"{replica.name} does not follow {primary.name}: after {timeout:.0f} s {why}",
        where=f"datacenter {replica.dc}",
        next_step=f"{replica.subject.command('status')}; if it has diverged: "
        f"{replica.subject.command('rebuild')}",
    )


def demote_side(
    pair: Pair, dc: str, primary: str, right: Exclusive, *, timeout: float, progress: Progress
) -> Token:
    """Make a side the replica of another cluster, and return the token for that one's promotion.

    Done already, it only returns the token. A Cluster that is nudged is looked at again by its operator.
    Raise TimedOut, or KubernetesError for what the API refuses.
    """
    side, namespace = pair[dc], pair[dc].subject.namespace
    api = side.reached()
    wanted = topology(pair, dc, primary)
    live = side.cluster
    if side.named_primary != primary:
        right.check()
        drop_foreign_token(api, side.name, namespace, topology(pair, dc, side.named_primary), live or {})
        _apply_when_allowed(lambda: apply_topology(api, side.name, namespace, wanted), timeout)

    start, nudges = time.monotonic(), 0

    def probe() -> Seen:
        nonlocal live, nudges
        live = api.get(CLUSTER, side.name, namespace)
        if not demotion_token(live) and time.monotonic() - start > (nudges + 1) * NUDGE_SECONDS:
            # Measured: once PostgreSQL is down, neither the operator nor the instance manager looks again by
            # itself before a kubelet's probe changes something, up to 25 s later.
            nudges += 1
            right.check()
            apply_topology(api, side.name, namespace, wanted, nudge=f"demotion-{nudges}")
        phase = str(dig(live, "status", "phase", default="not created"))
        return Seen((Item("demotion", bool(demotion_token(live)), phase),))

    waited = wait_for(probe, timeout=timeout, interval=FAST, on_change=_tell(progress))
    if waited.ending is not Ending.SUCCEEDED:
        raise TimedOut(
            f"{side.name} is not demoted after {waited.seconds:.0f} s: {waited.seen.items[0].detail}",
            where=f'datacenter {dc}, context "{api.context}"',
            next_step="it takes no writes any more, or soon will not: run the same command again, which goes "
            f"on from here; {side.subject.command('status')} shows what it does",
        )
    return parse_token(demotion_token(live))


def check_token(side: Side, token: Token) -> None:
    """Raise RefusedAsUnsafe for a token that is not for this side, or not of its present."""
    where = side.position
    if where is None and demotion_token(side.cluster) == token.text:
        return  # its own: it is on its way up again, and was nowhere else since
    if where is None:
        raise NotHealthy(
            f"{side.name} cannot be asked where it is: {side.position_error or 'it has no instance'}",
            where=f"datacenter {side.dc}",
            next_step=side.subject.command("wait"),
        )
    reasons = []
    if token.system_id != where.system_id:
        reasons.append(f"it is of system {token.system_id}, {side.name} is {where.system_id}")
    elif token.timeline < where.timeline:
        reasons.append(f"it is of timeline {token.timeline}, {side.name} is on {where.timeline} already")
    elif parse_lsn(where.lsn) > token.lsn + CHECKPOINT_BYTES:
        reasons.append(f"{side.name} is at {where.lsn}, beyond the end that the token names")
    if reasons:
        raise RefusedAsUnsafe(
            f"this demotion token is not for {side.name} as it is now: {reasons[0]}",
            where=f"datacenter {side.dc}",
            next_step="take the token that pgaas demote prints now; a token is good for one promotion",
        )


def promote_side(
    pair: Pair,
    dc: str,
    token: Token | None,
    right: Exclusive,
    *,
    timeout: float,
    progress: Progress,
    on_reached: Callable[[], None] = lambda: None,
) -> Promoted:
    """Make a side the primary, and return once its PostgreSQL takes writes.

    `on_reached` is called when all WAL up to the token is applied: nothing but the promotion itself is left
    then. A token that the operator finds wrong is taken back again, and RefusedAsUnsafe raised.
    """
    side, namespace = pair[dc], pair[dc].subject.namespace
    api = side.reached()
    wanted = topology(pair, dc, side.name)
    text = token.text if token else ""
    if side.is_primary and side.writable:
        on_reached()
        return Promoted(0.0, already=True)
    if token and not side.is_primary:
        check_token(side, token)
    right.check()
    start = time.monotonic()
    _apply_when_allowed(lambda: apply_topology(api, side.name, namespace, wanted, token=text), timeout)
    watch = _Watch(side, token, timeout)
    watch.start()
    called = False
    nudges = 0

    def probe() -> Seen:
        nonlocal called, nudges
        if watch.reached.is_set() and not called:
            called = True
            on_reached()
        hopeless = ""
        if not watch.writable.wait(FAST) and time.monotonic() - start > (nudges + 1) * NUDGE_SECONDS:
            nudges += 1
            hopeless = promotion_failed(api.get(CLUSTER, side.name, namespace))
            if not hopeless and watch.reached.is_set():
                # Whoever has the Lease by now may have turned back: this would make a second primary.
                right.check()
                apply_topology(api, side.name, namespace, wanted, token=text, nudge=str(nudges))
        done = watch.writable.is_set()
        detail = "takes writes" if done else watch.detail
        return Seen((Item("promotion", done, detail),), hopeless=hopeless)

    try:
        waited = wait_for(probe, timeout=timeout, interval=0.01, on_change=_tell(progress))
    finally:
        watch.stop.set()
    if waited.ending is Ending.SUCCEEDED:
        if not called:
            on_reached()
        return Promoted(waited.seconds)
    if waited.ending is Ending.FAILED and not token:
        raise NotHealthy(
            f"{side.name} takes no writes, and will not: {waited.seen.hopeless}",
            where=f'datacenter {dc}, context "{api.context}"',
            next_step=side.subject.command("status"),
        )
    if waited.ending is Ending.FAILED:
        right.check()
        back = topology(pair, dc, next(each.name for each in pair.others(dc)))
        apply_topology(api, side.name, namespace, back)
        raise RefusedAsUnsafe(
            f"the operator does not accept the token for {side.name} ({waited.seen.hopeless}); "
            "it is a replica again",
            where=f'datacenter {dc}, context "{api.context}"',
            next_step="nothing takes writes now: take a new token from the demoted side, or "
            "switch back to it",
        )
    raise TimedOut(
        f"{side.name} takes no writes after {waited.seconds:.0f} s: {waited.seen.items[0].detail}",
        where=f'datacenter {dc}, context "{api.context}"',
        next_step="it goes on by itself: run the same command again, which goes on from here; "
        f"{side.subject.command('status')} shows what it does",
    )


def wait_promoted(side: Side, *, timeout: float, progress: Progress) -> None:
    """Wait until the operator has noted the promotion, and PostgreSQL has no restart ahead; raise TimedOut.

    A replica has archive_mode always, a primary on: where the new configuration is loaded with the promotion,
    the instance restarts once more, seconds later, and takes connections and a backup that runs with it.
    """
    api, namespace = side.reached(), side.subject.namespace
    calm_since: float | None = None

    def probe() -> Seen:
        nonlocal calm_since
        live = api.get(CLUSTER, side.name, namespace)
        detail = str(dig(live, "status", "phase", default=""))
        ahead = _restart_ahead(side) if promoted(live) else detail
        calm_since = None if ahead else calm_since or time.monotonic()
        calm = calm_since is not None and time.monotonic() - calm_since >= CALM_SECONDS
        return Seen((Item("cluster", calm, ahead or detail),), hopeless=promotion_failed(live))

    waited = wait_for(probe, timeout=timeout, interval=0.5, on_change=_tell(progress))
    if waited.ending is not Ending.SUCCEEDED:
        raise TimedOut(
            f"{side.name} takes writes, but is not healthy after {waited.seconds:.0f} s: "
            f"{waited.seen.hopeless or waited.seen.items[0].detail}",
            where=f"datacenter {side.dc}",
            next_step=f"{side.subject.command('wait')}; then run the same command again for what is left",
        )


def _restart_ahead(side: Side) -> str:
    """Say that PostgreSQL is about to be restarted, or is just being so; empty if it is neither."""
    try:
        waiting = ask(side.reached(), side.instance, side.subject.namespace, PENDING_RESTART)
    except KubernetesError as error:
        return f"restarts: {error.what}"
    return f"restarts for {waiting}" if waiting else ""


class _Watch(threading.Thread):
    """Follow a side's position from the moment of the patch; first up to the token, then until it writes."""

    def __init__(self, side: Side, token: Token | None, timeout: float) -> None:
        super().__init__(daemon=True)
        self._side = side
        self._goal = token.lsn if token else 0
        self._end = time.monotonic() + timeout
        self.reached, self.writable, self.stop = threading.Event(), threading.Event(), threading.Event()
        self.detail = "asked to promote"
        if not token:
            self.reached.set()

    def run(self) -> None:
        """Watch in two parts: once the goal is reached, asking the archive again only holds things up."""
        while not self.stop.is_set() and not self.writable.is_set() and time.monotonic() < self._end:
            try:
                # The shutdown checkpoint begins at the token's LSN, and must have been applied too.
                watch_positions(
                    self._side.reached(),
                    self._side.instance,
                    self._side.subject.namespace,
                    self._take,
                    goal=None if self.reached.is_set() else self._goal + 1,
                    every=LOOK_EVERY,
                    timeout=max(self._end - time.monotonic(), 1.0),
                    wake=not self.reached.is_set(),
                    stopped=self.stop.is_set,
                )
            except PgaasError as error:
                self.detail = f"cannot be asked: {error.what}"
                self.stop.wait(LOOK_EVERY)

    def _take(self, found: Position) -> None:
        if not found.in_recovery:
            self.reached.set()
            self.writable.set()
        elif parse_lsn(found.lsn) > self._goal:
            self.reached.set()
            self.detail = "all WAL is applied, PostgreSQL promotes"
        else:
            self.detail = f"applies WAL, {(self._goal - parse_lsn(found.lsn)) / 1048576:.1f} MiB to go"


def _apply_when_allowed(apply: Callable[[], Object], timeout: float) -> None:
    """Apply, and again while the operator says that it is still at the change before."""
    failure: list[KubernetesError] = []

    def probe() -> Seen:
        try:
            apply()
        except KubernetesError as error:
            if ONGOING not in error.what:
                raise
            failure[:] = [error]
            return Seen((Item("change", False, error.what),))
        return Seen((Item("change", True),))

    waited = wait_for(probe, timeout=timeout, interval=0.5, on_change=lambda _: None)
    if waited.ending is not Ending.SUCCEEDED:
        raise TimedOut(
            f"the change was not taken within {waited.seconds:.0f} s: {waited.seen.items[-1].detail}",
            where=failure[0].where if failure else "",
            next_step="run the same command again, which goes on from here",
        )


def _tell(progress: Progress) -> Callable[[list[Item]], None]:
    return lambda changed: progress.detail(changed[-1].detail)

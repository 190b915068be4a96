"""Move the primary to another datacenter without losing a row; run again, it goes on where it stopped."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from pgaas.errors import UsageError
from pgaas.kube.promotion import Token, demotion_token, parse_token
from pgaas.kube.resources import dig
from pgaas.operations.exclusive import Exclusive, exclusive
from pgaas.operations.fence import fence_what_is_lost
from pgaas.operations.finish import Finished, finish
from pgaas.operations.moving import catch_up, demote_side, promote_side
from pgaas.operations.pair import Pair, Side, Subjects, datacenter_named, load_pair, look
from pgaas.operations.preflight_switchover import SKIPPABLE, switchover_checks
from pgaas.operations.primary_name import NameMove, lead_to_primary
from pgaas.operations.progress import Progress
from pgaas.operations.rows import Row, refuse_rows
from pgaas.operations.situation import Stage, situation
from pgaas.operations.steps import Steps, Taken
from pgaas.tools.wal import format_lsn

DEFAULT_TIMEOUT = 300.0
CATCH_UP_SECONDS = 90.0
NAME_SECONDS = 60.0


@dataclass(frozen=True)
class Choices:
    """What the user asked for besides the datacenter; `timeout` is in seconds, for each step."""

    dry_run: bool = False
    timeout: float = DEFAULT_TIMEOUT
    skip_checks: tuple[str, ...] = ()
    wait_backup: bool = True


@dataclass(frozen=True)
class SwitchedOver:
    """What was done, or in a dry run would be.

    `outage` is the upper bound, in seconds, of the time without a primary: from the demotion's patch until
    PostgreSQL took writes on the other side. It is None where the move had begun earlier.
    """

    old: str
    new: str
    stage: str
    plan: tuple[str, ...]
    checks: tuple[Row, ...]
    steps: tuple[Taken, ...] = ()
    outage: float | None = None
    finished: Finished | None = None
    seconds: float = 0.0


def switchover(root: Path, ins: str, env: str, to: str, choices: Choices, progress: Progress) -> SwitchedOver:
    """Make a datacenter's cluster the primary and the present primary its replica.

    `to` is a datacenter, or a cluster's name. Both API servers must be reachable. What was done already, by
    this command or another terminal's, is not done again. Raise RefusedAsUnsafe for what a check finds,
    TimedOut or NotHealthy when a step does not come to its end.
    """
    start = time.monotonic()
    unknown = [name for name in choices.skip_checks if name not in SKIPPABLE]
    if unknown:
        raise UsageError(
            f"no check {', '.join(unknown)} that may be left out",
            next_step=f"these may: {', '.join(SKIPPABLE)}",
        )
    subjects = load_pair(root, ins, env)
    dc = datacenter_named(subjects, to)
    if choices.dry_run:
        return _plan(subjects, dc, choices, progress)
    with exclusive(subjects.values(), "switchover", progress) as right:
        fence_what_is_lost(look(subjects), progress)
        done = _switch(root, subjects, dc, choices, right, progress)
    return replace(done, seconds=time.monotonic() - start)


def _switch(
    root: Path, subjects: Subjects, dc: str, choices: Choices, right: Exclusive, progress: Progress
) -> SwitchedOver:
    steps = Steps(progress)
    pair = _reach(subjects)
    where = situation(pair, dc)
    rows: tuple[Row, ...] = ()
    outage = token = None
    old = where.source.dc if where.source else next(side.dc for side in pair.others(dc))
    name = NameMove(subjects, pair, dc)
    begun = time.monotonic()
    try:
        if where.stage is Stage.PRIMARY_ELSEWHERE and where.source:
            with steps("preflight") as outcome:
                rows = tuple(switchover_checks(pair, where.source.dc, dc, choices.skip_checks, progress))
                refuse_rows(rows, where=f"{old} to {dc}")
                outcome.text = f"{sum(row.state == 'ok' for row in rows)} checks passed"
            with steps("primary's name before the move") as outcome:
                outcome.text = _lead_to(name, old, "dns" in choices.skip_checks)
            with steps(f"catch up {dc}") as outcome:
                there = catch_up(where.source, pair[dc], timeout=CATCH_UP_SECONDS, progress=progress)
                outcome.text = f"has all up to {there.lsn}"
            right.check()
            begun = time.monotonic()
            with steps(f"demote {old}") as outcome:
                demoted = demote_side(
                    pair, old, pair[dc].name, right, timeout=choices.timeout, progress=progress
                )
                outcome.text = f"ended at {format_lsn(demoted.lsn)} on timeline {demoted.timeline}"
            token = demoted
        elif where.stage is Stage.DEMOTED and where.source:
            with steps(f"demote {old}") as outcome:
                token = _token_of(pair, where.source, dc, right, choices.timeout, progress)
                outcome.text = f"ended at {format_lsn(token.lsn)} on timeline {token.timeline}"
            if where.source.dc == dc:
                pair = _reach(subjects)
        elif where.stage is Stage.PROMOTING:
            asked = str(dig(pair[dc].cluster, "spec", "replica", "promotionToken", default=""))
            token = parse_token(asked) if asked else None
        if where.stage is not Stage.PRIMARY:
            with steps(f"promote {dc}") as outcome:
                promote_side(
                    pair, dc, token, right, timeout=choices.timeout, progress=progress, on_reached=name.start
                )
                outage = time.monotonic() - begun if where.stage is Stage.PRIMARY_ELSEWHERE else None
                outcome.text = "takes writes"
        finished = finish(
            root, subjects, dc, right, steps, name, timeout=choices.timeout, backup=choices.wait_backup
        )
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(
            f"stopped in the middle; run the same command again: {_again(subjects, dc)}"
        ) from interrupt
    return SwitchedOver(
        pair[old].name, pair[dc].name, where.stage.value, (), rows, tuple(steps.taken), outage, finished
    )


def _plan(subjects: Subjects, dc: str, choices: Choices, progress: Progress) -> SwitchedOver:
    """Look, and say what would be done; nothing is changed."""
    pair = _reach(subjects)
    where = situation(pair, dc)
    old = where.source.dc if where.source else next(side.dc for side in pair.others(dc))
    rows: tuple[Row, ...] = ()
    if where.stage is Stage.PRIMARY_ELSEWHERE:
        rows = tuple(switchover_checks(pair, old, dc, choices.skip_checks, progress))
    todo = {
        Stage.PRIMARY_ELSEWHERE: [
            f"have {dc} apply all that {old} has written until now",
            f"demote {pair[old].name}: writes stop",
            f"promote {pair[dc].name} with the token: writes go on",
        ],
        Stage.DEMOTED: [
            f"take the token of {pair[old].name}, which is demoted or about to be",
            f"promote {pair[dc].name} with it: writes go on",
        ],
        Stage.PROMOTING: [f"wait until {pair[dc].name} takes writes"],
        Stage.PRIMARY: [],
    }[where.stage]
    rest = [
        f"point the primary's name to {dc}, unless it does",
        f"write primaryDatacenter: {dc} to clients.yaml, and sync both releases, unless that is done",
        f"take a base backup of {pair[dc].name} on its new timeline, unless there is one",
        "write through the primary's name",
    ]
    return SwitchedOver(pair[old].name, pair[dc].name, where.stage.value, (*todo, *rest), rows)


def _reach(subjects: Subjects) -> Pair:
    pair = look(subjects)
    for side in pair.sides.values():
        side.reached()
    return pair


def _lead_to(name: NameMove, old: str, skipped: bool) -> str:
    if skipped:
        return "not looked at, as asked"
    return lead_to_primary(name.record, old, timeout=NAME_SECONDS)


def _token_of(
    pair: Pair, source: Side, dc: str, right: Exclusive, timeout: float, progress: Progress
) -> Token:
    """Return the token of a side that is demoted, or wait for it; a side may take its own one back."""
    if source.dc == dc:
        found = demotion_token(source.cluster)
        if found:
            return parse_token(found)
    return demote_side(
        pair,
        source.dc,
        source.named_primary if source.dc == dc else pair[dc].name,
        right,
        timeout=timeout,
        progress=progress,
    )


def _again(subjects: Subjects, dc: str) -> str:
    target = subjects[dc].target
    return f"pgaas switchover --ins {target.ins} --env {target.env} --to {dc}"

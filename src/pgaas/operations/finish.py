"""What follows a promotion, in the order in which its lack would hurt; what is done is left alone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pgaas.config.registry import write_primary
from pgaas.errors import NotHealthy, PgaasError
from pgaas.operations.exclusive import Exclusive
from pgaas.operations.moving import catch_up, wait_promoted
from pgaas.operations.pair import Subjects, load_pair, look_at
from pgaas.operations.primary_name import NameMove
from pgaas.operations.progress import Outcome, Silent
from pgaas.operations.settle import (
    Written,
    backup_done,
    databases_applied,
    following,
    new_backup,
    settle_release,
    write_through,
)
from pgaas.operations.subject import Subject
from pgaas.render.write import write_values

FOLLOW_SECONDS = 180.0
NAME_SECONDS = 60.0
BACKUP_SECONDS = 600.0

Steps = Callable[[str], AbstractContextManager[Outcome]]


@dataclass(frozen=True)
class Finished:
    """What was found or done after a promotion."""

    clients_file: str
    name: str
    addresses: tuple[str, ...]
    written: Written
    backup: str


def finish(
    root: Path,
    subjects: Subjects,
    dc: str,
    right: Exclusive,
    steps: Steps,
    name: NameMove,
    *,
    timeout: float,
    backup: bool = True,
    lost: str | None = None,
) -> Finished:
    """Do what a new primary needs beside itself: its name, clients.yaml, both releases, a backup, a write.

    A part that fails does not keep the others from being done. Raise NotHealthy at the end, with all of them:
    the same command, run again, does what is left. Raise RefusedAsUnsafe at once if another command
    is at work by now.
    """
    problems: list[str] = []
    target = subjects[dc].target

    def part(what: str, act: Callable[[Outcome], None]) -> None:
        # A process that slept may wake when another command has moved the primary on: then the name,
        # clients.yaml and the releases are that one's.
        right.check_taken()
        try:
            with steps(what) as outcome:
                act(outcome)
        except PgaasError as error:
            problems.append(f"{what}: {error.what}{f'; {error.next_step}' if error.next_step else ''}")

    file = ""

    def note_down(outcome: Outcome) -> None:
        nonlocal file
        path = write_primary(root, target.ins, target.env, dc, lost=lost)
        file = str(path.relative_to(root) if path.is_relative_to(root) else path)
        outcome.text = f"{file} says primaryDatacenter: {dc}: commit it"

    def point(outcome: Outcome) -> None:
        name.finish()
        name.record.wait_for(dc, NAME_SECONDS)
        outcome.text = "; ".join([f"leads to {dc}", *name.unchanged])

    part("write down the primary", note_down)
    part("primary's name", point)
    side = look_at(subjects[dc])
    part("operator", lambda _: wait_promoted(side, timeout=timeout, progress=Silent()))
    side = look_at(subjects[dc])

    def databases(outcome: Outcome) -> None:
        missing = databases_applied(side, timeout=timeout)
        if missing:
            raise NotHealthy(f"not applied: {missing}", next_step=side.subject.command("status"))
        outcome.text = "applied"

    part("databases", databases)
    asked = ""

    def ask_backup(outcome: Outcome) -> None:
        nonlocal asked
        asked = new_backup(side, progress=Silent())
        outcome.text = asked or "none: the schedule takes the next one"

    part("base backup", ask_backup)
    written = Written(False, "not tried")

    def write(outcome: Outcome) -> None:
        nonlocal written
        written = write_through(side, name.record.name, name.record.resolve_primary())
        outcome.text = written.detail if written.tried else f"not tried: {written.detail}"

    part("write through the primary's name", write)
    now = load_pair(root, target.ins, target.env)
    for other, subject in now.items():
        if other != lost:
            part(f"release of {other}", partial(_settle, root, subject, right))
    for other in now:
        if other not in (dc, lost):
            part(f"{other} follows", partial(_follow, now, other, dc))
    if asked and backup:

        def follow_backup(outcome: Outcome) -> None:
            why = backup_done(side, asked, timeout=BACKUP_SECONDS, progress=Silent())
            outcome.text = why or f"{asked} completed"
            if why:
                raise NotHealthy(f"{asked}: {why}", next_step=subjects[dc].command("status"))

        part("base backup to its end", follow_backup)
    if problems:
        lines = "".join(f"\n  {problem}" for problem in problems)
        raise NotHealthy(
            f"{subjects[dc].cluster} is the primary and takes writes, but not all is done:{lines}",
            where=f"{target.ins} in {target.env}",
            next_step="mend what is named above, then run the same command again: it does what is left",
        )
    return Finished(file, name.record.name, tuple(name.record.resolve_primary()), written, asked)


def _settle(root: Path, subject: Subject, right: Exclusive, outcome: Outcome) -> None:
    write_values(root, subject.target, subject.values)
    done = settle_release(subject, subject.api(), right, Silent())
    outcome.text = "helm owns the topology again" if done else "nothing to do"


def _follow(subjects: Subjects, dc: str, primary: str, outcome: Outcome) -> None:
    side, leader = look_at(subjects[dc]), look_at(subjects[primary])
    ok, detail = following(side, leader)
    if not ok:
        raise NotHealthy(
            f"{side.name} does not follow: {detail}",
            next_step=f"if it stays so: {side.subject.command('rebuild')}",
        )
    there = catch_up(leader, side, timeout=FOLLOW_SECONDS, progress=Silent())
    outcome.text = f"has all up to {there.lsn} on timeline {there.timeline}"

"""`pgaas events`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pgaas.cli.options import (
    DcOption,
    EnvOption,
    InsOption,
    Output,
    OutputOption,
    RootOption,
    root_folder,
)
from pgaas.cli.output import out_json, out_pieces, out_table, say_note

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from pgaas.config.naming import Target
    from pgaas.operations.events import Event

YELLOW = "33"
FollowOption = Annotated[
    bool,
    typer.Option("--follow", "-f", "--watch", help="Go on with what happens from now on, until Ctrl-C."),
]
WarningsOption = Annotated[bool, typer.Option("--warnings", help="Warnings only.")]


def events(
    ins: InsOption,
    env: EnvOption,
    dc: DcOption = None,
    follow: FollowOption = False,
    warnings: WarningsOption = False,
    output: OutputOption = Output.text,
    root: RootOption = None,
) -> None:
    """Show what Kubernetes has noted about a cluster: its pods, volumes, jobs, backups and certificates too.

    The newest is last; what has happened more than once has a count. Kubernetes forgets events after an hour.
    With --follow and -o json, each event is one line.

    Examples:
      pgaas events --ins ic1 --env prod
      pgaas events --ins ic1 --env prod --dc dc1 --warnings --follow
    """
    from pgaas.operations.target import find_target

    folder = root_folder(root)
    target = find_target(folder, ins, env, dc)
    (show_all if not follow else show_each)(folder, target, warnings=warnings, output=output)


def show_all(folder: Path, target: Target, *, warnings: bool, output: Output) -> None:
    """Print the events there are."""
    from pgaas.operations import events as operation

    found = [event for event in operation.events(folder, target) if event.warning or not warnings]
    now = operation.now()
    if output is Output.json:
        out_json([as_json(event, now) for event in found])
    elif found:
        show_table(found, now)
    else:
        say_note("no events: Kubernetes forgets them after an hour or so")


def show_table(found: Sequence[Event], now: datetime) -> None:
    """Print events as a table, warnings marked."""
    rows = [
        (
            "!" if event.warning else "",
            shown_age(event.age(now)),
            event.count,
            f"{event.kind} {event.name}",
            event.reason,
            event.message,
        )
        for event in found
    ]
    out_table(("", "age", "count", "object", "reason", "message"), rows)


def show_each(folder: Path, target: Target, *, warnings: bool, output: Output) -> None:
    """Print events as they come, until Ctrl-C."""
    from pgaas.operations import events as operation

    try:
        print_each(operation.follow_events(folder, target, say_note), warnings=warnings, output=output)
    except KeyboardInterrupt as interrupt:
        interrupt.args = interrupt.args or ("what happens goes on without you",)
        raise


def print_each(found: Iterator[Event], *, warnings: bool, output: Output) -> None:
    """Print each event in a line of its own."""
    from pgaas.operations import events as operation

    for event in found:
        if event.warning or not warnings:
            as_line = json.dumps(as_json(event, operation.now()))
            out_pieces([(as_line, "")] if output is Output.json else line(event))


def line(event: Event) -> list[tuple[str, str]]:
    """Return an event in one line."""
    mark = ("!", YELLOW) if event.warning else (" ", "")
    times = f" ({event.count} times)" if event.count > 1 else ""
    text = f" {event.kind} {event.name}: {event.reason}: {event.message}{times}"
    return [(f"{event.last} ", ""), mark, (text, "")]


def shown_age(seconds: float | None) -> str:
    """Return an age as Kubernetes' own tools write it."""
    if seconds is None:
        return "-"
    whole = int(seconds)
    if whole < 120:
        return f"{whole}s"
    minutes = whole // 60
    return (
        f"{minutes}m" if minutes < 120 else f"{minutes // 60}h" if minutes < 2880 else f"{minutes // 1440}d"
    )


def as_json(event: Event, now: datetime) -> dict[str, Any]:
    """Return an event for a program."""
    age = event.age(now)
    return asdict(event) | {"age_seconds": None if age is None else round(age)}

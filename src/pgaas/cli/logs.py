"""`pgaas logs`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pgaas.cli.durations import parse_duration
from pgaas.cli.options import (
    DcOption,
    EnvOption,
    InsOption,
    Output,
    OutputOption,
    RootOption,
    root_folder,
)
from pgaas.cli.output import out_pieces, say_note

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pgaas.operations.logs import Said

COLOURS = {"warning": "33", "error": "31", "fatal": "1;31", "debug": "2"}
Pieces = list[tuple[str, str]]
CONTAINERS = ("postgres", "plugin-barman-cloud", "all")


class Level(StrEnum):
    """How bad a line is."""

    debug = "debug"
    info = "info"
    warning = "warning"
    error = "error"
    fatal = "fatal"


def parse_pattern(text: str) -> re.Pattern[str]:
    """Return a regular expression; raise typer.BadParameter if it is none."""
    try:
        return re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise typer.BadParameter(f"{text!r} is no regular expression: {error}") from error


def complete_container(incomplete: str) -> list[str]:
    """Complete --container."""
    return [name for name in CONTAINERS if name.startswith(incomplete)]


FollowOption = Annotated[
    bool, typer.Option("--follow", "-f", help="Go on with what is logged from now on, until Ctrl-C.")
]
SinceOption = Annotated[
    float,
    typer.Option(
        "--since",
        help="How far back to begin, such as 90s, 10m or 1h30m.",
        metavar="DURATION",
        parser=parse_duration,
    ),
]
InstanceOption = Annotated[
    str | None,
    typer.Option(
        "--instance",
        help="One instance: its number, or its pod's name; by default all.",
        metavar="N",
        show_default=False,
    ),
]
ContainerOption = Annotated[
    str,
    typer.Option(
        "--container",
        help="postgres, plugin-barman-cloud, or all of them.",
        metavar="NAME",
        autocompletion=complete_container,
    ),
]
LevelOption = Annotated[
    Level | None,
    typer.Option("--level", help="Leave out what is less bad than this.", show_default=False),
]
GrepOption = Annotated[
    re.Pattern[str] | None,
    typer.Option(
        "--grep",
        help="Only lines in which this regular expression is found; (?i) at its beginning ignores case.",
        metavar="PATTERN",
        parser=parse_pattern,
        show_default=False,
    ),
]
RawOption = Annotated[bool, typer.Option("--raw", help="Print lines as they came, and nothing beside them.")]
PreviousOption = Annotated[
    bool, typer.Option("--previous", help="What containers said before they were restarted last.")
]


def logs(
    ins: InsOption,
    env: EnvOption,
    dc: DcOption = None,
    follow: FollowOption = False,
    since: SinceOption = "10m",  # type: ignore[assignment]
    instance: InstanceOption = None,
    container: ContainerOption = "postgres",
    level: LevelOption = None,
    grep: GrepOption = None,
    raw: RawOption = False,
    previous: PreviousOption = False,
    output: OutputOption = Output.text,
    root: RootOption = None,
) -> None:
    """Show the logs of a cluster's instances, merged by time and readable.

    PostgreSQL's lines have their severity, role, database, hint and statement; the operator's agent its own.
    The jobs that make an instance are shown with it. With --follow it goes on over restarts of pods and lost
    connections. Times are UTC. With -o json, each line is one document.

    Examples:
      pgaas logs --ins ic1 --env prod --follow
      pgaas logs --ins ic1 --env prod --since 1h --level error
      pgaas logs --ins ic1 --env prod --instance 2 --container plugin-barman-cloud --grep 's3://'
    """
    from pgaas.operations import logs as operation
    from pgaas.operations.target import find_target

    wanted = None if previous else since
    choices = operation.Choices(wanted, instance, container, level, grep, follow, previous)
    folder = root_folder(root)
    said = operation.logs(folder, find_target(folder, ins, env, dc), choices, say_note)
    if not print_lines(said, printer(output, raw)) and not follow:
        say_note("nothing like that was logged; --since looks further back")


def print_lines(lines: Iterator[Said], show: Callable[[Said], Pieces]) -> int:
    """Print lines as they come, and return how many there were."""
    count = 0
    try:
        for line in lines:
            out_pieces(show(line))
            count += 1
    except KeyboardInterrupt as interrupt:
        interrupt.args = interrupt.args or ("the log goes on without you",)
        raise
    return count


def printer(output: Output, raw: bool) -> Callable[[Said], Pieces]:
    """Return how a line is shown."""
    if output is Output.json:
        return lambda line: [(json.dumps(as_json(line)), "")]
    return (lambda line: [(line.raw, "")]) if raw else shown


def shown(line: Said) -> Pieces:
    """Return a line for a person."""
    entry = line.entry
    place = line.pod if line.container == "postgres" else f"{line.pod}/{line.container}"
    logger = "" if entry.logger in ("", "postgres") else f"{entry.logger}: "
    text = "\n    ".join([f" {logger}{entry.message}", *entry.beside])
    return [
        (f"{line.at:%Y-%m-%d %H:%M:%S}.{line.at.microsecond // 1000:03d} {place} ", ""),
        (f"{entry.level:<7}", COLOURS.get(entry.level, "")),
        (text, ""),
    ]


def as_json(line: Said) -> dict[str, Any]:
    """Return a line for a program."""
    return {
        "at": line.at.isoformat().replace("+00:00", "Z"),
        "pod": line.pod,
        "container": line.container,
        "level": line.entry.level,
        "logger": line.entry.logger,
        "message": line.entry.message,
        "beside": list(line.entry.beside),
    }

"""Look again and again: redrawn on a terminal, one line for each change elsewhere, or JSON line by line."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import typer

from pgaas.cli.durations import DURATION, parse_duration
from pgaas.cli.options import Output
from pgaas.cli.output import complain, out, out_json
from pgaas.cli.progress import wants_live
from pgaas.errors import ConfigError, PgaasError, UsageError

INTERVAL = 2.0
Seen = TypeVar("Seen")


@dataclass(frozen=True)
class View(Generic[Seen]):
    """What can be looked at: as tables, in one line, for a program; `judge` raises for what is wrong."""

    look: Callable[[], Seen]
    show: Callable[[Seen], None]
    line: Callable[[Seen], str]
    plain: Callable[[Seen], Any]
    judge: Callable[[Seen], None]


def parse_interval(text: str) -> float:
    """Return the seconds between two looks; raise typer.BadParameter for anything but a duration."""
    try:
        seconds = float(text) if not DURATION.fullmatch(text) else parse_duration(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise typer.BadParameter(f"{text!r} is no time between two looks: write 2, 0.5 or 1m")
    return seconds


def run(view: View[Seen], output: Output, every: float | None) -> None:
    """Look once, or with `every` so many seconds between two looks until Ctrl-C; raise what is wrong then."""
    if every is not None:
        watch(view, output, every)
        return
    seen = view.look()
    out_json(view.plain(seen)) if output is Output.json else view.show(seen)
    view.judge(seen)


def watch(view: View[Seen], output: Output, every: float) -> None:
    """Look until Ctrl-C, then raise what is wrong with the last look.

    What keeps a look from being made is shown, and the next one tried; only a wrong call ends it at once.
    """
    draw = _json(view) if output is Output.json else _drawn(view, every) if _live() else _lines(view)
    last: Seen | PgaasError | None = None
    try:
        while True:
            found = _look(view)
            if last is None and isinstance(found, UsageError | ConfigError):
                raise found
            draw(found)
            last = found
            sys.stdout.flush()
            pause(every)
    except KeyboardInterrupt as interrupt:
        # SIGTERM comes as a kind of it, and is no wish to see a result.
        if last is None or type(interrupt) is not KeyboardInterrupt:
            raise
    if isinstance(last, PgaasError):
        raise last
    view.judge(last)


def pause(seconds: float) -> None:
    """Wait for the next look."""
    time.sleep(seconds)


def _live() -> bool:
    return wants_live(sys.stdout)


def _look(view: View[Seen]) -> Seen | PgaasError:
    try:
        return view.look()
    except PgaasError as error:
        return error


def _json(view: View[Seen]) -> Callable[[Seen | PgaasError], None]:
    def draw(found: Seen | PgaasError) -> None:
        plain = (
            {"healthy": False, "error": _told(found)} if isinstance(found, PgaasError) else view.plain(found)
        )
        out(json.dumps(plain, default=str))

    return draw


def _lines(view: View[Seen]) -> Callable[[Seen | PgaasError], None]:
    before = ""

    def draw(found: Seen | PgaasError) -> None:
        nonlocal before
        line = f"error: {_told(found)}" if isinstance(found, PgaasError) else view.line(found)
        line = " ".join(line.split())
        if line != before:
            before = line
            out(f"{datetime.now().astimezone():%H:%M:%S} {line}")

    return draw


def _drawn(view: View[Seen], every: float) -> Callable[[Seen | PgaasError], None]:
    from rich.console import Console

    def draw(found: Seen | PgaasError) -> None:
        Console(file=sys.stdout).clear()
        error = found if isinstance(found, PgaasError) else None
        if not isinstance(found, PgaasError):
            view.show(found)
            error = _wrong(view, found)
        sys.stdout.flush()
        if error:
            complain(error.what, where=error.where, next_step=error.next_step)
        out(f"\n{datetime.now().astimezone():%H:%M:%S}, again every {every:g} s; Ctrl-C ends")

    return draw


def _wrong(view: View[Seen], seen: Seen) -> PgaasError | None:
    try:
        view.judge(seen)
    except PgaasError as error:
        return error
    return None


def _told(error: PgaasError) -> str:
    issues = [str(issue) for issue in error.issues] if isinstance(error, ConfigError) else []
    return "; ".join([error.what, *issues])

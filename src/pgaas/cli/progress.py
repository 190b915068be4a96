"""Show an operation's progress on stderr: one live line in a terminal, whole lines elsewhere."""

from __future__ import annotations

import os
import shutil
import sys
import time
from typing import TextIO

from pgaas.cli.output import echo_command, harmless, say, styled, wants_colour

_GREEN = "32"
_RED = "31"
_CLEAR_LINE = "\r\x1b[K"
BAR_WIDTH = 24
REDRAW_SECONDS = 0.1


def progress_for(*, verbose: bool) -> Lines:
    """Return the progress for this process's stderr; `verbose` shows outside commands."""
    kind = Live if wants_live(sys.stderr) else Lines
    return kind(verbose=verbose)


def quiet_progress(*, verbose: bool) -> Lines:
    """Return the progress of a command that others read from: without a terminal it says warnings only."""
    return Live(verbose=verbose) if wants_live(sys.stderr) else Notes(verbose=verbose)


def wants_live(stream: TextIO) -> bool:
    """Return whether a stream is a terminal on which a line can be redrawn."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


class Lines:
    """Progress for logs: a line when a step starts, when what it sees changes, and when it ends."""

    def __init__(self, *, verbose: bool) -> None:
        self._verbose = verbose
        self._step = ""
        self._detail = ""
        self._since = 0.0

    def started(self, step: str) -> None:
        """Open a step."""
        self._step, self._detail, self._since = step, "", time.monotonic()
        self._show_start()

    def detail(self, text: str) -> None:
        """Show what the step sees, if that is new."""
        if text != self._detail:
            self._detail = text
            self._show_detail()

    def advanced(self, done: int, total: int) -> None:
        """Leave counting to terminals: a log needs no bar."""

    def finished(self, text: str = "") -> None:
        """Close the step as done."""
        self._close("ok", _GREEN, text)

    def failed(self, text: str) -> None:
        """Close the step as failed."""
        self._close("failed", _RED, text)

    def note(self, text: str) -> None:
        """Show a message that belongs to no step."""
        self._clear()
        say(harmless(f"note: {text}"))

    def command(self, text: str) -> None:
        """Show an outside command, if that is wanted."""
        if self._verbose:
            self._clear()
            echo_command(text)

    def _close(self, verdict: str, colour: str, text: str) -> None:
        self._clear()
        seconds = f"{time.monotonic() - self._since:.0f} s" if self._since else "0 s"
        rest = harmless(f"{self._step} ({seconds}){': ' + text if text else ''}")
        say(f"[{styled(verdict, colour)}] {rest}")
        self._step, self._detail, self._since = "", "", 0.0

    def _show_start(self) -> None:
        say(harmless(f"{self._step} …"))

    def _show_detail(self) -> None:
        say(harmless(f"  {self._detail}"))

    def _clear(self) -> None:
        """Make room for a whole line; lines need none."""


class Notes(Lines):
    """Progress for pipes: no steps, only notes, and outside commands if those are wanted."""

    def _close(self, verdict: str, colour: str, text: str) -> None:
        """Drop it: how a command fails is told by its error."""

    def _show_start(self) -> None:
        """Drop it."""

    def _show_detail(self) -> None:
        """Drop it."""


class Live(Lines):
    """Progress for a terminal: the open step is one line, redrawn in place."""

    def __init__(self, *, verbose: bool) -> None:
        super().__init__(verbose=verbose)
        self._drawn_at = 0.0

    def advanced(self, done: int, total: int) -> None:
        """Draw a bar, ten times a second at most."""
        now = time.monotonic()
        if done < total and now - self._drawn_at < REDRAW_SECONDS:
            return
        self._drawn_at = now
        filled = BAR_WIDTH * done // total if total else BAR_WIDTH
        self._draw(f"{self._step} [{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {done}/{total}")

    def _show_start(self) -> None:
        self._draw(f"{self._step} …")

    def _show_detail(self) -> None:
        self._draw(f"{self._step} ({time.monotonic() - self._since:.0f} s): {self._detail}")

    def _draw(self, text: str) -> None:
        width = shutil.get_terminal_size().columns - 1
        line = harmless(" ".join(text.split()))[:width]
        sys.stderr.write(_CLEAR_LINE + (f"\x1b[2m{line}\x1b[0m" if wants_colour(sys.stderr) else line))
        sys.stderr.flush()

    def _clear(self) -> None:
        sys.stderr.write(_CLEAR_LINE)

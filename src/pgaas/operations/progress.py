"""How an operation says what it is doing: it never prints, it reports."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol


class Progress(Protocol):
    """Take reports from an operation; one step is open at a time."""

    def started(self, step: str) -> None:
        """Open a step, such as "waiting for the cluster to be healthy"."""

    def detail(self, text: str) -> None:
        """Say what the open step sees or waits for right now; the same text again is no news."""

    def advanced(self, done: int, total: int) -> None:
        """Say how far the open step has come, where that can be counted."""

    def finished(self, text: str = "") -> None:
        """Close the open step as done, with what came out of it."""

    def failed(self, text: str) -> None:
        """Close the open step as failed, with why."""

    def note(self, text: str) -> None:
        """Tell the user something that belongs to no step, such as a warning."""

    def command(self, text: str) -> None:
        """Show an outside command before it runs, its secrets already masked."""


class Silent:
    """A Progress that drops every report."""

    def started(self, step: str) -> None:
        """Drop the report."""

    def detail(self, text: str) -> None:
        """Drop the report."""

    def advanced(self, done: int, total: int) -> None:
        """Drop the report."""

    def finished(self, text: str = "") -> None:
        """Drop the report."""

    def failed(self, text: str) -> None:
        """Drop the report."""

    def note(self, text: str) -> None:
        """Drop the report."""

    def command(self, text: str) -> None:
        """Drop the report."""


class Patient(Silent):
    """A step that is shown only if it takes longer than a moment: what is quick is not worth a line."""

    def __init__(self, progress: Progress, after: float = 1.0) -> None:
        self._progress = progress
        self._after = after
        self._name = ""
        self._since = 0.0
        self._shown = False

    def started(self, step: str) -> None:
        """Open the step, and show nothing yet."""
        self._name, self._since, self._shown = step, time.monotonic(), False

    def detail(self, text: str) -> None:
        """Say what the step waits for, if it has taken a while."""
        if self._late():
            self._progress.detail(text)

    def advanced(self, done: int, total: int) -> None:
        """Say how far the step has come, if it has taken a while."""
        if self._late():
            self._progress.advanced(done, total)

    def finished(self, text: str = "") -> None:
        """Close the step, if it was shown."""
        if self._shown:
            self._progress.finished(text)

    def failed(self, text: str) -> None:
        """Close the step as failed, if it was shown."""
        if self._shown:
            self._progress.failed(text)

    def _late(self) -> bool:
        if not self._shown and time.monotonic() - self._since >= self._after:
            self._shown = True
            self._progress.started(self._name)
        return self._shown


@dataclass
class Outcome:
    """How a step ends whose block does not raise; `problem` says what went wrong with a part of it."""

    text: str = ""
    problem: str = ""


@contextmanager
def step(progress: Progress, name: str) -> Iterator[Outcome]:
    """Open a step, and close it as finished, or as failed when the block raises (Ctrl-C included)."""
    outcome = Outcome()
    progress.started(name)
    try:
        yield outcome
    except KeyboardInterrupt:
        progress.failed("interrupted")
        raise
    except Exception as exception:
        first_line, _, _ = str(exception).partition("\n")
        progress.failed(first_line or type(exception).__name__)
        raise
    if outcome.problem:
        progress.failed(outcome.problem)
    else:
        progress.finished(outcome.text)

"""How an operation says what it is doing: it never prints, it reports."""

from __future__ import annotations

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

"""The steps of a command that moves something: each is told as it happens, and timed for the summary."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pgaas.operations.progress import Outcome, Progress, step


@dataclass(frozen=True)
class Taken:
    """One step that was taken, and how many seconds it took."""

    name: str
    seconds: float
    detail: str


@dataclass
class Steps:
    """The steps taken so far."""

    progress: Progress
    taken: list[Taken] = field(default_factory=list)

    @contextmanager
    def __call__(self, name: str) -> Iterator[Outcome]:
        """Open a step, and note it down when it ends well."""
        start = time.monotonic()
        with step(self.progress, name) as outcome:
            yield outcome
        self.taken.append(Taken(name, time.monotonic() - start, outcome.text))

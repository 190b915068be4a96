"""Show what the lab is doing, and how long each step took."""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO

from rich.console import Console
from rich.status import Status
from rich.table import Table

from pgaas_lab import paths


@dataclass
class Step:
    """One step: what it is called, what it is at, what it came to and how long it took."""

    name: str
    at: str = ""
    note: str = ""
    seconds: float = 0.0


def standard_error() -> Console:
    """Return a console on standard error, so that standard output stays for what a command answers."""
    return console(sys.stderr)


def console(file: TextIO) -> Console:
    """Return a console that folds lines for a terminal only, not in a log or a pipe."""
    return Console(file=file, highlight=False, width=None if file.isatty() else 200)


@dataclass
class Steps:
    """The steps of one command, in order."""

    console: Console = field(default_factory=standard_error)
    done: list[Step] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Run a step under a spinner, then print its line."""
        step = Step(name)
        began = time.monotonic()
        try:
            with self.console.status("") as status, ticking(status, step, began):
                yield step
        except BaseException:
            step.seconds = time.monotonic() - began
            self.console.print(f"[red]✗[/] {name}  [dim]{duration(step.seconds)}[/]")
            raise
        step.seconds = time.monotonic() - began
        self.done.append(step)
        note = f"  [dim]{step.note}[/]" if step.note else ""
        self.console.print(f"[green]✓[/] {name}  [bold]{duration(step.seconds)}[/]{note}")

    def total(self) -> float:
        """Return the seconds since the command began."""
        return time.monotonic() - self.began

    def summary(self, slowest: int = 12) -> Table:
        """Return a table of the slowest steps and the total."""
        table = Table(box=None, pad_edge=False)
        table.add_column("slowest steps")
        table.add_column("time", justify="right")
        for step in sorted(self.done, key=lambda step: -step.seconds)[:slowest]:
            table.add_row(step.name, duration(step.seconds))
        table.add_row("total", duration(self.total()), style="bold")
        return table

    def save(self) -> None:
        """Keep the times in the state folder."""
        times = {
            "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "total": round(self.total(), 1),
            "steps": [{"name": step.name, "seconds": round(step.seconds, 1)} for step in self.done],
        }
        paths.state().mkdir(parents=True, exist_ok=True)
        (paths.state() / "timings.json").write_text(json.dumps(times, indent=2) + "\n")


@contextmanager
def ticking(status: Status, step: Step, began: float) -> Iterator[None]:
    """Keep a spinner's text up to date while a step runs."""
    over = threading.Event()

    def tick() -> None:
        while not over.wait(0.2):
            at = f"  [dim]{step.at}[/]" if step.at else ""
            status.update(f"{step.name}  {duration(time.monotonic() - began)}{at}")

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def duration(seconds: float) -> str:
    """Return a time as people say it."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


def wait_until(
    ready: Callable[[], str],
    *,
    timeout: float,
    on_timeout: Callable[[str], Exception],
    step: Step | None = None,
    every: float = 0.3,
) -> None:
    """Wait until `ready` returns an empty text; until then the text says what is missing."""
    deadline = time.monotonic() + timeout
    while missing := ready():
        if step:
            step.at = missing
        if time.monotonic() > deadline:
            raise on_timeout(missing)
        time.sleep(every)

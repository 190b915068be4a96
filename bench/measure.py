"""Time commands as whole processes, in turn, so that a drift of the machine's speed meets both alike."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """Median, minimum and maximum of some runs."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.3f} ({self.low:.3f}–{self.high:.3f})"


def spread(samples: Sequence[float]) -> Spread:
    """Summarise samples."""
    return Spread(statistics.median(samples), min(samples), max(samples))


def seconds(command: Sequence[str], **options: object) -> float:
    """Return the wall-clock seconds of one run; a command that fails ends the benchmark."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)  # type: ignore[call-overload]
    return time.perf_counter() - started


@dataclass(frozen=True)
class Pair:
    """Two commands timed in turn, and the ratio of each round."""

    first: Spread
    second: Spread
    ratio: Spread


def paired(first: Sequence[str], second: Sequence[str], rounds: int) -> Pair:
    """Time two commands in turn after one warm-up each, and compare them round by round."""
    seconds(first)
    seconds(second)
    times = [(seconds(first), seconds(second)) for _ in range(rounds)]
    return Pair(
        spread([one for one, _ in times]),
        spread([two for _, two in times]),
        spread([one / two for one, two in times]),
    )


@dataclass(frozen=True)
class Usage:
    """What one process took: wall-clock and processor seconds, and its peak memory in MiB."""

    wall: float
    cpu: float
    peak_mebibytes: float


def usage(command: Sequence[str]) -> Usage:
    """Run a command on one core and return what it took."""
    core = min(os.sched_getaffinity(0))
    started = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, preexec_fn=lambda: os.sched_setaffinity(0, {core})
    )
    _, status, taken = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    if os.waitstatus_to_exitcode(status):
        sys.exit(f"{' '.join(command)} failed")
    return Usage(wall, taken.ru_utime + taken.ru_stime, peak(taken))


def peak(taken: resource.struct_rusage) -> float:
    """Return a finished process's peak memory in MiB (Linux counts it in KiB)."""
    return taken.ru_maxrss / 1024

"""Durations as users write them: 90s, 10m, 1h30m, or a number of seconds."""

from __future__ import annotations

import re
from typing import Annotated

import typer

DURATION = re.compile(r"(?:(?P<h>\d{1,9})h)?(?:(?P<m>\d{1,9})m)?(?:(?P<s>\d{1,9})s?)?", re.ASCII)
# Longer than anybody waits, and short enough to reckon with dates.
LONGEST = 10 * 365 * 24 * 3600


def parse_duration(text: str) -> float:
    """Return a duration in seconds; raise typer.BadParameter for anything else."""
    match = DURATION.fullmatch(text.strip())
    parts = {unit: int(number or 0) for unit, number in match.groupdict().items()} if match else {}
    seconds = parts.get("h", 0) * 3600 + parts.get("m", 0) * 60 + parts.get("s", 0)
    if not 0 < seconds <= LONGEST:
        raise typer.BadParameter(f"{text[:40]!r} is no duration of up to ten years: write 90s, 10m or 1h30m")
    return float(seconds)


TimeoutOption = Annotated[
    float,
    typer.Option(
        "--timeout",
        help="How long to wait, such as 90s, 10m or 1h30m.",
        metavar="DURATION",
        parser=parse_duration,
    ),
]

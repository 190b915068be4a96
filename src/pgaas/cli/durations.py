"""Durations as users write them: 90s, 10m, 1h30m, or a number of seconds."""

from __future__ import annotations

import re
from typing import Annotated

import typer

DURATION = re.compile(r"(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m)?(?:(?P<s>\d+)s?)?")


def parse_duration(text: str) -> float:
    """Return a duration in seconds; raise typer.BadParameter for anything else than a positive one."""
    match = DURATION.fullmatch(text.strip())
    parts = {unit: int(number or 0) for unit, number in match.groupdict().items()} if match else {}
    seconds = parts.get("h", 0) * 3600 + parts.get("m", 0) * 60 + parts.get("s", 0)
    if seconds <= 0:
        raise typer.BadParameter(f"{text!r} is no duration: write 90s, 10m or 1h30m")
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

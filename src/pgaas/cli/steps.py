"""Show the timed steps of a command that moves something, to a person and to a program."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pgaas.cli.output import out_table

if TYPE_CHECKING:
    from pgaas.operations.steps import Taken


def out_steps(steps: Iterable[Taken]) -> None:
    """Print each step, how long it took, and what came out of it."""
    rows = [(each.name, f"{each.seconds:.1f} s", each.detail) for each in steps]
    out_table(("step", "took", "result"), rows)


def plain_steps(steps: Iterable[Taken]) -> list[dict[str, object]]:
    """Return the steps for a program; times are in seconds."""
    return [{"name": each.name, "seconds": round(each.seconds, 2), "detail": each.detail} for each in steps]

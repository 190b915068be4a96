"""The rows of a preflight, and the error that they add up to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pgaas.errors import (
    KubernetesError,
    NotHealthy,
    PgaasError,
    RefusedAsUnsafe,
    ToolFailed,
    ToolMissing,
)

# Which exit code speaks for several failures: what is unsafe first.
SEVEREST_FIRST = (RefusedAsUnsafe, KubernetesError, ToolMissing, ToolFailed, NotHealthy)

State = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True)
class Row:
    """One check: its state, what was seen, and what to do next if it failed."""

    name: str
    state: State
    detail: str
    next_step: str = ""
    error: type[PgaasError] = KubernetesError


def refuse_rows(rows: Iterable[Row], *, where: str) -> None:
    """Raise one error that names every failed check; the severest decides its exit code."""
    failed = [row for row in rows if row.state == "failed"]
    if not failed:
        return
    kind = next(
        (kind for kind in SEVEREST_FIRST if any(issubclass(row.error, kind) for row in failed)),
        KubernetesError,
    )
    leading = next(row for row in failed if issubclass(row.error, kind))
    if len(failed) == 1:
        what = f"{leading.name}: {leading.detail}"
    else:
        lines = [f"\n  {row.name}: {row.detail}\n    next: {row.next_step}" for row in failed]
        what = f"{len(failed)} preflight checks failed{''.join(lines)}"
    raise kind(
        what,
        where=where,
        next_step=leading.next_step if len(failed) == 1 else "mend what is named above, then run this again",
    )

"""One row of a preflight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pgaas.errors import KubernetesError, PgaasError

State = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True)
class Row:
    """One check: its state, what was seen, and what to do next if it failed."""

    name: str
    state: State
    detail: str
    next_step: str = ""
    error: type[PgaasError] = KubernetesError

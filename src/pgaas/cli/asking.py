"""Ask at the terminal."""

from __future__ import annotations

import sys
from typing import Protocol

import typer


class Named(Protocol):
    """A plan that is confirmed by its cluster's name."""

    @property
    def cluster(self) -> str:
        """Return the name to retype."""


def retyped(confirm: str | None, purpose: str, plan: Named) -> str | None:
    """Return what was given to --confirm, or else what is typed for a cluster's name.

    `purpose` says what follows. Return None if there is no terminal to ask at.
    """
    if confirm is not None or not sys.stdin.isatty():
        return confirm
    return str(typer.prompt(f"Type the cluster's name {purpose} ({plan.cluster})", err=True))

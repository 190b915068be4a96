"""Ask at the terminal."""

from __future__ import annotations

import sys
from typing import Protocol

import typer


class Named(Protocol):
    """A plan that is confirmed by a name, mostly its cluster's."""

    @property
    def cluster(self) -> str:
        """Return the name to retype."""


def retyped(
    confirm: str | None, purpose: str, plan: Named, *, what: str = "the cluster's name"
) -> str | None:
    """Return what was given to --confirm, or else what is typed for a name.

    `purpose` says what follows. Return None if there is no terminal to ask at.
    """
    if confirm is not None or not sys.stdin.isatty():
        return confirm
    return str(typer.prompt(f"Type {what} {purpose} ({plan.cluster})", err=True))

"""The git commands that pgaas runs, as argument lists: they only read."""

from __future__ import annotations

from pathlib import Path


def revision_argv(name: str) -> list[str]:
    """Return the command that prints a revision's commit; whatever the name is, it is no option."""
    return ["git", "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"]


def archive_argv(commit: str, target: Path, path: str) -> list[str]:
    """Return the command that packs a folder of a commit, as it is below the current one, into a file."""
    return ["git", "archive", "--format=tar", f"--output={target}", commit, "--", path]

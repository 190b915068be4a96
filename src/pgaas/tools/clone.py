"""What a clone says of itself: which commit it is at, and what is not as that commit has it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pgaas.errors import ToolFailed
from pgaas.tools.command import Echo, Result, run
from pgaas.tools.git import ANSWER_SECONDS, SETTINGS, environment, revision_argv

NO_REPOSITORY = "not a git repository"
NO_COMMIT = "Needed a single revision"
FAILED = 128
COMMIT = re.compile(r"[0-9a-f]{4,64}")


@dataclass(frozen=True)
class Checkout:
    """The commit that a folder is at, and the paths in it that are not as the commit has them."""

    commit: str
    changed: tuple[str, ...]


def look(folder: Path, files: str, echo: Echo | None = None) -> Checkout | None:
    """Return how a folder stands, or None if it is in no git repository, or in one without a commit.

    `files` is the name of those files that count even where git is told to ignore them, or not to look.
    Raise ToolMissing if there is no git, ToolFailed if it can't tell.
    """
    head = _git(head_argv(folder), echo, accept=(0, FAILED))
    if head.returncode == FAILED:
        if NO_REPOSITORY in head.stderr or NO_COMMIT in head.stderr:
            return None
        raise ToolFailed(
            f"git can't tell the commit of a clone: {' '.join(head.stderr.split())[:500]}",
            where=str(folder),
            next_step="mend that; `git -C FOLDER log -1` is what has to work",
        )
    changed = [
        *changed_paths(_git(status_argv(folder), echo).stdout),
        *hidden_paths(_git(files_argv(folder, files), echo).stdout),
    ]
    return Checkout(head.stdout.strip(), tuple(sorted(set(changed))))


def commit_of(folder: Path, revision: str, echo: Echo | None = None) -> str:
    """Return the commit that a commit's name, whole or its begin, or a tag stands for, or an empty text.

    A branch is none: it stands for another commit tomorrow.
    """
    if COMMIT.fullmatch(revision):
        found = _git(commit_argv(folder, revision), echo, accept=(0, 1, FAILED)).stdout.strip()
        if found.startswith(revision):
            return found
    return _git(commit_argv(folder, f"refs/tags/{revision}"), echo, accept=(0, 1, FAILED)).stdout.strip()


def head_argv(folder: Path) -> list[str]:
    """Return the command that prints the commit of a clone."""
    return [*_base(folder), "rev-parse", "--verify", "HEAD^{commit}"]


def commit_argv(folder: Path, name: str) -> list[str]:
    """Return the command that prints the commit that a name stands for."""
    return [*_base(folder), *revision_argv(name)[1:]]


def status_argv(folder: Path) -> list[str]:
    """Return the command that prints what is changed or not known in a folder."""
    options = ["--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", "--ignore-submodules=none"]
    return [*_base(folder), "status", *options, "--", "."]


def files_argv(folder: Path, files: str) -> list[str]:
    """Return the command that prints every file of a name, and how git looks at each."""
    options = ["-z", "-v", "--cached", "--others"]
    return [*_base(folder), "ls-files", *options, "--", f":(glob,icase)**/{files}"]


def changed_paths(output: str) -> Iterator[str]:
    """Return the paths of `git status --porcelain -z`."""
    return (entry[3:] for entry in output.split("\0") if len(entry) > 3)


def hidden_paths(output: str) -> Iterator[str]:
    """Return those paths of `git ls-files -z -v` that git does not compare with the commit."""
    # H are compared. The others are not known, ignored, or said to be unchanged without a look.
    return (entry[2:] for entry in output.split("\0") if len(entry) > 2 and not entry.startswith("H "))


def _base(folder: Path) -> list[str]:
    return ["git", *SETTINGS, "-C", str(folder)]


def _git(argv: list[str], echo: Echo | None, accept: tuple[int, ...] = (0,)) -> Result:
    return run(argv, env=environment(), timeout=ANSWER_SECONDS, echo=echo, accept=accept)

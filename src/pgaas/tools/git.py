"""Ask git about a checkout; nothing here changes one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from pgaas.tools.command import Echo, Result, inherited_environment, run

ANSWER_SECONDS = 60.0
# No program that a repository's own settings name is started by looking at it, and no folder among its files
# is taken for a repository.
SETTINGS = (
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "safe.bareRepository=explicit",
)
# A git hook sets these for its own repository: they would lead away from the one that is asked about.
_LEADING_AWAY = {
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
}


@dataclass(frozen=True)
class Checkout:
    """What git says of a checkout: its commit and the commit's time, and the tracked files that differ."""

    commit: str
    seconds: int
    branch: str
    tags: tuple[str, ...]
    changed: tuple[str, ...]


def look(root: Path, echo: Echo | None = None) -> Checkout | None:
    """Return what is checked out in a folder, or None if it is no checkout's root or has no commit yet.

    Raise ToolMissing if there is a checkout but no git, ToolFailed if git refuses to read it.
    """
    if not (root / ".git").exists():
        return None
    top = _git(root, "rev-parse", "--show-toplevel", echo=echo).stdout.removesuffix("\n")
    if not Path(top).samefile(root):
        return None
    # 128 is what it ends with when there is no commit yet.
    last = _git(root, "log", "-1", "--no-show-signature", "--format=%H %ct", accept=(0, 128), echo=echo)
    if last.returncode:
        return None
    commit, seconds = last.stdout.split()
    branch = _git(root, "symbolic-ref", "-q", "--short", "HEAD", accept=(0, 1), echo=echo)
    tags = _git(root, "tag", "--points-at", "HEAD", echo=echo)
    return Checkout(
        commit, int(seconds), branch.stdout.strip(), tuple(tags.stdout.split()), _changed(root, echo)
    )


def commit_of_tag(root: Path, tag: str) -> str:
    """Return the commit that a tag points at, or nothing if there is no such tag here."""
    found = _git(root, "rev-parse", "-q", "--verify", f"refs/tags/{tag}^{{commit}}", accept=(0, 1, 128))
    return found.stdout.strip()


def untracked(root: Path, paths: Collection[str], echo: Echo | None = None) -> list[str]:
    """Return the files below some paths that git neither tracks nor ignores."""
    listing = ("ls-files", "-z", "--others", "--exclude-standard", "--", *paths)
    return sorted(filter(None, _git(root, *listing, echo=echo).stdout.split("\0")))


def revision_argv(name: str) -> list[str]:
    """Return the command that prints a revision's commit; whatever the name is, it is no option."""
    return ["git", "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"]


def archive_argv(commit: str, target: Path, *paths: str) -> list[str]:
    """Return the command that packs a commit, or what it has below the current folder, into a tar file."""
    # A machine's own settings would change line ends.
    line_ends = ("-c", "core.autocrlf=false", "-c", "core.eol=lf")
    return ["git", *line_ends, "archive", "--format=tar", f"--output={target}", commit, "--", *paths]


def environment() -> dict[str, str]:
    """Return the environment for git: its own words, no file written by looking, and no other repository."""
    inherited = inherited_environment(
        {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_REPLACE_OBJECTS": "1"}
    )
    return {name: value for name, value in inherited.items() if name not in _LEADING_AWAY}


def _changed(root: Path, echo: Echo | None) -> tuple[str, ...]:
    """Return the tracked files that differ from the commit; what lies inside a submodule does not count."""
    asked = ("status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=no")
    entries = _git(root, *asked, "--ignore-submodules=dirty", echo=echo).stdout.split("\0")
    return tuple(entry[3:] for entry in entries if entry)


def _git(root: Path, *arguments: str, accept: Collection[int] = (0,), echo: Echo | None = None) -> Result:
    argv = ["git", *SETTINGS, *arguments]
    return run(argv, env=environment(), cwd=root, timeout=ANSWER_SECONDS, accept=accept, echo=echo)

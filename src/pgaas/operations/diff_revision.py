"""Another revision of confs, taken out of Git into a folder of its own: nobody's checkout is touched."""

from __future__ import annotations

import os
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pgaas.config.users import Users, place_users
from pgaas.errors import ToolFailed, UsageError
from pgaas.operations.progress import Progress
from pgaas.tools.command import run
from pgaas.tools.git import archive_argv, environment, revision_argv

SECONDS = 120.0
CONFS = "confs"
USERS = "confs/users"
# Git's exit code for a revision that it does not know, and for a folder that is no repository.
NOT_FOUND = (0, 1, 128)


@contextmanager
def revision(
    root: Path, name: str, progress: Progress, *, users: Users | None = None
) -> Iterator[tuple[Path, str]]:
    """Give a folder with the confs of a revision, and its commit; the folder goes at the end.

    With `users` they stand for the folder's confs/users. Raise UsageError for a revision that Git does not
    know, or whose confs are not all in this repository.
    """
    commit = _commit(root, name, progress)
    with tempfile.TemporaryDirectory(prefix="pgaas-diff-") as made:
        folder, packed = Path(made) / "root", Path(made) / "confs.tar"
        folder.mkdir()
        _git(root, archive_argv(commit, packed, CONFS), progress)
        _unpack(packed, folder, f"{CONFS} of {name}")
        if users is None:
            _refuse_without_users(folder, f"{CONFS} of {name}")
        place_users(folder, users)
        try:
            yield folder, commit
        finally:
            place_users(folder, None)


def _commit(root: Path, name: str, progress: Progress) -> str:
    argv = revision_argv(name)
    done = run(argv, env=environment(), cwd=root, timeout=SECONDS, echo=progress.command, accept=NOT_FOUND)
    commit = done.stdout.strip()
    if done.returncode == 0 and commit:
        return commit
    said = " ".join(done.stderr.split())
    raise UsageError(
        f"git knows no revision {name!r}{f': {said}' if said else ''}",
        where=str(root),
        next_step="name a branch, tag or commit; a CI job with a shallow clone has to `git fetch` it first",
    )


def _git(root: Path, argv: list[str], progress: Progress) -> None:
    try:
        run(argv, env=environment(), cwd=root, timeout=SECONDS, echo=progress.command)
    except ToolFailed as error:
        raise ToolFailed(
            error.what, where=str(root), next_step=f"--root must hold a {CONFS} that is in this repository"
        ) from error


def _unpack(packed: Path, folder: Path, what: str) -> None:
    try:
        with tarfile.open(packed) as archive:
            archive.extractall(folder, filter=_inside)
    except (tarfile.TarError, ValueError) as error:
        raise UsageError(f"can't unpack {what}: {error}", next_step="use --before and --after") from error


def _refuse_without_users(folder: Path, what: str) -> None:
    users = folder / USERS
    if not users.is_dir() or not any(os.scandir(users)):
        raise UsageError(
            f"{USERS} is not in this repository at that revision, or is empty there",
            where=what,
            next_step="if clients have a repository of their own, name a clone of it with --users, for both "
            "sides; or generate each side: --before and --after",
        )


def _inside(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo | None:
    """Leave out what leads out of the folder: then a file is missing, and the review says so."""
    try:
        return tarfile.data_filter(member, folder)
    except tarfile.FilterError:
        return None

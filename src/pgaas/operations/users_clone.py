"""Take the clients' files from a clone of their own repository, at the commit that was asked for."""

from __future__ import annotations

from pathlib import Path

from pgaas.config.environments import USER_FILE
from pgaas.config.users import Users, place_users, printable, users_of
from pgaas.errors import RefusedAsUnsafe, UsageError
from pgaas.operations.progress import Progress
from pgaas.tools import clone

SHORT = 12
SHOWN = 5
DIRTY = "-dirty"


def use_users(root: Path, named: Path | None, revision: str | None, progress: Progress) -> Users:
    """Say from now on which folder stands for the root's confs/users, and at which commit it is.

    With neither a folder nor a revision it is the root's own, and git is not asked. Raise UsageError if there
    is no such folder, RefusedAsUnsafe if it is not at the revision or was changed since.
    """
    place_users(root, None)
    if named is None and revision is None:
        return users_of(root)
    users = users_of(root) if named is None else Users(named.absolute(), named.as_posix())
    if not users.folder.is_dir():
        raise UsageError(
            f"{users.name} is no folder",
            where=str(users.folder),
            next_step="name a clone of the clients' repository with --users or PGAAS_USERS",
        )
    checkout = clone.look(users.folder, USER_FILE, progress.command)
    if revision is not None:
        _refuse_another(users, checkout, revision, progress)
    if checkout is None:
        progress.note(
            f"the clients' files are those of {users.name}, no git clone with a commit: none is recorded"
        )
    else:
        users = users._replace(revision=checkout.commit + (DIRTY if checkout.changed else ""))
        progress.note(
            f"the clients' files are those of {users.name} at {short(users.revision)}{_changes(checkout)}"
        )
    place_users(root, users)
    return users


def short(revision: str) -> str:
    """Return a commit as people write it, with what is behind it."""
    commit, dash, dirty = revision.partition("-")
    return commit[:SHORT] + dash + dirty


def _changes(checkout: clone.Checkout) -> str:
    return f": changed since, and not committed: {_listed(checkout.changed)}" if checkout.changed else ""


def _listed(paths: tuple[str, ...]) -> str:
    more = len(paths) - SHOWN
    return ", ".join(map(printable, paths[:SHOWN])) + (f" and {more} more" if more > 0 else "")


def _refuse_another(users: Users, checkout: clone.Checkout | None, revision: str, progress: Progress) -> None:
    """Raise RefusedAsUnsafe unless a clone is at a revision, and nothing in it was changed since."""
    if checkout is None:
        raise RefusedAsUnsafe(
            f"{users.name} is no git clone with a commit: it can't be said to be at {revision}",
            where=str(users.folder),
            next_step="clone the clients' repository, or leave --users-revision out",
        )
    wanted = clone.commit_of(users.folder, revision, progress.command)
    if not wanted:
        raise RefusedAsUnsafe(
            f"{users.name} knows no commit and no tag {revision!r}; it is at {short(checkout.commit)}",
            where=str(users.folder),
            next_step=f"git -C {users.name} fetch --tags, and then git -C {users.name} checkout it; "
            "a branch is not taken, for it moves",
        )
    if wanted != checkout.commit:
        raise RefusedAsUnsafe(
            f"{users.name} is at {short(checkout.commit)}, not at {revision} ({short(wanted)})",
            where=str(users.folder),
            next_step=f"git -C {users.name} checkout {revision}",
        )
    if checkout.changed:
        raise RefusedAsUnsafe(
            f"{users.name} is at {revision}, but changed since: {_listed(checkout.changed)}",
            where=str(users.folder),
            next_step="commit and name that commit, or take it back; `git status --ignored` lists it",
        )

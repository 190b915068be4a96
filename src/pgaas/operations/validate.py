"""Check clients' files before anybody deploys from them, with the platform team's files or without."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from pgaas.config.admin import ConfigCache
from pgaas.config.alone import LAYOUT, UNCHECKED, check_alone, place_of, users_at
from pgaas.config.environments import (
    SHARED_ENVIRONMENT,
    TEAM_ENVIRONMENTS,
    USER_FILE,
    Environment,
    resolve_environment,
)
from pgaas.config.naming import Target
from pgaas.config.resolve import resolve_client
from pgaas.config.targets import client_datacenters
from pgaas.config.user_tree import Issues, user_environments_of, user_files
from pgaas.config.users import Users, place_users, users_of
from pgaas.errors import ConfigError, ConfigIssue, UsageError
from pgaas.operations.progress import Progress, step


class ClientFile(NamedTuple):
    """One client's file for one environment, in a folder of all clients."""

    users: Users
    ins: str
    environment: Environment

    @property
    def name(self) -> str:
        """Return what messages call the file."""
        return self.users.called(self.environment.user_place(self.ins))


class Validated(NamedTuple):
    """The files that were looked at, all issues, and what could not be checked of which environments."""

    files: list[str]
    issues: list[ConfigIssue]
    unchecked: list[str]


def validate_files(paths: list[Path], root: Path | None, progress: Progress) -> Validated:
    """Check files, or all files below folders; by default all clients' of the root, or of the current folder.

    Without a root, or where it has no folder for an environment, a file is checked by itself, and `unchecked`
    says what that leaves out. Raise UsageError if a path is not there, or nothing is.
    """
    issues: Issues = {}
    found = dict.fromkeys(_found(paths, root, issues))
    own = users_of(root) if root else None
    cache = ConfigCache()
    alone: set[str] = set()
    if not found and not issues:
        raise UsageError(
            f"no client has a {USER_FILE} there",
            where=", ".join(map(str, paths)) or str(users_of(root).folder if root else Path.cwd()),
            next_step=f"name files or folders with some: {LAYOUT}",
        )
    count = f"{len(found)} file{'s' if len(found) != 1 else ''}"
    with step(progress, f"checking {count}") as outcome:
        for number, file in enumerate(found, start=1):
            if root is None or not (root / file.environment.admin_folder).is_dir():
                alone.add(file.environment.team_env)
                problems = check_alone(file.users, file.ins, file.environment)
            else:
                problems = _check_with_admins(root, file, cache)
            issues.update(dict.fromkeys(problems))
            progress.advanced(number, len(found))
        if issues:
            outcome.problem = f"{len(issues)} issue{'s' if len(issues) != 1 else ''}"
    if root:
        place_users(root, own)
    return Validated([file.name for file in found], sorted(issues), _unchecked(alone, root))


def _unchecked(alone: set[str], root: Path | None) -> list[str]:
    if not alone:
        return []
    missing = "no platform root is given" if root is None else "confs/admin has no folder for it"
    return [f"{what} ({', '.join(sorted(alone))}: {missing})" for what in UNCHECKED]


def _found(paths: list[Path], root: Path | None, issues: Issues) -> Iterator[ClientFile]:
    here = Path.cwd()
    if root and not paths:
        yield from _files(users_of(root), user_files(users_of(root), issues))
        return
    for path in paths or [here]:
        if path.is_dir():
            yield from _below(path, here, issues)
        elif path.is_symlink() or path.exists():
            yield from _placed(path, here, issues)
        else:
            raise UsageError(f"{path} is not there", next_step="name a databases.yaml, or a folder with some")


def _below(path: Path, here: Path, issues: Issues) -> Iterator[ClientFile]:
    """Return the files of all clients, of one, or of one environment: whatever a folder is."""
    folder = Path(os.path.abspath(here / path))  # noqa: PTH100 - resolve() would follow links
    if os.path.lexists(folder / USER_FILE):
        yield from _placed(folder / USER_FILE, here, issues)
        return
    if _is_clients(folder):
        users = users_at(folder.parent, here)
        yield from _files(users, user_environments_of(users, folder.name, issues))
    elif folder.name == SHARED_ENVIRONMENT:
        users = users_at(folder.parent.parent, here)
        found = _files(users, user_environments_of(users, folder.parent.name, issues))
        yield from (file for file in found if file.environment.team_env == SHARED_ENVIRONMENT)
    else:
        users = users_at(folder, here)
        yield from _files(users, user_files(users, issues))


def _is_clients(folder: Path) -> bool:
    """Tell whether a folder is one client's: environments are in it, and in none of its other folders."""
    if not any((folder / name).is_dir() for name in TEAM_ENVIRONMENTS):
        return False
    below = (place for name in TEAM_ENVIRONMENTS for place in folder.glob(f"*/{name}"))
    return not any(place.is_dir() and place.parent.name not in TEAM_ENVIRONMENTS for place in below)


def _placed(path: Path, here: Path, issues: Issues) -> Iterator[ClientFile]:
    place = place_of(path, here)
    if isinstance(place, ConfigIssue):
        issues[place] = None
    else:
        yield ClientFile(*place)


def _files(users: Users, found: Iterable[tuple[str, str]]) -> Iterator[ClientFile]:
    return (ClientFile(users, ins, resolve_environment(env)) for ins, env in found)


def _check_with_admins(root: Path, file: ClientFile, cache: ConfigCache) -> list[ConfigIssue]:
    """Return every issue of what a client's file becomes in each of the client's datacenters."""
    place_users(root, file.users)
    issues: Issues = {}
    try:
        for dc in client_datacenters(root, file.ins, file.environment.env, cache):
            resolve_client(root, Target(file.ins, file.environment.env, dc), cache)
    except ConfigError as error:
        issues.update(dict.fromkeys(error.issues))
    except UsageError as error:
        issues[ConfigIssue(file.name, 0, "", error.what)] = None
        issues.update(dict.fromkeys(check_alone(file.users, file.ins, file.environment)))
    return list(issues)

"""Which targets there are: each client, environment it has a file for, and datacenter it is in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pgaas.config.admin import ConfigCache, check_known
from pgaas.config.environments import (
    FIXED_ENVIRONMENTS,
    SHARED_ENVIRONMENT,
    USER_FILE,
    USERS_FOLDER,
    Environment,
    code_problem,
    known,
    nearest,
    resolve_environment,
    target_problem,
)
from pgaas.config.naming import Target
from pgaas.errors import ConfigError, ConfigIssue, UsageError


def list_targets(root: Path, env: str | None = None, cache: ConfigCache | None = None) -> list[Target]:
    """Return all targets, or those of one environment, by client, environment and datacenter.

    Raise ConfigError if the platform team's files have issues, or a folder below confs/users stands for no
    client or environment; raise UsageError if no client has a file for `env`.
    """
    targets, issues = find_targets(root, env, cache)
    if issues:
        raise ConfigError(issues)
    return targets


def find_targets(
    root: Path, env: str | None = None, cache: ConfigCache | None = None
) -> tuple[list[Target], list[ConfigIssue]]:
    """Return the targets that can be told, as `list_targets` does, and what keeps others from being told.

    Raise UsageError if no client has a file for `env`.
    """
    cache = cache or ConfigCache()
    wanted = resolve_environment(env).env if env is not None else None
    issues: dict[ConfigIssue, None] = {}
    targets: list[Target] = []
    for ins, found in sorted(_user_files(root, issues)):
        if wanted is not None and found != wanted:
            continue
        environment = resolve_environment(found)
        admin = cache.admin(root, environment.team_env)
        issues.update(dict.fromkeys(admin.issues))
        if admin.issues:
            continue
        client = admin.clients.clients.get(ins)
        file = environment.user_file(ins).as_posix()
        if client is None:
            issues[ConfigIssue(file, 0, "", f"{ins} is not in {admin.folder}/clients.yaml")] = None
            continue
        for dc in client.datacenters:
            target = Target(ins, found, dc)
            if problem := target_problem(target):
                issues[ConfigIssue(file, 0, "", problem)] = None
                continue
            targets.append(target)
    if wanted is not None and not targets and not issues:
        names = sorted({found for _, found in _user_files(root, {})})
        raise UsageError(
            f"no client has a file for the environment {wanted!r}{nearest(wanted, names)}",
            where=USERS_FOLDER.as_posix(),
            next_step=known(names),
        )
    return targets, list(issues)


def default_datacenter(root: Path, ins: str, env: str, cache: ConfigCache | None = None) -> str:
    """Return the first datacenter of a client's list. Raise UsageError if the client is not known."""
    if problem := code_problem(ins):
        raise UsageError(f"--ins {ins!r}: {problem}")
    admin = (cache or ConfigCache()).admin(root, resolve_environment(env).team_env)
    check_known(admin, ins)
    return admin.clients.clients[ins].datacenters[0]


def user_environments(root: Path, ins: str) -> list[str]:
    """Return the environments for which a client has a file."""
    return sorted(env for _, env in _environments_of(root, ins, {}))


def missing_user_file(root: Path, ins: str, environment: Environment) -> UsageError:
    """Return the error that a client has no folder for an environment, naming those it has."""
    names = user_environments(root, ins)
    return UsageError(
        f"{ins} has no environment {environment.env!r}{nearest(environment.env, names)}",
        where=environment.user_file(ins).as_posix(),
        next_step=f"write that file, or name an environment that {ins} has ({known(names)})",
    )


def _user_files(root: Path, issues: dict[ConfigIssue, None]) -> Iterator[tuple[str, str]]:
    for ins in _folders(root / USERS_FOLDER):
        if problem := code_problem(ins):
            issues[ConfigIssue((USERS_FOLDER / ins).as_posix(), 0, "", problem)] = None
            continue
        yield from _environments_of(root, ins, issues)


def _environments_of(root: Path, ins: str, issues: dict[ConfigIssue, None]) -> Iterator[tuple[str, str]]:
    folder = USERS_FOLDER / ins
    for name in _folders(root / folder):
        if name == SHARED_ENVIRONMENT:
            for env in _folders(root / folder / name):
                place = folder / name / env
                if env in (*FIXED_ENVIRONMENTS, SHARED_ENVIRONMENT):
                    issues[ConfigIssue(place.as_posix(), 0, "", f"{env} is no sub-environment of hp")] = None
                elif problem := code_problem(env):
                    issues[ConfigIssue(place.as_posix(), 0, "", problem)] = None
                elif os.path.lexists(root / place / USER_FILE):
                    yield ins, env
        elif name in FIXED_ENVIRONMENTS:
            if os.path.lexists(root / folder / name / USER_FILE):
                yield ins, name
        else:
            message = f"is not an environment: a sub-environment of hp belongs in {folder}/hp/{name}"
            issues[ConfigIssue((folder / name).as_posix(), 0, "", message)] = None


def _folders(path: Path) -> list[str]:
    """Return the folders in a folder, those that links lead to included, hidden ones not."""
    try:
        with os.scandir(path) as entries:
            return sorted(
                entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()
            )
    except OSError:
        return []

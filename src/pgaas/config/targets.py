"""Which targets there are: each client, environment it has a file for, and datacenter it is in."""

from __future__ import annotations

from pathlib import Path

from pgaas.config.admin import ConfigCache, check_known
from pgaas.config.environments import (
    LOCAL,
    Environment,
    code_problem,
    known,
    nearest,
    resolve_environment,
    target_problem,
)
from pgaas.config.naming import Target
from pgaas.config.user_tree import user_environments_of, user_files
from pgaas.config.users import user_file_name, users_of
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

    A root without `local`, as a package is, has no targets there.
    Raise UsageError if no client has a file for `env`.
    """
    cache = cache or ConfigCache()
    wanted = resolve_environment(env).env if env is not None else None
    issues: dict[ConfigIssue, None] = {}
    targets: list[Target] = []
    for ins, found in sorted(user_files(users_of(root), issues)):
        if wanted is not None and found != wanted:
            continue
        environment = resolve_environment(found)
        if found == LOCAL != wanted and not (root / environment.admin_folder).exists():
            # A package has none: what clients wrote for their own machines is not for it.
            continue
        admin = cache.admin(root, environment.team_env)
        issues.update(dict.fromkeys(admin.issues))
        if admin.issues:
            continue
        client = admin.clients.clients.get(ins)
        file = user_file_name(root, ins, environment)
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
        names = sorted({found for _, found in user_files(users_of(root), {})})
        raise UsageError(
            f"no client has a file for the environment {wanted!r}{nearest(wanted, names)}",
            where=users_of(root).name,
            next_step=known(names),
        )
    return targets, list(issues)


def default_datacenter(root: Path, ins: str, env: str, cache: ConfigCache | None = None) -> str:
    """Return the first datacenter of a client's list. Raise UsageError if the client is not known."""
    return client_datacenters(root, ins, env, cache)[0]


def client_datacenters(root: Path, ins: str, env: str, cache: ConfigCache | None = None) -> list[str]:
    """Return the datacenters of a client. Raise UsageError if the client is not known."""
    if problem := code_problem(ins):
        raise UsageError(f"--ins {ins!r}: {problem}")
    admin = (cache or ConfigCache()).admin(root, resolve_environment(env).team_env)
    check_known(admin, ins)
    return admin.clients.clients[ins].datacenters


def user_environments(root: Path, ins: str) -> list[str]:
    """Return the environments for which a client has a file."""
    return sorted(env for _, env in user_environments_of(users_of(root), ins, {}))


def missing_user_file(root: Path, ins: str, environment: Environment) -> UsageError:
    """Return the error that a client has no folder for an environment, naming those it has."""
    names = user_environments(root, ins)
    return UsageError(
        f"{ins} has no environment {environment.env!r}{nearest(environment.env, names)}",
        where=user_file_name(root, ins, environment),
        next_step=f"write that file, or name an environment that {ins} has ({known(names)})",
    )

"""A client's file by itself: what can be told of it without the platform team's files."""

from __future__ import annotations

import os
from pathlib import Path

from pgaas.config.checks_user import Offer, check_user
from pgaas.config.environments import (
    FIXED_ENVIRONMENTS,
    SHARED_ENVIRONMENT,
    USER_FILE,
    Environment,
    code_problem,
    resolve_environment,
    target_problem,
)
from pgaas.config.models.postgresql import PgadminUser
from pgaas.config.models.user import UserFile
from pgaas.config.naming import Target
from pgaas.config.users import Users, read_user_document
from pgaas.config.validate import validate
from pgaas.errors import ConfigIssue

# What only the platform team's files can say.
UNCHECKED = (
    "that the client is registered",
    "that the version, the parameters and the plugins are offered",
    "that its roles may have what needs leave (superuser, replication, bypassrls, createrole, other inRoles)",
)
LAYOUT = f"INS/ENV/{USER_FILE}, or INS/{SHARED_ENVIRONMENT}/ENV/{USER_FILE} for a sub-environment"


def place_of(path: Path, here: Path) -> tuple[Users, str, Environment] | ConfigIssue:
    """Return whose file a path is: the folder of all clients, INS and ENV; or why it is nobody's."""
    # As it is written, links and all: where they lead is looked at when it is read.
    parts = Path(os.path.abspath(here / path)).parts  # noqa: PTH100 - resolve() would follow links
    name = path.as_posix()
    if parts[-1] != USER_FILE:
        near = parts[-1].lower() in (USER_FILE, "databases.yml")
        return ConfigIssue(
            name, 0, "", f"is not read: {'call it ' + USER_FILE if near else 'it is no client file'}"
        )
    shared = len(parts) > 4 and parts[-3] == SHARED_ENVIRONMENT
    above = 4 if shared else 3
    if len(parts) <= above or (not shared and parts[-2] not in FIXED_ENVIRONMENTS):
        return ConfigIssue(name, 0, "", f"lies where no environment is: a client's file is {LAYOUT}")
    ins, env = parts[-above], parts[-2]
    if shared and env in (*FIXED_ENVIRONMENTS, SHARED_ENVIRONMENT):
        return ConfigIssue(name, 0, "", f"{env} is no sub-environment of hp")
    for code in (ins, env):
        if problem := code_problem(code):
            return ConfigIssue(name, 0, "", problem)
    return users_at(Path(*parts[:-above]), here), ins, resolve_environment(env)


def users_at(folder: Path, here: Path) -> Users:
    """Return a folder of all clients, called as one can type it."""
    name = folder.relative_to(here).as_posix() if folder.is_relative_to(here) else folder.as_posix()
    return Users(folder, "" if name == "." else name)


def check_alone(users: Users, ins: str, environment: Environment) -> list[ConfigIssue]:
    """Return every issue of a client's file that it shows by itself."""
    document = read_user_document(users, ins, environment, users.real)
    if document is None:
        return [ConfigIssue(users.called(environment.user_place(ins)), 0, "", "is missing")]
    file, issues = validate(document, UserFile)
    target = Target(ins, environment.env, "")
    if problem := target_problem(target):
        issues.append(ConfigIssue(document.file, 0, "", problem))
    if document.data is not None:
        nothing_known = Offer(None, None, None, PgadminUser.model_construct().name, None)
        issues += check_user(document, file, target, nothing_known)
    return issues

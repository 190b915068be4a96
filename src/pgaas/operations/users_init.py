"""Make the clients' own repository, or add to one what is new in clients.yaml."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from pgaas.config.admin import AdminEnvironment, ConfigCache
from pgaas.config.environments import (
    ADMIN_FOLDER,
    SHARED_ENVIRONMENT,
    TEAM_ENVIRONMENTS,
    Environment,
    resolve_environment,
)
from pgaas.config.load import USER_FILE_LIMIT, read_bytes
from pgaas.config.models.postgresql import PostgresqlFile
from pgaas.config.schema import COMMENT, USER_SCHEMA, schema_models, schema_text
from pgaas.config.starter import starter_databases
from pgaas.config.user_tree import user_environments_of
from pgaas.config.users import Users, leads_out, users_of
from pgaas.errors import ConfigError, ConfigIssue, UsageError
from pgaas.render import users_repository as texts
from pgaas.render.write import write_text

Action = Literal["written", "updated", "kept"]


class Made(NamedTuple):
    """A file, and what was done: kept is as it was. `note` says what a person should know."""

    path: Path
    action: Action
    note: str = ""


class Planned(NamedTuple):
    """A file that is to be there; only with `ours` does an older one make way."""

    path: Path
    text: str
    ours: bool = False
    note: str = ""


def init_users(root: Path, folder: Path, sub_environment: str) -> list[Made]:
    """Write what the clients' repository lacks, and refresh what pgaas alone writes there.

    A client's file is the one that the root has already, or else one to begin with. No file that a person
    wrote is changed. Raise ConfigError, before anything is written, if an environment's files have issues or
    something leads out of the folder.
    """
    environment = resolve_environment(sub_environment)
    if environment.team_env != SHARED_ENVIRONMENT:
        raise UsageError(f"{sub_environment} is no sub-environment of hp", next_step="name one such as dev1")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is no folder", next_step="name a new or an empty folder, or a clone")
    admins = _admins(root)
    users = Users(folder, folder.as_posix())
    planned = [*_repository_files(folder, admins), *_client_files(root, users, admins, environment)]
    _refuse_outside(planned, users.real)
    made = []
    for plan in planned:
        if os.path.lexists(plan.path) and not plan.ours:
            made.append(Made(plan.path, "kept", plan.note))
            continue
        action: Action = "written"
        if plan.path.is_file():
            action = "kept" if plan.path.read_bytes() == plan.text.encode() else "updated"
        if action != "kept":
            write_text(plan.path, plan.text, secret=False)
        made.append(Made(plan.path, action, plan.note))
    return made


def _refuse_outside(planned: list[Planned], real: str) -> None:
    """Raise ConfigError if a link leads one of the files out of the repository."""
    for place in (plan.path.parent for plan in planned):
        if Path(real) not in (found := Path(os.path.realpath(place)), *found.parents):
            issue = ConfigIssue(str(place), 0, "", "is a link that leads out of the repository")
            raise ConfigError([issue], next_step="nothing was written")


def _admins(root: Path) -> list[AdminEnvironment]:
    cache = ConfigCache()
    admins = [cache.admin(root, env) for env in TEAM_ENVIRONMENTS if (root / ADMIN_FOLDER / env).is_dir()]
    issues = [issue for admin in admins for issue in admin.issues]
    if issues:
        raise ConfigError(issues, next_step="mend them; nothing was written")
    return admins


def _repository_files(folder: Path, admins: list[AdminEnvironment]) -> Iterator[Planned]:
    for name, text in texts.WRITTEN_ONCE.items():
        yield Planned(folder / name, text)
    schema = folder / texts.SCHEMA_PATH
    ours = not os.path.lexists(schema) or COMMENT.encode() in read_bytes(schema, USER_FILE_LIMIT)[0]
    yield Planned(schema, schema_text(USER_SCHEMA, schema_models()[USER_SCHEMA]), ours)
    yield _code_owners(folder / texts.CODEOWNERS, admins)


def _code_owners(path: Path, admins: list[AdminEnvironment]) -> Planned:
    platform = dict.fromkeys(owner for admin in admins for owner in admin.clients.owners)
    clients: dict[str, dict[str, list[str]]] = {}
    for admin in admins:
        for ins, client in admin.clients.clients.items():
            clients.setdefault(ins, {})[admin.team_env] = client.owners
    block = texts.code_owners(list(platform), clients)
    nobodys = sorted(ins for ins, owners in clients.items() if not any(owners.values()))
    note = f"clients.yaml names no owners of {', '.join(nobodys)}" if nobodys else ""
    if not os.path.lexists(path):
        return Planned(path, block, True, note)
    content, problem = read_bytes(path, USER_FILE_LIMIT)
    if path.is_symlink() or problem:
        return Planned(path, block, False, problem or "is a link: it was left alone")
    text = texts.with_block(content.decode(errors="replace"), block)
    if text is None or "\ufffd" in text:
        line = texts.BEGIN.partition(":")[0]
        return Planned(
            path, block, False, f"has no lines {line} and {texts.END}: with them, pgaas fills it in"
        )
    return Planned(path, text, True, note)


def _client_files(
    root: Path, users: Users, admins: list[AdminEnvironment], new: Environment
) -> Iterator[Planned]:
    own = users_of(root)
    for admin in admins:
        catalog: PostgresqlFile = admin.file(PostgresqlFile)
        major = max(image.major for image in catalog.image_catalog.images)
        for ins in admin.clients.clients:
            for env in _environments(own, users, ins, admin.team_env, new):
                path = users.folder / env.user_place(ins)
                if leads_out(os.path.realpath(path.parent), ins, users.real):
                    what = f"{users.called(ins)} has a link that leads out of it"
                    raise ConfigError([ConfigIssue(str(path), 0, "", what)], next_step="nothing was written")
                yield Planned(path, "" if os.path.lexists(path) else _text(own, ins, env, major))


def _environments(own: Users, users: Users, ins: str, team_env: str, new: Environment) -> list[Environment]:
    """Return the environments that a client is to have a file for: of hp, those it has, or else one."""
    if team_env != SHARED_ENVIRONMENT:
        return [resolve_environment(team_env)]
    names = {env for each in (own, users) for _, env in user_environments_of(each, ins, {})}
    found = [resolve_environment(env) for env in sorted(names)]
    return [env for env in found if env.team_env == SHARED_ENVIRONMENT] or [new]


def _text(own: Users, ins: str, environment: Environment, major: int) -> str:
    """Return a client's file as the root has it, or one to begin with.

    What the root has is what runs: to begin anew would take databases and roles out of the configuration.
    """
    place = own.folder / environment.user_place(ins)
    if os.path.lexists(place):
        real = os.path.realpath(place)
        content, problem = read_bytes(Path(real), USER_FILE_LIMIT)
        if leads_out(real, ins, own.real):
            problem = f"is a link that leads out of {own.called(ins)}"
        try:
            text = content.decode()
        except UnicodeDecodeError:
            problem = "is not UTF-8 text"
        if not problem:
            return text
        issue = ConfigIssue(own.called(environment.user_place(ins)), 0, "", problem)
        raise ConfigError([issue], next_step="nothing was written")
    return starter_databases(ins, environment.env, major=major, schemas=texts.SCHEMAS_FOLDER)

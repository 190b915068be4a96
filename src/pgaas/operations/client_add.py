"""Register a client: a block in clients.yaml and a databases.yaml that works, both or none."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgaas.config.admin import AdminEnvironment, ConfigCache
from pgaas.config.changes import FileChange, change_files
from pgaas.config.environments import (
    ADMIN_FOLDER,
    FIXED_ENVIRONMENTS,
    LOCAL,
    SHARED_ENVIRONMENT,
    USER_FILE,
    Environment,
    check_target,
    code_problem,
    known,
    nearest,
    resolve_environment,
)
from pgaas.config.files import read_to_change
from pgaas.config.load import Document
from pgaas.config.naming import Target, cluster_name, namespace
from pgaas.config.onboarding import CLIENTS, Wish, client_block, with_client
from pgaas.config.resolve import resolve_client
from pgaas.config.starter import starter_databases
from pgaas.config.users import user_file_name, user_file_path, users_of, users_option
from pgaas.errors import ConfigError, UsageError
from pgaas.operations.client_todo import Rendered, Todo, todo_of
from pgaas.operations.preview import check_schema
from pgaas.render.build import build_values
from pgaas.render.infra import infra_values
from pgaas.render.users_repository import SCHEMA_PATH, SCHEMAS_FOLDER


@dataclass(frozen=True)
class Added:
    """What was written, or in a dry run would be: `diff` shows it, without secrets.

    `kept` is the client's own file if it was there already. `todo` is what a person must still see to, and
    `next_steps` the commands to run then.
    """

    ins: str
    env: str
    namespace: str
    clusters: list[str]
    files: list[str]
    kept: str
    diff: list[str]
    todo: list[Todo]
    next_steps: list[str]
    dry_run: bool


def add_client(root: Path, ins: str, env: str, wish: Wish, *, dry_run: bool = False) -> Added:
    """Register a client in an environment, after everything that it leads to was checked.

    In hp, whose sub-environments share clients.yaml, a client that is registered gets the file of one more.
    Raise UsageError for names that can't be or are taken, ConfigError if the configuration would not resolve
    and render in each datacenter, or has issues already.
    """
    environment = _environment(root, ins, env, wish)
    admin = ConfigCache().admin(root, environment.team_env)
    if admin.issues:
        raise ConfigError(list(admin.issues), next_step="mend these first: nothing was written")
    with read_to_change(root, f"{admin.folder}/clients.yaml") as (path, content, old):
        # The file may have changed since it was read above; what is checked below is what was read now.
        changes, kept = _changes(root, admin, environment, ins, wish, (path, content, old))
        rendered = _rendered(root, environment, ins, changes)
        if not dry_run:
            by_hand = f"`pgaas client add {ins} --env {env} … --dry-run` shows the lines"
            change_files(changes, by_hand, keep=Path(users_of(root).real))
    targets = [resolved.target for resolved, _ in rendered]
    return Added(
        ins=ins,
        env=env,
        namespace=namespace(targets[0]),
        clusters=[cluster_name(target) for target in targets],
        files=[change.name for change in changes],
        kept=kept,
        diff=diff_of(changes),
        todo=todo_of(rendered),
        next_steps=_next_steps(root, environment, targets, [change.name for change in changes]),
        dry_run=dry_run,
    )


def diff_of(changes: Sequence[FileChange]) -> list[str]:
    """Return the lines of a unified diff in which no secret is to be seen."""
    found: list[str] = []
    for change in changes:
        before, after = (_shown(change.name, content) for content in (change.before, change.after))
        names = (
            f"a/{change.name}" if change.before is not None else "/dev/null",
            f"b/{change.name}" if change.after is not None else "/dev/null",
        )
        found += difflib.unified_diff(before, after, *names, lineterm="")
    return found


def _shown(name: str, content: bytes | None) -> list[str]:
    """Return a file's lines without secrets, which only the platform team's files can hold."""
    from pgaas.config.blocks import masked
    from pgaas.config.validate import SECRET_KEYS

    if content is None:
        return []
    if not name.startswith(f"{ADMIN_FOLDER}/"):
        # A client may have written anything.
        return content.decode(errors="replace").splitlines()
    return masked(content.decode(), SECRET_KEYS).splitlines()


def _environment(root: Path, ins: str, env: str, wish: Wish) -> Environment:
    """Return the environment. Raise UsageError for names that can't be, or that are probably misspelt."""
    if problem := code_problem(ins):
        raise UsageError(f"INS: {problem}", next_step="give the client a code such as ic7")
    environment = resolve_environment(env)
    # What is reserved is so in every datacenter.
    check_target(Target(ins, env, "dc"))
    if environment.team_env == SHARED_ENVIRONMENT and not wish.new_env:
        folder = users_of(root).folder
        envs = sorted({file.parent.name for file in folder.glob(f"*/{SHARED_ENVIRONMENT}/*/{USER_FILE}")})
        if env not in envs:
            raise UsageError(
                f"no client has an environment {env!r}{nearest(env, [*FIXED_ENVIRONMENTS, *envs])}",
                where="--env",
                next_step=f"name one that there is ({known([*FIXED_ENVIRONMENTS, *envs])}), or add --new-env "
                f"if {env} is to be a new sub-environment of {SHARED_ENVIRONMENT}",
            )
    return environment


def _changes(
    root: Path,
    admin: AdminEnvironment,
    environment: Environment,
    ins: str,
    wish: Wish,
    read: tuple[Path, bytes, Document],
) -> tuple[list[FileChange], str]:
    """Return the files as they are to be, the client's own first, and the name of what is kept.

    The client's own is first, so that a process that is killed between them leaves what a second run ends.
    """
    path, content, old = read
    file, place = user_file_name(root, ins, environment), user_file_path(root, ins, environment)
    there = os.path.lexists(place)
    registered = (old.data or {}).get(CLIENTS, {}).get(ins)
    if registered is not None and there:
        raise UsageError(
            f"{ins} is a client in {environment.env} already",
            where=f"{old.file}:{old.line((CLIENTS, ins))} and {file}",
            next_step=f"change it in these files; pgaas explain --ins {ins} --env {environment.env}"
            f"{users_option(root)}",
        )
    changes = []
    if not there:
        schemas = SCHEMAS_FOLDER if (users_of(root).folder / SCHEMA_PATH).exists() else ""
        text = starter_databases(ins, environment.env, major=_major(admin, wish), schemas=schemas)
        changes.append(FileChange(Path(os.path.realpath(place)), file, None, text.encode()))
    elif wish.major is not None:
        raise UsageError(f"--major: {file} is there already, and says it", next_step="leave --major out")
    if registered is None:
        block = client_block(admin, ins, _checked(admin, wish), _datacenters(admin, wish))
        _refuse_shared_bucket(admin, block["s3Bucket"])
        changes.append(FileChange(path, old.file, content, with_client(old, content, ins, block)))
    else:
        _refuse_other_wishes(old, ins, registered, wish)
    return changes, file if there else ""


def _checked(admin: AdminEnvironment, wish: Wish) -> Wish:
    """Return the wish. Raise UsageError for a profile that is not on offer."""
    profiles = list(admin.part("postgresql", "storageProfiles") or {})
    if wish.profile is None:
        raise UsageError("missing option --profile", next_step=f"name the client's size ({known(profiles)})")
    if wish.profile not in profiles:
        raise UsageError(
            f"no profile {wish.profile!r} in {admin.team_env}{nearest(wish.profile, profiles)}",
            where=f"{admin.folder}/postgresql.yaml: storageProfiles",
            next_step=f"name one of them ({known(profiles)})",
        )
    return wish


def _refuse_shared_bucket(admin: AdminEnvironment, bucket: str) -> None:
    for other, client in admin.clients.clients.items():
        if client.s3_bucket == bucket:
            raise UsageError(
                f"the bucket {bucket} is {other}'s: each client has its own",
                where=f"{admin.folder}/clients.yaml: clients.{other}.s3Bucket",
                next_step="name another one with --bucket",
            )


def _datacenters(admin: AdminEnvironment, wish: Wish) -> tuple[str, ...]:
    """Return the datacenters named, or the only one there is. Raise UsageError for one that there is not."""
    names = list(admin.datacenters.datacenters)
    if not wish.datacenters and len(names) == 1:
        return (names[0],)
    if not wish.datacenters:
        raise UsageError(
            f"missing option --dc: {admin.team_env} has several datacenters",
            next_step=f"name one or more, the primary's first ({known(names)})",
        )
    for index, dc in enumerate(wish.datacenters):
        if dc not in names:
            raise UsageError(
                f"no datacenter {dc!r} in {admin.team_env}{nearest(dc, names)}",
                where=f"{admin.folder}/datacenters.yaml",
                next_step=f"name one of them ({known(names)})",
            )
        if dc in wish.datacenters[:index]:
            raise UsageError(f"--dc {dc} is there twice", next_step="name each datacenter once")
    return wish.datacenters


def _major(admin: AdminEnvironment, wish: Wish) -> int:
    """Return the major version asked for, or the newest. Raise UsageError for one that is not on offer."""
    majors = [entry["major"] for entry in admin.part("postgresql", "imageCatalog", "images")]
    if wish.major is not None and wish.major not in majors:
        raise UsageError(
            f"no PostgreSQL {wish.major} in {admin.team_env}",
            where=f"{admin.folder}/postgresql.yaml: imageCatalog.images",
            next_step=f"name one of them: {', '.join(map(str, sorted(majors)))}",
        )
    return int(wish.major if wish.major is not None else max(majors))


def _refuse_other_wishes(old: Document, ins: str, registered: Any, wish: Wish) -> None:
    """Raise UsageError if a client that is registered already is asked to be another one."""
    says = registered if isinstance(registered, dict) else {}
    wanted = {
        "storageProfile": wish.profile,
        "datacenters": list(wish.datacenters) or None,
        "s3Bucket": wish.bucket,
        "networkPolicy": {"allowedCIDRs": list(wish.cidrs)} if wish.cidrs else None,
        "ldapCredentials": None if wish.pgadmin else False,
        "replication": None if wish.replicated else False,
    }
    for key, value in wanted.items():
        if value is not None and says.get(key, False) != value:
            raise UsageError(
                f"{ins} is registered already, with another {key}",
                where=f"{old.file}:{old.line((CLIENTS, ins, key))}",
                next_step="leave the option out, or change it in that file first",
            )


def _rendered(root: Path, environment: Environment, ins: str, changes: list[FileChange]) -> list[Rendered]:
    """Return the client's configuration and values in each datacenter, out of the files as they are to be.

    Raise UsageError or ConfigError for what would not resolve, or the chart would not take.
    """
    cache = ConfigCache({change.name: change.after for change in changes if change.after is not None})
    admin = cache.admin(root, environment.team_env)
    if admin.issues:
        raise ConfigError(list(admin.issues), next_step="nothing was written: mend what was asked for")
    client, found = admin.clients.clients[ins], []
    for dc in client.datacenters:
        resolved = resolve_client(root, Target(ins, environment.env, dc), cache)
        values = build_values(resolved)
        check_schema(values.plain(), root)
        found.append((resolved, values))
    if environment.team_env == LOCAL:
        infra_values(root, cache)
    return found


def _next_steps(
    root: Path, environment: Environment, targets: Sequence[Target], files: Sequence[str]
) -> list[str]:
    steps = [f"commit {' and '.join(files)}"]
    if environment.team_env == LOCAL:
        steps.append("pgaas infra install")
    return steps + [
        f"pgaas create --ins {each.ins} --env {each.env} --dc {each.dc}{users_option(root)}"
        for each in targets
    ]

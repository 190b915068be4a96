"""The options that commands share, and what the shell completes for them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from pgaas.cli import completion
from pgaas.errors import UsageError


class Output(StrEnum):
    """How a read command prints."""

    text = "text"
    json = "json"


def complete_ins(ctx: Any, incomplete: str) -> list[str]:
    """Complete --ins with the clients that have a folder below confs/users."""
    return completion.clients(ctx.params, incomplete)


def complete_env(ctx: Any, incomplete: str) -> list[str]:
    """Complete --env with the environments of the client given, or of all clients."""
    return completion.environments(ctx.params, incomplete)


def complete_dc(ctx: Any, incomplete: str) -> list[str]:
    """Complete --dc with the client's datacenters, or the environment's."""
    return completion.datacenters(ctx.params, incomplete)


def complete_role(ctx: Any, incomplete: str) -> list[str]:
    """Complete --role with the client's roles that may log in."""
    return completion.roles(ctx.params, incomplete)


def complete_database(ctx: Any, incomplete: str) -> list[str]:
    """Complete --database with those that the role given may connect to."""
    return completion.databases(ctx.params, incomplete)


_INS = typer.Option(
    "--ins", help="The client's code, such as ic1.", metavar="INS", autocompletion=complete_ins
)
_ENV = typer.Option(
    "--env",
    help="The environment: local, perf, pprod, prod, or a sub-environment of hp such as dev1.",
    metavar="ENV",
    autocompletion=complete_env,
)
InsOption = Annotated[str, _INS]
EnvOption = Annotated[str, _ENV]
OptionalInsOption = Annotated[str | None, _INS]
OptionalEnvOption = Annotated[str | None, _ENV]
DcOption = Annotated[
    str | None,
    typer.Option(
        "--dc",
        help="The datacenter; by default the first one in the client's list.",
        metavar="DC",
        autocompletion=complete_dc,
        show_default=False,
    ),
]
RoleOption = Annotated[
    str,
    typer.Option(
        "--role",
        help="The role to connect as, such as app_user.",
        metavar="ROLE",
        autocompletion=complete_role,
    ),
]
RootOption = Annotated[
    Path | None,
    typer.Option(
        "--root",
        help="The folder that holds helmfile.yaml and confs/; by default the nearest one upwards.",
        metavar="FOLDER",
        envvar="PGAAS_ROOT",
        show_envvar=True,
        show_default=False,
    ),
]
UsersOption = Annotated[
    Path | None,
    typer.Option(
        "--users",
        help="A clone of the clients' own repository; by default confs/users of the root.",
        metavar="FOLDER",
        envvar="PGAAS_USERS",
        show_envvar=True,
        show_default=False,
    ),
]
UsersRevisionOption = Annotated[
    str | None,
    typer.Option(
        "--users-revision",
        help="The commit or tag that the clients' files must be at, unchanged; refuses (8) anything else.",
        metavar="REV",
        envvar="PGAAS_USERS_REVISION",
        show_envvar=True,
        show_default=False,
    ),
]
OutputOption = Annotated[
    Output, typer.Option("--output", "-o", help="How to print: text, or json for a program.")
]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Show each outside command on stderr, secrets masked.")
]
ConfirmOption = Annotated[
    str | None,
    typer.Option(
        "--confirm",
        help="The cluster's name, retyped, instead of the question.",
        metavar="NAME",
        show_default=False,
    ),
]
NoWaitBackupOption = Annotated[
    bool,
    typer.Option("--no-wait-backup", help="Start the new primary's base backup, and go on."),
]


def needed(flag: str, value: str | None) -> str:
    """Return an option that this way of calling the command needs. Raise UsageError if it was not given."""
    if value is None:
        raise UsageError(f"missing option {flag}", next_step=f"name it: {flag} …")
    return value


def root_folder(named: Path | None) -> Path:
    """Return the folder to work in: the one named, or the nearest upwards. Raise UsageError if it is none.

    From then on its clients' files are those of --users, at --users-revision.
    """
    from pgaas.config.root import check_root, find_root

    root = find_root(Path.cwd()) if named is None else check_root(named)
    users, revision, verbose = _chosen.get("users"), _chosen.get("revision"), bool(_chosen.get("verbose"))
    if users is None and revision is None:
        from pgaas.config.users import place_users

        place_users(root, None)
    else:
        from pgaas.cli.progress import progress_for
        from pgaas.operations.users_clone import use_users

        use_users(root, users, revision, progress_for(verbose=verbose))
    return root


def optional_root_folder(named: Path | None) -> Path | None:
    """Return the folder to work in, or None where there is none and none was named."""
    from pgaas.config.root import find_root

    try:
        find_root(Path.cwd())
    except UsageError:
        # A revision that nobody would look at must not look as if it had been.
        if named is None and _chosen.get("revision") is None:
            return None
    return root_folder(named)


def named_users() -> list[Path]:
    """Return the folder that --users names, if any."""
    users = _chosen.get("users")
    return [] if users is None else [users]


# What the command that runs was given besides its own parameters.
_chosen: dict[str, Any] = {}


def with_users(function: Callable[..., None]) -> Callable[..., None]:
    """Give --users and --users-revision to a command that takes --root: `root_folder` sees to them."""
    signature = inspect.signature(function, eval_str=True)
    if "root" not in signature.parameters:
        return function

    @functools.wraps(function)
    def called(*, users: Path | None, users_revision: str | None, **given: Any) -> None:
        _chosen.update(users=users, revision=users_revision, verbose=given.get("verbose"))
        function(**given)

    keyword = inspect.Parameter.KEYWORD_ONLY
    own = [each.replace(kind=keyword) for each in signature.parameters.values()]
    at = next(number for number, each in enumerate(own) if each.name == "root") + 1
    own[at:at] = [
        inspect.Parameter("users", keyword, default=None, annotation=UsersOption),
        inspect.Parameter("users_revision", keyword, default=None, annotation=UsersRevisionOption),
    ]
    called.__signature__ = signature.replace(parameters=own)  # type: ignore[attr-defined]
    return called

"""`pgaas users`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgaas.cli.options import Output, OutputOption, RootOption, root_folder
from pgaas.cli.output import out, out_json, say, shown_path

if TYPE_CHECKING:
    from pgaas.operations.users_init import Made

FolderArgument = Annotated[Path, typer.Argument(help="The repository's folder.", metavar="DIR")]
SubEnvironmentOption = Annotated[
    str,
    typer.Option(
        "--sub-environment",
        help="The first environment of a client in hp that has none.",
        metavar="ENV",
    ),
]


def init(
    folder: FolderArgument,
    sub_environment: SubEnvironmentOption = "dev1",
    root: RootOption = None,
    output: OutputOption = Output.text,
) -> None:
    """Make the clients' own repository, or add to one what is new in clients.yaml.

    Writes a README, CODEOWNERS (from the `owners` of clients.yaml), a pipeline for GitLab, a hook for
    pre-commit, the schema that editors read, and for each client a databases.yaml: the one in confs/users, or
    else one to begin with. What is there is kept: only the schema and pgaas's lines of CODEOWNERS are
    refreshed. Run it again whenever a client was added.

    Examples:
      pgaas users init ../pgaas-user-values
      pgaas users init ../pgaas-user-values -o json
    """
    from pgaas.operations.users_init import init_users

    made = init_users(root_folder(root), folder.absolute(), sub_environment)
    show(made, folder, output)


def show(made: list[Made], folder: Path, output: Output) -> None:
    """Print what was done with each file."""
    if output is Output.json:
        out_json([{"file": str(each.path), "action": each.action, "note": each.note} for each in made])
        return
    for each in made:
        out(f"{each.action}: {shown_path(each.path)}{f' ({each.note})' if each.note else ''}")
    if any(each.action != "kept" for each in made):
        say(f"next: pgaas validate --users {folder}, then commit what was written")

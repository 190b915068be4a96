"""`pgaas psql`."""

from __future__ import annotations

from typing import Annotated

import typer

from pgaas.cli.options import (
    EnvOption,
    InsOption,
    RoleOption,
    RootOption,
    VerboseOption,
    complete_database,
    complete_dc,
    root_folder,
)
from pgaas.cli.progress import quiet_progress

DcOption = Annotated[
    str | None,
    typer.Option(
        "--dc",
        help="One datacenter's cluster, replica or not; without it, wherever the primary is.",
        metavar="DC",
        autocompletion=complete_dc,
        show_default=False,
    ),
]
DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database",
        help="The database; by default the first that the role may connect to.",
        metavar="DATABASE",
        autocompletion=complete_database,
        show_default=False,
    ),
]
ReplicaOption = Annotated[bool, typer.Option("--replica", help="Connect to a standby.")]
ReadOnlyOption = Annotated[
    bool, typer.Option("--read-only", help="Begin with transactions that cannot write.")
]
Arguments = Annotated[
    list[str] | None,
    typer.Argument(help="Behind --: psql's own options.", metavar="-- PSQL_OPTION", show_default=False),
]


def psql(
    ins: InsOption,
    env: EnvOption,
    role: RoleOption,
    arguments: Arguments = None,
    dc: DcOption = None,
    database: DatabaseOption = None,
    replica: ReplicaOption = False,
    read_only: ReadOnlyOption = False,
    root: RootOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Open psql as a role, by its certificate, over TLS that checks the server.

    It goes to the name that applications use; where this machine does not know it or nobody answers there,
    to the load balancer's address, and else through the API server. The key is in a folder of your own, in
    memory if the machine has such a place, for as long as psql runs.

    Works in a pipe too. Without --dc, a server that takes no writes is refused. --read-only is for your own
    safety: SET can undo it.

    The exit code is psql's: 1 it failed itself, 2 no connection or it was lost, 3 a script failed (with
    ON_ERROR_STOP), 128 + N signal N. 4 is that there is no psql; from 6 on, the codes are pgaas's.

    Examples:
      pgaas psql --ins ic1 --env prod --role app_user
      pgaas psql --ins ic1 --env prod --role app_user --database app_db -- -c 'select 1'
      echo 'select 1' | pgaas psql --ins ic1 --env prod --role app_readonly --replica
    """
    from pgaas.operations import psql as operation

    choices = operation.Choices(role, database, replica, read_only, tuple(arguments or ()))
    progress = quiet_progress(verbose=verbose)
    raise typer.Exit(operation.psql(root_folder(root), ins, env, dc, choices, progress))

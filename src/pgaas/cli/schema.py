"""`pgaas schema`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pgaas.cli.options import RootOption, root_folder
from pgaas.cli.output import out, shown_path

OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out",
        help="The folder to write to; by default schemas/ of the root.",
        metavar="FOLDER",
        show_default=False,
    ),
]


def schema(out_folder: OutOption = None, root: RootOption = None) -> None:
    """Write JSON Schemas of databases.yaml and of the platform team's files, and print their paths.

    An editor with one completes keys, shows what each is for, and marks what is wrong as it is typed. Name it
    in a file's first line: # yaml-language-server: $schema=PATH. What a schema refuses, pgaas refuses; pgaas
    also knows how entries and files fit together: see pgaas validate.

    Examples:
      pgaas schema
      pgaas schema --out ../pgaas-user-values/.schemas
    """
    from pgaas.operations.schema import SCHEMAS_FOLDER, write_schemas

    folder = out_folder.absolute() if out_folder else root_folder(root) / SCHEMAS_FOLDER
    for path in write_schemas(folder):
        out(shown_path(path))

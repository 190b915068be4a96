"""`pgaas explain`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from pgaas.cli.options import DcOption, EnvOption, InsOption, Output, OutputOption, RootOption, root_folder
from pgaas.cli.output import cell, out_json, out_table

if TYPE_CHECKING:
    from pgaas.config.explain import Explained

KeyArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="KEY", help="A key, or the beginning of some: postgresql.parameters.", show_default=False
    ),
]


def explain(
    ins: InsOption,
    env: EnvOption,
    dc: DcOption = None,
    key: KeyArgument = None,
    root: RootOption = None,
    output: OutputOption = Output.text,
) -> None:
    """Show where each setting came from: which file and line, and what it overrode.

    What an admin writes wins over what a client writes. Secrets are hidden.

    Examples:
      pgaas explain --ins ic1 --env prod --dc dc1
      pgaas explain --ins ic1 --env prod postgresql.parameters.max_connections
      pgaas explain --ins ic1 --env dev1 roles -o json
    """
    from pgaas.operations import explain as operation

    leaves = operation.explain(root_folder(root), ins, env, dc, key)
    if output is Output.json:
        out_json([as_json(leaf) for leaf in leaves])
    else:
        out_table(("key", "value", "from", "overrode", "note"), map(_row, leaves))


def _row(leaf: Explained) -> tuple[str, ...]:
    overrode = [
        f"{cell(origin.value)} ({_place(origin.file, origin.line)})" for origin in reversed(leaf.overrode)
    ]
    return (leaf.path, cell(leaf.value), _place(leaf.file, leaf.line), cell(overrode), cell(leaf.note))


def _place(file: str, line: int) -> str:
    return f"{file}:{line}" if line else file or "default"


def as_json(leaf: Explained) -> dict[str, Any]:
    """Return one setting for a program; `overrode` has the nearest loser first."""
    return {
        "key": leaf.path,
        "value": leaf.value,
        "file": leaf.file or None,
        "line": leaf.line or None,
        "overrode": [
            {"value": origin.value, "file": origin.file, "line": origin.line}
            for origin in reversed(leaf.overrode)
        ],
        "note": leaf.note or None,
    }

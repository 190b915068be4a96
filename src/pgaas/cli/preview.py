"""`pgaas preview`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pgaas.cli.options import DcOption, EnvOption, InsOption, Output, OutputOption, RootOption, root_folder
from pgaas.cli.output import cell, out, out_json, out_table

if TYPE_CHECKING:
    from pgaas.operations.preview import Preview


def preview(
    ins: InsOption,
    env: EnvOption,
    dc: DcOption = None,
    root: RootOption = None,
    output: OutputOption = Output.text,
) -> None:
    """Show what a cluster will be, and check it against the chart's schema. Writes nothing.

    Image, instances, storage, databases, roles and their rights, who can log in where and with which
    certificate, backups, names, network policy and Kubernetes rights.

    Examples:
      pgaas preview --ins ic1 --env prod --dc dc1
      pgaas preview --ins ic1 --env dev1 -o json
    """
    from pgaas.operations import preview as operation

    shown = operation.preview(root_folder(root), ins, env, dc)
    if output is Output.json:
        out_json(as_json(shown))
        return
    for section in shown.sections:
        out_table(
            section.columns, [[cell(value) for value in row] for row in section.rows], title=section.title
        )
        out("")


def as_json(shown: Preview) -> dict[str, Any]:
    """Return a preview for a program: settings as one object, tables as lists of objects."""
    result: dict[str, Any] = {"ins": shown.target.ins, "env": shown.target.env, "dc": shown.target.dc}
    for section in shown.sections:
        if section.columns == ("setting", "value"):
            result[section.key] = dict(section.rows)
        else:
            result[section.key] = [dict(zip(section.columns, row, strict=True)) for row in section.rows]
    return result

"""`pgaas check-tools`."""

from __future__ import annotations

from pgaas.cli.options import Output, OutputOption
from pgaas.cli.output import out_json, out_table
from pgaas.tools.versions import Found, spelled


def check_tools(output: OutputOption = Output.text) -> None:
    """List the outside tools that pgaas runs: the version found, the version needed, and where it is.

    Ends with exit code 4 if one is missing, too old or does not run. `generate`, `preview` and `explain`
    need none.

    Examples:
      pgaas check-tools
      pgaas check-tools -o json
    """
    from pgaas.operations import check_tools as operation

    found = operation.check_tools()
    if output is Output.json:
        out_json([_plain(entry) for entry in found])
    else:
        out_table(("tool", "state", "found", "needed", "for", "path"), map(_row, found))
    operation.require_tools(found)


def _row(found: Found) -> tuple[str, ...]:
    version = found.version or ("-" if found.state != "ok" else "a build without a version")
    tool = found.tool
    return (tool.name, found.state, version, f">= {spelled(tool.needed)}", tool.purpose, found.path or "-")


def _plain(found: Found) -> dict[str, str | None]:
    return {
        "tool": found.tool.name,
        "state": found.state,
        "found": found.version or None,
        "needed": spelled(found.tool.needed),
        "path": found.path or None,
    }

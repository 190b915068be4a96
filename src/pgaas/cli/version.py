"""`pgaas version`."""

from __future__ import annotations

from pgaas.cli.options import Output, OutputOption
from pgaas.cli.output import out, out_json


def version(output: OutputOption = Output.text) -> None:
    """Print pgaas's version.

    Examples:
      pgaas version
      pgaas version -o json
    """
    if output is Output.json:
        out_json({"version": pgaas_version()})
    else:
        out(pgaas_version())


def pgaas_version() -> str:
    """Return the installed package's version."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed_version

    try:
        return installed_version("pgaas")
    except PackageNotFoundError:
        return "0+not-installed"

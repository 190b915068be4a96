"""`pgaas version`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pgaas.cli.options import Output, OutputOption
from pgaas.cli.output import out, out_json, say_note

if TYPE_CHECKING:
    from pgaas.operations.version import Version


def version(output: OutputOption = Output.text) -> None:
    """Print pgaas's version.

    An installed pgaas prints the version that it was built with, a source tree what git says: tag v1.2.3 is
    1.2.3, branch main is 0.0.0-main.COMMIT, and uncommitted changes add .dirty. As json it also says how
    the wheel spells it, the commit, and where the version is from. Where nothing tells it, it is
    0.0.0-unknown, and stderr says why.

    Examples:
      pgaas version
      pgaas version -o json
    """
    from pgaas.operations.version import own_version

    found = own_version()
    if not found.is_known:
        say_note(f"the version is not known: {found.source}")
    out_json(as_json(found)) if output is Output.json else out(found.text)


def as_json(found: Version) -> dict[str, object]:
    """Return a version for a program."""
    return {
        "version": found.text,
        "python_version": found.python,
        "release": found.is_release,
        "commit": found.commit,
        "tag": found.tag,
        "branch": found.branch,
        "dirty": found.dirty,
        "from": found.source,
    }


def pgaas_version() -> str:
    """Return the running pgaas's version, whatever stands in the way."""
    from pgaas.errors import PgaasError
    from pgaas.operations.version import UNKNOWN, own_version

    try:
        return own_version().text
    except (PgaasError, OSError):
        return UNKNOWN

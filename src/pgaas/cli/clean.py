"""`pgaas clean`."""

from __future__ import annotations

from pgaas.cli.options import RootOption, root_folder
from pgaas.cli.output import say


def clean(root: RootOption = None) -> None:
    """Remove confs/_generated, which `generate` writes again. Nothing else is touched.

    Examples:
      pgaas clean
      pgaas clean --root /srv/pgaas
    """
    from pgaas.operations import clean as operation

    files = operation.clean(root_folder(root))
    if files is None:
        say(f"no {operation.GENERATED}: nothing to remove")
    else:
        say(f"removed {operation.GENERATED} ({files} files)")

"""Remove what `generate` wrote."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pgaas.errors import RefusedAsUnsafe

GENERATED = Path("confs/_generated")


def clean(root: Path) -> int | None:
    """Remove confs/_generated and nothing else; return how many files it held, None if it was not there.

    Raise RefusedAsUnsafe if it is a symbolic link, or lies outside the root through one: what a link points
    to may be somebody else's.
    """
    folder = root / GENERATED
    if folder.is_symlink() or folder.parent.resolve() != root.resolve() / GENERATED.parent:
        raise RefusedAsUnsafe(
            f"{GENERATED} is reached through a symbolic link, and pgaas removes nothing through one",
            where=f"{folder} -> {folder.resolve()}",
            next_step="remove the link, or the folder that it points to, by hand",
        )
    if not folder.exists():
        return None
    files = sum(len(names) for _, _, names in os.walk(folder))
    shutil.rmtree(folder)
    return files

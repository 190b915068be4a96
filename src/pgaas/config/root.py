"""The folder that a command works in."""

from __future__ import annotations

from pathlib import Path

from pgaas.errors import UsageError


def find_root(start: Path) -> Path:
    """Return the nearest folder, from `start` upwards, that holds helmfile.yaml and confs/.

    Raise UsageError if there is none.
    """
    start = start.absolute()
    for folder in (start, *start.parents):
        if is_root(folder):
            return folder
    raise UsageError(
        f"no helmfile.yaml with confs/ beside it in {start} or above",
        next_step="go to the pgaas checkout, or name it with --root or PGAAS_ROOT",
    )


def check_root(root: Path) -> Path:
    """Return a root that the user named. Raise UsageError if it holds no helmfile.yaml and confs/."""
    if not is_root(root):
        raise UsageError(
            f"{root} is not a pgaas root: it holds no helmfile.yaml with confs/ beside it",
            next_step="name the folder that holds both with --root or PGAAS_ROOT",
        )
    return root.absolute()


def is_root(folder: Path) -> bool:
    """Tell whether a folder holds helmfile.yaml and confs/."""
    try:
        return (folder / "helmfile.yaml").is_file() and (folder / "confs").is_dir()
    except (OSError, ValueError):
        return False

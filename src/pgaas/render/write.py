"""Put a generated file in its place, whole or not at all."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from pgaas.config.naming import Target
from pgaas.errors import UsageError
from pgaas.render.dump import dump_values
from pgaas.render.values import GeneratedValues

GENERATED_FOLDER = Path("confs/_generated")
# With S3 keys in it, only its owner may read the file.
SECRET_MODE = 0o600
PLAIN_MODE = 0o644


def values_path(root: Path, target: Target) -> Path:
    """Return where a target's values file is."""
    return root / GENERATED_FOLDER / f"{target.ins}-{target.env}" / target.dc / "values.yaml"


def restored_path(root: Path, target: Target, name: str) -> Path:
    """Return where the values file of a cluster is that was restored in a target's datacenter."""
    return values_path(root, target).parent / "restored" / name / "values.yaml"


def write_restored(root: Path, target: Target, values: GeneratedValues) -> Path:
    """Write a restored cluster's values file and return its path. Raise as `write_values` does."""
    path = restored_path(root, target, values.cluster.name)
    write_text(path, dump_values(values), secret=bool(values.s3.secret_key or values.s3.access_key))
    return path


def write_values(root: Path, target: Target, values: GeneratedValues) -> Path:
    """Write a target's values file and return its path. Raise UsageError if the file system refuses."""
    path = values_path(root, target)
    write_text(path, dump_values(values), secret=bool(values.s3.secret_key or values.s3.access_key))
    return path


def write_text(path: Path, text: str, *, secret: bool) -> None:
    """Replace a file in one step; whatever stops it, the file is the old one or the new one.

    Raise UsageError if the file system refuses.
    """
    content, mode = text.encode(), SECRET_MODE if secret else PLAIN_MODE
    try:
        if not _holds(path, content, mode):
            path.parent.mkdir(parents=True, exist_ok=True)
            _replace(path, content, mode)
    except OSError as error:
        raise UsageError(
            f"can't write the file: {error.strerror or error}",
            where=str(path),
            next_step="free space, or make the folder writable, or remove what is in the way; then try again",
        ) from error


def _holds(path: Path, content: bytes, mode: int) -> bool:
    """Tell whether a file is as it is to be: to read it is far cheaper than to bring it to the disk again."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            status = os.fstat(file.fileno())
            same = stat.S_ISREG(status.st_mode) and stat.S_IMODE(status.st_mode) == mode
            return same and status.st_size == len(content) and file.read() == content
    except OSError:
        return False


def _replace(path: Path, content: bytes, mode: int) -> None:
    import tempfile

    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            # Before the content is there: a secret is never readable, not even for a moment.
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise

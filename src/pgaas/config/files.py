"""Write files that people wrote: one process at a time, each file whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from pgaas.config.load import ADMIN_FILE_LIMIT, Document, parse_document, read_bytes
from pgaas.errors import ConfigError, ConfigIssue, UsageError


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other pgaas processes from writing the same file in between."""
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def read_to_change(root: Path, name: str) -> Iterator[tuple[Path, bytes, Document]]:
    """Give an admin file's path, content and document, and keep others from writing it meanwhile.

    A link stays a link: the path is that of what it leads to. Raise ConfigError if it can't be read.
    """
    path = Path(os.path.realpath(root / name))
    with locked(path.parent):
        content, problem = read_bytes(path, ADMIN_FILE_LIMIT)
        if problem:
            raise ConfigError([ConfigIssue(name, 0, "", problem)])
        document = parse_document(name, content)
        if document.issues:
            raise ConfigError(list(document.issues))
        yield path, content, document


def replace_file(path: Path, name: str, content: bytes, by_hand: str) -> None:
    """Replace a file in one step, whole or not at all. Raise UsageError, with what to write by hand."""
    # The name is made before the file, so that there is no moment in which it could be left behind.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    try:
        with temporary.open("xb") as file:
            os.fchmod(file.fileno(), path.stat().st_mode & 0o7777)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        what = f"can't write {name}: {error.strerror or error}"
        raise UsageError(
            what, where=str(path), next_step=f"mend this, or write it by hand: {by_hand}"
        ) from error

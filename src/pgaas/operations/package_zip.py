"""Write archives that are the same, byte by byte, whenever and wherever they are written."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import time
import zipfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pgaas.errors import UsageError

# A zip file knows no time before 1980, and none after 2107.
_FIRST = (1980, 1, 1, 0, 0, 0)
_LAST = (2107, 12, 31, 23, 59, 58)
_MADE_ON_UNIX = 3


class Entry(NamedTuple):
    """A file to pack."""

    name: str
    content: bytes
    program: bool = False

    @property
    def sha256(self) -> str:
        """Return its checksum."""
        return hashlib.sha256(self.content).hexdigest()


def zipped(entries: Iterable[Entry], seconds: int) -> bytes:
    """Return a zip file of some entries, in their order, all of one time; `seconds` is since 1970."""
    file = io.BytesIO()
    moment = max(_FIRST, min(_LAST, time.gmtime(seconds)[:6]))
    # Stored, not deflated: what comes out of that depends on the machine's zlib.
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for entry in entries:
            info = zipfile.ZipInfo(entry.name, moment)
            info.create_system = _MADE_ON_UNIX
            info.external_attr = (stat.S_IFREG | (0o755 if entry.program else 0o644)) << 16
            archive.writestr(info, entry.content)
    return file.getvalue()


def rezipped(wheel: bytes, seconds: int) -> bytes:
    """Return a wheel with the same content, written as `zipped` does."""
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        return zipped([Entry(name, archive.read(name)) for name in archive.namelist()], seconds)


def sums(entries: Sequence[Entry]) -> bytes:
    """Return the file that `sha256sum --check` reads."""
    return "".join(f"{entry.sha256}  {entry.name}\n" for entry in entries).encode()


def write_whole(path: Path, content: bytes) -> None:
    """Write a file in one step; whatever stops it, there is the old one or the new one, or none.

    Raise UsageError if the file system refuses.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, content)
    except OSError as error:
        raise UsageError(
            f"can't write the package: {error.strerror or error}",
            where=str(path),
            next_step="free space, or make the folder writable, or name another with --out",
        ) from error


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise

"""Put a folder of secret files in its place, whole or not at all."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pgaas.errors import UsageError

MARK = "pgaas.json"
ANOTHER = "name another folder with --out, or remove this one"
_AT_FDCWD = -100
_EXCHANGE = 2


def write_folder(
    path: Path, files: Mapping[str, bytes], whose: Mapping[str, Any], facts: Mapping[str, Any]
) -> Path:
    """Replace a folder in one step and return where it really is: 0700, its files 0600, for their owner only.

    `whose` is kept in it, and tells the next call that the folder is its own; `facts` are kept for people.
    Raise UsageError if there is anything else than nothing, an empty or such a folder, or if the file system
    refuses.
    """
    # A link stays a link.
    real = Path(os.path.realpath(path))
    check_folder(real, whose)
    content = {
        **files,
        MARK: json.dumps({**whose, **facts, "files": sorted(files)}, indent=2).encode() + b"\n",
    }
    temporary = real.with_name(f".{real.name}.{os.urandom(4).hex()}.tmp")
    try:
        real.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir(mode=0o700)
        for name, each in content.items():
            _write(temporary / name, each)
        _take_place(temporary, real)
        _sync(real.parent)
    except OSError as error:
        raise UsageError(
            f"can't write the folder: {error.strerror or error}",
            where=str(real),
            next_step="free space, or make the folder above it writable, or name another with --out",
        ) from error
    finally:
        # After the exchange it is the former folder.
        shutil.rmtree(temporary, ignore_errors=True)
    return real


def check_folder(path: Path, whose: Mapping[str, Any]) -> None:
    """Raise UsageError if a folder may not be written: what is in it is not an earlier one of the same."""
    real = Path(os.path.realpath(path))
    if Path.cwd().is_relative_to(real):
        raise UsageError(
            f"{real} is the current folder, or above it", next_step="name a folder of its own with --out"
        )
    if not os.path.lexists(real):
        return
    if not real.is_dir():
        raise UsageError("a file stands where the folder is to be", where=str(real), next_step=ANOTHER)
    there = {entry.name for entry in os.scandir(real)}
    if not there:
        return
    mark = _mark(real / MARK)
    if mark is None or {key: mark.get(key) for key in whose} != dict(whose):
        what = "the folder holds something else than an earlier export of this role"
        raise UsageError(what, where=str(real), next_step=ANOTHER)
    listed = mark.get("files")
    foreign = sorted(there - {MARK, *(listed if isinstance(listed, list) else ())})
    if foreign:
        what = f"the folder holds what pgaas did not write: {', '.join(foreign[:5])}"
        raise UsageError(what, where=str(real), next_step=f"move that away, or {ANOTHER}")


def _mark(path: Path) -> dict[str, Any] | None:
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            found = json.loads(file.read(65536))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        # Whatever the umask is.
        os.fchmod(descriptor, 0o600)
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _take_place(new: Path, old: Path) -> None:
    """Let the new folder have the old one's name, and the old one the new one's, with nothing in between."""
    if not os.path.lexists(old) or not any(os.scandir(old)):
        # Takes the place of an empty folder too.
        new.rename(old)
        return
    if _exchange(new, old):
        return
    aside = old.with_name(f"{new.name}.old")
    old.rename(aside)
    try:
        new.rename(old)
    except BaseException:
        aside.rename(old)
        raise
    aside.rename(new)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; return False where the system cannot."""
    with suppress(OSError, AttributeError):
        call = ctypes.CDLL(None, use_errno=True).renameat2
        return bool(call(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _EXCHANGE) == 0)
    return False


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

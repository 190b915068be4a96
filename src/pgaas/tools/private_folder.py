"""A folder for keys that lasts as long as they are needed, in memory where the machine can."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from pgaas.errors import UsageError
from pgaas.tools.signals import signals_held

MEMORY = Path("/dev/shm")  # in memory: what is there reaches no disk, but for swap
PREFIX = "pgaas-keys-"
# A folder that nobody holds is one whose process was killed, unless it has only just been made.
FRESH_SECONDS = 60.0


@contextlib.contextmanager
def private_folder(files: Mapping[str, bytes]) -> Iterator[Path]:
    """Write files that nobody else may read, and remove them at the block's end, whatever ends it.

    What an earlier process left that was killed outright is removed too. Raise UsageError if they cannot
    be written.
    """
    place = _place()
    _sweep(place)
    folder = place / f"{PREFIX}{os.urandom(8).hex()}"
    held = -1
    try:
        try:
            folder.mkdir(mode=0o700)
            # Whoever sweeps sees by the lock that the folder is in use; it ends with this process.
            held = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for name, content in files.items():
                descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "wb") as opened:
                    opened.write(content)
        except OSError as error:
            raise UsageError(
                f"the keys can't be written: {error.strerror or error}",
                where=str(folder),
                next_step="free space there"
                + (", or set TMPDIR to a folder of your own" if place != MEMORY else f": df -h {MEMORY}"),
            ) from error
        yield folder
    finally:
        try:
            _remove(folder)
        except KeyboardInterrupt:
            # It may have come before signals were held.
            _remove(folder)
            raise
        finally:
            if held >= 0:
                os.close(held)


def _remove(folder: Path) -> None:
    """Remove a folder; a second signal must not leave half of it.

    To block it here is not enough: another thread, such as a forwarded port's, takes it, and Python handles
    it in this one.
    """
    with signals_held():
        shutil.rmtree(folder, ignore_errors=True)


def _place() -> Path:
    return MEMORY if MEMORY.is_dir() and os.access(MEMORY, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())


def _sweep(place: Path) -> None:
    """Remove this user's folders that no process holds."""
    for folder in place.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            seen = folder.lstat()
            if seen.st_uid != os.geteuid() or time.time() - seen.st_mtime < FRESH_SECONDS:
                continue
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)

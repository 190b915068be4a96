"""Change several files that people wrote: all of them, or none."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pgaas.errors import UsageError

NEW_FILE_MODE = 0o644
# What would stop a command between two files; whoever ignores one of them (nohup) goes on ignoring it.
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class FileChange:
    """A file and the content that it gets, None if it goes; `name` is its path as messages show it.

    `before` is what it holds now, None if it is not there yet.
    """

    path: Path
    name: str
    before: bytes | None
    after: bytes | None


@dataclass
class _Prepared:
    """What lies beside a file until it is changed: its content to be, and the one that it had."""

    change: FileChange
    new: Path
    old: Path
    done: bool = False


@dataclass
class _Beside:
    """Everything that was made for a change of files, and goes whatever becomes of it."""

    prepared: list[_Prepared] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)


def change_files(changes: Sequence[FileChange], by_hand: str, *, keep: Path) -> None:
    """Change files in this order: all of them or, whatever stops it, none.

    All that needs space is written before the first file changes: what is left are renames. Signals are heard
    afterwards. A process that is killed between two files (SIGKILL) has changed the first ones only, each
    whole. Folders are made as needed, and those below `keep` that are left empty go. Raise UsageError with
    what to do by hand if the file system refuses.
    """
    finished = False
    try:
        with deaf():
            _change(changes, by_hand, keep)
            finished = True
    except KeyboardInterrupt as interrupt:
        if finished:
            raise KeyboardInterrupt("all files were changed by then: nothing is left to do") from interrupt
        raise


@contextlib.contextmanager
def deaf() -> Iterator[None]:
    """Hear signals that would stop the program only when the block has ended."""
    heard: list[int] = []
    before = {}
    try:
        if threading.current_thread() is threading.main_thread():
            for number in STOPPING:
                if callable(handler := signal.getsignal(number)):
                    before[number] = handler
                    signal.signal(number, lambda got, _: heard.append(got))
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if heard:
            signal.raise_signal(heard[0])


def _change(changes: Sequence[FileChange], by_hand: str, keep: Path) -> None:
    beside = _Beside()
    where = changes[0].path
    try:
        for change in changes:
            where = change.path
            _prepare(change, beside)
        for each in beside.prepared:
            where = each.change.path
            _carry_out(each)
        beside.folders.clear()
    except BaseException as error:
        _undo(beside.prepared)
        if not isinstance(error, OSError):
            raise
        raise UsageError(
            f"can't write {_name_of(where, changes)}: {error.strerror or error}; nothing was changed",
            where=str(where),
            next_step=f"mend this, or do it by hand: {by_hand}",
        ) from error
    finally:
        _tidy(beside)
    for change in changes:
        if change.after is None:
            _remove_empty(change.path.parent, keep)


def _prepare(change: FileChange, beside: _Beside) -> None:
    """Write what a file is to hold, and what it holds, beside it."""
    path = change.path
    missing = [folder for folder in (path.parent, *path.parent.parents) if not folder.is_dir()]
    for folder in reversed(missing):
        # Noted down before it is made, so that there is no moment in which it could be left behind.
        beside.folders.append(folder)
        folder.mkdir()
    stem = f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}"
    each = _Prepared(change, path.with_name(f"{stem}.tmp"), path.with_name(f"{stem}.old"))
    beside.prepared.append(each)
    mode = NEW_FILE_MODE if change.before is None else path.stat().st_mode & 0o7777
    if change.after is not None:
        _write(each.new, change.after, mode)
    if change.before is not None:
        _write(each.old, change.before, mode)


def _write(path: Path, content: bytes, mode: int) -> None:
    with path.open("xb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _carry_out(each: _Prepared) -> None:
    if each.change.before is None and os.path.lexists(each.change.path):
        raise FileExistsError(errno.EEXIST, "somebody made it meanwhile")
    # Noted down before: to undo what was not done does no harm.
    each.done = True
    if each.change.after is None:
        each.change.path.unlink()
    else:
        each.new.replace(each.change.path)


def _undo(prepared: Sequence[_Prepared]) -> None:
    for each in reversed(prepared):
        if each.done and each.change.before is not None:
            each.old.replace(each.change.path)
        elif each.done and not each.new.exists():
            each.change.path.unlink(missing_ok=True)


def _tidy(beside: _Beside) -> None:
    for each in beside.prepared:
        for path in (each.new, each.old):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
    for folder in reversed(beside.folders):
        with contextlib.suppress(OSError):
            folder.rmdir()


def _remove_empty(folder: Path, keep: Path) -> None:
    """Remove a folder that has become empty, and those above it that have, as far as `keep`."""
    with contextlib.suppress(OSError):
        while keep in folder.parents:
            folder.rmdir()
            folder = folder.parent


def _name_of(path: Path, changes: Sequence[FileChange]) -> str:
    return next(change.name for change in changes if change.path == path)

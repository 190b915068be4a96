"""Several files, all or none: against a full disk, signals at every line, and others who write."""

from __future__ import annotations

import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pgaas.config import changes as module
from pgaas.config.changes import FileChange, change_files
from pgaas.errors import UsageError

OLD, NEW = b"old\n", b"new" * 300 + b"\n"
HAND = "write it"


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else b"/"
        for path in folder.rglob("*")
    }


def addition(folder: Path) -> list[FileChange]:
    (folder / "admin.yaml").write_bytes(OLD)
    (folder / "users").mkdir()
    return [
        FileChange(folder / "users/ic7/local/d.yaml", "d.yaml", None, b"small\n"),
        FileChange(folder / "admin.yaml", "admin.yaml", OLD, NEW),
    ]


def removal(folder: Path) -> list[FileChange]:
    (folder / "admin.yaml").write_bytes(OLD)
    (folder / "users/ic7/local").mkdir(parents=True)
    (folder / "users/ic7/local/d.yaml").write_bytes(b"small\n")
    return [
        FileChange(folder / "admin.yaml", "admin.yaml", OLD, NEW),
        FileChange(folder / "users/ic7/local/d.yaml", "d.yaml", b"small\n", None),
    ]


CASES = pytest.mark.parametrize("make", [addition, removal])


def apply(changes: list[FileChange], folder: Path) -> None:
    change_files(changes, HAND, keep=folder / "users")


@contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    """Let the kernel refuse to write more into a file, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_is_added_and_removed_again_leaves_nothing(tmp_path: Path) -> None:
    changes = addition(tmp_path)
    before = tree(tmp_path)
    (tmp_path / "admin.yaml").chmod(0o640)
    apply(changes, tmp_path)
    assert tree(tmp_path) == before | {
        "admin.yaml": NEW,
        "users/ic7": b"/",
        "users/ic7/local": b"/",
        "users/ic7/local/d.yaml": b"small\n",
    }
    assert (tmp_path / "admin.yaml").stat().st_mode & 0o777 == 0o640
    back = [FileChange(each.path, each.name, each.after, each.before) for each in reversed(changes)]
    apply(back, tmp_path)
    assert tree(tmp_path) == before


def test_a_folder_with_anything_else_in_it_stays(tmp_path: Path) -> None:
    changes = removal(tmp_path)
    (tmp_path / "users/ic7/notes.txt").write_text("mine")
    apply(changes, tmp_path)
    assert sorted(tree(tmp_path / "users")) == ["ic7", "ic7/notes.txt"]


@CASES
def test_a_disk_that_is_full_for_the_large_file_changes_neither(tmp_path: Path, make: Any) -> None:
    changes = make(tmp_path)
    before = tree(tmp_path)
    with no_file_longer_than(100), pytest.raises(UsageError) as refused:
        apply(changes, tmp_path)
    assert tree(tmp_path) == before
    assert "nothing was changed" in refused.value.what
    assert HAND in refused.value.next_step


@CASES
@pytest.mark.parametrize("nth", [1, 2])
def test_a_step_that_fails_undoes_those_before(
    tmp_path: Path, make: Any, nth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = make(tmp_path)
    before = tree(tmp_path)
    steps, real = [], module._carry_out

    def failing(each: Any) -> None:
        real(each)
        steps.append(each)
        if len(steps) == nth:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(module, "_carry_out", failing)
    with pytest.raises(UsageError, match="Input/output error"):
        apply(changes, tmp_path)
    assert tree(tmp_path) == before


@CASES
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_any_line_leaves_all_or_none(tmp_path: Path, make: Any, number: int) -> None:
    def stop(got: int, _: Any) -> None:
        raise KeyboardInterrupt(got)

    heard = {each: signal.signal(each, stop) for each in (signal.SIGINT, signal.SIGTERM)}
    ends: set[str] = set()
    try:
        for line in range(1000):
            folder = tmp_path / str(line)
            folder.mkdir()
            changes = make(folder)
            before = tree(folder)
            stopped, said = interrupted(changes, folder, line, number)
            done = (folder / "admin.yaml").read_bytes() == NEW
            assert done or tree(folder) == before, f"half done, stopped at line event {line}"
            if done:
                assert (folder / "users/ic7/local/d.yaml").exists() is (make is addition)
                assert not [name for name in tree(folder) if name.endswith((".tmp", ".old"))]
            ends.add("not stopped" if not stopped else "all" if done else "none")
            assert ("all files were changed" in said) <= done
            if not stopped:
                break
    finally:
        for each, handler in heard.items():
            signal.signal(each, handler)
    assert ends == {"none", "all", "not stopped"}


def interrupted(changes: list[FileChange], folder: Path, line: int, number: int) -> tuple[bool, str]:
    """Change files, with a signal before the n-th line of the module; say if it came, and what was said."""
    left = [line]

    def trace(frame: Any, event: str, _: Any) -> Any:
        if frame.f_code.co_filename != module.__file__:
            return None
        if event == "line":
            left[0] -= 1
            if left[0] == -1:
                signal.raise_signal(number)
        return trace

    old, said = sys.gettrace(), ""
    sys.settrace(trace)
    try:
        apply(changes, folder)
    except KeyboardInterrupt as interrupt:
        said = str(interrupt)
    finally:
        sys.settrace(old)
    return left[0] < 0, said


def test_whoever_ignores_hangups_goes_on_ignoring_them(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with module.deaf():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_file_that_somebody_made_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    changes = addition(tmp_path)
    theirs = tmp_path / "users/ic7/local/d.yaml"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("theirs")
    with pytest.raises(UsageError, match="meanwhile"):
        apply(changes, tmp_path)
    assert theirs.read_text() == "theirs"
    assert (tmp_path / "admin.yaml").read_bytes() == OLD


def test_a_file_in_the_place_of_a_folder_is_said(tmp_path: Path) -> None:
    changes = addition(tmp_path)
    (tmp_path / "users/ic7").write_text("no folder")
    before = tree(tmp_path)
    with pytest.raises(UsageError, match=r"Not a directory|File exists"):
        apply(changes, tmp_path)
    assert tree(tmp_path) == before

from __future__ import annotations

import os
import shutil
import signal
import stat
import threading
import time
from pathlib import Path

import pytest

from pgaas.errors import UsageError
from pgaas.tools import private_folder as module
from pgaas.tools.private_folder import private_folder


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep them in a folder of the test's own."""
    monkeypatch.setattr(module, "MEMORY", tmp_path)
    return tmp_path


def modes(folder: Path) -> list[str]:
    return [oct(stat.S_IMODE(path.stat().st_mode)) for path in (folder, *folder.iterdir())]


def test_it_is_private_whatever_the_umask_and_gone_afterwards(place: Path) -> None:
    before = os.umask(0)
    try:
        with private_folder({"tls.key": b"secret"}) as folder:
            assert modes(folder) == ["0o700", "0o600"]
            assert (folder / "tls.key").read_bytes() == b"secret"
    finally:
        os.umask(before)
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, SystemExit])
def test_whatever_ends_the_block_it_is_gone(place: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), private_folder({"tls.key": b"secret"}):
        raise error
    assert list(place.iterdir()) == []


def test_a_full_disk_is_told_and_leaves_nothing(place: Path) -> None:
    # A name that no file system takes.
    with (
        pytest.raises(UsageError, match="can't be written") as caught,
        private_folder({"a": b"", "x" * 300: b""}),
    ):
        pass
    # TMPDIR would change nothing: this is the place in memory.
    assert caught.value.next_step == f"free space there: df -h {place}"
    assert list(place.iterdir()) == []


def test_without_a_place_in_memory_it_is_where_temporary_files_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MEMORY", tmp_path / "none")
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    with private_folder({}) as folder:
        assert folder.parent == tmp_path


def test_only_what_nobody_holds_is_swept_and_only_after_a_while(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = place / f"{module.PREFIX}left"
    left.mkdir()
    (left / "tls.key").write_text("secret")
    (place / f"{module.PREFIX}link").symlink_to(place)
    with private_folder({"tls.key": b"held"}) as held:
        assert left.exists()
        monkeypatch.setattr(module, "FRESH_SECONDS", 0.0)
        with private_folder({}):
            assert (held / "tls.key").exists()
            assert not left.exists()
    assert [path.name for path in place.iterdir()] == [f"{module.PREFIX}link"]


def test_a_second_signal_leaves_no_key_though_another_thread_takes_it(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove, over = shutil.rmtree, threading.Event()

    def signalled(folder: Path, **options: bool) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        # Long enough for Python to see it, if it may.
        for _ in range(100):
            time.sleep(0.001)
        remove(folder, **options)

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    other = threading.Thread(target=over.wait)
    other.start()
    monkeypatch.setattr(shutil, "rmtree", signalled)
    try:
        with pytest.raises(KeyboardInterrupt), private_folder({"tls.key": b"secret"}):
            raise KeyboardInterrupt
        assert signal.getsignal(signal.SIGTERM) is end
    finally:
        over.set()
        other.join()
        signal.signal(signal.SIGTERM, before)
    assert list(place.iterdir()) == []

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cli.support import PARTS, REPOSITORY, Ran
from tests.unit.operations.pair_worlds import PairWorld, make_pair_world
from tests.unit.tools.fake_s3 import FakeS3, running

from pgaas.__main__ import main


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a copy of what a command works in, and make it the current folder."""
    folder = tmp_path / "root"
    for part in PARTS:
        source, target = REPOSITORY / part, folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy(source, target)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("PGAAS_ROOT", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return folder


@pytest.fixture(scope="module")
def s3() -> Iterator[FakeS3]:
    """Give a small S3."""
    with running() as server:
        yield server


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, s3: FakeS3) -> PairWorld:
    """Give a healthy pair, and make its files those that commands work in."""
    made = make_pair_world(tmp_path, s3, monkeypatch)
    monkeypatch.setenv("PGAAS_ROOT", str(made.root))
    return made.healthy()


@pytest.fixture
def pgaas(capfd: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Ran]]:
    """Give a function that runs a command line in this process, error edge included."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}

    def run(*arguments: str) -> Ran:
        capfd.readouterr()
        code = main(list(arguments))
        out, err = capfd.readouterr()
        return Ran(code, out, err)

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)

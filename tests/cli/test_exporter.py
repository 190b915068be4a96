"""`pgaas exporter`: once, and served until somebody ends it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import pytest
from tests.cli.support import Ran
from tests.unit.operations.pair_worlds import HERE, PairWorld

from pgaas.cli import exporter as command
from pgaas.config.naming import Target
from pgaas.operations import exporter as operation
from pgaas.tools.exposition import Sample

Run = Callable[..., Ran]
LOCAL = ("exporter", "--env", "local")
UP = 'pgaas_up{dc="local1",env="local",ins="ic1"}'


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
        return number


def asked(port: int) -> dict[str, float]:
    """Return what the exporter answers, by name and labels."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain")
        return numbers(answer.read().decode())


def numbers(text: str) -> dict[str, float]:
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def test_once(world: PairWorld, pgaas: Run) -> None:
    done = pgaas(*LOCAL, "--once")
    assert (done.code, done.err) == (0, "")
    found = numbers(done.out)
    assert (found[UP], found['pgaas_primaries{env="local",ins="ic1"}']) == (1, 1)
    assert "# HELP pgaas_dns_correct Whether" in done.out


def test_each_look_replaces_the_one_before_and_ctrl_c_is_its_end(
    world: PairWorld, pgaas: Run, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, float]] = []

    def pause(_seconds: float) -> None:
        seen.append(asked(port))
        if len(seen) == 3:
            raise KeyboardInterrupt
        world.down = {HERE} if len(seen) == 1 else set()

    monkeypatch.setattr(command, "pause", pause)
    done = pgaas(*LOCAL, "--listen", f"127.0.0.1:{port}")
    assert [each[UP] for each in seen] == [1, 0, 1]
    side = f'pgaas_side_primary{{dc="{HERE}",env="local",ins="ic1"}}'
    assert [each.get(side) for each in seen] == [1, None, 1]
    assert done.code == 0
    assert f"http://127.0.0.1:{port}/metrics" in done.err
    assert done.err.endswith("ended\n")


def test_it_answers_at_once_while_it_looks(
    world: PairWorld, pgaas: Run, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    during: list[dict[str, float]] = []

    def look(_root: Path, targets: list[Target]) -> list[Sample]:
        during.append(asked(port))
        return [Sample("pgaas_up", tuple(target), float(len(during))) for target in targets]

    def pause(_seconds: float) -> None:
        if len(during) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(operation, "look_at_client", look)
    monkeypatch.setattr(command, "pause", pause)
    assert pgaas(*LOCAL, "--listen", f"127.0.0.1:{port}").code == 0
    first, second = during
    assert first == {}
    assert second[UP] == 1
    assert 'pgaas_last_look_timestamp_seconds{env="local",ins="ic1"}' in second


def test_a_file_that_breaks_meanwhile_is_told_once_and_leaves_nothing(
    world: PairWorld, pgaas: Run, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, float]] = []

    def pause(_seconds: float) -> None:
        seen.append(asked(port))
        if len(seen) == 1:
            world.edit("admin/local/clients.yaml", "clients:", "client:")
        if len(seen) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(command, "pause", pause)
    done = pgaas(*LOCAL, "--listen", f"127.0.0.1:{port}")
    assert (done.code, seen[0][UP], seen[1:]) == (0, 1, [{}, {}])
    assert done.err.count("2 errors in the configuration") == 1


def test_a_complaint_is_said_again_only_after_it_was_gone(capfd: pytest.CaptureFixture[str]) -> None:
    news = command.News()
    for texts in (["a", "a"], ["a", "b"], [], ["a"]):
        for text in texts:
            news.tell(text)
        news.turn()
    assert capfd.readouterr().err.split() == ["a", "b", "a"]


@pytest.mark.parametrize(
    "address",
    ["", "9188", "localhost", "localhost:", ":9188", "a b:1", "h:0", "h:65536", "h:-1", "::1:9188", "h:1:2"],
)
def test_what_is_no_address_to_listen_at(world: PairWorld, pgaas: Run, address: str) -> None:
    done = pgaas(*LOCAL, "--listen", address)
    assert done.code == 2
    assert "is no address: write 127.0.0.1:9188" in done.err


def test_a_port_that_is_taken(world: PairWorld, pgaas: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        done = pgaas(*LOCAL, "--listen", f"127.0.0.1:{taken}")
    assert done.code == 2
    assert f"cannot listen on 127.0.0.1:{taken}: address already in use" in done.err
    assert "name another port" in done.err


def test_an_environment_without_clients(world: PairWorld, pgaas: Run) -> None:
    for more in ((), ("--once",)):
        done = pgaas("exporter", "--env", "locla", *more)
        assert done.code == 2
        assert "no client has a file for the environment 'locla'" in done.err


def test_a_signal_ends_it_well(root: Path, port: int) -> None:
    argv = [sys.executable, "-m", "pgaas", "exporter", "--env", "local", "--listen", f"127.0.0.1:{port}"]
    environment = {**os.environ, "KUBECONFIG": "/nonexistent"}
    with subprocess.Popen(argv, cwd=root, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        assert f":{port}/metrics" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert process.stderr.read().endswith("ended\n")

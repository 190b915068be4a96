"""A program in the foreground: its streams are ours, and signals go where they belong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pgaas.errors import ToolMissing
from pgaas.tools.command import inherited_environment, run_in_foreground

ENV = inherited_environment()
PATIENCE = 60.0


def test_it_has_our_streams_and_its_exit_code_is_returned(capfd: pytest.CaptureFixture[str]) -> None:
    echoed: list[str] = []
    assert run_in_foreground(["sh", "-c", "echo out; echo err >&2; exit 3"], env=ENV, echo=echoed.append) == 3
    assert capfd.readouterr() == ("out\n", "err\n")
    assert echoed == ["sh -c 'echo out; echo err >&2; exit 3'"]


def test_a_program_that_a_signal_ended_says_so_as_shells_do() -> None:
    assert run_in_foreground(["sh", "-c", "kill -KILL $$"], env=ENV) == 128 + signal.SIGKILL


def test_handlers_are_what_they_were_afterwards_and_the_program_ignores_none(
    capfd: pytest.CaptureFixture[str],
) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGQUIT)]
    run_in_foreground(["grep", "SigIgn", "/proc/self/status"], env=ENV)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGQUIT)] == before
    ignored = int(capfd.readouterr().out.split()[1], 16)
    assert not ignored & (1 << (signal.SIGINT - 1))


@pytest.mark.parametrize("broken", ["missing", "no program"])
def test_what_cannot_be_started_is_missing(tmp_path: Path, broken: str) -> None:
    program = tmp_path / "psql"
    if broken == "no program":
        program.write_bytes(b"\x7fELF nonsense")
        program.chmod(0o755)
    with pytest.raises(ToolMissing):
        run_in_foreground(["psql"], env={"PATH": str(tmp_path)})


SCRIPT = """
import signal, sys
from pgaas.tools.command import inherited_environment, run_in_foreground

class Ended(KeyboardInterrupt):
    pass

def end(*_):
    raise Ended

signal.signal(signal.SIGTERM, end)
try:
    code = run_in_foreground(["sh", "-c", sys.argv[1]], env=inherited_environment())
except Ended:
    print("ended", flush=True)
else:
    print("code", code, flush=True)
"""


def signalled(script: str, number: signal.Signals) -> list[str]:
    """Run a script in the foreground of a process without a terminal, and signal that process alone."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, script], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    watchdog = threading.Timer(PATIENCE, os.killpg, (process.pid, signal.SIGKILL))
    watchdog.start()
    try:
        assert process.stdout
        assert process.stdout.readline() == "up\n"
        process.send_signal(number)
        return process.communicate()[0].splitlines()
    finally:
        watchdog.cancel()


def test_without_a_terminal_an_interrupt_is_passed_on() -> None:
    script = "trap 'echo told; exit 7' INT; echo up; while :; do sleep 0.05; done"
    assert signalled(script, signal.SIGINT) == ["told", "code 7"]


def test_what_ends_us_ends_the_program_first() -> None:
    script = "trap 'echo told; exit 7' TERM; echo up; while :; do sleep 0.05; done"
    assert signalled(script, signal.SIGTERM) == ["told", "ended"]

"""`pgaas psql` and signals: from a terminal, from outside, and without warning; no key stays."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from tests.cli.daily import CLIENT, Daily, keys
from tests.cli.support import Ran
from tests.unit.tools.postgres import Postgres

from pgaas.tools import private_folder

Run = Callable[..., Ran]
ASKED = ("psql", *CLIENT, "--role", "app_user")
PATIENCE = 60.0
ASLEEP = "select count(*) from pg_stat_activity where state = 'active' and query like 'select pg_sleep(600)%'"


def start(*arguments: str, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "pgaas", *ASKED, "--", "-XAt", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,  # type: ignore[call-overload]
    )


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_psql_and_takes_the_keys_away(
    created: Daily, postgres: Postgres, number: signal.Signals, code: int
) -> None:
    before = keys()
    process = start()
    assert process.stdin
    assert process.stdout
    process.stdin.write("select 'up';\n")
    process.stdin.flush()
    assert process.stdout.readline() == "up\n"
    assert len(keys() - before) == 1
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == code
    assert "Traceback" not in err
    assert keys() == before
    assert postgres.sql("select count(*) from pg_stat_activity where usename = 'app_user'") == "0"


def test_what_a_killed_one_leaves_the_next_one_removes(
    created: Daily, pgaas: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = keys()
    live, killed = start(), start()
    for process in (live, killed):
        assert process.stdin
        assert process.stdout
        process.stdin.write("select 'up';\n")
        process.stdin.flush()
        assert process.stdout.readline() == "up\n"
    killed.kill()
    killed.communicate(timeout=PATIENCE)
    assert len(keys() - before) == 2
    monkeypatch.setattr(private_folder, "FRESH_SECONDS", 0.0)
    assert pgaas(*ASKED, "--", "-Xc", "select 1").code == 0
    # The one that somebody still uses is not touched.
    assert len(keys() - before) == 1
    assert live.communicate("select 'still';\n", timeout=PATIENCE)[0] == "still\n"


def test_ctrl_c_at_a_terminal_is_psql_s_alone(created: Daily, postgres: Postgres) -> None:
    """The query ends, psql and pgaas stay; the key is there until psql leaves."""
    before = keys()
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ |= {"TERM": "dumb", "PAGER": "cat"}
        os.execv(sys.executable, [sys.executable, "-m", "pgaas", *ASKED, "--", "-X", "-n"])
    screen = Screen(terminal)
    screen.until("app_db=> ")
    screen.write("select pg_sleep(600);\n")
    # At the prompt Ctrl-C would be no more than the end of a line.
    while postgres.sql(ASLEEP) != "1":
        screen.read(0.1)
    screen.write("\x03")
    screen.until("canceling statement due to user request")
    assert len(keys() - before) == 1
    screen.write("\nselect 'still ' || 'here';\n")
    screen.until("still here")
    screen.write("\\q\n")
    screen.until_end()
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert keys() == before
    assert "Traceback" not in screen.text


class Screen:
    """What a terminal shows."""

    def __init__(self, terminal: int) -> None:
        self.terminal, self.text, self._end = terminal, "", time.monotonic() + PATIENCE

    def write(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def read(self, seconds: float) -> bool:
        assert time.monotonic() < self._end, self.text
        if select.select([self.terminal], [], [], seconds)[0]:
            try:
                self.text += os.read(self.terminal, 65536).decode(errors="replace")
            except OSError:
                return False
        return True

    def until(self, wanted: str) -> None:
        while wanted not in self.text:
            assert self.read(1), self.text

    def until_end(self) -> None:
        while self.read(1):
            pass

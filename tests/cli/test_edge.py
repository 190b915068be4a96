"""The edge: whatever happens, a message, an exit code, and no traceback for what a user can cause."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.support import run_process

from pgaas.cli import edge
from pgaas.errors import (
    ConfigError,
    ConfigIssue,
    KubernetesError,
    NotHealthy,
    PgaasError,
    RefusedAsUnsafe,
    TimedOut,
    ToolFailed,
    ToolMissing,
    UsageError,
)

EXIT_CODES = [
    (UsageError, 2),
    (ToolMissing, 4),
    (ToolFailed, 5),
    (KubernetesError, 6),
    (TimedOut, 7),
    (RefusedAsUnsafe, 8),
    (NotHealthy, 9),
]


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let `pgaas clean` fail in a way of our choice."""

    def fail(_root: Path) -> int:
        raise error

    monkeypatch.setattr("pgaas.operations.clean.clean", fail)


@pytest.mark.parametrize(("kind", "code"), EXIT_CODES)
def test_each_error_has_its_exit_code_and_says_what_where_and_what_next(
    root, pgaas, monkeypatch, kind: type[PgaasError], code: int
):
    failing(monkeypatch, kind("it broke", where="over there", next_step="do this"))
    ran = pgaas("clean")
    assert (ran.code, ran.out) == (code, "")
    assert ran.err == "error: it broke\n  where: over there\n  next: do this\n"


def test_a_configuration_error_lists_every_issue(root, pgaas, monkeypatch):
    issues = [ConfigIssue("b.yaml", 2, "x.y", "is wrong"), ConfigIssue("a.yaml", 0, "", "is missing")]
    failing(monkeypatch, ConfigError(issues, next_step="mend them"))
    ran = pgaas("clean")
    assert ran.code == 3
    assert ran.err.splitlines() == [
        "error: 2 errors in the configuration",
        "  a.yaml: is missing",
        "  b.yaml:2: x.y: is wrong",
        "  next: mend them",
    ]


def test_what_a_file_holds_cannot_command_the_terminal(root, pgaas, monkeypatch):
    failing(monkeypatch, UsageError("a\x1b[2J\x07b\x9bc\rd"))
    assert pgaas("clean").err == "error: a\\x1b[2J\\x07b\\x9bc\\x0dd\n"


@pytest.mark.parametrize("number", sorted(edge.ADVICE))
def test_what_a_disk_or_a_permission_does_is_no_bug(root, pgaas, monkeypatch, number: int):
    failing(monkeypatch, OSError(number, os.strerror(number), "/some/path"))
    ran = pgaas("clean")
    assert ran.code == 2
    assert "bug" not in ran.err
    assert "  where: /some/path\n" in ran.err
    assert f"  next: {edge.ADVICE[number]}\n" in ran.err


def test_a_bug_says_so_and_keeps_the_traceback_in_a_private_file(root, pgaas, monkeypatch, tmp_path):
    failing(monkeypatch, ZeroDivisionError("oops"))
    ran = pgaas("clean")
    assert (ran.code, ran.out) == (1, "")
    assert "this is a bug in pgaas: ZeroDivisionError: oops" in ran.err
    assert "Traceback" not in ran.err
    (report,) = (tmp_path / "state" / "pgaas").iterdir()
    assert f"  where: {report}\n" in ran.err
    assert "ZeroDivisionError: oops" in report.read_text()
    assert "pgaas clean" in report.read_text()
    assert stat.S_IMODE(report.stat().st_mode) == 0o600


def test_a_bug_is_shown_whole_when_debugging(root, pgaas, monkeypatch):
    monkeypatch.setenv("PGAAS_DEBUG", "1")
    failing(monkeypatch, ZeroDivisionError("oops"))
    assert "Traceback (most recent call last)" in pgaas("clean").err


def test_a_bug_whose_traceback_cannot_be_saved_still_says_so(root, pgaas, monkeypatch, tmp_path):
    (tmp_path / "state").write_text("in the way")
    failing(monkeypatch, ZeroDivisionError("oops"))
    ran = pgaas("clean")
    assert ran.code == 1
    assert "PGAAS_DEBUG=1" in ran.err


def test_ctrl_c_is_one_line(root, pgaas, monkeypatch):
    failing(monkeypatch, KeyboardInterrupt())
    ran = pgaas("clean")
    assert ran.code == 130
    assert ran.err == "error: interrupted: nothing was left half-written; the same command can be run again\n"


def test_ctrl_c_says_the_state_that_the_operation_left(root, pgaas, monkeypatch):
    failing(monkeypatch, KeyboardInterrupt("the release is half deployed; run `pgaas create` again"))
    assert "interrupted: the release is half deployed" in pgaas("clean").err


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_pgaas_in_order(root: Path, tmp_path: Path, number: signal.Signals, code: int):
    """The tool says when it runs, and whether it was told to stop before pgaas left."""
    tools, started, told = tmp_path / "tools", tmp_path / "started", tmp_path / "told"
    os.mkfifo(started)
    tools.mkdir()
    (tools / "helm").write_text("#!/bin/sh\n")
    (tools / "helmfile").write_text(
        f"#!/bin/sh\ntrap 'touch {told}; exit 1' INT\necho up > {started}\nwhile :; do sleep 0.1; done\n"
    )
    for tool in tools.iterdir():
        tool.chmod(0o755)
    process = subprocess.Popen(
        [sys.executable, "-m", "pgaas", "template-infra"],
        cwd=root,
        env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert started.read_text() == "up\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (code, "")
    assert "error: interrupted" in err
    assert "Traceback" not in err
    assert told.exists()


def test_a_reader_that_goes_away_is_no_error(root: Path):
    process = subprocess.Popen(
        [sys.executable, "-m", "pgaas", "explain", "--ins", "ic1", "--env", "local", "-o", "json"],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait(60) == 141


def test_a_full_disk_under_the_output_is_no_bug(root: Path):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "pgaas", "explain", "--ins", "ic1", "--env", "local"],
            cwd=root,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert "no space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_closed_output_is_no_bug(root: Path):
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m pgaas version <&- >&- 2>&-"],
        cwd=root,
        check=False,
        capture_output=True,
    )
    assert done.returncode == 0


def test_a_character_that_the_terminal_lacks_is_escaped(root: Path):
    ran = run_process("generate", "--ins", "é", "--env", "local", cwd=root, env={"PYTHONIOENCODING": "ascii"})
    assert ran.code == 2
    assert "\\xe9" in ran.err


@pytest.mark.parametrize(
    "arguments", [["--ins", ""], ["--ins", "../../etc"], ["--ins", "a\nb"], ["--ins", "\udcff"]]
)
def test_a_code_that_is_none_is_refused(root, pgaas, arguments: list[str]):
    ran = pgaas("generate", *arguments, "--env", "local")
    assert (ran.code, ran.out) == (2, "")
    assert "Traceback" not in ran.err


def test_outside_a_root_every_command_says_how_to_name_one(tmp_path, monkeypatch, pgaas):
    monkeypatch.chdir(tmp_path)
    for command in ("generate", "preview", "explain", "template"):
        ran = pgaas(command, "--ins", "ic1", "--env", "local")
        assert ran.code == 2
        assert "--root or PGAAS_ROOT" in ran.err


def test_the_root_is_found_upwards_named_by_a_flag_or_by_the_environment(root, pgaas, monkeypatch, tmp_path):
    monkeypatch.chdir(root / "confs" / "users")
    assert pgaas("preview", "--ins", "ic1", "--env", "local").code == 0
    monkeypatch.chdir(tmp_path)
    assert pgaas("preview", "--ins", "ic1", "--env", "local", "--root", "root").code == 0
    monkeypatch.setenv("PGAAS_ROOT", str(root))
    assert pgaas("preview", "--ins", "ic1", "--env", "local").code == 0
    assert pgaas("preview", "--ins", "ic1", "--env", "local", "--root", "/nowhere").code == 2

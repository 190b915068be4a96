from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from pgaas.errors import TimedOut, ToolFailed, ToolMissing
from pgaas.tools import command
from pgaas.tools.command import inherited_environment, run
from pgaas.tools.mask import Mask

ENV = inherited_environment()


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(code), *arguments]


def test_returns_both_streams_and_the_exit_code():
    result = run(["sh", "-c", "echo out; echo err >&2"], env=ENV)
    assert (result.stdout, result.stderr, result.returncode) == ("out\n", "err\n", 0)


def test_the_environment_is_what_was_given_and_nothing_else():
    env = {"PATH": ENV["PATH"], "ONLY": "this"}
    names = json.loads(run(python("import os, json; print(json.dumps(sorted(os.environ)))"), env=env).stdout)
    assert "ONLY" in names
    assert "HOME" not in names


def test_inherited_environment_drops_what_would_change_helm_and_helmfile(monkeypatch):
    for name in ("HELMFILE_ENVIRONMENT", "HELM_NAMESPACE", "HELM_KUBECONTEXT", "HELM_DEBUG"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("KUBECONFIG", "/k")
    env = inherited_environment({"INS": "ic1"})
    assert not [name for name in env if name.startswith("HELM")]
    assert (env["KUBECONFIG"], env["INS"]) == ("/k", "ic1")


def test_a_program_gets_the_folder_and_the_input(tmp_path: Path):
    text = "line\n" * 100_000
    result = run(["sh", "-c", "pwd; wc -l"], env=ENV, cwd=tmp_path, stdin=text)
    assert result.stdout.split() == [str(tmp_path), "100000"]


def test_without_input_a_program_that_asks_reads_the_end_of_file():
    assert run(["cat"], env=ENV, timeout=20).stdout == ""


def test_a_missing_program_is_a_missing_tool():
    with pytest.raises(ToolMissing, match="no-such-program is not installed") as caught:
        run(["no-such-program"], env=ENV)
    assert "check-tools" in caught.value.next_step


def test_a_program_is_looked_for_on_the_path_given(tmp_path: Path):
    with pytest.raises(ToolMissing):
        run(["sh"], env={"PATH": str(tmp_path)})


def test_a_file_that_is_no_program_is_a_missing_tool(tmp_path: Path):
    broken = tmp_path / "helm"
    broken.write_bytes(b"\x7fELF nonsense")
    broken.chmod(0o755)
    with pytest.raises(ToolMissing, match="helm cannot be started"):
        run(["helm"], env={"PATH": str(tmp_path)})


def test_a_failure_carries_the_last_useful_lines_of_stderr():
    script = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo line $i >&2; echo >&2; done; exit 3"
    with pytest.raises(ToolFailed) as caught:
        run(["sh", "-c", script], env=ENV)
    assert "ended with exit code 3" in caught.value.what
    assert "line 12" in caught.value.what
    assert "line 5" in caught.value.what
    assert "line 4" not in caught.value.what
    assert caught.value.where.startswith("sh -c")


def test_a_silent_failure_carries_stdout():
    with pytest.raises(ToolFailed, match="the only hint"):
        run(["sh", "-c", "echo the only hint; exit 1"], env=ENV)


def test_a_program_ended_by_a_signal_is_a_failure_that_names_it():
    with pytest.raises(ToolFailed, match="was ended by SIGKILL"):
        run(["sh", "-c", "kill -9 $$"], env=ENV)


def test_accepted_exit_codes_are_no_failure():
    assert run(["sh", "-c", "exit 1"], env=ENV, accept=(0, 1)).returncode == 1


def test_secrets_are_masked_wherever_the_user_can_see_them():
    secret, echoed, lines = "s3cr3t value", [], []
    argv = ["sh", "-c", 'echo "$1" >&2; echo "$1"; exit 1', "sh", secret]
    with pytest.raises(ToolFailed) as caught:
        run(argv, env=ENV, masked=[secret], echo=echoed.append, on_line=lambda *line: lines.append(line))
    seen = f"{echoed} {lines} {caught.value.what} {caught.value.where}"
    assert secret not in seen
    assert seen.count("***") >= 4


def test_stdout_is_returned_as_it_came():
    assert run(["echo", "s3cr3t"], env=ENV, masked=["s3cr3t"]).stdout == "s3cr3t\n"


def test_a_mask_hides_the_quoted_and_the_base64_form_and_the_longest_first():
    mask = Mask(["it's", "it's more", ""])
    assert mask("a it's more b") == "a *** b"
    assert mask(base64.b64encode(b"it's").decode()) == "***"
    assert mask("nothing") == "nothing"


def test_a_command_is_echoed_before_it_runs():
    events: list[str] = []
    run(
        ["echo", "two words"],
        env=ENV,
        echo=lambda text: events.append(f"echo:{text}"),
        on_line=lambda stream, line: events.append(f"{stream}:{line}"),
    )
    assert events == ["echo:echo 'two words'", "stdout:two words"]


def test_lines_arrive_while_the_program_still_runs(tmp_path: Path):
    flag = tmp_path / "flag"

    def on_line(_stream: str, line: str) -> None:
        if line == "ready":
            flag.touch()

    # Ends only if its line was seen while it was waiting.
    run(
        ["sh", "-c", f"echo ready; until [ -e {flag} ]; do sleep 0.05; done"],
        env=ENV,
        on_line=on_line,
        timeout=30,
    )


def test_lines_are_split_right_whatever_the_pieces():
    code = """
    import sys, time
    for piece in (b"a", b"b\\nc\\xc3", b"\\xa9\\n\\nlast"):
        sys.stdout.buffer.write(piece); sys.stdout.buffer.flush(); time.sleep(0.05)
    """
    lines: list[str] = []
    run(python(code), env=ENV, on_line=lambda _, line: lines.append(line))
    assert lines == ["ab", "cé", "", "last"]


def test_bytes_that_are_no_text_do_not_stop_it():
    assert run(["printf", r"\377\376ok"], env=ENV).stdout == "��ok"


def test_much_output_on_both_streams_does_not_block():
    code = "import sys\nfor _ in range(20000): print('o' * 80); print('e' * 80, file=sys.stderr)"
    result = run(python(code), env=ENV, timeout=120)
    assert result.stdout.count("\n") == 20000
    assert len(result.stderr) <= command.TAIL_LIMIT + 100


def test_more_stdout_than_can_be_kept_is_an_error_not_a_wrong_answer(monkeypatch):
    monkeypatch.setattr(command, "STDOUT_LIMIT", 2**20)
    with pytest.raises(ToolFailed, match="printed more than 1 MiB"):
        run(python("for _ in range(30000): print('o' * 80)"), env=ENV)


def test_an_endless_line_is_cut_instead_of_kept(monkeypatch):
    monkeypatch.setattr(command, "LINE_LIMIT", 1000)
    lengths: list[int] = []
    run(python("print('x' * 1_000_000)"), env=ENV, on_line=lambda _, line: lengths.append(len(line)))
    assert sum(lengths) == 1_000_000
    assert max(lengths) <= 1000 + command.READ_SIZE


def test_time_up_ends_the_program_and_says_what_it_printed():
    with pytest.raises(TimedOut, match=r"did not end within 0\.3 seconds") as caught:
        run(["sh", "-c", "echo waiting for godot >&2; sleep 60"], env=ENV, timeout=0.3)
    assert "waiting for godot" in caught.value.what


def test_time_up_kills_a_program_that_ignores_the_first_signal(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(command, "GRACE_SECONDS", 0.2)
    pid = tmp_path / "pid"
    with pytest.raises(TimedOut):
        run(["sh", "-c", f"trap '' TERM; echo $$ > {pid}; while :; do sleep 0.1; done"], env=ENV, timeout=0.5)
    assert not alive(int(pid.read_text()))


def test_a_failing_callback_leaves_no_process_behind(tmp_path: Path):
    pid = tmp_path / "pid"

    def on_line(_stream: str, _line: str) -> None:
        raise RuntimeError("the callback broke")

    with pytest.raises(RuntimeError, match="the callback broke"):
        run(["sh", "-c", f"echo $$ > {pid}; echo line; sleep 60"], env=ENV, on_line=on_line)
    assert not alive(int(pid.read_text()))


def test_a_grandchild_that_keeps_the_pipe_open_does_not_hold_us_up(tmp_path: Path):
    pid = tmp_path / "pid"
    result = run(["sh", "-c", f"sleep 60 & echo $! > {pid}; echo done"], env=ENV, timeout=30)
    os.kill(int(pid.read_text()), signal.SIGKILL)
    assert result.stdout == "done\n"


INTERRUPTED = """
import sys
from pgaas.tools.command import inherited_environment, run
try:
    argv = [sys.executable, sys.argv[1]]
    run(argv, env=inherited_environment(), on_line=lambda _, line: print(line, flush=True))
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def interrupt(tmp_path: Path, script: str, signals: list[tuple[str, signal.Signals]]) -> list[str]:
    """Run a script under `run` in another process, and send each signal when its line has been printed."""
    file = tmp_path / "script"
    file.write_text(script)
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(file)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    watchdog = threading.Timer(60, os.killpg, (process.pid, signal.SIGKILL))
    watchdog.start()
    lines = []
    for line in process.stdout:
        lines.append(line.strip())
        if signals and lines[-1] == signals[0][0]:
            # The whole foreground group, as a terminal does.
            os.killpg(process.pid, signals.pop(0)[1])
    process.wait(30)
    watchdog.cancel()
    return lines


# os.write, because a signal handler may come in the middle of a print.
def test_ctrl_c_reaches_the_program_once_and_waits_for_its_end(tmp_path: Path):
    script = """
import os, signal, time
counted = []
signal.signal(signal.SIGINT, lambda *_: counted.append(1))
os.write(1, b"ready\\n")
while not counted:
    time.sleep(0.05)
time.sleep(0.5)
os.write(1, b"got %d, left in order\\n" % len(counted))
"""
    lines = interrupt(tmp_path, script, [("ready", signal.SIGINT)])
    assert lines == ["ready", "got 1, left in order", "interrupted"]


def test_ctrl_c_again_ends_a_program_that_does_not_leave(tmp_path: Path):
    script = """
import os, signal, time
signal.signal(signal.SIGINT, lambda *_: os.write(1, b"got INT\\n"))
signal.signal(signal.SIGTERM, lambda *_: os.write(1, b"got TERM\\n"))
os.write(1, b"ready\\n")
while True:
    time.sleep(0.05)
"""
    signals = [(line, signal.SIGINT) for line in ("ready", "got INT", "got TERM")]
    assert interrupt(tmp_path, script, signals) == ["ready", "got INT", "got TERM", "interrupted"]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_signal_at_the_very_start_leaves_no_program(monkeypatch: pytest.MonkeyPatch):
    """The signal comes when the program runs already and Popen does not know its pid yet."""
    begun: list[int] = []
    start = subprocess.Popen.__init__

    def interrupted(self: subprocess.Popen[bytes], *arguments: object, **options: object) -> None:
        start(self, *arguments, **options)
        begun.append(self.pid)
        del self.pid
        signal.raise_signal(signal.SIGINT)
        self.pid = begun[-1]

    monkeypatch.setattr(subprocess.Popen, "__init__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run([sys.executable, "-c", "import time; time.sleep(600)"], env=dict(os.environ))
    [pid] = begun
    assert not alive(pid)

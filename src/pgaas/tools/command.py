"""Run outside programs: the only place that starts a process.

Every command is echoed first with its secrets masked, its output is read as it comes, and whatever happens
(a failure, a timeout, Ctrl-C) no process is left behind.
"""

from __future__ import annotations

import codecs
import os
import selectors
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

from pgaas.errors import TimedOut, ToolFailed, ToolMissing
from pgaas.tools.mask import Mask
from pgaas.tools.signals import signals_held

Stream = Literal["stdout", "stderr"]
OnLine = Callable[[Stream, str], None]
Echo = Callable[[str], None]
STREAMS: tuple[Stream, ...] = ("stdout", "stderr")

STDOUT_LIMIT = 64 * 1024 * 1024
TAIL_LIMIT = 256 * 1024
LINE_LIMIT = 64 * 1024
USEFUL_LINES = 8
# What a program gets between SIGTERM and SIGKILL once its time is up.
GRACE_SECONDS = 10.0
# How long the output of a program that has ended is waited for, when a child of its own still holds the pipe.
DRAIN_SECONDS = 1.0
POLL_SECONDS = 0.2
READ_SIZE = 65536

# Settings that would silently change what the commands built here mean.
_HIDDEN_SETTINGS = ("HELMFILE_", "HELM_KUBE", "HELM_NAMESPACE", "HELM_DEBUG")


@dataclass(frozen=True)
class Result:
    """What a program printed, and how it ended; stderr has its secrets masked, stdout is as it came."""

    stdout: str
    stderr: str
    returncode: int


def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
    stdin: str | None = None,
    timeout: float | None = None,
    masked: Iterable[str] = (),
    on_line: OnLine | None = None,
    echo: Echo | None = None,
    accept: Collection[int] = (0,),
) -> Result:
    """Run a program to its end and return what it printed.

    `env` is its whole environment (see `inherited_environment`); `timeout` is in seconds, None for none;
    `on_line` gets each line as it comes, masked, and then only the tail of stdout is kept; `accept` are the
    exit codes that are no failure. Ctrl-C sends SIGINT to the program's process group once, so that helm
    leaves its release in order, and is raised when the program has ended. Raise ToolMissing if there is no
    such program, ToolFailed if it ends with another code or prints more than 64 MiB to be kept, TimedOut if
    its time is up.
    """
    mask = Mask(masked)
    shown = mask(shlex.join(argv))
    program = find_program(argv[0], env)
    if echo is not None:
        echo(shown)
    with ExitStack() as stack:
        process = _start(stack, program, argv, env=env, cwd=cwd, stdin=stdin)
        reader = stack.enter_context(_Reader(process, mask, on_line))
        _follow(process, reader, shown, timeout)
    return _judge(process.returncode, reader, argv, shown, accept)


def run_in_foreground(argv: Sequence[str], *, env: Mapping[str, str], echo: Echo | None = None) -> int:
    """Run a program on this process's own streams and terminal; return its exit code, 128 + N for signal N.

    Ctrl-C is the program's: the terminal sends it there too, and here it does nothing. SIGTERM and SIGHUP
    end the program, and are raised when it has ended. Raise ToolMissing if it cannot be started.
    """
    program = find_program(argv[0], env)
    if echo is not None:
        echo(shlex.join(argv))
    with ExitStack() as stack:
        running: list[subprocess.Popen[bytes]] = []

        def leave_it(number: int, _frame: object) -> None:
            if running and not _has_terminal():
                running[0].send_signal(number)

        # No SIG_IGN: the program would inherit that. And before it starts: it may be interrupted at once.
        for number in (signal.SIGINT, signal.SIGQUIT):
            stack.callback(signal.signal, number, signal.signal(number, leave_it))
        running.append(_popen(stack, program, argv, _reap_alone, env=dict(env)))
        code = running[0].wait()
    return code if code >= 0 else 128 - code


def _has_terminal() -> bool:
    """Return whether a terminal sends its signals to this process group, as to all that is in front."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    finally:
        os.close(terminal)


def inherited_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment, less what changes how helm and helmfile behave, plus `extra`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_HIDDEN_SETTINGS)}
    return inherited | dict(extra or {})


def find_program(name: str, env: Mapping[str, str]) -> str:
    """Return the path of a program on the environment's PATH; raise ToolMissing if there is none."""
    path = shutil.which(name, path=env.get("PATH", os.defpath))
    if path is None:
        raise ToolMissing(
            f"{name} is not installed",
            where="looked through PATH",
            next_step="install it; `pgaas check-tools` lists what is needed",
        )
    return path


def _start(
    stack: ExitStack,
    program: str,
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path | None,
    stdin: str | None,
) -> subprocess.Popen[bytes]:
    """Start the program in a process group of its own, so that Ctrl-C reaches it through us alone."""
    source: IO[bytes] | int = subprocess.DEVNULL
    if stdin is not None:
        # A file, not a pipe: the program may read it late, or never, without blocking anyone.
        source = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
        source.write(stdin.encode())
        source.seek(0)
    return _popen(
        stack,
        program,
        argv,
        _reap,
        env=dict(env),
        cwd=cwd,
        stdin=source,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        process_group=0,
    )


def _popen(
    stack: ExitStack,
    program: str,
    argv: Sequence[str],
    reap: Callable[[subprocess.Popen[bytes]], None],
    **options: Any,
) -> subprocess.Popen[bytes]:
    """Start a program that is reaped when the stack is left."""
    with signals_held():
        try:
            process = subprocess.Popen(argv, executable=program, **options)
        except OSError as exception:
            raise ToolMissing(
                f"{argv[0]} cannot be started: {exception.strerror or exception}",
                where=program,
                next_step="reinstall it for this machine; `pgaas check-tools` lists what is needed",
            ) from exception
        stack.callback(reap, process)
    return process


def _follow(process: subprocess.Popen[bytes], reader: _Reader, shown: str, timeout: float | None) -> None:
    """Read until the program has ended; pass Ctrl-C on, and end the program when its time is up."""
    deadline = None if timeout is None else time.monotonic() + timeout
    interrupts: list[KeyboardInterrupt] = []
    while True:
        try:
            if not reader.read_until(deadline):
                _end(process)
                raise TimedOut(
                    f"{process.args[0]!s} did not end within {timeout:g} seconds"  # type: ignore[index]
                    + reader.quoted_tail(),
                    where=shown,
                    next_step="look at what it was waiting for, then run the same command again",
                )
            break
        except KeyboardInterrupt as interrupt:
            interrupts.append(interrupt)
            # Once SIGINT; whoever insists gets SIGTERM, and then SIGKILL.
            _signal(process, (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)[min(len(interrupts), 3) - 1])
            deadline = None
    if interrupts:
        raise interrupts[0]


def _judge(
    returncode: int, reader: _Reader, argv: Sequence[str], shown: str, accept: Collection[int]
) -> Result:
    """Return the result, or raise ToolFailed."""
    if returncode in accept:
        if reader.overflowed:
            raise ToolFailed(f"{argv[0]} printed more than {STDOUT_LIMIT // 2**20} MiB", where=shown)
        return Result(reader.text("stdout"), reader.text("stderr"), returncode)
    if returncode < 0:
        how = f"was ended by {_signal_name(-returncode)}"
    else:
        how = f"ended with exit code {returncode}"
    raise ToolFailed(f"{' '.join(_verb(argv))} {how}{reader.quoted_tail()}", where=shown)


def _verb(argv: Sequence[str]) -> list[str]:
    """Return the program and its verb, for a message."""
    verbs = [word for word in argv[1:] if word.replace("-", "").isalpha() and not word.startswith("-")]
    return [Path(argv[0]).name, *verbs[:1]]


def _signal_name(number: int) -> str:
    with suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signal the whole process group; one that is gone is fine."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Terminate the process group, then kill what stays."""
    _signal(process, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_SECONDS)
    _signal(process, signal.SIGKILL)
    process.wait()


def _reap(process: subprocess.Popen[bytes]) -> None:
    """Leave no process behind, whatever made us stop."""
    if process.pid and process.poll() is None:
        _signal(process, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
        if process.poll() is None:
            _end(process)


def _reap_alone(process: subprocess.Popen[bytes]) -> None:
    """End a program that is in this process's own group, so that it alone is meant."""
    if process.pid and process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
        process.kill()
        process.wait()


@dataclass
class _Kept:
    """The last lines of one stream, up to a number of characters."""

    limit: int
    lines: list[str] = field(default_factory=list)
    size: int = 0
    dropped: bool = False

    def add(self, line: str) -> None:
        self.lines.append(line)
        self.size += len(line)
        if self.size > self.limit:
            self.dropped = True
            half = len(self.lines) // 2 or 1
            self.size -= sum(map(len, self.lines[:half]))
            del self.lines[:half]


class _Reader:
    """Read both streams of a process in this thread, line by line, in bounded memory."""

    def __init__(self, process: subprocess.Popen[bytes], mask: Mask, on_line: OnLine | None) -> None:
        self._process = process
        self._mask = mask
        self._on_line = on_line
        stdout_limit = STDOUT_LIMIT if on_line is None else TAIL_LIMIT
        self._kept = {"stdout": _Kept(stdout_limit), "stderr": _Kept(TAIL_LIMIT)}
        self._partial = dict.fromkeys(STREAMS, "")
        self._decoders = {stream: codecs.getincrementaldecoder("utf-8")("replace") for stream in STREAMS}
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> _Reader:
        for stream, pipe in zip(STREAMS, (self._process.stdout, self._process.stderr), strict=True):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
                self._selector.register(pipe, selectors.EVENT_READ, stream)
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    @property
    def overflowed(self) -> bool:
        """Whether output that should have been kept was dropped."""
        return self._on_line is None and self._kept["stdout"].dropped

    def text(self, stream: Stream) -> str:
        """Return what was kept of a stream."""
        return "".join(self._kept[stream].lines)

    def quoted_tail(self) -> str:
        """Return the last useful lines of stderr (of stdout, if it is silent) for a message, indented."""
        for stream in reversed(STREAMS):
            lines = [line.rstrip() for line in self._kept[stream].lines if line.strip()]
            if lines:
                return ":\n" + "\n".join(f"  {self._mask(line)[:500]}" for line in lines[-USEFUL_LINES:])
        return ""

    def read_until(self, deadline: float | None) -> bool:
        """Read until the process has ended and its streams are closed; return False when time is up."""
        ended_at: float | None = None
        while True:
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                return False
            if self._process.poll() is not None:
                ended_at = ended_at or now
                if not self._selector.get_map() or now - ended_at > DRAIN_SECONDS:
                    self._flush()
                    return True
            if self._selector.get_map():
                self._read_once(POLL_SECONDS)
            else:
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(POLL_SECONDS)

    def _read_once(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            try:
                chunk = os.read(key.fd, READ_SIZE)
            except BlockingIOError:
                continue
            if chunk:
                self._take(key.data, self._decoders[key.data].decode(chunk))
            else:
                self._selector.unregister(key.fileobj)

    def _take(self, stream: Stream, text: str) -> None:
        *lines, rest = (self._partial[stream] + text).split("\n")
        for line in lines:
            self._line(stream, line + "\n")
        if len(rest) > LINE_LIMIT:
            self._line(stream, rest)
            rest = ""
        self._partial[stream] = rest

    def _flush(self) -> None:
        for stream in STREAMS:
            if self._partial[stream]:
                self._line(stream, self._partial[stream])
                self._partial[stream] = ""

    def _line(self, stream: Stream, line: str) -> None:
        masked = self._mask(line)
        self._kept[stream].add(masked if stream == "stderr" else line)
        if self._on_line is not None:
            self._on_line(stream, masked.rstrip("\n"))

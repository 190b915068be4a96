"""Run outside programs to their end."""

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pgaas_lab.errors import TimedOut, ToolFailed, ToolMissing

# Debian keeps ip, iptables and runc where a user's PATH may not look.
SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment with the system folders on PATH, and `extra` over it."""
    merged = dict(os.environ)
    merged["PATH"] = f"{merged.get('PATH', '/usr/bin:/bin')}:{SYSTEM_PATH}"
    merged.update(extra or {})
    return merged


def tail(text: str, lines: int = 15) -> str:
    """Return the last lines of a text, indented for an error message."""
    return "\n".join(f"  {line}" for line in text.strip().splitlines()[-lines:])


def tail_of(file: Path, lines: int = 15) -> str:
    """Return the last lines of a log file, or a word that there is none."""
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, file.stat().st_size - 20_000))
            return tail(stream.read().decode(errors="replace"), lines)
    except OSError:
        return f"  (no log at {file})"


def run(
    argv: Sequence[object],
    *,
    timeout: float = 60,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str | None = None,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run a program and return what it said. Raise ToolMissing, ToolFailed or TimedOut."""
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words,
            env=environment(env),
            cwd=cwd,
            input=stdin,
            stdin=None if stdin is not None else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
        )
    except FileNotFoundError as error:
        raise ToolMissing(f"{words[0]}: not found; install it and run this again") from error
    except subprocess.TimeoutExpired as error:
        raise TimedOut(f"`{shown(words)}` did not end within {timeout:.0f} s") from error
    if check and done.returncode:
        said = tail(done.stderr or done.stdout)
        raise ToolFailed(f"`{shown(words)}` ended with code {done.returncode}:\n{said}")
    return done


def run_streamed(
    argv: Sequence[object],
    log: Path,
    on_line: Callable[[str], None],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> None:
    """Run a long program and hand on each line it says. Raise ToolMissing or ToolFailed."""
    words = [str(word) for word in argv]
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        process = subprocess.Popen(
            words,
            env=environment(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except FileNotFoundError as error:
        raise ToolMissing(f"{words[0]}: not found; install it and run this again") from error
    with process, log.open("w") as output:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                output.write(line)
                on_line(line.rstrip())
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        raise ToolFailed(
            f"`{shown(words)}` ended with code {process.returncode}; the end of {log}:\n{tail_of(log)}"
        )


def shown(words: Sequence[str]) -> str:
    """Return a command line short enough for a message."""
    text = " ".join(words)
    return text if len(text) <= 160 else f"{text[:157]}..."

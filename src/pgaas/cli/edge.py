"""Turn every error into a message on stderr and an exit code; nobody else does."""

from __future__ import annotations

import errno
import os
import signal
import sys
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import NoReturn

from pgaas.cli.output import complain, say
from pgaas.errors import ConfigError, PgaasError, UsageError

BUG = 1
INTERRUPTED = 128 + signal.SIGINT
BROKEN_PIPE = 128 + signal.SIGPIPE

# What a user's disk or permissions can do to us, and what helps.
ADVICE = {
    errno.ENOSPC: "free some space there, then run the same command again",
    errno.EDQUOT: "free some of your quota there, then run the same command again",
    errno.EROFS: "the file system is read-only: use --root to name a checkout that can be written",
    errno.EACCES: "check who owns it and its permissions",
    errno.EPERM: "check who owns it and its permissions",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENAMETOOLONG: "use a shorter path",
    errno.ELOOP: "a symbolic link points to itself: remove it",
    errno.ENOTDIR: "a file stands where a folder is expected: move it away",
    errno.EISDIR: "a folder stands where a file is expected: move it away",
    errno.ENOENT: "check that the path exists",
    errno.EBUSY: "something is mounted there, or uses it: unmount it, or end what uses it",
    errno.ENOTEMPTY: "another process wrote into it meanwhile: run the same command again",
    errno.EIO: "the disk failed: look at the machine's log",
    errno.ESTALE: "the network file system lost the file: run the same command again",
}


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP arrived: stop as for Ctrl-C, so that no outside program is left running."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def run_app(argv: list[str]) -> int:
    """Run a command line and return its exit code; show no traceback for what a user can cause.

    An operation that is interrupted may raise KeyboardInterrupt again with one line as its argument: what
    state things are in, and what to run next.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores SIGHUP, and is meant
            signal.signal(number, _terminate)
    try:
        _mend_streams()
        code = _call(argv)
        sys.stdout.flush()
    except PgaasError as error:
        return _show(error)
    except KeyboardInterrupt as interrupt:
        return _interrupted(interrupt)
    except BrokenPipeError:
        return _broken_pipe()
    except OSError as error:
        return _show(_from_os(error)) if error.errno in ADVICE else _bug(error, argv)
    except Exception as error:
        return _bug(error, argv)
    return code


def _call(argv: list[str]) -> int:
    """Parse the command line and run the command, or answer a shell's request for completion."""
    import typer

    from pgaas.cli.app import PROGRAM, app

    group = typer.main.get_command(app)
    if f"_{PROGRAM.upper()}_COMPLETE" in os.environ:
        # Leaves through SystemExit.
        group.main(args=argv, prog_name=PROGRAM)
    if not argv:
        with group.make_context(PROGRAM, ["--help"], resilient_parsing=True) as context:
            say(context.get_help())
        return UsageError.exit_code
    try:
        # Not group.main(): it turns Ctrl-C into an exit code, and what the operation said about it is lost.
        with group.make_context(PROGRAM, list(argv)) as context:
            group.invoke(context)
    except typer.Exit as leave:
        return leave.exit_code
    except (typer.Abort, EOFError) as error:
        raise KeyboardInterrupt from error
    except typer.TyperException as error:
        raise _from_typer(error) from error
    return 0


def _from_typer(error: Exception) -> PgaasError:
    """Return Typer's complaint about the command line in our own words' shape."""
    message = error.format_message()  # type: ignore[attr-defined]
    context = getattr(error, "ctx", None)
    message = message.replace("Value error, ", "").rstrip(".")
    message = message[:1].lower() + message[1:]
    help_command = f"{context.command_path} --help" if context else "pgaas --help"
    return UsageError(message, next_step=f"`{help_command}` shows what it takes")


def _show(error: PgaasError) -> int:
    """Print an error: what, where, and what to do next."""
    issues = [str(issue) for issue in error.issues] if isinstance(error, ConfigError) else []
    complain(error.what, items=issues, where=error.where, next_step=error.next_step)
    return error.exit_code


def _from_os(error: OSError) -> PgaasError:
    """Return the message for what a disk, a permission or a path did to us."""
    places = [str(name) for name in (error.filename, error.filename2) if name is not None]
    return UsageError(
        (error.strerror or str(error)).lower(),
        where=" and ".join(places) or "standard output",
        next_step=ADVICE[error.errno or 0],
    )


def _interrupted(interrupt: KeyboardInterrupt) -> int:
    """Print one line about the state things are in."""
    state = str(interrupt) or "nothing was left half-written; the same command can be run again"
    complain(f"interrupted: {state}")
    causes = (interrupt, interrupt.__cause__, interrupt.__context__)
    return next((128 + cause.number for cause in causes if isinstance(cause, Terminated)), INTERRUPTED)


def _terminate(number: int, _frame: FrameType | None) -> NoReturn:
    raise Terminated(number)


def _broken_pipe() -> int:
    """Leave as a program that SIGPIPE ended would; Python must not try to flush stdout again at its exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return BROKEN_PIPE


def _mend_streams() -> None:
    """Print a character that the terminal's encoding lacks escaped, and let a closed stream take anything."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 - open until the end
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _bug(error: Exception, argv: list[str]) -> int:
    """Say that this is a bug, and where its traceback is."""
    from pgaas.cli.crash import report

    report(error, argv)
    return BUG

"""What a user sees of a bug: one message, and a file to send."""

from __future__ import annotations

import os
import platform
import shlex
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path

from pgaas.cli.output import complain
from pgaas.cli.version import pgaas_version


def report(error: Exception, argv: list[str]) -> None:
    """Write the traceback to a file under the state folder and say where; show it too if PGAAS_DEBUG is 1."""
    text = "".join(traceback.format_exception(error))
    if os.environ.get("PGAAS_DEBUG") == "1":
        sys.stderr.write(text)
    where = _save(text, argv)
    complain(
        f"this is a bug in pgaas: {type(error).__name__}: {error}",
        where=where,
        next_step=f"report it with {'that file' if where else 'what PGAAS_DEBUG=1 shows'}",
    )


def _save(text: str, argv: list[str]) -> str:
    """Write the report and return its path, or nothing if it cannot be written."""
    now = datetime.now(UTC)
    header = (
        f"pgaas {pgaas_version()}, Python {platform.python_version()}, {platform.platform()}\n"
        f"{now.isoformat(timespec='seconds')}\n{shlex.join(['pgaas', *argv])}\n\n"
    )
    try:
        folder = state_folder()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / f"crash-{now:%Y%m%dT%H%M%S}-{os.getpid()}.txt"
        # A traceback can hold a value, and a value can be a secret: for the owner's eyes.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(header + text)
    except (OSError, RuntimeError):
        return ""
    return str(path)


def state_folder() -> Path:
    """Return the folder for what pgaas remembers about its own runs."""
    base = os.environ.get("XDG_STATE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".local" / "state") / "pgaas"

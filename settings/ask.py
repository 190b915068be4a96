"""The contexts of all parameters: of the server, and of the libraries that the operator can preload."""

from __future__ import annotations

from pathlib import Path

from pgaas.config.settings import PRELOADED
from settings.server import running


def contexts(programs: Path) -> dict[str, str]:
    """Return each parameter's context as pg_settings has it, by its name in lower case, as confs write it."""
    with running(programs, PRELOADED) as connection:
        found = connection.execute("SELECT name, context FROM pg_settings").fetchall()
    return {name.lower(): context for name, context in found}

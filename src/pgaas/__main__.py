"""Where pgaas starts."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from types import ModuleType
from typing import NoReturn


def run() -> NoReturn:
    """Run the command line that pgaas was called with, and end the process with its exit code.

    The interpreter is not taken down piece by piece: that takes a tenth of a short command's time, and
    everything that must be written or closed has been by then.
    """
    code = main()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    _hurry()
    try:
        from pgaas.cli.edge import run_app

        return run_app(sys.argv[1:] if argv is None else list(argv))
    except KeyboardInterrupt:
        # Before the edge was there, or while it said what the first Ctrl-C left.
        return 128 + signal.SIGINT


def _hurry() -> None:
    """Save a tenth of a short command's time, most of which is start-up.

    Collecting garbage while modules load finds hardly any. Pydantic looks for plugins in the metadata of
    every installed package: none is meant to see pgaas's models, and the code that looks takes longer to
    load than it runs.
    """
    gc.set_threshold(200_000, 20, 20)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")
    no_plugins = ModuleType("pydantic.plugin._loader")
    no_plugins.__dict__["get_plugins"] = tuple
    sys.modules.setdefault(no_plugins.__name__, no_plugins)


if __name__ == "__main__":
    run()

"""Where pgaas starts."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    # Start-up is most of a short command. Looking for pydantic's plugins reads every installed package's
    # metadata, and collecting garbage while modules load finds hardly any.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")
    gc.set_threshold(50_000, 20, 20)
    try:
        from pgaas.cli.edge import run_app

        return run_app(sys.argv[1:] if argv is None else list(argv))
    except KeyboardInterrupt:
        # Before the edge was there, or while it said what the first Ctrl-C left.
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())

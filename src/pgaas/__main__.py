"""Where pgaas starts, and the only place where an error becomes a message and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    from pgaas.cli.edge import run_app

    return run_app(sys.argv[1:] if argv is None else list(argv))


if __name__ == "__main__":
    sys.exit(main())

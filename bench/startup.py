"""Start-up: `pgaas --help` and `pgaas generate` beside importing the libraries that they cannot do without.

uv run python bench/startup.py
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from measure import paired

ROOT = Path(__file__).resolve().parent.parent
PGAAS = str(Path(sys.executable).with_name("pgaas"))
BASELINE = [sys.executable, "-c", "import typer, pydantic, ruamel.yaml"]
COMMANDS = {
    "pgaas --help": ([PGAAS, "--help"], 1.3),
    "pgaas generate": (
        [PGAAS, "generate", "--root", str(ROOT), "--ins", "ic1", "--env", "local", "--dc", "local1"],
        1.8,
    ),
}


def main() -> None:
    """Print a row for each command: its seconds, the baseline's, and the ratio beside its goal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    print("| command | seconds | baseline, seconds | ratio | goal |\n| --- | --- | --- | --- | --- |")
    for name, (command, goal) in COMMANDS.items():
        pair = paired(command, BASELINE, rounds)
        print(f"| `{name}` | {pair.first} | {pair.second} | {pair.ratio} | at most {goal} |")


if __name__ == "__main__":
    main()

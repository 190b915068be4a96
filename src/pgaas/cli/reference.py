"""The command reference, made from the commands themselves.

`python -m pgaas.cli.reference [FILE]` rewrites FILE, which is docs/commands.md.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pgaas.cli import registry
from pgaas.cli.app import HELP, PROGRAM, load

FILE = Path("docs/commands.md")
EXAMPLES = "Examples:"
INTRODUCTION = """# Commands

<!-- Made by `uv run python -m pgaas.cli.reference`: edits will be lost. -->

`pgaas VERB --ins INS --env ENV [--dc DC]`. Results go to stdout, everything else to stderr; `-o json` prints
one JSON document and nothing else. `pgaas --install-completion` teaches your shell the verbs, and the
clients, environments and datacenters of `confs/`. NO_COLOR turns colour off.
"""


def reference() -> str:
    """Return the whole page."""
    parts = [INTRODUCTION, _exit_codes()]
    for heading, commands in registry.COMMANDS.items():
        parts.append(f"## {heading}\n")
        parts += [_command(name) for name in registry.runnable(commands)]
    return "\n".join(parts)


def _exit_codes() -> str:
    text = " ".join(HELP[HELP.index("Exit codes:") :].removeprefix("Exit codes:").strip().rstrip(".").split())
    rows = [entry.strip().split(" ", 1) for entry in text.split(",")]
    return (
        "\n".join(
            ["| exit code | meaning |", "| --- | --- |", *(f"| {code} | {what} |" for code, what in rows)]
        )
        + "\n"
    )


def _command(name: str) -> str:
    command = load(name)
    text, _, examples = (command.help or "").partition(EXAMPLES)
    parts = [f"### {PROGRAM} {name}\n", _paragraphs(text)]
    if examples.strip():
        lines = [line.strip() for line in examples.strip().splitlines()]
        parts.append("\n".join(["```console", *(f"$ {line}" for line in lines), "```"]) + "\n")
    parts.append(_options(name, command))
    return "\n".join(parts)


def _paragraphs(text: str) -> str:
    paragraphs = [" ".join(paragraph.split()) for paragraph in text.strip().split("\n\n")]
    return "\n\n".join(paragraphs) + "\n"


def _options(name: str, command: Any) -> str:
    context = command.make_context(f"{PROGRAM} {name}", [], resilient_parsing=True)
    records = [
        record for parameter in command.get_params(context) if (record := parameter.get_help_record(context))
    ]
    rows = [f"| `{_escaped(names)}` | {_escaped(text)} |" for names, text in records]
    return "\n".join(["| option | what it does |", "| --- | --- |", *rows]) + "\n"


def _escaped(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else FILE).write_text(reference())

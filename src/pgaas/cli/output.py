"""Print: results on stdout, everything else on stderr. The only module that does."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

_CONTROLS = {
    code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in ("\n", "\t")
}
_RED = "31"
_DIM = "2"
UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def out(text: str) -> None:
    """Print a result."""
    sys.stdout.write(f"{harmless(text)}\n")


def say(text: str) -> None:
    """Print a message that is no result; a text from outside goes through `harmless` first."""
    sys.stderr.write(f"{text}\n")


def harmless(text: str) -> str:
    """Return a text in which nothing but line breaks and tabs commands the terminal."""
    return text.translate(_CONTROLS)


def out_json(value: Any) -> None:
    """Print a result for a program: one JSON document, keys in the order given."""
    import json

    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def out_yaml(value: Any) -> None:
    """Print a result as YAML, keys in the order given."""
    import yaml

    sys.stdout.write(yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=10_000))


def out_pieces(pieces: Iterable[tuple[str, str]]) -> None:
    """Print a result in one line, each piece in its own colour or weight (empty for none), and at once."""
    texts = ((harmless(text), code) for text, code in pieces)
    line = "".join(styled(text, code, sys.stdout) if code else text for text, code in texts)
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def say_note(text: str) -> None:
    """Print what a user should know of a result, and is none."""
    say(harmless(f"note: {text}"))


def shown_path(path: Path) -> str:
    """Return a path as one can type it here: relative to the current folder if it is below it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def out_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
    """Print a table, as wide as the terminal at most; without a terminal nothing is cut or wrapped."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", header_style="bold")
    for row in rows:
        table.add_row(*(Text(harmless(str(cell))) for cell in row))
    console = Console(file=sys.stdout, highlight=False)
    if not sys.stdout.isatty():
        console.width = 10_000
    lines = console.render_lines(table, pad=False) if not sys.stdout.isatty() else None
    if lines is None:
        console.print(table)
        return
    for line in lines:
        out("".join(segment.text for segment in line).rstrip())


def complain(what: str, *, items: Iterable[str] = (), where: str = "", next_step: str = "") -> None:
    """Print an error: what is wrong, each of its parts, where, and what to do next."""
    lines = [what, *(f"  {item}" for item in items)]
    lines += [f"  where: {where}"] if where else []
    lines += [f"  next: {next_step}"] if next_step else []
    text = "\n".join(lines)
    say(f"{styled('error:', _RED)} {harmless(text)}")


def echo_command(text: str) -> None:
    """Show an outside command that is about to run; its secrets are masked already."""
    say(styled(harmless(f"+ {text}"), _DIM))


def styled(text: str, code: str, stream: TextIO | None = None) -> str:
    """Return the text in a colour or weight if the stream (by default stderr) is a terminal that wants it."""
    return f"\x1b[{code}m{text}\x1b[0m" if wants_colour(stream or sys.stderr) else text


def wants_colour(stream: TextIO) -> bool:
    """Return whether a stream is a terminal, and neither NO_COLOR nor TERM=dumb speaks against colour."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def cell(value: object) -> str:
    """Return a value as a table shows it: yes and no, lists in one line, and a dash for nothing."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(str(each) for each in value) or "-"
    return "-" if value in (None, "") else str(value)


def out_lines(text: str) -> None:
    """Print a program's output as it came, ended by a line break."""
    sys.stdout.write(text if text.endswith("\n") or not text else f"{text}\n")


def spelled(size: float) -> str:
    """Return a number of bytes with a unit."""
    for unit in UNITS[:-1]:
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} {UNITS[-1]}"

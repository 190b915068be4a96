"""The table on disk: a line for each parameter, so that a change of PostgreSQL's is reviewed as a diff."""

from __future__ import annotations

import json
from pathlib import Path

FILE = Path(__file__).resolve().parents[1] / "src/pgaas/config/postgresql_settings.json"
# By major version: which server said so, and the context of each parameter.
Table = dict[int, tuple[str, dict[str, str]]]


def read(path: Path) -> Table:
    """Return the table, or an empty one if there is none yet."""
    if not path.exists():
        return {}
    found = json.loads(path.read_text())
    table: Table = {int(major): (full, {}) for major, full in found["servers"].items()}
    for name, by_context in found["contexts"].items():
        for context, majors in by_context.items():
            for major in majors:
                table[major][1][name] = context
    return table


def write(path: Path, table: Table) -> None:
    """Write the table."""
    servers = {str(major): full for major, (full, _) in sorted(table.items())}
    lines = []
    for name in sorted({name for _, contexts in table.values() for name in contexts}):
        by_context: dict[str, list[int]] = {}
        for major, (_, contexts) in sorted(table.items()):
            if name in contexts:
                by_context.setdefault(contexts[name], []).append(major)
        lines.append(f"    {json.dumps(name)}: {json.dumps(by_context)}")
    body = ",\n".join(lines)
    path.write_text(f'{{\n  "servers": {json.dumps(servers)},\n  "contexts": {{\n{body}\n  }}\n}}\n')

"""Write the dashboards where the chart takes them from."""

from __future__ import annotations

import json
from pathlib import Path

from dashboards import admin, client
from dashboards.asked import FOLDER


def texts() -> dict[str, str]:
    """Return each file's content, by its name."""
    found = {"admin.json": admin.dashboard(), "client.json": client.dashboard()}
    return {name: json.dumps(each, indent=1, sort_keys=True) + "\n" for name, each in found.items()}


def write(folder: Path = FOLDER) -> None:
    """Write the files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts().items():
        (folder / name).write_text(text)

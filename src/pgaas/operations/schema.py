"""Write the JSON Schemas of the files that people write."""

from __future__ import annotations

from pathlib import Path

from pgaas.config.schema import schema_texts
from pgaas.render.write import write_text

SCHEMAS_FOLDER = "schemas"


def write_schemas(folder: Path) -> list[Path]:
    """Write every schema into a folder, and return their paths. Raise UsageError if that can't be."""
    paths = []
    for name, text in schema_texts().items():
        paths.append(folder / name)
        write_text(paths[-1], text, secret=False)
    return paths

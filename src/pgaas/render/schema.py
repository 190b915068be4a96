"""The JSON Schema of the values, made from their models.

`python -m pgaas.render.schema FILE` rewrites FILE, which is charts/core/values.schema.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pgaas.render.values import GeneratedValues

SCHEMA_FILE = Path("charts/core/values.schema.json")
# What Helm adds to a chart's values by itself, and what is a subchart's own.
SUBCHART_KEYS = ("global", "pgadmin4")


def values_schema() -> dict[str, Any]:
    """Return the schema that Helm checks values against: every key is required, and no other is taken."""
    schema = GeneratedValues.model_json_schema(by_alias=True)
    for model in [schema, *schema["$defs"].values()]:
        model["required"] = list(model["properties"])
    for key in SUBCHART_KEYS:
        schema["properties"][key] = {"type": "object"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def schema_text() -> str:
    """Return the content of values.schema.json."""
    return json.dumps(values_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else SCHEMA_FILE).write_text(schema_text())

"""The JSON Schema of the values, made from their models.

`python -m pgaas.render.schema FILE` rewrites FILE, which is charts/core/values.schema.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, create_model

from pgaas.render import pgadmin_values, shapes, values

SCHEMA_FILE = Path("charts/core/values.schema.json")
# What Helm adds by itself: to the chart's values, and to those of a chart inside it.
HELMS_OWN = "global"
SUBCHARTS = ("Pgadmin", "NoPgadmin")


def values_models() -> dict[str, type[BaseModel]]:
    """Return a model of each class of values, whose fields are the keys of the file."""
    models: dict[str, type[BaseModel]] = {}
    # In the order in which they need each other: what holds all others is the last.
    named = vars(shapes) | vars(pgadmin_values) | vars(values)
    for name, shape in named.items():
        if isinstance(shape, type) and issubclass(shape, shapes.Values) and shape is not shapes.Values:
            hints = get_type_hints(shape, localns=models, include_extras=True)
            fields: dict[str, Any] = {
                key: (hints[field], getattr(shape, field, ...)) for field, key in shape.keys.items()
            }
            models[name] = create_model(
                name, __config__=ConfigDict(extra="forbid"), __doc__=shape.__doc__, **fields
            )
    return models


def values_schema() -> dict[str, Any]:
    """Return the schema that Helm checks values against: every key is required, and no other is taken."""
    schema = values_models()["GeneratedValues"].model_json_schema()
    for model in [schema, *schema["$defs"].values()]:
        model["required"] = list(model["properties"])
    for model in [schema, *(schema["$defs"][name] for name in SUBCHARTS)]:
        model["properties"][HELMS_OWN] = {"type": "object"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def schema_text() -> str:
    """Return the content of values.schema.json."""
    return json.dumps(values_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else SCHEMA_FILE).write_text(schema_text())

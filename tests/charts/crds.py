"""The schemas that an API server would check objects with, from the modules that publish them, made strict.

They are fetched when the tests run, through Go's module proxy, and never committed. An API server drops a
field that a schema does not know without a word; here it is an error.
"""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

# The module, and the folder in it that holds CustomResourceDefinitions.
CLOUDNATIVE_PG = ("github.com/cloudnative-pg/cloudnative-pg@v1.30.0", "config/crd/bases")
BARMAN_CLOUD = ("github.com/cloudnative-pg/plugin-barman-cloud@v0.14.0", "config/crd/bases")
CERT_MANAGER = ("github.com/cert-manager/cert-manager@v1.21.2", "deploy/crds")
EXTERNAL_DNS = ("sigs.k8s.io/external-dns@v0.22.0", "config/crd/standard")
CURRENT = (CLOUDNATIVE_PG, BARMAN_CLOUD, CERT_MANAGER, EXTERNAL_DNS)
# The newest that the lab can build; its files are Helm templates.
OLD_CERT_MANAGER = ("github.com/cert-manager/cert-manager@v1.11.5", "deploy/crds")

Schema = dict[str, Any]


@functools.cache
def module_folder(module: str) -> Path:
    """Return where Go keeps a module, downloaded if need be."""
    assert shutil.which("go"), "these tests take the schemas from Go modules: install Go"
    with tempfile.TemporaryDirectory() as elsewhere:
        done = subprocess.run(
            ["go", "mod", "download", "-json", module],
            capture_output=True, text=True, check=False, cwd=elsewhere,
        )  # fmt: skip
    assert done.returncode == 0, f"go mod download {module}: {done.stdout}{done.stderr}"
    return Path(json.loads(done.stdout)["Dir"])


def definitions(source: tuple[str, str]) -> Iterator[dict[str, Any]]:
    """Return the CustomResourceDefinitions of a module."""
    module, folder = source
    for path in sorted((module_folder(module) / folder).glob("*.yaml")):
        text = "\n".join(line for line in path.read_text().splitlines() if "{{" not in line)
        for document in yaml.safe_load_all(text):
            if document and document["kind"] == "CustomResourceDefinition":
                yield document


@functools.cache
def custom_schemas(*sources: tuple[str, str]) -> dict[tuple[str, str], Schema]:
    """Return the raw schema of each apiVersion and kind."""
    found = {}
    for source in sources:
        for definition in definitions(source):
            spec = definition["spec"]
            for version in spec["versions"]:
                if version["served"]:
                    key = (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
                    found[key] = version["schema"]["openAPIV3Schema"]
    return found


@functools.cache
def strict_schemas(*sources: tuple[str, str]) -> dict[tuple[str, str], Schema]:
    """Return the schema of each apiVersion and kind that takes no field it does not know."""
    return {
        key: {
            **strict(schema),
            "properties": {**strict(schema)["properties"], "metadata": METADATA},
            "required": ["apiVersion", "kind", "metadata", "spec"],
        }
        for key, schema in custom_schemas(*sources).items()
    }


# What an API server knows of metadata by itself, as far as a chart has business with it.
METADATA: Schema = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "pattern": r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?\Z", "maxLength": 253},
        "namespace": {"type": "string", "pattern": r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?\Z", "maxLength": 63},
        "labels": {
            "type": "object",
            "additionalProperties": {
                "type": "string",
                "maxLength": 63,
                "pattern": r"^([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?\Z",
            },
        },
        "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "required": ["name", "namespace", "labels"],
    "additionalProperties": False,
}


def strict(schema: Schema) -> Schema:
    """Return a structural schema as plain JSON Schema that refuses unknown fields, at every depth."""
    if schema.get("x-kubernetes-int-or-string"):
        kept = {key: value for key, value in schema.items() if key in ("pattern", "maxLength", "enum")}
        return {"type": ["integer", "string"], **kept}
    found = {
        key: value
        for key, value in schema.items()
        if not key.startswith("x-kubernetes-")
        and key not in ("nullable", "properties", "items", "format", "default")
    }
    if schema.get("format") in ("int32", "int64"):
        bits = 31 if schema["format"] == "int32" else 63
        found = {"minimum": -(2**bits), "maximum": 2**bits - 1} | found
    if "properties" in schema:
        found["properties"] = {key: strict(value) for key, value in schema["properties"].items()}
    if isinstance(schema.get("additionalProperties"), dict):
        found["additionalProperties"] = strict(schema["additionalProperties"])
    elif schema.get("type") == "object":
        found["additionalProperties"] = False
    if "items" in schema:
        found["items"] = strict(schema["items"])
    if schema.get("nullable") and "type" in found:
        found["type"] = [found["type"], "null"]
    return found


def deprecated_fields(value: Any, schema: Schema, path: str = "") -> list[str]:
    """Return the fields of an object that its schema calls deprecated."""
    found = []
    if isinstance(value, dict):
        for key, each in value.items():
            inner = (schema.get("properties") or {}).get(key)
            if inner is None:
                inner = schema.get("additionalProperties")
            if isinstance(inner, dict):
                if "Deprecated" in (inner.get("description") or ""):
                    found.append(f"{path}.{key}")
                found += deprecated_fields(each, inner, f"{path}.{key}")
    elif isinstance(value, list):
        for number, each in enumerate(value):
            found += deprecated_fields(each, schema.get("items") or {}, f"{path}[{number}]")
    return found

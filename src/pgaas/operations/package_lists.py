"""The lists in a package: what the wheel needs, and what all of it is made of."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime

from pgaas.errors import ToolFailed
from pgaas.operations.version import Version


def bill_of_materials(document: str, version: Version, wheel: tuple[str, str], seconds: int) -> bytes:
    """Return uv's CycloneDX document as this package's own: its version, its wheel, and no chance in it.

    `wheel` is its name and its SHA-256. Raise ToolFailed if uv's document is not what it is meant to be.
    """
    try:
        bill = json.loads(document)
        own = bill["metadata"]["component"]
        own["type"] = "application"
        own["version"] = version.text
        name, sha256 = wheel
        bill["components"].append(
            {
                "type": "file",
                "bom-ref": name,
                "name": name,
                "version": version.python,
                "hashes": [{"alg": "SHA-256", "content": sha256}],
            }
        )
        bill["metadata"]["timestamp"] = datetime.fromtimestamp(seconds, UTC).isoformat()
        # uv makes up a number each time.
        del bill["serialNumber"]
        bill["serialNumber"] = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(bill, sort_keys=True)).urn
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ToolFailed(
            f"uv's bill of materials is not one: {type(error).__name__}: {error}",
            next_step="install the uv version that pgaas's CI uses, and try again",
        ) from error
    return (json.dumps(bill, indent=2, ensure_ascii=False) + "\n").encode()

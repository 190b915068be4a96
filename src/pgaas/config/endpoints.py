"""Write into datacenters.yaml where S3 and DNS answer, once that is known."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgaas.config.edit import CannotEdit, edit
from pgaas.config.environments import resolve_environment
from pgaas.config.files import read_to_change, replace_file
from pgaas.config.load import Document, parse_document
from pgaas.config.models.datacenters import DatacentersFile
from pgaas.config.validate import validate
from pgaas.errors import ConfigError

DATACENTERS = "datacenters"
ENDPOINT, RESOLVER = ("s3", "endpoint"), ("dns", "resolver")
Key = tuple[str, str]


@dataclass(frozen=True)
class Written:
    """One value that was changed, and what it was."""

    datacenter: str
    key: str
    before: str
    after: str


def write_endpoints(root: Path, env: str, wanted: Mapping[str, Mapping[Key, str]]) -> list[Written]:
    """Change values of datacenters in datacenters.yaml, and return those that were others.

    Every other character stays as a person wrote it; nothing is written if nothing differs.
    Raise ConfigError, with the lines to write by hand, if only a person can change the file, UsageError if
    it can't be written.
    """
    name = (resolve_environment(env).admin_folder / "datacenters.yaml").as_posix()
    with read_to_change(root, name) as (path, content, old):
        changes = _changes(old.data or {}, wanted)
        if changes:
            written = _edited(old, content, changes)
            replace_file(path, name, written, _by_hand(name, changes))
    return changes


def _changes(data: Mapping[str, Any], wanted: Mapping[str, Mapping[Key, str]]) -> list[Written]:
    found = []
    for dc, values in wanted.items():
        for (part, key), value in values.items():
            before = ((data[DATACENTERS][dc] or {}).get(part) or {}).get(key)
            if before != value:
                found.append(Written(dc, f"{part}.{key}", str(before or ""), value))
    return found


def _edited(old: Document, content: bytes, changes: list[Written]) -> bytes:
    """Return the file's content with the changes and no others. Raise ConfigError if that can't be done."""
    expected: Any = copy.deepcopy(old.data)
    text, reason = content.decode(), "others refer to what would change"
    try:
        for change in changes:
            part, key = change.key.split(".")
            expected[DATACENTERS][change.datacenter].setdefault(part, {})[key] = change.after
            text = edit(text, (DATACENTERS, change.datacenter), {(part, key): change.after})
        new = parse_document(old.file, text.encode())
        if not new.issues and new.data == expected and validate(new, DatacentersFile)[0] is not None:
            return text.encode()
    except CannotEdit as error:
        reason = str(error)
    issue = old.issue((DATACENTERS,), f"can't be changed by a program ({reason}): change it by hand")
    raise ConfigError([issue], next_step=_by_hand(old.file, changes))


def _by_hand(name: str, changes: list[Written]) -> str:
    lines = [f"{change.datacenter}.{change.key}: {change.after}" for change in changes]
    return f"in {name}, below {DATACENTERS}: {'; '.join(lines)}"

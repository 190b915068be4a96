"""A fake API server that knows who owns which field: server-side apply, its conflicts, and managedFields."""

from __future__ import annotations

import copy
import threading
from dataclasses import dataclass, field
from typing import Any

import httpx2
from tests.unit.kube.fakes import FakeServer, failure, merged

Path = tuple[str, ...]
IDENTITY: set[Path] = {("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")}


@dataclass
class OwningServer(FakeServer):
    """Objects with owners of their fields; `admit` may refuse a change, `look` comes ahead of each read."""

    owners: dict[str, dict[str, set[Path]]] = field(default_factory=dict)
    model: threading.RLock = field(default_factory=threading.RLock)

    def admit(self, _path: str, _old: Any, _new: Any) -> httpx2.Response | None:
        """Return a refusal, as an admission webhook does, or None."""
        return None

    def look(self, _path: str) -> None:
        """Let time pass before a read."""

    def apply_as(self, path: str, manager: str, body: Any, *, force: bool, dry: bool) -> httpx2.Response:
        """Apply an object as a field manager."""
        with self.model:
            old = self.objects.get(path, {})
            known = self.owners.get(path, {})
            wanted = leaves(body)
            theirs = {other: paths for other, paths in known.items() if other != manager}
            fought = {
                (other, each)
                for other, paths in theirs.items()
                for each in paths & wanted.keys()
                if value_at(old, each) != wanted[each]
            }
            if fought and not force:
                told = ", ".join(f'"{other}": .{".".join(each)}' for other, each in sorted(fought))
                return failure(409, "Conflict", f"Apply failed with {len(fought)} conflict: {told}")
            lost = {each for _, each in fought}
            left: dict[str, set[Path]] = {other: paths - lost for other, paths in theirs.items()}
            new = copy.deepcopy(merged(old, body))
            for gone in known.get(manager, set()) - wanted.keys():
                if not any(gone in paths for paths in left.values()):
                    remove_at(new, gone)
            refusal = self.admit(path, old, new)
            if refusal is not None:
                return refusal
            left[manager] = set(wanted)
            new["metadata"]["managedFields"] = [
                {"manager": each, "operation": "Apply", "fieldsV1": fields_of(paths)}
                for each, paths in left.items()
                if paths
            ]
            if not dry:
                self.objects[path], self.owners[path] = new, left
            return httpx2.Response(200, json=new)

    def _get(self, path: str, query: dict[str, str], body: Any) -> httpx2.Response:
        with self.model:
            self.look(path)
            return super()._get(path, query, body)

    def _patch(self, path: str, query: dict[str, str], body: Any) -> httpx2.Response:
        if path.endswith("/status"):
            with self.model:
                path = path.removesuffix("/status")
                self.objects[path] = merged(self.objects[path], {"status": body["status"]})
                return httpx2.Response(200, json=self.objects[path])
        force, dry = query.get("force") == "true", query.get("dryRun") == "All"
        return self.apply_as(path, query["fieldManager"], body, force=force, dry=dry)


def leaves(value: Any, path: Path = ()) -> dict[Path, Any]:
    """Return the fields that a body sets; a list is one field."""
    if path in IDENTITY:
        return {}
    if not isinstance(value, dict):
        return {path: value}
    return {each: leaf for key, below in value.items() for each, leaf in leaves(below, (*path, key)).items()}


def value_at(value: Any, path: Path) -> Any:
    """Return what is at a path, or None."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def remove_at(value: Any, path: Path) -> None:
    """Remove a field, and the maps that are empty without it."""
    inner = value.get(path[0])
    if len(path) > 1 and isinstance(inner, dict):
        remove_at(inner, path[1:])
        if inner:
            return
    value.pop(path[0], None)


def fields_of(paths: set[Path]) -> dict[str, Any]:
    """Return fields as managedFields writes them."""
    made: dict[str, Any] = {}
    for path in paths:
        inner = made
        for key in path:
            inner = inner.setdefault(f"f:{key}", {})
    return made

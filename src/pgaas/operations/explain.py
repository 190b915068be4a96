"""Say where each setting of a target came from."""

from __future__ import annotations

from pathlib import Path

from pgaas.config.explain import Explained
from pgaas.config.explain import explain as explain_resolved
from pgaas.config.resolve import ConfigCache, resolve_client
from pgaas.operations.target import find_target


def explain(root: Path, ins: str, env: str, dc: str | None, key: str | None) -> list[Explained]:
    """Return the settings at or below a dotted key, or all of them, each with its origin.

    Raise UsageError if there is no such key, and ConfigError with every issue of every file.
    """
    cache = ConfigCache()
    target = find_target(root, ins, env, dc, cache)
    return explain_resolved(resolve_client(root, target, cache), key)

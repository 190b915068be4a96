"""Find what a command acts on from what the user typed."""

from __future__ import annotations

from pathlib import Path

from pgaas.config.naming import Target
from pgaas.config.resolve import default_datacenter


def find_target(root: Path, ins: str, env: str, dc: str | None) -> Target:
    """Return the target named, in the client's first datacenter if none was; raise what `default_datacenter` raises."""
    return Target(ins, env, dc or default_datacenter(root, ins, env))

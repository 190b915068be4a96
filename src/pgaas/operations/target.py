"""Find what a command acts on from what the user typed."""

from __future__ import annotations

from pathlib import Path

from pgaas.config.admin import ConfigCache
from pgaas.config.naming import Target
from pgaas.config.targets import default_datacenter


def find_target(root: Path, ins: str, env: str, dc: str | None, cache: ConfigCache | None = None) -> Target:
    """Return the target named, in the client's first datacenter if none was named.

    Raise UsageError if there is no such client or environment, ConfigError if the platform team's files
    have issues.
    """
    return Target(ins, env, dc or default_datacenter(root, ins, env, cache))

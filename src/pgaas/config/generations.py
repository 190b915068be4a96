"""Which life of a cluster archives, kept in clients.yaml: an archive is used once.

A cluster that is made anew writes to a new folder (NAME-g2, …): CloudNativePG refuses one that is not empty.
"""

from __future__ import annotations

from pathlib import Path

from pgaas.config.environments import check_target
from pgaas.config.naming import Target, cluster_name
from pgaas.config.registry import GENERATIONS, read_client, write_client


def next_generation(root: Path, target: Target) -> int:
    """Return the generation after a cluster's own. Raise ConfigError if clients.yaml can't be read."""
    check_target(target)
    kept = read_client(root, target.ins, target.env).get(GENERATIONS)
    current = kept.get(cluster_name(target), 1) if isinstance(kept, dict) else 1
    return current + 1 if type(current) is int else 2


def write_generation(root: Path, target: Target, generation: int) -> Path:
    """Write a cluster's generation into clients.yaml, and return that file. See `registry.write_client`."""
    check_target(target)
    if generation < 1:
        raise ValueError(generation)
    return write_client(root, target, {f"{GENERATIONS}.{cluster_name(target)}": generation})

"""The values before and after a change, and what judging one leaf takes of the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Tree = dict[str, Any]


@dataclass(frozen=True)
class Sides:
    """Two values trees. They may be somebody else's files: nothing is taken for granted about their shape."""

    before: Tree
    after: Tree

    @property
    def major(self) -> int:
        """Return the major version that will run, or 0 if the values do not say."""
        return _whole(at(self.after, "imageCatalog", "major"))

    @property
    def instances(self) -> int:
        """Return how many instances run while the change is made."""
        counts = [_whole(at(tree, "cluster", "instances")) for tree in (self.before, self.after)]
        return min((count for count in counts if count), default=1)

    @property
    def replicated(self) -> bool:
        """Whether another datacenter has a cluster of the same client."""
        return at(self.after, "replication", "enabled") is True

    @property
    def cluster(self) -> str:
        """Return the Cluster's name."""
        return str(at(self.after, "cluster", "name") or at(self.before, "cluster", "name") or "")

    @property
    def follows(self) -> bool:
        """Whether the cluster is the replica of another datacenter's."""
        primary = at(self.after, "replication", "primary")
        return self.replicated and primary not in (None, "", self.cluster)

    @property
    def source(self) -> str:
        """Return the cluster that this one follows, or would follow."""
        return str(at(self.after, "replication", "source") or "")

    @property
    def own_store(self) -> str:
        """Return the ObjectStore that the cluster archives to."""
        for plugin in _entries(self.after, "cluster", "plugins") or _entries(
            self.before, "cluster", "plugins"
        ):
            if plugin.get("isWALArchiver") is True:
                return str(at(plugin, "parameters", "barmanObjectName") or "")
        return ""

    @property
    def read_store(self) -> str:
        """Return the ObjectStore that a replica reads, or an empty text."""
        entries = _entries(self.after, "replication", "externalClusters")
        found = [each.get("barmanObjectName") for each in entries if each.get("name") == self.source]
        return str(found[0]) if self.follows and found else ""

    @property
    def how_restarted(self) -> str:
        """Say how the operator restarts the instances, and what that costs."""
        if self.instances == 1:
            return "the only instance restarts: no PostgreSQL meanwhile"
        if at(self.after, "cluster", "primaryUpdateStrategy") == "supervised":
            return "standbys one by one; the primary waits for a person (primaryUpdateStrategy: supervised)"
        if at(self.after, "cluster", "primaryUpdateMethod") == "restart":
            return "standbys one by one, then the primary in place: no writes meanwhile"
        return "standbys one by one, then a switchover to one of them: connections to the primary end"

    def parameters(self, tree: Tree) -> dict[str, Any]:
        """Return PostgreSQL's parameters of one of the two trees."""
        found = at(tree, "cluster", "parameters")
        return found if isinstance(found, dict) else {}

    def resources_of_databases(self) -> set[str]:
        """Return the names of the Database objects that were there before."""
        return {str(each.get("resource")) for each in _entries(self.before, "databases")}


def at(tree: Any, *keys: str) -> Any:
    """Return what a tree holds below some keys, or None."""
    for key in keys:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree


def _entries(tree: Any, *keys: str) -> list[dict[str, Any]]:
    found = at(tree, *keys)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0

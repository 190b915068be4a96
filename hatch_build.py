"""Give the build the version that `pgaas version` tells, and a built package the knowledge of its own."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

if TYPE_CHECKING:
    from pgaas.operations.version import Version


def tree_version(root: str) -> Version:
    """Return the version of the tree that is built: its own code says it, which is not installed here."""
    sys.path.insert(0, str(Path(root) / "src"))
    try:
        from pgaas.operations.version import tree_version
    finally:
        del sys.path[0]
    return tree_version(Path(root))


class VersionHook(MetadataHookInterface):
    """Put the version into the metadata."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the version, as PEP 440 spells it."""
        metadata["version"] = tree_version(self.root).python


class BuiltHook(BuildHookInterface):  # type: ignore[type-arg]
    """Put the version into the package. An editable install has none: its source tree may move on."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the file; in a source distribution it lies where its tree's own would."""
        if version == "editable":
            return
        found = tree_version(self.root)
        from pgaas.operations.version import BUILT, TREE_BUILT, dump_built

        self._folder = tempfile.TemporaryDirectory()
        file = Path(self._folder.name) / BUILT
        file.write_text(dump_built(found), encoding="utf-8")
        place = str(TREE_BUILT) if self.target_name == "sdist" else f"pgaas/{BUILT}"
        build_data["force_include"][str(file)] = place

    def finalize(self, version: str, _build_data: dict[str, Any], _artifact_path: str) -> None:
        """Remove what was only needed for building."""
        if version != "editable":
            self._folder.cleanup()

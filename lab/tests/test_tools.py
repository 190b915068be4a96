"""A tool that two processes want at the same moment."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pgaas_lab import paths, tools

ROUNDS = 200


def test_a_tool_is_linked_by_several_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(paths, "tool_path", lambda: tmp_path / "path")
    targets = [tmp_path / name for name in ("one", "other")]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: tools.link("helm", targets[number % 2]), range(ROUNDS)))
    assert (tmp_path / "path/helm").readlink() in targets

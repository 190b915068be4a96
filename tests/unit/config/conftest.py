from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.unit.config.support import REPOSITORY, Confs


@pytest.fixture
def confs(tmp_path: Path) -> Confs:
    shutil.copytree(REPOSITORY / "confs", tmp_path / "confs", ignore=shutil.ignore_patterns("_generated"))
    (tmp_path / "helmfile.yaml").write_text("")
    return Confs(tmp_path)

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import settings
from tests.unit.config.support import REPOSITORY, Confs

# A busy machine is no reason to fail.
settings.register_profile("config", deadline=None)
settings.load_profile("config")


@pytest.fixture
def confs(tmp_path: Path) -> Confs:
    shutil.copytree(REPOSITORY / "confs", tmp_path / "confs", ignore=shutil.ignore_patterns("_generated"))
    (tmp_path / "helmfile.yaml").write_text("")
    return Confs(tmp_path)

"""A repository with this one's files, and a package of it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from tests.repo.packages import cloned, copy_repository, outside_pipelines
from tests.unit.operations.told import Told
from tests.unit.tools.checkouts import Checkout, new_checkout

from pgaas.operations.package import Package, package
from pgaas.operations.package_tree import PARTS


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """Make a repository of this one's files as they are now, tagged as a release; nobody changes it."""
    made = copy_repository(tmp_path_factory.mktemp("repository") / "pgaas")
    made.git("tag", "v1.2.3")
    return made


@pytest.fixture
def small(tmp_path: Path) -> Checkout:
    """Make a repository that has all parts, and next to nothing in them: enough for what is refused."""
    made = new_checkout(tmp_path / "small")
    for part in (*PARTS, "src/pgaas"):
        made.write(part if part.endswith(".yaml") else f"{part}/file")
    for name in ("pyproject.toml", "uv.lock"):
        made.write(name)
    made.commit()
    return made


@pytest.fixture
def repository(original: Checkout, tmp_path: Path) -> Checkout:
    """Clone it for a test to change."""
    return cloned(original, tmp_path / "clone")


@pytest.fixture(scope="session")
def made(original: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Package:
    """Package it."""
    with pytest.MonkeyPatch.context() as patched:
        outside_pipelines(patched)
        return package(original.root, tmp_path_factory.mktemp("packages"), Told())


@pytest.fixture
def unpacked(made: Package, tmp_path: Path) -> Path:
    """Unzip the package into an empty folder."""
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(made.path) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(autouse=True)
def _outside_pipelines(monkeypatch: pytest.MonkeyPatch) -> None:
    outside_pipelines(monkeypatch)

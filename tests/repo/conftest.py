"""A repository with this one's files, and a package of it."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from tests.unit.operations.told import Told
from tests.unit.tools.checkouts import WHO, Checkout, new_checkout

from pgaas.operations.package import Package, package
from pgaas.operations.package_tree import PARTS

REPOSITORY = Path(__file__).resolve().parents[2]
# What git ignores here too: some of it is large.
IGNORED = shutil.ignore_patterns(
    ".git", ".venv", "dist", "*_cache", ".hypothesis", "__pycache__", "_generated", "built.json"
)


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """Make a repository of this one's files as they are now, tagged as a release; nobody changes it."""
    folder = tmp_path_factory.mktemp("repository") / "pgaas"
    shutil.copytree(REPOSITORY, folder, ignore=IGNORED)
    made = new_checkout(folder)
    made.commit("Everything")
    made.git("tag", "v1.2.3")
    return made


@pytest.fixture
def small(tmp_path: Path) -> Checkout:
    """Make a repository that has all parts, and next to nothing in them: enough for what is refused."""
    made = new_checkout(tmp_path / "small")
    for name in (*(part for part in PARTS if part.endswith(".yaml")), "pyproject.toml", "uv.lock"):
        made.write(name)
    for part in (*(part for part in PARTS if not part.endswith(".yaml")), "src/pgaas"):
        made.write(f"{part}/file")
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


def outside_pipelines(patched: pytest.MonkeyPatch) -> None:
    """Let no pipeline that runs these tests say what is built in them."""
    for name in ("GITLAB_CI", "JENKINS_URL", "PGAAS_BUILD_TAG", "PGAAS_BUILD_BRANCH", "PGAAS_BUILD_COMMIT"):
        patched.delenv(name, raising=False)
    for name, value in WHO.items():
        patched.setenv(name, value)


def cloned(source: Checkout, folder: Path, *options: str) -> Checkout:
    """Clone a repository, tags included."""
    address = f"file://{source.root}" if options else str(source.root)
    subprocess.run(["git", "clone", "--quiet", *options, address, str(folder)], check=True)
    return Checkout(folder)

"""The build gets its version where `pgaas version` does, and a commit makes nothing stale."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from tests.unit.tools.checkouts import Checkout

from pgaas.operations.version import short

SAID = "from pgaas.operations.version import own_version as v; print(v().text, v().source, sep='\\n')"


def uv(root: Path, *arguments: str) -> str:
    done = subprocess.run(["uv", *arguments], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def metadata_version(wheel: Path) -> str:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        lines = archive.read(name).decode().splitlines()
    return next(line.removeprefix("Version: ") for line in lines if line.startswith("Version: "))


def test_no_commit_tag_or_change_makes_the_lock_stale(repository: Checkout):
    uv(repository.root, "lock", "--check")
    repository.write("file")
    repository.commit()
    repository.git("tag", "v2.0.0")
    repository.write("file", "changed\n")
    uv(repository.root, "lock", "--check")
    lock = (repository.root / "uv.lock").read_text()
    assert 'name = "pgaas"\nsource = { editable = "." }' in lock


def test_a_source_distribution_builds_the_same_wheel_without_git(repository: Checkout, tmp_path: Path):
    uv(repository.root, "build", "--quiet", "--out-dir", str(tmp_path / "out"))
    (sdist,) = (tmp_path / "out").glob("*.tar.gz")
    (wheel,) = (tmp_path / "out").glob("*.whl")
    assert metadata_version(wheel) == "1.2.3"
    with zipfile.ZipFile(wheel) as archive:
        assert archive.namelist().count("pgaas/built.json") == 1
        assert json.loads(archive.read("pgaas/built.json"))["commit"] == repository.git("rev-parse", "HEAD")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    uv(source, "build", "--quiet", "--wheel", "--out-dir", str(tmp_path / "again"))
    (again,) = (tmp_path / "again").glob("*.whl")
    assert (again.name, again.read_bytes()) == (wheel.name, wheel.read_bytes())
    assert repository.git("status", "--porcelain") == ""


def test_a_source_tree_without_git_builds(repository: Checkout, tmp_path: Path):
    shutil.rmtree(repository.root / ".git")
    uv(repository.root, "build", "--quiet", "--wheel", "--out-dir", str(tmp_path))
    (wheel,) = tmp_path.glob("*.whl")
    assert metadata_version(wheel) == "0.0.0+unknown"


@pytest.mark.parametrize(
    ("tag", "version"), [("v1.2.3-rc.1", "1.2.3rc1"), ("v10.0.0", "10.0.0"), ("nightly", None)]
)
def test_a_wheel_spells_a_tag_as_python_does(
    repository: Checkout, tmp_path: Path, tag: str, version: str | None
):
    commit = repository.commit()
    repository.git("tag", tag)
    uv(repository.root, "build", "--quiet", "--wheel", "--out-dir", str(tmp_path))
    (wheel,) = tmp_path.glob("*.whl")
    assert metadata_version(wheel) == (version or f"0.0.0+main.{short(commit)}")


def test_an_editable_install_says_what_its_tree_is_now(repository: Checkout, tmp_path: Path):
    uv(tmp_path, "venv", "--quiet", "--python", sys.executable, "env")
    python = tmp_path / "env/bin/python"
    editable = ("--no-deps", "--editable", str(repository.root))
    uv(tmp_path, "pip", "install", "--quiet", "--python", str(python), *editable)

    def said() -> list[str]:
        done = subprocess.run([python, "-c", SAID], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    assert list((tmp_path / "env").rglob("built.json")) == []
    assert said() == ["1.2.3", "tag v1.2.3 (git)"]
    commit = repository.commit()
    assert said() == [f"0.0.0-main.{short(commit)}", "branch main (git)"]
    repository.write("helmfile.yaml", "changed\n")
    assert said()[0].endswith(".dirty")

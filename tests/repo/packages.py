"""What the tests of the package share: a repository to make one of, and a place to deploy one to."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.unit.tools.checkouts import WHO, Checkout, new_checkout

REPOSITORY = Path(__file__).resolve().parents[2]
# What git ignores here too: some of it is large.
IGNORED = shutil.ignore_patterns(
    ".git", ".venv", "dist", "*_cache", ".hypothesis", "__pycache__", "_generated", "built.json"
)
# What would let another checkout, or another Python's packages, answer in the place of what is deployed.
ELSEWHERE = {"PGAAS_ROOT", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}


@dataclass(frozen=True)
class Deployment:
    """A package that was unzipped and installed as docs/package.md says."""

    root: Path

    def __call__(
        self, *arguments: str, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the installed pgaas in it."""
        merged = {**os.environ, **(env or {})}
        return subprocess.run(
            [str(self.root / ".venv/bin/pgaas"), *arguments],
            cwd=self.root,
            env={name: value for name, value in merged.items() if name not in ELSEWHERE},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )


def copy_repository(folder: Path) -> Checkout:
    """Make a repository of this one's files as they are now, on main, in one commit."""
    shutil.copytree(REPOSITORY, folder, ignore=IGNORED)
    made = new_checkout(folder)
    made.commit("Everything")
    return made


def cloned(source: Checkout, folder: Path, *options: str) -> Checkout:
    """Clone a repository, tags included."""
    address = f"file://{source.root}" if options else str(source.root)
    subprocess.run(["git", "clone", "--quiet", *options, address, str(folder)], check=True)
    return Checkout(folder)


def deploy(package: Path, root: Path, confs: Path) -> Deployment:
    """Unzip a package, install it, and lay the clients' files and the local environment's over it."""
    with zipfile.ZipFile(package) as archive:
        archive.extractall(root)
    (wheel,) = root.glob("*.whl")
    for command in (
        ("venv", "--quiet", "--python", sys.executable, ".venv"),
        ("pip", "install", "--quiet", "--require-hashes", "--requirements", "requirements.txt"),
        ("pip", "install", "--quiet", "--no-deps", wheel.name),
    ):
        env = {**os.environ, "VIRTUAL_ENV": str(root / ".venv")}
        done = subprocess.run(
            ["uv", *command], cwd=root, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    for part in ("users", "admin/local"):
        shutil.copytree(confs / part, root / "confs" / part)
    return Deployment(root)


def outside_pipelines(patched: pytest.MonkeyPatch) -> None:
    """Let no pipeline that runs these tests say what is built in them."""
    for name in ("GITLAB_CI", "JENKINS_URL", "PGAAS_BUILD_TAG", "PGAAS_BUILD_BRANCH", "PGAAS_BUILD_COMMIT"):
        patched.delenv(name, raising=False)
    for name, value in WHO.items():
        patched.setenv(name, value)

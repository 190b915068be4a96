"""The hook for pre-commit, run by the real pre-commit in a repository of clients."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
FILE = "ic1/prod/databases.yaml"
MANIFEST = REPOSITORY / ".pre-commit-hooks.yaml"


def run(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run a program as a user does who has pgaas on PATH; nothing of this machine's settings counts."""
    env = {
        **os.environ,
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "PRE_COMMIT_HOME": str(folder.parent / "pre-commit"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        **{
            f"GIT_{who}_{what}": "a@example.com"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        },
    }
    return subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Give a repository of clients whose hook is the one of our manifest, with the pgaas that is on PATH."""
    folder = tmp_path / "values"
    shutil.copytree(REPOSITORY / "confs/users", folder)
    hooks = yaml.safe_load(MANIFEST.read_text())
    # So that nothing is fetched: the manifest's own `python` has pre-commit install pgaas.
    local = [{**hook, "language": "system"} for hook in hooks]
    (folder / ".pre-commit-config.yaml").write_text(
        yaml.safe_dump({"repos": [{"repo": "local", "hooks": local}]})
    )
    assert run(folder, "git", "init", "--quiet").returncode == 0
    assert run(folder, "git", "add", ".").returncode == 0
    return folder


def test_the_manifest_is_one():
    assert run(REPOSITORY, "pre-commit", "validate-manifest", str(MANIFEST)).returncode == 0


def test_sound_files_pass_and_the_hook_did_look(repository: Path):
    done = run(repository, "pre-commit", "run", "--all-files", "--verbose")
    assert done.returncode == 0, done.stdout
    assert "8 files are valid" in done.stdout


def test_a_commit_of_a_wrong_file_is_refused(repository: Path):
    assert run(repository, "git", "commit", "--quiet", "-m", "Begin").returncode == 0
    assert run(repository, "pre-commit", "install").returncode == 0
    path = repository / FILE
    path.write_text(path.read_text().replace("login: true", "logn: true", 1))
    done = run(repository, "git", "commit", "-a", "-m", "Change")
    assert done.returncode == 1
    assert f"{FILE}:" in done.stderr
    assert "roles.0.logn: is not a key here; did you mean login?" in done.stderr
    path.write_text(path.read_text().replace("logn: true", "login: true"))
    path.write_text(f"{path.read_text()}# ours\n")
    done = run(repository, "git", "commit", "-a", "-m", "Change")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["ic1/perf/Databases.yaml", "ic1/perf/databases.yml"])
def test_a_file_that_is_named_nearly_so_does_not_slip_through(repository: Path, name: str):
    (repository / "ic1/perf/databases.yaml").rename(repository / name)
    assert run(repository, "git", "add", ".").returncode == 0
    done = run(repository, "pre-commit", "run", "--all-files")
    assert done.returncode == 1
    assert f"{name}: is not read: call it databases.yaml" in done.stdout


def test_a_link_does_not_slip_through(repository: Path):
    (repository / FILE).unlink()
    (repository / FILE).symlink_to("../../is1/hp/pic/databases.yaml")
    assert run(repository, "git", "add", ".").returncode == 0
    done = run(repository, "pre-commit", "run", "--all-files")
    assert done.returncode == 1
    assert f"{FILE}: is a link that leads out of ic1" in done.stdout

"""A package does what a checkout does: unzipped, installed, with the clients' files laid over it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from tests.cli.support import path_with_tools
from tests.repo.packages import REPOSITORY, Deployment, deploy

from pgaas.operations.package import Package

TARGETS = [("ic1", "prod", "dc2"), ("ic1", "local", "local1"), ("is1", "pic", "dc1")]


@pytest.fixture(scope="module")
def deployed(made: Package, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """Deploy the package."""
    return deploy(made.path, tmp_path_factory.mktemp("deployed"), REPOSITORY / "confs")


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a PATH with helm and helmfile."""
    return path_with_tools(tmp_path_factory.mktemp("tools"))


def test_it_says_the_version_that_it_was_built_with_and_asks_no_git(deployed: Deployment, made: Package):
    pipeline = {"PATH": "/nothing", "GITLAB_CI": "true", "CI_COMMIT_BRANCH": "other"}
    said = deployed("version", "-o", "json", env=pipeline)
    assert said.returncode == 0, said.stderr
    found = json.loads(said.stdout)
    assert (found["version"], found["commit"], found["release"]) == ("1.2.3", made.commit, True)
    assert found["from"] == "built from tag v1.2.3 (git)"
    assert deployed("--version").stdout == "1.2.3\n" == (deployed.root / "VERSION").read_text()


@pytest.mark.parametrize(("ins", "env", "dc"), TARGETS)
def test_it_generates_what_the_checkout_does(deployed: Deployment, ins: str, env: str, dc: str):
    done = deployed("generate", "--ins", ins, "--env", env, "--dc", dc)
    assert done.returncode == 0, done.stderr
    written = deployed.root / f"confs/_generated/{ins}-{env}/{dc}/values.yaml"
    assert written.read_text() == (REPOSITORY / f"tests/golden/{ins}-{env}-{dc}/values.yaml").read_text()


@pytest.mark.parametrize(("ins", "env", "dc"), TARGETS)
def test_it_renders_a_cluster(deployed: Deployment, tools: str, ins: str, env: str, dc: str):
    done = deployed("template", "--ins", ins, "--env", env, "--dc", dc, env={"PATH": tools})
    assert done.returncode == 0, done.stderr
    kinds = {each["kind"]: each for each in yaml.safe_load_all(done.stdout) if each}
    assert kinds["Cluster"]["metadata"]["name"] == f"{env}-{ins}-{dc}"


def test_it_has_every_chart_that_helmfile_names(deployed: Deployment, tools: str):
    done = deployed("template-infra", env={"PATH": tools})
    assert done.returncode == 0, done.stderr
    releases = yaml.safe_load((deployed.root / "helmfile.yaml").read_text())["releases"]
    own = [release["chart"] for release in releases if release["chart"].startswith("./")]
    assert len(own) >= 4
    assert [chart for chart in own if not (deployed.root / chart / "Chart.yaml").is_file()] == []


def test_without_the_overlay_it_says_what_is_missing(unpacked: Path, deployed: Deployment):
    done = deployed("generate", "--all", "--root", str(unpacked))
    assert done.returncode == 2
    assert "no client has a databases.yaml" in done.stderr
    assert str(unpacked / "confs/users") in done.stderr


def test_nothing_is_packaged_from_what_is_no_checkout(deployed: Deployment):
    done = deployed("package")
    assert done.returncode == 2
    assert "no git checkout" in done.stderr
    assert not (deployed.root / "dist").exists()

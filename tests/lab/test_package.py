"""Deploy a client from a package, on the lab's real clusters."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from tests.lab.support import NAMESPACE, TARGET, Lab, Pgaas
from tests.lab.test_create import generations
from tests.repo.packages import Deployment, copy_repository, deploy, outside_pipelines

from pgaas.operations.package import package
from pgaas.operations.progress import Silent


@pytest.fixture(scope="module")
def deployed(pgaas: Pgaas, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """Package this repository, and deploy it with the configuration of these tests laid over it."""
    with pytest.MonkeyPatch.context() as patched:
        outside_pipelines(patched)
        repository = copy_repository(tmp_path_factory.mktemp("repository") / "pgaas")
        made = package(repository.root, tmp_path_factory.mktemp("packages"), Silent())
    return deploy(made.path, tmp_path_factory.mktemp("deployed"), pgaas.root / "confs")


@pytest.fixture(scope="module")
def from_package(lab: Lab, deployed: Deployment) -> subprocess.CompletedProcess[str]:
    """Create ic1's cluster from the package; it may be there already, as the checkout made it."""
    return deployed("create", *TARGET, "-o", "json", env=lab.environment)


def test_a_client_is_created_from_a_package(
    lab: Lab, deployed: Deployment, from_package: subprocess.CompletedProcess[str]
) -> None:
    assert from_package.returncode == 0, from_package.stderr
    told = json.loads(from_package.stdout)
    assert (told["namespace"], told["healthy"]) == (NAMESPACE, True)
    assert Path(told["values_file"]).is_relative_to(deployed.root)
    status = deployed("status", *TARGET, "-o", "json", env=lab.environment)
    assert status.returncode == 0, status.stderr
    assert json.loads(status.stdout)["healthy"] is True


def test_a_checkout_of_the_same_commit_changes_nothing_of_it(
    lab: Lab, pgaas: Pgaas, from_package: subprocess.CompletedProcess[str]
) -> None:
    assert from_package.returncode == 0, from_package.stderr
    before = generations(lab)
    again = pgaas("create", *TARGET, "-o", "json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["changed"] is False
    assert generations(lab) == before

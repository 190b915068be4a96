"""The lab's real clusters, and a root of the tests' own, so that nothing here touches the checkout's."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.lab.pair import Pair, clean, create_both
from tests.lab.stranger import add_stranger
from tests.lab.support import (
    CLUSTER,
    CONTEXTS,
    LONG,
    NAMESPACE,
    TARGET,
    Door,
    Lab,
    Pgaas,
    empty,
    lab_environment,
)

REPOSITORY = Path(__file__).resolve().parents[2]
PGAAS_LAB = [sys.executable, "-m", "pgaas_lab"]


def why_not() -> str:
    """Say why this machine cannot hold the lab, or nothing."""
    if platform.system() != "Linux":
        return "the lab needs Linux"
    if os.geteuid() != 0:
        return "the lab needs root"
    if shutil.which("go") is None:
        return "the lab needs Go"
    return ""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark everything in this folder, and leave out what takes long unless it is asked for."""
    for item in items:
        if Path(__file__).parent in Path(item.fspath).parents:
            item.add_marker(pytest.mark.lab)
    left_out = [item for item in items if item.get_closest_marker("long") and not LONG]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    # A pair takes the place of the one cluster that the other tests share.
    items.sort(key=lambda item: Path(item.fspath).name.startswith("test_pair"))


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Start the lab, or use the one that is up; one that was started here is taken down again."""
    reason = why_not()
    if reason and os.environ.get("PGAAS_REQUIRE_LAB"):
        pytest.fail(f"PGAAS_REQUIRE_LAB is set, but {reason}")
    if reason:
        pytest.skip(reason)
    was_up = subprocess.run([*PGAAS_LAB, "status"], capture_output=True, check=False).returncode == 0
    # A bare machine builds for half an hour: let it be seen, from one of several processes too.
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        subprocess.run([*PGAAS_LAB, "up"], check=True, stdout=sys.__stderr__)
    yield Lab(lab_environment(PGAAS_LAB))
    if not was_up and not os.environ.get("PGAAS_KEEP_LAB"):
        subprocess.run([*PGAAS_LAB, "down"], check=True)


@pytest.fixture(scope="session")
def pristine(lab: Lab) -> None:
    """Remove what an earlier run left of the two clients: in local, ic1 and is1 belong to these tests."""
    for context in CONTEXTS:
        there = replace(lab, context=context)
        there.kubectl("delete", "namespace", NAMESPACE, "is1-local", "--ignore-not-found", "--wait")
    for bucket in ("ic1-backups", "is1-backups"):
        empty(bucket)


def copy_root(folder: Path) -> Path:
    """Copy what a command needs: confs, charts, manifests and helmfile.yaml."""
    for name in ("confs", "charts", "helmfile-checks", "local-infra", "manifests"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("_generated"))
    shutil.copy(REPOSITORY / "helmfile.yaml", folder)
    return folder


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a root of these tests' own, with a second local client."""
    folder = copy_root(tmp_path_factory.mktemp("root"))
    add_stranger(folder)
    return folder


@pytest.fixture(scope="session")
def pgaas(lab: Lab, root: Path, pristine: None) -> Pgaas:
    """Run pgaas as a user does: as a process, with the lab's PATH and KUBECONFIG.

    The second client gets its bucket, its keys and its people as any does that is new in clients.yaml.
    """
    found = Pgaas(lab, root)
    done = found("infra", "install")
    assert done.returncode == 0, done.stderr
    return found


@pytest.fixture(scope="session")
def created(pgaas: Pgaas) -> subprocess.CompletedProcess[str]:
    """Create ic1's local cluster in the first datacenter; what was said is for its own test to judge."""
    done = pgaas("create", *TARGET)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture
def door(lab: Lab, created: subprocess.CompletedProcess[str], tmp_path: Path) -> Door:
    """Reach ic1's cluster from outside, trusting the datacenter's root as an application would."""
    authority = tmp_path / "root.crt"
    authority.write_bytes(lab.secret(f"{CLUSTER}-server")["ca.crt"])
    service = f"{CLUSTER}-rw-lb"
    return Door(f"{service}.{NAMESPACE}.svc.cluster.local", lab.address(service), authority)


@pytest.fixture(scope="session")
def sides(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Prepare two datacenters for one client, in a root of its own; there may be a pair already, or not."""
    both = Pair(Pgaas(lab, copy_root(tmp_path_factory.mktemp("pair"))), tmp_path_factory.mktemp("files"))
    yield both
    if not os.environ.get("PGAAS_KEEP_LAB"):
        clean(both)


@pytest.fixture(scope="module")
def pair(sides: Pair) -> Pair:
    """Return a healthy pair: the one that the module before has left, or a new one."""
    if sides.pgaas("status", *sides.CLIENT).returncode:
        clean(sides)
        create_both(sides)
    return sides

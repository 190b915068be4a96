"""A client comes, is created, differs, is deleted and leaves: what `list` and `client` say at each step."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from tests.lab.support import Lab, Pgaas, empty

INS, SPACE, CLUSTER = "ic7", "ic7-local", "local-ic7-local1"
TARGET = ("--ins", INS, "--env", "local", "--dc", "local1")
FILE = "confs/admin/local/clients.yaml"


@pytest.fixture(scope="module")
def fleet(lab: Lab, pgaas: Pgaas, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pgaas]:
    """Run pgaas with files of this module's own, and remove what is left of ic7, before and afterwards."""
    folder = tmp_path_factory.mktemp("fleet") / "root"
    shutil.copytree(pgaas.root, folder, ignore=shutil.ignore_patterns("_generated"))
    lab.kubectl("delete", "namespace", SPACE, "--ignore-not-found", "--wait")
    empty(f"{INS}-backups")
    yield Pgaas(lab, folder)
    lab.kubectl("delete", "namespace", SPACE, "--ignore-not-found", "--wait")
    empty(f"{INS}-backups")
    # S3 and LDAP are made from clients.yaml: from the one without ic7 again.
    done = pgaas("infra", "install")
    assert done.returncode == 0, done.stderr


def ok(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def row(fleet: Pgaas, *options: str) -> dict[str, Any]:
    """Return what `list` says of ic7's cluster."""
    seen = json.loads(ok(fleet("list", "--env", "local", "-o", "json", *options)))
    assert [each["error"] for each in seen["contexts"]] == ["", ""]
    [found] = [each for each in seen["clusters"] if each["cluster"] == CLUSTER]
    return dict(found)


def kinds(found: dict[str, Any]) -> list[str]:
    return [finding["kind"] for finding in found["findings"]]


@pytest.fixture(scope="module")
def added(fleet: Pgaas) -> str:
    """Register ic7, with the version that the lab has an image of; return clients.yaml as it was before."""
    before = (fleet.root / FILE).read_text()
    said = ok(
        fleet("client", "add", INS, "--env", "local", "--profile", "S", "--dc", "local1", "--major", "17")
    )
    assert "pgaas infra install" in said
    return before


def test_a_client_that_was_added_is_configured_and_not_live(fleet: Pgaas, added: str) -> None:
    found = row(fleet)
    assert (found["state"], found["configured"], found["live"]) == ("not live", True, False)
    assert kinds(found) == ["absent"]


@pytest.fixture(scope="module")
def alive(fleet: Pgaas, added: str) -> None:
    """Make what `client add` said was still to do, and create the cluster."""
    ok(fleet("infra", "install"))
    ok(fleet("create", *TARGET))


def test_created_it_is_live_and_differs_in_nothing(fleet: Pgaas, alive: None) -> None:
    found = row(fleet)
    assert (found["state"], found["role"], found["findings"]) == ("live", "primary", [])
    assert (found["instances_ready"], found["major"]) == (1, 17)


def test_a_changed_parameter_shows_until_it_is_deployed(fleet: Pgaas, alive: None) -> None:
    file = fleet.root / f"confs/users/{INS}/local/databases.yaml"
    written = file.read_text()
    file.write_text(written.replace("majorVersion: 17", "majorVersion: 17\n  parameters:\n    work_mem: 5MB"))
    found = row(fleet)
    assert kinds(found) == ["values"]
    assert "cluster.parameters.work_mem" in found["findings"][0]["text"]
    ok(fleet("create", *TARGET))
    assert row(fleet)["findings"] == []


def test_a_client_in_no_file_is_shown_when_asked_for(fleet: Pgaas, added: str, alive: None) -> None:
    file = fleet.root / FILE
    written = file.read_text()
    folder = fleet.root / f"confs/users/{INS}"
    folder.rename(fleet.root / "aside")
    file.write_text(added)
    try:
        assert json.loads(ok(fleet("list", "--env", "local", "-o", "json")))["hidden"] >= 1
        assert row(fleet, "--all")["state"] == "not configured"
    finally:
        file.write_text(written)
        (fleet.root / "aside").rename(folder)


def test_remove_is_refused_while_it_lives(fleet: Pgaas, alive: None) -> None:
    refused = fleet("client", "remove", INS, "--env", "local", "--confirm", SPACE)
    assert refused.returncode == 8
    assert f"Cluster {CLUSTER}" in refused.stderr
    assert "pgaas delete --ins ic7 --env local --dc local1" in refused.stderr
    assert f"  {INS}:" in (fleet.root / FILE).read_text()


def test_after_delete_it_is_removed_and_nothing_else_moved(fleet: Pgaas, added: str, alive: None) -> None:
    ok(fleet("delete", *TARGET, "--confirm", CLUSTER, "--skip-final-backup"))
    assert row(fleet)["state"] == "not live"
    said = ok(fleet("client", "remove", INS, "--env", "local", "--confirm", SPACE))
    assert f"{INS}-backups" in said
    assert (fleet.root / FILE).read_text() == added
    assert not (fleet.root / f"confs/users/{INS}").exists()

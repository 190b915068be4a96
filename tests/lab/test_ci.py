"""Several clients deployed as a pipeline does it: one by one, stopped by a failure, and taken up again."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from tests.lab.support import Lab, Pgaas, empty
from tests.lab.test_create import generations
from tests.pipelines.archives import zipped
from tests.pipelines.stubs import REPOSITORY, SECRETS, Services, StubArtifactory, StubVault, serving

BOTH = ("--ins", "ic1,is1", "--env", "local", "--dc", "local1")
SECOND = ("--ins", "is1", "--env", "local", "--dc", "local1")
SECOND_NAMESPACE = "is1-local"
PARTS = ("helmfile.yaml", "helmfile-checks", "charts", "local-infra", "confs/admin", "manifests")


@pytest.fixture
def without_second(lab: Lab, pgaas: Pgaas, created: subprocess.CompletedProcess[str]) -> Iterator[None]:
    """Have the second client's cluster gone before and afterwards, with its archive."""
    gone(lab)
    yield
    gone(lab)


def gone(lab: Lab) -> None:
    lab.kubectl("delete", "namespace", SECOND_NAMESPACE, "--ignore-not-found", "--wait")
    empty("is1-backups")


def revisions(lab: Lab) -> list[str]:
    """Return the second client's release, revision by revision."""
    records = lab.items("secrets", SECOND_NAMESPACE, "-l", "owner=helm")
    return sorted(record["metadata"]["name"] for record in records)


def report(folder: Path) -> dict[str, Any]:
    content = json.loads((folder / "deploy.json").read_text())
    assert isinstance(content, dict)
    return content


def states(folder: Path) -> dict[str, tuple[str, bool | None]]:
    return {each["ins"]: (each["state"], each["changed"]) for each in report(folder)["clients"]}


def test_a_run_stops_at_a_failure_and_is_taken_up_again(
    lab: Lab, pgaas: Pgaas, without_second: None, tmp_path: Path
) -> None:
    reports = ("--reports", str(tmp_path))
    # The second client has no cluster yet, which an upgrade needs.
    stopped = pgaas("ci", "deploy", *BOTH, "--action", "upgrade", *reports)
    assert stopped.returncode == 9, stopped.stderr
    assert "done: ic1; failed: is1" in stopped.stderr
    assert states(tmp_path) == {"ic1": ("done", False), "is1": ("failed", None)}

    before = generations(lab)
    made = pgaas("ci", "deploy", *BOTH, "--action", "create", *reports)
    assert made.returncode == 0, made.stderr
    assert states(tmp_path) == {"ic1": ("done", False), "is1": ("done", True)}
    assert generations(lab) == before
    assert pgaas("status", *SECOND).returncode == 0

    second = revisions(lab)
    again = pgaas("ci", "deploy", *BOTH, "--action", "create", *reports)
    assert again.returncode == 0, again.stderr
    assert states(tmp_path) == {"ic1": ("done", False), "is1": ("done", False)}
    assert generations(lab) == before
    assert revisions(lab) == second
    suite = ElementTree.parse(tmp_path / "deploy.junit.xml").getroot().find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("2", "0", "0")


def test_a_wrong_file_of_one_client_keeps_all_from_being_touched(
    lab: Lab, pgaas: Pgaas, created: subprocess.CompletedProcess[str], tmp_path: Path
) -> None:
    file = pgaas.root / "confs/users/is1/local/databases.yaml"
    written, before = file.read_text(), generations(lab)
    file.write_text(f"{written}nonsense: 1\n")
    try:
        done = pgaas("ci", "deploy", *BOTH, "--action", "create", "--reports", str(tmp_path))
    finally:
        file.write_text(written)
    assert done.returncode == 3, done.stderr
    assert "confs/users/is1/local/databases.yaml:" in done.stderr
    assert states(tmp_path) == {"ic1": ("not begun", None), "is1": ("failed", None)}
    assert generations(lab) == before


def test_a_root_fetched_from_stub_services_deploys_the_same(
    lab: Lab, pgaas: Pgaas, created: subprocess.CompletedProcess[str], tmp_path: Path
) -> None:
    services = Services(StubVault(), StubArtifactory())
    files = {name: (pgaas.root / name).read_bytes() for part in PARTS for name in below(pgaas.root, part)}
    users = {
        name.removeprefix("confs/users/"): (pgaas.root / name).read_bytes()
        for name in below(pgaas.root, "confs/users")
    }
    place = f"/{REPOSITORY}/"
    services.artifactory.files[f"{place}pgaas/1.2.3/pgaas-1.2.3.zip"] = zipped(files)
    services.artifactory.files[f"{place}pgaas-users/4.5.6/pgaas-users-4.5.6.zip"] = zipped(users)
    versions = ("--pgaas-version", "1.2.3", "--users-version", "4.5.6")
    release = tmp_path / "release"
    with serving(services.vault, services.artifactory):
        fetched = pgaas("ci", "fetch", *versions, "--into", str(release), "-v", **services.environment)
    assert fetched.returncode == 0, fetched.stderr
    assert not any(secret in fetched.stdout + fetched.stderr for secret in SECRETS)
    before = generations(lab)
    arguments = ("--ins", "ic1", "--env", "local", "--dc", "local1", "--action", "create")
    done = pgaas("ci", "deploy", *arguments, "--root", str(release), "--reports", str(tmp_path / "reports"))
    assert done.returncode == 0, done.stderr
    assert states(tmp_path / "reports") == {"ic1": ("done", False)}
    assert report(tmp_path / "reports")["release"]["users"]["version"] == "4.5.6"
    assert generations(lab) == before


def below(root: Path, part: str) -> list[str]:
    """Return the names of a folder's files, or of one file, from the root."""
    start = root / part
    paths = start.rglob("*") if start.is_dir() else [start]
    return sorted(path.relative_to(root).as_posix() for path in paths if path.is_file())

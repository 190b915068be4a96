"""A cluster that is deployed from a clone of the clients' own repository, at one commit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.lab.support import CLUSTER, TARGET, Lab, Pgaas

ANNOTATION = "pgaas.io/users-revision"
FILE = "ic1/local/databases.yaml"


def git(folder: Path, *arguments: str) -> str:
    who = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        env={**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


@pytest.fixture
def clone(pgaas: Pgaas, created: subprocess.CompletedProcess[str], tmp_path: Path) -> Iterator[Path]:
    """Give a clone with what the root has, and deploy from the root again when the test is over."""
    folder = tmp_path / "values"
    shutil.copytree(pgaas.root / "confs/users", folder)
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "Begin")
    yield folder
    done = pgaas("create", *TARGET, *own(pgaas))
    assert done.returncode == 0, done.stderr
    assert recorded(pgaas.lab) is None


def own(pgaas: Pgaas) -> tuple[str, str]:
    """Say that the files of the root are meant, whatever was deployed."""
    return "--users", str(pgaas.root / "confs/users")


def pods(lab: Lab) -> dict[str, str]:
    """Return the instances' pods, each by the identity that a new one would not have."""
    found = lab.items("pods", "ic1-local", "-l", f"cnpg.io/cluster={CLUSTER}")
    return {item["metadata"]["name"]: item["metadata"]["uid"] for item in found}


def recorded(lab: Lab) -> str | None:
    annotations = lab.get("cluster.postgresql.cnpg.io", CLUSTER)["metadata"].get("annotations", {})
    value: str | None = annotations.get(ANNOTATION)
    return value


def test_the_commit_is_recorded_shown_and_held_to_without_a_restart(
    lab: Lab, pgaas: Pgaas, clone: Path
) -> None:
    before, commit = pods(lab), git(clone, "rev-parse", "HEAD")
    where = ("--users", str(clone))
    done = pgaas("create", *TARGET, *where, "--users-revision", commit)
    assert done.returncode == 0, done.stderr
    assert recorded(lab) == commit
    assert pods(lab) == before
    status = pgaas("status", *TARGET, "-o", "json")
    assert status.returncode == 0, status.stderr
    assert json.loads(status.stdout)["users_revision"] == commit

    again = pgaas("create", *TARGET, *where, "--users-revision", commit, "-o", "json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["changed"] is False

    # The root's own files say the same: what is recorded stays true.
    forgotten = pgaas("create", *TARGET)
    assert forgotten.returncode == 0, forgotten.stderr
    assert recorded(lab) == commit

    (clone / FILE).write_text(f"{(clone / FILE).read_text()}# ours\n")
    refused = pgaas("create", *TARGET, *where, "--users-revision", commit)
    assert refused.returncode == 8, refused.stderr
    assert f"changed since: {FILE}" in refused.stderr
    assert recorded(lab) == commit


def test_a_database_of_the_clone_is_made_and_a_deployment_that_forgets_the_clone_is_refused(
    lab: Lab, pgaas: Pgaas, clone: Path
) -> None:
    path = clone / FILE
    path.write_text(
        path.read_text().replace("databases:\n", "databases:\n  - {name: cloned_db, owner: app_user}\n", 1)
    )
    git(clone, "commit", "--quiet", "-a", "-m", "Add a database")
    commit = git(clone, "rev-parse", "HEAD")
    done = pgaas("create", *TARGET, PGAAS_USERS=str(clone), PGAAS_USERS_REVISION=commit)
    assert done.returncode == 0, done.stderr
    made = lab.get("database.postgresql.cnpg.io", f"{CLUSTER}-cloned-db")
    assert made["status"]["applied"] is True
    refused = pgaas("create", *TARGET)
    assert refused.returncode == 8, refused.stderr
    assert f"was deployed from commit {commit[:12]}" in refused.stderr
    assert recorded(lab) == commit
    done = pgaas("create", *TARGET, *own(pgaas))
    assert done.returncode == 0, done.stderr
    assert recorded(lab) is None

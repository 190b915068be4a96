"""What `pgaas diff` says a change does is what it then does: to pods, to PostgreSQL, and to nobody else."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from settings.table import FILE, read
from tests.lab.support import CLUSTER, NAMESPACE, TARGET, Lab, Pgaas, wait_until

ADMIN = "confs/admin/local/postgresql.yaml"
USER = "confs/users/ic1/local/databases.yaml"
BACKUP = "confs/admin/local/backup.yaml"
MAX_CONNECTIONS = 'max_connections: "50"'
PGADMIN = "requests: { memory: 192Mi, cpu: 10m }\n    limits: { memory: 768Mi"


@dataclass(frozen=True)
class State:
    """What a restart changes: of the instance and of PostgreSQL, and of pgAdmin."""

    pod: str
    started: str
    pgadmin: str


def state(lab: Lab) -> State | None:
    """Return the state once nothing is on its way; None while a pod or PostgreSQL is."""
    primary = lab.get("cluster.postgresql.cnpg.io", CLUSTER)["status"]["currentPrimary"]
    pods = {pod["metadata"]["name"]: pod for pod in lab.items("pods")}
    pgadmin = [pod for name, pod in pods.items() if name.startswith(f"{CLUSTER}-pgadmin")]
    if len(pgadmin) != 1 or primary not in pods or not all(map(settled, (*pgadmin, pods[primary]))):
        return None
    try:
        started = lab.superuser("select pg_postmaster_start_time()")
    except AssertionError:
        return None
    return State(pods[primary]["metadata"]["uid"], started, pgadmin[0]["metadata"]["uid"])


def settled(pod: dict[str, Any]) -> bool:
    """Whether a pod is ready, and there to stay."""
    ready = [each["status"] for each in pod["status"].get("conditions", []) if each["type"] == "Ready"]
    return ready == ["True"] and "deletionTimestamp" not in pod["metadata"]


def settled_state(lab: Lab) -> State:
    found: State = wait_until("every pod to be ready", lambda: state(lab))
    return found


def answers(lab: Lab, query: str, answer: str) -> bool:
    """Whether PostgreSQL answers, and that."""
    try:
        return lab.superuser(query) == answer
    except AssertionError:
        return False


@dataclass(frozen=True)
class Change:
    """One change: the edit, the value that it changes, its mark, and a query that shows when it is there."""

    file: str
    old: str
    new: str
    path: str
    mark: str
    query: str = "select 1"
    answer: str = "1"


CHANGES = {
    "work_mem": Change(
        ADMIN,
        MAX_CONNECTIONS,
        f"{MAX_CONNECTIONS}\n    work_mem: 9MB",
        "cluster.parameters.work_mem",
        "reload",
        "show work_mem",
        "9MB",
    ),
    "max_connections": Change(
        ADMIN,
        MAX_CONNECTIONS,
        'max_connections: "61"',
        "cluster.parameters.max_connections",
        "restart",
        "show max_connections",
        "61",
    ),
    "stop delay": Change(ADMIN, "maxStopDelay: 300", "maxStopDelay: 301", "cluster.maxStopDelay", "restart"),
    "a role's limit": Change(
        USER,
        "    createdb: false\n",
        "    createdb: false\n    connectionLimit: 7\n",
        "cluster.roles.app_user.connectionLimit",
        "disruptive",
        "select rolconnlimit from pg_roles where rolname = 'app_user'",
        "7",
    ),
    "createdb": Change(
        USER,
        "createdb: false",
        "createdb: true",
        "cluster.roles.app_user.createdb",
        "nothing",
        "select rolcreatedb from pg_roles where rolname = 'app_user'",
        "t",
    ),
    "backup schedule": Change(BACKUP, "0 0 1 * * *", "0 0 2 * * *", "scheduledBackup.schedule", "nothing"),
    "pgAdmin": Change(
        ADMIN, PGADMIN, PGADMIN.replace("192Mi", "193Mi"), "pgadmin4.resources.requests.memory", "disruptive"
    ),
}
RESTARTS = {"max_connections", "stop delay"}


@pytest.fixture
def edited(pgaas: Pgaas) -> Iterator[Pgaas]:
    """Put the files back afterwards, and the cluster with them."""
    files = {name: (pgaas.root / name).read_text() for name in (ADMIN, USER, BACKUP)}
    yield pgaas
    for name, text in files.items():
        (pgaas.root / name).write_text(text)
    assert pgaas("create", *TARGET).returncode == 0


def edit(root: Path, change: Change) -> None:
    text = (root / change.file).read_text()
    assert change.old in text
    (root / change.file).write_text(text.replace(change.old, change.new, 1))


def reviewed(pgaas: Pgaas, *options: str) -> dict[str, Any]:
    done = pgaas("diff", *TARGET, "-o", "json", *options)
    assert done.returncode == 0, done.stderr
    [target] = json.loads(done.stdout)["targets"]
    found: dict[str, Any] = target
    return found


def test_what_was_just_created_does_not_differ(
    pgaas: Pgaas, created: subprocess.CompletedProcess[str]
) -> None:
    found = reviewed(pgaas, "--fail-on", "reload")
    assert (found["state"], found["values"], found["objects"]) == ("unchanged", [], [])


@pytest.mark.parametrize("name", CHANGES)
def test_what_it_says_is_what_happens(
    lab: Lab, edited: Pgaas, created: subprocess.CompletedProcess[str], name: str
) -> None:
    change = CHANGES[name]
    before = settled_state(lab)
    edit(edited.root, change)
    found = reviewed(edited)
    marks = {value["path"]: value["mark"] for value in found["values"]}
    assert marks == {change.path: change.mark}
    assert all(obj["mark"] != "unknown" for obj in found["objects"]), found["objects"]
    assert change.mark in [obj["mark"] for obj in found["objects"]]
    assert settled_state(lab) == before

    assert edited("create", *TARGET).returncode == 0
    wait_until(change.query, lambda: answers(lab, change.query, change.answer))
    if name in RESTARTS:
        wait_until("PostgreSQL to restart", lambda: settled_state(lab).started != before.started)
    if name == "pgAdmin":
        wait_until("pgAdmin to start anew", lambda: settled_state(lab).pgadmin != before.pgadmin)
    after = settled_state(lab)
    assert (after.started != before.started) == (name in RESTARTS)
    assert (after.pod != before.pod) <= (name in RESTARTS)
    assert (after.pgadmin != before.pgadmin) == (name == "pgAdmin")
    assert reviewed(edited)["state"] == "unchanged"


def test_what_the_operator_refuses_is_forbidden(
    lab: Lab, edited: Pgaas, created: subprocess.CompletedProcess[str]
) -> None:
    edit(
        edited.root,
        Change(ADMIN, "S:\n    storage: { size: 1Gi }", "S:\n    storage: { size: 512Mi }", "", ""),
    )
    found = reviewed(edited)
    assert {value["path"]: value["mark"] for value in found["values"]} == {
        "cluster.storage.size": "forbidden"
    }
    [cluster] = [obj for obj in found["objects"] if obj["kind"] == "Cluster"]
    assert (cluster["action"], cluster["mark"]) == ("refused", "forbidden")
    assert "shrink" in cluster["why"]
    assert edited("diff", *TARGET, "--fail-on", "forbidden").returncode == 8


def test_what_somebody_changes_by_hand_is_seen(
    lab: Lab, edited: Pgaas, created: subprocess.CompletedProcess[str]
) -> None:
    patch = '{"spec": {"smartShutdownTimeout": 6}}'
    lab.kubectl("-n", NAMESPACE, "patch", "cluster.postgresql.cnpg.io", CLUSTER, "--type=merge", "-p", patch)
    try:
        found = reviewed(edited)
        assert found["values"] == []
        [cluster] = found["objects"]
        assert (cluster["kind"], cluster["action"], cluster["mark"]) == ("Cluster", "conflict", "forbidden")
    finally:
        back = patch.replace("6", "5")
        lab.kubectl(
            "-n", NAMESPACE, "patch", "cluster.postgresql.cnpg.io", CLUSTER, "--type=merge", "-p", back
        )


def test_the_table_of_parameters_is_the_live_servers(
    lab: Lab, created: subprocess.CompletedProcess[str]
) -> None:
    rows = lab.superuser("select lower(name), context from pg_settings where name not like '%.%'")
    said = dict(line.split("|") for line in rows.splitlines())
    known = read(FILE)[17][1]
    # What a later minor release or the distribution has added is unknown to a review, which says so.
    assert {name for name in said if known.get(name, said[name]) != said[name]} == set()
    assert len(known.keys() & said.keys()) > 300

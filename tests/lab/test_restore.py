"""Back up, list, restore beside the living cluster, look at what came back, and remove it again."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.lab.support import (
    CLUSTER,
    NAMESPACE,
    TARGET,
    Credential,
    Door,
    Lab,
    Pgaas,
    keys,
    wait_until,
    write_credential,
)

NEW, FROM_BACKUP = "before-the-drop", "as-backed-up"
BUCKET = "ic1-backups"
EVERYTHING = (
    "clusters.postgresql.cnpg.io,imagecatalogs.postgresql.cnpg.io,objectstores.barmancloud.cnpg.io,"
    "issuers.cert-manager.io,certificates.cert-manager.io,secrets,configmaps,services,persistentvolumeclaims,"
    "pods,jobs,networkpolicies,scheduledbackups.postgresql.cnpg.io,backups.postgresql.cnpg.io"
)


@dataclass(frozen=True)
class Restored:
    """What was restored, and the moment that was asked for; `before` and `after` are the archive's keys."""

    shown: dict[str, Any]
    backup_id: str
    moment: str
    archive: str
    before: set[str]
    after: set[str]
    source: dict[str, Any]


def now(lab: Lab) -> str:
    """Return the database's own time, as --to-time takes it."""
    text = lab.superuser(
        "select to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
    )
    assert datetime.fromisoformat(text).tzinfo == UTC
    return text


def server_name(lab: Lab) -> str:
    cluster = lab.get("cluster.postgresql.cnpg.io", CLUSTER)
    [archiver] = [each for each in cluster["spec"]["plugins"] if each.get("isWALArchiver")]
    found: str = archiver["parameters"]["serverName"]
    return found


@pytest.fixture(scope="module")
def backup(lab: Lab, pgaas: Pgaas, created: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Make a table with a row, and take a base backup that holds it."""
    lab.superuser(
        "drop table if exists restored;"
        "create table restored (label text, at timestamptz default clock_timestamp());"
        "alter table restored owner to app_user; insert into restored values ('in the backup')",
        "app_db",
    )
    done = pgaas("backup", *TARGET, "-o", "json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def restored(lab: Lab, pgaas: Pgaas, backup: dict[str, Any]) -> Iterator[Restored]:
    """Write on both sides of a moment, drop the table, and restore to that moment."""
    lab.superuser("insert into restored values ('before the moment')", "app_db")
    moment = now(lab)
    lab.superuser("insert into restored values ('after the moment')", "app_db")
    lab.superuser("drop table restored", "app_db")
    archive = f"ic1-local-local1-backup/{server_name(lab)}/"
    source = lab.get("cluster.postgresql.cnpg.io", CLUSTER)
    before = set(keys(BUCKET))
    done = pgaas("restore", *TARGET, "--to-time", moment, "--as", NEW, "--timeout", "10m", "-o", "json")
    assert done.returncode == 0, done.stderr
    yield Restored(
        json.loads(done.stdout), backup["backup_id"], moment, archive, before, set(keys(BUCKET)), source
    )
    for name in (NEW, FROM_BACKUP):
        pgaas("restore", *TARGET, "--as", name, "--remove", "--confirm", name)


@contextmanager
def forwarded(lab: Lab, pod: str) -> Iterator[int]:
    """Reach a pod's PostgreSQL from this machine."""
    command = ["kubectl", "--context", lab.context, "-n", NAMESPACE, "port-forward", f"pod/{pod}", ":5432"]
    process = subprocess.Popen(command, env=lab.environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        line = process.stdout.readline()
        yield int(line.split("->")[0].rpartition(":")[2])
    finally:
        process.terminate()
        process.wait()


@contextmanager
def door_of(lab: Lab, folder: Path, name: str = NEW) -> Iterator[tuple[Door, int]]:
    authority = folder / "restored.crt"
    authority.write_bytes(lab.secret(f"{name}-server")["ca.crt"])
    with forwarded(lab, f"{name}-1") as port:
        yield Door(f"{name}-rw.{NAMESPACE}.svc.cluster.local", "127.0.0.1", authority), port


def rows(lab: Lab, cluster: str) -> list[str]:
    return lab.superuser("select label from restored order by at", "app_db", cluster).splitlines()


def test_a_backup_on_demand_is_listed_with_its_object(
    pgaas: Pgaas, backup: dict[str, Any], restored: Restored
) -> None:
    listed = pgaas("backups", *TARGET, "-o", "json")
    assert listed.returncode == 0, listed.stderr
    [archive] = [
        each
        for each in json.loads(listed.stdout)["archives"]
        if each["current"] and each["cluster"] == CLUSTER
    ]
    [entry] = [each for each in archive["backups"] if each["id"] == backup["backup_id"]]
    assert entry["objects"] == [backup["backup"]]
    assert entry["status"] == "completed"
    assert entry["bytes"] == backup["bytes"] > 2**20
    assert any(each["first"] <= restored.moment <= each["last"] for each in archive["windows"])
    assert not [problem for problem in archive["problems"] if "missing" in problem]


def test_exactly_the_rows_before_the_moment_came_back(lab: Lab, restored: Restored) -> None:
    assert rows(lab, NEW) == ["in the backup", "before the moment"]


def test_the_check_says_where_recovery_ended_and_finds_everything(restored: Restored) -> None:
    checked = restored.shown["checked"]
    assert restored.shown["complete"] is True
    assert checked["end_reason"].startswith("before ")
    assert "/" in checked["end_lsn"]
    assert checked["timeline"] > checked["end_timeline"] >= 1
    there = {each["name"] for each in checked["databases"] if each["there"]}
    assert {"app_db", "reporting_db"} <= there
    assert all(each["read"] > 50 for each in checked["databases"] if each["there"])
    assert {"app_user", "report_user"} <= {each["name"] for each in checked["roles"] if each["there"]}


def test_the_source_was_left_alone_and_goes_on_archiving(lab: Lab, restored: Restored) -> None:
    now_there = lab.get("cluster.postgresql.cnpg.io", CLUSTER)
    assert now_there["spec"] == restored.source["spec"]
    assert now_there["metadata"]["generation"] == restored.source["metadata"]["generation"]
    # Only its own WAL came, and nothing went.
    assert restored.before <= restored.after
    assert all(key.startswith(f"{restored.archive}wals/") for key in restored.after - restored.before)
    lab.superuser("select pg_current_xact_id(); select pg_switch_wal()")
    count = len(keys(BUCKET, f"{restored.archive}wals/"))
    wait_until("WAL to be archived", lambda: len(keys(BUCKET, f"{restored.archive}wals/")) > count)


def test_the_restored_cluster_archives_nothing_and_belongs_to_nobody(
    lab: Lab, pgaas: Pgaas, restored: Restored
) -> None:
    before = set(keys(BUCKET))
    lab.superuser("create table written (i int); select pg_switch_wal()", "app_db", NEW)
    lab.superuser("insert into written values (1); select pg_switch_wal(); checkpoint", "app_db", NEW)
    wait_until(
        "the archiver to have run",
        lambda: int(lab.superuser("select archived_count from pg_stat_archiver", cluster=NEW)) > 0,
    )
    timeline = restored.shown["checked"]["timeline"]
    new = [
        key
        for key in set(keys(BUCKET)) - before
        if f"/{timeline:08X}" in key and key.startswith(restored.archive)
    ]
    assert new == []
    assert not [key for key in keys(BUCKET) if NEW in key]
    cluster = lab.get("cluster.postgresql.cnpg.io", NEW)
    assert not cluster["spec"].get("plugins")
    assert "replica" not in cluster["spec"]
    labels = cluster["metadata"]["labels"]
    assert labels["pgaas.io/restored-from"] == CLUSTER
    assert "pgaas.io/dc" not in labels
    services = lab.items("services", NAMESPACE, "-l", f"cnpg.io/cluster={NEW}")
    assert {each["spec"]["type"] for each in services} == {"ClusterIP"}
    selected = lab.items("pods", NAMESPACE, "-l", f"cnpg.io/cluster={CLUSTER}")
    assert not [each for each in selected if each["metadata"]["name"].startswith(NEW)]
    assert pgaas("status", *TARGET).returncode == 0


def refused_because(
    lab: Lab, folder: Path, reason: str, database: str, credential: Credential | None = None
) -> None:
    """See why app_user is refused; being let in fails the test at once."""

    # A forwarded connection may end before what the server says has come through.
    def said() -> bool:
        with door_of(lab, folder) as (door, port):
            return reason in door.refusal(database, "app_user", credential, port=port)

    wait_until(reason, said)


def test_the_clients_certificate_opens_it_and_a_strangers_does_not(
    lab: Lab, pgaas: Pgaas, restored: Restored, tmp_path: Path
) -> None:
    own = lab.secret(f"{CLUSTER}-client-app-user")
    credential = write_credential(tmp_path, "own", own["tls.crt"], own["tls.key"])
    with door_of(lab, tmp_path) as (door, port):
        with door.connect("app_db", "app_user", credential, port=port) as connection:
            row = connection.execute("select count(*) from restored").fetchone()
        assert row == (2,)
    refused_because(lab, tmp_path, "pg_hba.conf rejects", "reporting_db", credential)
    refused_because(lab, tmp_path, "certificate", "app_db")
    made = pgaas("create", "--ins", "is1", "--env", "local", "--dc", "local1")
    assert made.returncode == 0, made.stderr
    other = lab.secret("local-is1-local1-client-app-user", "is1-local")
    stranger = write_credential(tmp_path, "stranger", other["tls.crt"], other["tls.key"])
    refused_because(lab, tmp_path, "unknown ca", "app_db", stranger)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--latest", "--as", NEW), 8, "is there already"),
        (("--latest", "--as", CLUSTER), 2, "never over it"),
        (("--latest", "--as", "local-ic1-local2"), 2, "never over it"),
        (("--to-time", "2020-01-01T00:00:00Z", "--as", "too-early"), 8, "one can restore to any moment from"),
        (("--to-time", "2099-01-01T00:00:00Z", "--as", "too-late"), 2, "is still to come"),
        (("--to-time", "2026-01-01T00:00:00", "--as", "no-zone"), 2, "has no zone"),
        (("--to-backup", "20200101T000000", "--as", "no-backup"), 8, "there is no backup"),
    ],
)
def test_what_cannot_be_restored_is_refused_and_leaves_nothing(
    lab: Lab, pgaas: Pgaas, restored: Restored, arguments: tuple[str, ...], code: int, says: str
) -> None:
    refused = pgaas("restore", *TARGET, *arguments)
    assert refused.returncode == code, refused.stderr
    assert says in refused.stderr
    assert "Traceback" not in refused.stderr
    if arguments[-1] not in (NEW, CLUSTER, "local-ic1-local2"):
        assert not left_of(lab, arguments[-1])


def test_run_again_it_goes_on_and_checks_every_page(pgaas: Pgaas, restored: Restored) -> None:
    again = pgaas("restore", *TARGET, "--as", NEW, "--deep", "-o", "json")
    assert again.returncode == 0, again.stderr
    shown = json.loads(again.stdout)
    assert (shown["resumed"], shown["checked"]["deep"]) == (True, True)


def test_an_interrupted_restore_of_a_backup_goes_on(lab: Lab, pgaas: Pgaas, restored: Restored) -> None:
    arguments = ("restore", *TARGET, "--to-backup", restored.backup_id, "--as", FROM_BACKUP, "-o", "json")
    process = pgaas.start(*arguments)
    wait_until(
        "the cluster to be there",
        lambda: (
            lab.kubectl(
                "-n", NAMESPACE, "get", "cluster.postgresql.cnpg.io", FROM_BACKUP, check=False
            ).returncode
            == 0
        ),
    )
    process.send_signal(2)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "--as" in said
    done = pgaas(*arguments)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["resumed"] is True
    assert rows(lab, FROM_BACKUP) == ["in the backup"]


def test_a_moment_that_nothing_was_committed_after_is_reached_all_the_same(
    lab: Lab, pgaas: Pgaas, restored: Restored
) -> None:
    """The living source is told to archive a transaction of its own: PostgreSQL would give up otherwise."""
    moment = now(lab)
    done = pgaas("restore", *TARGET, "--to-time", moment, "--as", "just-now")
    try:
        assert done.returncode == 0, done.stderr
    finally:
        pgaas("restore", *TARGET, "--as", "just-now", "--remove", "--confirm", "just-now")


def left_of(lab: Lab, name: str) -> list[str]:
    """Return what in the namespace is called so, or begins so."""
    return [
        f"{each['kind']}/{each['metadata']['name']}"
        for each in lab.items(EVERYTHING)
        if each["metadata"]["name"] == name
        or each["metadata"]["name"].startswith((f"{name}-", f"sh.helm.release.v1.{name}."))
    ]


def test_removed_it_leaves_nothing_and_its_source_stays(lab: Lab, pgaas: Pgaas, restored: Restored) -> None:
    before = set(keys(BUCKET))
    refused = pgaas("restore", *TARGET, "--as", NEW, "--remove")
    assert refused.returncode == 2
    assert f"--confirm {NEW}" in refused.stderr
    done = pgaas("restore", *TARGET, "--as", NEW, "--remove", "--confirm", NEW)
    assert done.returncode == 0, done.stderr
    wait_until("garbage to be collected", lambda: not left_of(lab, NEW), timeout=60)
    assert before <= set(keys(BUCKET))
    volumes = lab.kubectl("get", "persistentvolumes", "-o", "jsonpath={.items[*].spec.claimRef.name}")
    assert not [name for name in volumes.stdout.split() if name.startswith(f"{NEW}-")]
    assert pgaas("status", *TARGET).returncode == 0
    again = pgaas("restore", *TARGET, "--as", NEW, "--remove", "--confirm", NEW)
    assert (again.returncode, again.stdout.strip()) == (0, f"{NEW}: was not there")
    refused = pgaas("restore", *TARGET, "--as", CLUSTER, "--remove", "--confirm", CLUSTER)
    assert refused.returncode == 2


def test_after_a_deletion_the_databases_come_back_out_of_the_bucket(
    lab: Lab, pgaas: Pgaas, restored: Restored, tmp_path: Path
) -> None:
    """Lost everything but the bucket: cluster, volumes, certificates and namespace are gone."""
    lab.superuser("create table kept as select 7 as n; alter table kept owner to app_user", "app_db")
    pgaas("restore", *TARGET, "--as", FROM_BACKUP, "--remove", "--confirm", FROM_BACKUP)
    gone = pgaas("delete", *TARGET, "--confirm", CLUSTER)
    assert gone.returncode == 0, gone.stderr
    listed = pgaas("backups", *TARGET, "-o", "json")
    assert listed.returncode == 0, listed.stderr
    assert any(each["backups"] for each in json.loads(listed.stdout)["archives"])
    try:
        done = pgaas("restore", *TARGET, "--latest", "--as", "from-the-bucket", "-o", "json")
        assert done.returncode == 0, done.stderr
        shown = json.loads(done.stdout)
        assert "from-the-bucket-client-app-user" in shown["clients"]
        assert lab.superuser("select n from kept", "app_db", "from-the-bucket") == "7"
        own = lab.secret("from-the-bucket-client-app-user")
        credential = write_credential(tmp_path, "own", own["tls.crt"], own["tls.key"])
        with (
            door_of(lab, tmp_path, "from-the-bucket") as (door, port),
            door.connect("app_db", "app_user", credential, port=port) as connection,
        ):
            assert connection.execute("select n from kept").fetchone() == (7,)
    finally:
        pgaas("restore", *TARGET, "--as", "from-the-bucket", "--remove", "--confirm", "from-the-bucket")
        made = pgaas("create", *TARGET)
    assert made.returncode == 0, made.stderr

"""A client's daily work on the live cluster: its credentials in each driver, psql, logs and events."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
from pathlib import Path

import psycopg
import pytest
import yaml
from tests.lab import jdbc
from tests.lab.pair import Run
from tests.lab.support import CLUSTER, NAMESPACE, TARGET, Lab, Pgaas, wait_until

from pgaas.tools import private_folder

ASKED = (*TARGET, "--role", "app_user")
WHO = "select current_user || ' in ' || current_database() || ', ' || client_dn from pg_stat_ssl \
where pid = pg_backend_pid()"
ANSWER = "app_user in app_db, /CN=app_user.ic1.local"


def keys() -> set[Path]:
    return set(private_folder._place().glob(f"{private_folder.PREFIX}*"))


@pytest.fixture
def folder(pgaas: Pgaas, created: subprocess.CompletedProcess[str], tmp_path: Path) -> Path:
    """Export the credentials of app_user."""
    done = pgaas("credentials", *ASKED, "--out", str(tmp_path / "db"))
    assert done.returncode == 0, done.stderr
    return tmp_path / "db"


def without_postgresql(**extra: str) -> dict[str, str]:
    """Return an environment in which nothing says where PostgreSQL is."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | extra


def test_libpq_connects_by_the_service_file(folder: Path) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    environment = without_postgresql(PGSERVICEFILE=str(folder / "pg_service.conf"))
    argv = ["psql", "-XAt", "service=app_db", "-c", WHO]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == (ANSWER, "")


def test_psycopg_connects_by_the_service_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSERVICEFILE", str(folder / "pg_service.conf"))
    with psycopg.connect("service=app_db") as connection:
        assert connection.execute(WHO).fetchone() == (ANSWER,)


@pytest.mark.parametrize("key", ["tls.pk8", "tls.p12"])
def test_java_connects_by_the_url(lab: Lab, folder: Path, tmp_path: Path, key: str) -> None:
    urls = dict(line.split("=", 1) for line in (folder / "jdbc.properties").read_text().splitlines())
    url = urls["app_db.url"].replace("tls.pk8", key)
    url += "&sslpassword=changeit" if key == "tls.p12" else ""
    host = url.removeprefix("jdbc:postgresql://").partition(":")[0]
    names = {host: lab.address(f"{CLUSTER}-rw-lb")}
    done = jdbc.connect(tmp_path, jdbc.driver(tmp_path), url, names)
    assert done.stdout.strip() == "app_user in app_db, ssl true", done.stderr


def test_the_manifest_is_one_that_kubernetes_takes(
    lab: Lab, pgaas: Pgaas, created: subprocess.CompletedProcess[str]
) -> None:
    done = pgaas("credentials", *ASKED, "-o", "k8s", "--namespace", "default")
    assert done.returncode == 0, done.stderr
    name = yaml.safe_load(done.stdout)["metadata"]["name"]
    lab.kubectl("apply", "-f", "-", stdin=done.stdout)
    try:
        assert lab.secret(name, "default")["tls.key"] == lab.secret(name)["tls.key"]
    finally:
        lab.kubectl("-n", "default", "delete", "secret", name)


def test_psql_in_a_pipe_is_the_role(pgaas: Pgaas, created: subprocess.CompletedProcess[str]) -> None:
    before = keys()
    done = pgaas("psql", *ASKED, "--", "-XAt", stdin=f"{WHO};\n")
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, ANSWER, "")
    # The primary's own way, without naming a datacenter.
    whole = pgaas("psql", "--ins", "ic1", "--env", "local", "--role", "app_user", "--", "-XAtc", WHO)
    assert whole.stdout.strip() == ANSWER, whole.stderr
    assert keys() == before


def test_psql_refuses_a_database_without_a_right_and_postgresql_does_too(
    pgaas: Pgaas, created: subprocess.CompletedProcess[str]
) -> None:
    named = pgaas("psql", *ASKED, "--database", "reporting_db", "--", "-Xc", "select 1")
    assert named.returncode == 2
    assert "may not connect to 'reporting_db'" in named.stderr
    behind = pgaas("psql", *ASKED, "--", "-Xd", "reporting_db", "-c", "select 1")
    assert behind.returncode == 2
    assert "pg_hba.conf rejects connection" in behind.stderr


def test_psql_through_the_api_server_where_no_balancer_answers(
    lab: Lab, pgaas: Pgaas, created: subprocess.CompletedProcess[str]
) -> None:
    # Before the balancer's address is made a pod's.
    rule = ("OUTPUT", "-d", lab.address(f"{CLUSTER}-rw-lb"), "-p", "tcp", "--dport", "5432", "-j", "DROP")
    subprocess.run(["iptables", "-t", "raw", "-I", *rule], env=lab.environment, check=True)
    try:
        done = pgaas("psql", *ASKED, "--", "-XAtc", WHO, "-c", r"\conninfo")
    finally:
        subprocess.run(["iptables", "-t", "raw", "-D", *rule], env=lab.environment, check=True)
    assert done.returncode == 0, done.stderr
    assert ANSWER in done.stdout
    assert "127.0.0.1" in done.stdout


def test_no_key_is_left_after_a_signal(
    lab: Lab, pgaas: Pgaas, created: subprocess.CompletedProcess[str]
) -> None:
    before = keys()
    run = Run(pgaas.start("psql", *ASKED, "--", "-Xc", "select pg_sleep(600)"))
    asleep = "select count(*) from pg_stat_activity where query like 'select pg_sleep(600)%'"
    wait_until("the query", lambda: lab.superuser(asleep) == "1", timeout=60)
    assert len(keys() - before) == 1
    run.process.send_signal(signal.SIGTERM)
    assert run.end(60) == 143
    assert keys() == before
    assert "Traceback" not in run.said


def said(lab: Lab, sql: str) -> bool:
    """Run SQL, if PostgreSQL is there."""
    try:
        lab.superuser(sql)
    except (AssertionError, KeyError):
        return False
    return True


def test_logs_have_what_postgresql_said(
    lab: Lab, pgaas: Pgaas, created: subprocess.CompletedProcess[str]
) -> None:
    lab.superuser("do $$ begin raise log 'said by the test'; end $$")

    def seen() -> bool:
        return "LOG: said by the test" in pgaas("logs", *TARGET, "--grep", "said by the test").stdout

    wait_until("the line in the log", seen, timeout=60)
    raw = pgaas("logs", *TARGET, "--raw", "--grep", "said by the test").stdout.splitlines()
    assert json.loads(raw[-1])["record"]["message"] == "said by the test"
    plugin = pgaas("logs", *TARGET, "--container", "plugin-barman-cloud", "--since", "24h")
    assert (plugin.returncode, plugin.stderr) == (0, "")


def test_logs_are_followed_over_the_pod_s_end(
    lab: Lab, pgaas: Pgaas, created: subprocess.CompletedProcess[str]
) -> None:
    run = Run(pgaas.start("logs", *TARGET, "--follow"))
    try:
        say = "do $$ begin raise log 'before'; end $$"
        lab.superuser(say)
        assert run.wait_for(lambda line: "LOG: before" in line, 60)
        pod = lab.get("cluster.postgresql.cnpg.io", CLUSTER)["status"]["currentPrimary"]
        lab.kubectl("-n", NAMESPACE, "delete", "pod", pod)
        wait_until("PostgreSQL again", lambda: said(lab, say.replace("before", "after the pod")))
        assert run.wait_for(lambda line: "LOG: after the pod" in line, 60)
        assert sum("LOG: before" in line for line in run.lines) == 1
    finally:
        run.process.send_signal(signal.SIGINT)
    assert run.end(60) == 130
    assert "Traceback" not in run.said


def test_events_tell_of_the_cluster_s_pods(
    lab: Lab, pgaas: Pgaas, created: subprocess.CompletedProcess[str]
) -> None:
    pod = lab.get("cluster.postgresql.cnpg.io", CLUSTER)["status"]["currentPrimary"]
    lab.kubectl("-n", NAMESPACE, "delete", "pod", pod)
    assert pgaas("wait", *TARGET, "--timeout", "5m").returncode == 0
    done = pgaas("events", *TARGET, "-o", "json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert pod in {each["name"] for each in found}
    assert [each["last"] for each in found] == sorted(each["last"] for each in found)

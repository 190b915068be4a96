"""`pgaas psql`: the real psql and a real PostgreSQL, found through fake API servers."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cli.daily import CLIENT, HERE, THERE, Daily, keys
from tests.cli.support import Ran, fake_tool, run_process
from tests.unit.kube.fakes import path_of
from tests.unit.tools.postgres import Postgres

from pgaas.kube.client import Api
from pgaas.kube.resources import CLUSTER, SERVICE
from pgaas.operations import route
from pgaas.tools import private_folder

Run = Callable[..., Ran]
ASKED = ("psql", *CLIENT, "--role", "app_user")
PRIMARY = "primary.ic1-local.pgaas.local"
WHO = "select current_user, current_database(), ssl from pg_stat_ssl where pid = pg_backend_pid()"
PATIENCE = 60.0


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    """Fail every test after which there is a key that was not there before."""
    before = keys()
    yield
    assert keys() - before == set()


def test_it_is_the_role_in_its_first_database_over_tls(created: Daily, pgaas: Run) -> None:
    ran = pgaas(*ASKED, "--", "-XAtc", WHO)
    assert (ran.code, ran.out) == (0, "app_user|app_db|t\n"), ran.err
    reader = pgaas(
        "psql", *CLIENT, "--role", "app_readonly", "--database", "reporting_db", "--", "-XAtc", WHO
    )
    assert reader.out == "app_readonly|reporting_db|t\n"


def test_in_a_pipe_it_says_the_answer_and_nothing_else(created: Daily) -> None:
    ran = run_process(*ASKED, "--", "-XAt", cwd=Path.cwd(), stdin="select 6 * 7;\n")
    assert (ran.code, ran.out, ran.err) == (0, "42\n", "")


def test_the_key_is_in_a_folder_for_the_user_alone(created: Daily, pgaas: Run) -> None:
    shell = r"\! stat -c '%a %n' $(dirname $PGSSLKEY) $PGSSLKEY; tr '\0' ' ' < /proc/$PPID/cmdline"
    ran = pgaas(*ASKED, "--", "-Xc", shell)
    folder, key, *_ = ran.out.splitlines()
    assert folder.startswith(f"700 {private_folder._place()}/")
    assert key.startswith("600 ")
    assert "PRIVATE" not in ran.out


@pytest.mark.parametrize(
    ("statement", "options", "code"),
    [
        ("select 1/0", (), 1),
        (r"\i /nonexistent", (), 1),
        ("select 1/0", ("-v", "ON_ERROR_STOP=1"), 1),
        (r"\q", (), 0),
    ],
)
def test_psql_s_exit_code_is_passed_on(
    created: Daily, pgaas: Run, statement: str, options: tuple[str, ...], code: int
) -> None:
    assert pgaas(*ASKED, "--", "-X", *options, "-c", statement).code == code


def test_a_script_that_stops_at_an_error_ends_with_three(created: Daily) -> None:
    ran = run_process(
        *ASKED, "--", "-Xv", "ON_ERROR_STOP=1", cwd=Path.cwd(), stdin="select 1/0;\nselect 1;\n"
    )
    assert (ran.code, ran.out) == (3, "")
    assert "division by zero" in ran.err


def test_a_lost_connection_ends_with_two(created: Daily) -> None:
    ran = run_process(
        *ASKED, "--", "-X", cwd=Path.cwd(), stdin="select pg_terminate_backend(pg_backend_pid());\n"
    )
    assert ran.code == 2


def test_a_database_that_the_role_has_no_right_to_is_refused_here_and_there(
    created: Daily, pgaas: Run
) -> None:
    ran = pgaas(*ASKED, "--database", "reporting_db", "--", "-c", "select 1")
    assert (ran.code, ran.out) == (2, "")
    assert "app_user may not connect to 'reporting_db'" in ran.err
    assert "known: app_db" in ran.err
    behind = pgaas(*ASKED, "--", "-Xd", "reporting_db", "-c", "select 1")
    assert behind.code == 2
    assert "pg_hba.conf rejects connection" in behind.err


def test_read_only_keeps_from_writing(created: Daily, pgaas: Run) -> None:
    ran = pgaas(*ASKED, "--read-only", "--", "-Xc", "create table t (i int)")
    assert ran.code == 1
    assert "cannot execute CREATE TABLE in a read-only transaction" in ran.err
    assert pgaas(*ASKED, "--", "-Xc", "create temp table t (i int)").code == 0


def test_a_server_that_takes_no_writes_is_no_primary(created: Daily, postgres: Postgres, pgaas: Run) -> None:
    postgres.sql("alter system set default_transaction_read_only = on", "select pg_reload_conf()")
    try:
        ran = pgaas(*ASKED, "--", "-Xc", "select 1")
        named = pgaas(*ASKED, "--dc", HERE, "--", "-XAtc", "select 1")
    finally:
        postgres.sql("alter system reset default_transaction_read_only", "select pg_reload_conf()")
    assert (ran.code, ran.out) == (2, "")
    assert "session is read-only" in ran.err
    # Who names a side is not told what it has to be.
    assert (named.code, named.out) == (0, "1\n")


def test_another_server_than_the_certificate_says_is_not_spoken_to(created: Daily, pgaas: Run) -> None:
    created.roots[HERE], own = created.roots[THERE], created.roots[HERE]
    try:
        created.deploy(HERE, address=str(balancer(created)))
        ran = pgaas(*ASKED, "--", "-Xc", "select 1")
    finally:
        created.roots[HERE] = own
    assert (ran.code, ran.out) == (2, "")
    assert "certificate verify failed" in ran.err


def balancer(created: Daily) -> object:
    service = created.get(HERE, SERVICE, "local-ic1-local1-rw-lb")
    return service["status"]["loadBalancer"]["ingress"][0]["ip"]


def test_what_stands_in_the_user_s_environment_leads_nowhere_else(
    created: Daily, pgaas: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "PGHOST": "elsewhere.example",
        "PGHOSTADDR": "192.0.2.1",
        "PGSERVICE": "other",
        "PGUSER": "somebody",
        "PGSSLMODE": "disable",
        "PGPASSWORD": "secret",
        "PGREQUIREAUTH": "scram-sha-256",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PGOPTIONS", "-c statement_timeout=7s")
    ran = pgaas(*ASKED, "--read-only", "--", "-XAtc", "show statement_timeout", "-c", WHO)
    assert (ran.code, ran.out) == (0, "7s\napp_user|app_db|t\n"), ran.err


def test_by_its_name_where_this_machine_knows_it(
    created: Daily, postgres: Postgres, pgaas: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Only this process is told; psql, which would not find the name, is looked into.
    monkeypatch.setattr(route, "look_up", lambda _: [postgres.address])
    created.get(HERE, SERVICE, "local-ic1-local1-rw-lb")["status"] = {}
    tools = Path("tools")
    fake_tool(tools, "psql", 'echo "$PGHOST $PGHOSTADDR $PGSSLMODE $PGTARGETSESSIONATTRS"')
    monkeypatch.setenv("PATH", f"{tools.absolute()}:{os.environ['PATH']}")
    assert pgaas(*ASKED).out == f"{PRIMARY}  verify-full read-write\n"
    assert pgaas(*ASKED, "--read-only").out == f"{PRIMARY}  verify-full primary\n"
    own = "local-ic1-local1-rw.ic1-local.svc.cluster.local"
    assert pgaas(*ASKED, "--dc", HERE).out == f"{own}  verify-full \n"


def test_a_name_that_dns_has_not_moved_yet_is_not_followed(
    created: Daily, postgres: Postgres, pgaas: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    created.deploy(THERE, address="192.0.2.9")
    monkeypatch.setattr(
        route, "look_up", lambda name: ["192.0.2.9"] if name == PRIMARY else [postgres.address]
    )
    ran = pgaas(*ASKED, "--", "-XAtc", "select 1")
    assert (ran.code, ran.out) == (0, "1\n"), ran.err
    assert f"note: {PRIMARY} leads to 192.0.2.9, which is not the primary" in ran.err


def test_through_the_api_server_where_nothing_else_answers(
    created: Daily, postgres: Postgres, pgaas: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    created.get(HERE, SERVICE, "local-ic1-local1-rw-lb")["status"] = {}
    asked: list[object] = []

    @contextlib.contextmanager
    def forward(_api: Api, *place: object) -> Iterator[int]:
        """Stand in for the WebSocket, which has tests of its own."""
        asked.append(place)
        with carried(postgres.address) as near:
            yield near

    monkeypatch.setattr(Api, "forward", forward)
    ran = pgaas(*ASKED, "--", "-XAtc", WHO)
    assert (ran.code, ran.out) == (0, "app_user|app_db|t\n"), ran.err
    assert asked == [("local-ic1-local1-1", "ic1-local", 5432)]


@contextlib.contextmanager
def carried(address: str) -> Iterator[int]:
    """Carry what comes to a port of the loopback address to a server."""
    script = """
import socket, sys, threading
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
def pump(one, other):
    while content := one.recv(65536):
        other.sendall(content)
    other.shutdown(socket.SHUT_WR)
while True:
    near, _ = listener.accept()
    far = socket.create_connection((sys.argv[1], 5432))
    for pair in ((near, far), (far, near)):
        threading.Thread(target=pump, args=pair, daemon=True).start()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script, address], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def test_where_nothing_is_ready_it_says_so(created: Daily, pgaas: Run) -> None:
    created.get(HERE, SERVICE, "local-ic1-local1-rw-lb")["status"] = {}
    for path, obj in created.servers[HERE].objects.items():
        if "/pods/" in path:
            obj["status"] = {}
    ran = pgaas(*ASKED)
    assert (ran.code, ran.out) == (9, "")
    assert f"nobody answers at {PRIMARY}, and no instance is ready" in ran.err


def test_the_primary_is_found_where_it_is(created: Daily, postgres: Postgres, pgaas: Run) -> None:
    for dc in (HERE, THERE):
        created.deploy(dc, address=postgres.address if dc == THERE else "192.0.2.1", primary=THERE)
    # The real server has the names of local1; what it is asked by is the alias, which both have.
    assert pgaas(*ASKED, "--", "-XAtc", "select 1").out == "1\n"


def test_the_other_side_need_not_be_there(created: Daily, pgaas: Run) -> None:
    config = Path(os.environ["KUBECONFIG"])
    text = config.read_text()
    config.write_text(
        re.sub(r"(name: cluster2\n.*?server: http://127\.0\.0\.1:)\d+", r"\g<1>1", text, flags=re.S)
    )
    ran = pgaas(*ASKED, "--", "-XAtc", "select 1")
    assert (ran.code, ran.out) == (0, "1\n"), ran.err


def test_two_primaries_are_told_before_anything_is_written_to_one(created: Daily, pgaas: Run) -> None:
    created.deploy(THERE, primary=THERE)
    ran = pgaas(*ASKED)
    assert (ran.code, ran.out) == (8, "")
    assert "TWO PRIMARIES: local-ic1-local1 and local-ic1-local2" in ran.err
    assert pgaas(*ASKED, "--dc", HERE, "--", "-XAtc", "select 1").out == "1\n"


def test_no_primary_is_told_with_what_each_side_is(created: Daily, pgaas: Run) -> None:
    created.deploy(HERE, primary=THERE)
    del created.servers[THERE].objects[path_of(CLUSTER, "ic1-local", "local-ic1-local2")]
    ran = pgaas(*ASKED)
    assert (ran.code, ran.out) == (9, "")
    assert "local1: a replica, or fenced" in ran.err
    assert "local2: not created" in ran.err


def test_a_standby_is_beside_the_primary_or_in_the_other_datacenter(
    created: Daily, postgres: Postgres, pgaas: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = Path("tools")
    fake_tool(tools, "psql", 'echo "$PGHOST $PGHOSTADDR"')
    monkeypatch.setenv("PATH", f"{tools.absolute()}:{os.environ['PATH']}")
    created.deploy(THERE, address=postgres.address)
    there = "local-ic1-local2-rw.ic1-local.svc.cluster.local"
    assert pgaas(*ASKED, "--replica").out == f"{there} {postgres.address}\n"
    created.instances(2)
    created.deploy(HERE, address=postgres.address)
    here = "local-ic1-local1-ro.ic1-local.svc.cluster.local"
    assert pgaas(*ASKED, "--replica").out == f"{here} {postgres.address}\n"
    created.alone()
    created.get(HERE, CLUSTER, "local-ic1-local1")["status"]["readyInstances"] = 1
    created.get(HERE, CLUSTER, "local-ic1-local1")["spec"].pop("replica")
    ran = pgaas(*ASKED, "--replica")
    assert ran.code == 9
    assert "has no standby that is ready" in ran.err


def test_without_psql_it_says_what_to_install(
    created: Daily, pgaas: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    ran = pgaas(*ASKED)
    assert (ran.code, ran.out) == (4, "")
    assert "psql is not installed" in ran.err
    assert "postgresql-client" in ran.err

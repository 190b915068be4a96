"""The lab's Prometheus, and a load that leaves something in every number."""

from __future__ import annotations

import json
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
from tests.lab.pair import CLUSTERS, Pair, Side, running
from tests.lab.support import NAMESPACE
from tests.lab.writer import Login

SETTINGS = "confs/admin/local/observability.yaml"
PROMETHEUS = "http://192.168.49.2:30090"
# Where pods reach what runs on the lab's machine.
EXPORTER = "192.168.49.1:9188"
TABLES = """
create table if not exists busy (number int primary key, text text);
create table if not exists twin (number int primary key, text text);
insert into busy select n, 'x' from generate_series(1, 1000) n on conflict do nothing;
insert into twin select n, 'x' from generate_series(1, 2) n on conflict do nothing;
alter table busy owner to app_user; alter table twin owner to app_user;
"""
# Sorting this much in so little memory writes files.
SORTED = "select n from generate_series(1, 200000) n order by md5(n::text)"
LARGE = f"set work_mem = '64kB'; select count(*) from ({SORTED}) t"


def get(path: str, **parameters: str) -> Any:
    """Return what Prometheus's API answers."""
    url = f"{PROMETHEUS}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)["data"]


def ask(query: str) -> list[dict[str, Any]]:
    """Return the series that a query gives now, but for those that are no number; none while it is away."""
    with suppress(OSError):
        return [each for each in get("query", query=query)["result"] if each["value"][1] != "NaN"]
    return []


def values(query: str, *labels: str) -> dict[tuple[str, ...], float]:
    """Return a query's numbers by some labels."""
    return {
        tuple(each["metric"].get(label, "") for label in labels): float(each["value"][1])
        for each in ask(query)
    }


@dataclass
class Load:
    """Clients that read, write, spill, wait and collide, until they are told to stop."""

    login: Login
    side: Side
    stop: threading.Event = field(default_factory=threading.Event)
    failed: list[str] = field(default_factory=list)

    def connect(self) -> psycopg.Connection[Any]:
        """Connect as the application does."""
        conninfo = self.login.conninfo(self.side.address()).decode()
        return psycopg.connect(conninfo, autocommit=True)

    def write(self) -> None:
        """Change the same rows again and again, and now and then take it back."""
        with self.connect() as connection:
            while not self.stop.wait(0.2):
                connection.execute("update busy set text = text where number <= 50")
                with suppress(psycopg.errors.DivisionByZero):
                    connection.execute("select 1 / 0")

    def spill(self) -> None:
        """Sort more than fits."""
        with self.connect() as connection:
            while not self.stop.wait(2):
                connection.execute(LARGE)

    def wait(self) -> None:
        """Let one statement last."""
        with self.connect() as connection:
            while not self.stop.is_set():
                connection.execute("select pg_sleep(5)")

    def collide(self) -> None:
        """Have two transactions wait for one another, of which PostgreSQL ends one."""
        with self.connect() as one, self.connect() as two:
            while not self.stop.wait(5):
                one.execute("begin; update twin set text = 'one' where number = 1")
                two.execute("begin; update twin set text = 'two' where number = 2")
                other = threading.Thread(target=self._crossed, args=(two, 1))
                other.start()
                self._crossed(one, 2)
                other.join()

    def _crossed(self, connection: psycopg.Connection[Any], number: int) -> None:
        with suppress(psycopg.errors.DeadlockDetected):
            connection.execute("update twin set text = 'x' where number = %s", [number])
        connection.execute("rollback")

    def nudge(self) -> None:
        """Have the operator look at the Cluster again and again: at rest it does nothing that takes time."""
        command = ("-n", NAMESPACE, "annotate", CLUSTERS, self.side.cluster, "--overwrite")
        count = 0
        while not self.stop.wait(5):
            count += 1
            self.side.lab.kubectl(*command, f"try.pgaas.io/nudged={count}")
        self.side.lab.kubectl(*command, "try.pgaas.io/nudged-")

    def run(self, work: Any) -> None:
        """Do one kind of work, and remember what it failed with."""
        try:
            work()
        except (psycopg.Error, AssertionError) as error:
            self.failed.append(f"{work.__name__}: {error}")


@contextmanager
def load(pair: Pair) -> Iterator[Load]:
    """Keep all kinds of work going on the primary."""
    side = pair.primary()
    side.sql(TABLES, "app_db")
    clients = Load(pair.login(), side)
    threads = [
        threading.Thread(target=clients.run, args=(work,))
        for work in (clients.write, clients.spill, clients.wait, clients.collide, clients.nudge)
    ]
    for thread in threads:
        thread.start()
    try:
        yield clients
    finally:
        clients.stop.set()
        for thread in threads:
            thread.join(timeout=60)


def pod_of(side: Side) -> dict[str, Any]:
    """Return the pod that leads a side."""
    return side.lab.get("pod", side.live()["status"]["currentPrimary"])


def rewrite(pair: Pair, file: str, *changes: tuple[str, str]) -> None:
    """Change a file of the tests' own root."""
    path = pair.pgaas.root / file
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


def install(pair: Pair) -> None:
    """Have the local infrastructure follow the files."""
    done = pair.pgaas("infra", "install")
    assert done.returncode == 0, done.stderr


@contextmanager
def watched(pair: Pair) -> Iterator[None]:
    """Ask often, and have pgaas's own numbers asked too; afterwards all is as it was shipped."""
    shipped = (pair.pgaas.root / SETTINGS).read_text()
    more = ("extraTargets: []", f"extraTargets: ['{EXPORTER}']")
    rewrite(pair, SETTINGS, ("interval: 30s", "interval: 5s"), more)
    install(pair)
    try:
        with running(pair.pgaas, "exporter", "--env", "local", "--listen", EXPORTER, "--interval", "10s"):
            yield
    finally:
        (pair.pgaas.root / SETTINGS).write_text(shipped)
        install(pair)

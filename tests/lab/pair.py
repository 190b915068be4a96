"""One client in both of the lab's datacenters: its sides, and what the tests ask of them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from tests.lab.support import NAMESPACE, Credential, Lab, Pgaas, empty, wait_until, write_credential
from tests.lab.witness import Witness, witnessing
from tests.lab.writer import Login, Verdict, Writer, judge, resolver, rows_of, writing

CLUSTERS = "clusters.postgresql.cnpg.io"
BUCKET = "ic1-backups"
PRIMARY_NAME = "primary.ic1-local.pgaas.local"
DNS_SERVERS = [("192.168.49.2", 30053), ("192.168.49.3", 30053)]
BOUND_SECONDS = 900.0


@dataclass(frozen=True)
class Side:
    """One datacenter's cluster."""

    dc: str
    lab: Lab

    @property
    def cluster(self) -> str:
        """Return the Cluster's name."""
        return f"local-ic1-{self.dc}"

    @property
    def target(self) -> tuple[str, ...]:
        """Return the options that name this cluster."""
        return ("--ins", "ic1", "--env", "local", "--dc", self.dc)

    def live(self) -> dict[str, Any]:
        """Return the Cluster."""
        return self.lab.get(CLUSTERS, self.cluster)

    def exists(self) -> bool:
        """Say whether the client has a namespace here."""
        return self.lab.kubectl("get", "namespace", NAMESPACE, check=False).returncode == 0

    def sql(self, sql: str, database: str = "postgres") -> str:
        """Run SQL as the superuser in the pod that leads the cluster."""
        return self.lab.superuser(sql, database, self.cluster)

    def address(self) -> str:
        """Return the address at which the cluster's leader is reached from outside."""
        return self.lab.address(f"{self.cluster}-rw-lb")

    def credential(self, role: str, folder: Path) -> Credential:
        """Write a role's certificate of this side."""
        secret = self.lab.secret(f"{self.cluster}-client-{role.replace('_', '-')}")
        return write_credential(folder, f"{self.dc}-{role}", secret["tls.crt"], secret["tls.key"])

    def meant(self) -> str:
        """Return which cluster this side's spec names as the primary."""
        return str(self.live()["spec"]["replica"]["primary"])


@dataclass(frozen=True)
class Pair:
    """Both sides, and the command with a root of its own."""

    CLIENT: ClassVar = ("--ins", "ic1", "--env", "local")

    pgaas: Pgaas
    folder: Path

    @cached_property
    def sides(self) -> dict[str, Side]:
        """Return the sides by datacenter, the first one first."""
        lab = self.pgaas.lab
        return {"local1": Side("local1", lab), "local2": Side("local2", replace(lab, context="cluster2"))}

    @property
    def clients_file(self) -> Path:
        """Return the file in which moves are written down."""
        return self.pgaas.root / "confs/admin/local/clients.yaml"

    def status(self) -> dict[str, Any]:
        """Return what `pgaas status` says of both sides, whether it is healthy or not."""
        done = self.pgaas("status", *self.CLIENT, "-o", "json")
        assert done.returncode in (0, 9), done.stderr
        seen: dict[str, Any] = json.loads(done.stdout)
        assert seen["healthy"] is (done.returncode == 0)
        return seen

    def primary(self) -> Side:
        """Return the side that is the primary by both specs."""
        names = {side.meant() for side in self.sides.values()}
        assert len(names) == 1, f"the sides name different primaries: {names}"
        return next(side for side in self.sides.values() if side.cluster in names)

    def other(self, side: Side) -> Side:
        """Return the side besides one."""
        return next(other for other in self.sides.values() if other.dc != side.dc)

    def confs_primary(self) -> str:
        """Return which datacenter clients.yaml says is the primary."""
        [said] = re.findall(r"primaryDatacenter: (\S+)", self.clients_file.read_text())
        return str(said)

    def move(self, to: Side, *options: str) -> subprocess.CompletedProcess[str]:
        """Switch over, and fail the test if that fails."""
        done = self.pgaas("switchover", *self.CLIENT, "--to", to.dc, *options)
        assert done.returncode == 0, done.stderr
        return done

    def generations(self) -> dict[str, object]:
        """Return what moves when somebody changes either Cluster's spec, the name's addresses or confs."""
        seen: dict[str, object] = {"clients.yaml": self.clients_file.read_text()}
        for side in self.sides.values():
            cluster = side.live()
            seen[side.dc] = (cluster["metadata"]["generation"], cluster["spec"]["replica"])
            seen[f"{side.dc} name"] = [
                (item["metadata"]["name"], item["endpoints"])
                for item in side.lab.items(
                    "endpointslices",
                    "kube-system",
                    "-l",
                    "endpointslice.kubernetes.io/managed-by=pgaas",
                )
            ]
        return seen

    def login(self, side: Side | None = None, role: str = "app_user", database: str = "app_db") -> Login:
        """Return how an application logs in by the primary's name, with the certificate of one side."""
        own = side or self.sides["local1"]
        held = own.credential(role, self.folder)
        root = self.folder / f"{own.dc}-roots.crt"
        root.write_text(own.lab.get("configmap", f"{own.cluster}-server-ca-bundle")["data"]["ca.crt"])
        return Login(PRIMARY_NAME, database, role, str(held.certificate), str(held.key), str(root))

    def new_table(self) -> None:
        """Make the writer's table anew; nothing in it forbids a number to be there twice."""
        # What the tests before have changed, such as trust, may have brought a restart.
        wait_until("a healthy pair", lambda: self.pgaas("status", *self.CLIENT).returncode == 0)
        primary = self.primary()
        primary.sql(
            "drop table if exists written; create table written (number bigint);"
            " alter table written owner to app_user",
            "app_db",
        )

    @contextmanager
    def writer(self) -> Iterator[Writer]:
        """Keep a client writing by the primary's name."""
        self.new_table()
        writer = Writer(self.login(), resolver(PRIMARY_NAME, DNS_SERVERS))
        with writing(writer):
            wait_until("the first row", lambda: writer.acknowledged, timeout=30)
            yield writer
        assert writer.acknowledged

    @contextmanager
    def witness(self) -> Iterator[Witness]:
        """Watch that the two sides are never both writable."""
        addresses = {side.cluster: side.address() for side in self.sides.values()}
        with witnessing(self.login(), addresses) as seen:
            yield seen

    def verdict(self, writer: Writer) -> Verdict:
        """Compare what the writer was told with what the primary has."""
        return judge(writer, rows_of(writer.login, self.primary().address()))


def clean(pair: Pair) -> None:
    """Remove the client from both datacenters, with its archive and its name."""
    for side in pair.sides.values():
        side.lab.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")
    for side in pair.sides.values():
        side.lab.kubectl("wait", "--for=delete", f"namespace/{NAMESPACE}", "--timeout=180s", check=False)
        assert not side.exists()
        side.lab.kubectl(
            "-n",
            "kube-system",
            "delete",
            "services,endpointslices",
            "-l",
            # What a client's name is, and not the way in that all of them share.
            "pgaas.io/alias",
            "--ignore-not-found",
        )
    empty(BUCKET)


def create_both(pair: Pair) -> None:
    """Create the first side, then the one that follows it, and give the primary its name."""
    for side in pair.sides.values():
        done = pair.pgaas("create", *side.target)
        assert done.returncode == 0, done.stderr
    named = pair.pgaas("update-dns", *pair.CLIENT, "--to", "local1")
    assert named.returncode == 0, named.stderr


class Run:
    """A pgaas that runs beside the test: what it says is read as it comes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def wait_for(self, wanted: Callable[[str], bool], patience: float = 300.0) -> str | None:
        """Return the first line that is wanted, as soon as it is said; None if it ends without one."""
        deadline = time.monotonic() + patience
        seen = 0
        with self._news:
            while True:
                for line in self.lines[seen:]:
                    if wanted(line):
                        return line
                seen = len(self.lines)
                if not self._thread.is_alive():
                    return None
                left = deadline - time.monotonic()
                assert left > 0, f"not said within {patience:.0f} s; said was:\n{self.said}"
                self._news.wait(min(left, 0.5))

    def kill(self, *, children: bool = False) -> None:
        """Kill it without warning, alone or with all that it started."""
        if children:
            os.killpg(self.process.pid, signal.SIGKILL)
        else:
            self.process.kill()
        self.process.wait(timeout=30)

    def end(self, patience: float = BOUND_SECONDS) -> int:
        """Wait until it has ended, and return its exit code; one that does not end fails the test."""
        try:
            code = self.process.wait(timeout=patience)
        except subprocess.TimeoutExpired:
            self.kill(children=True)
            raise AssertionError(f"still running after {patience:.0f} s; said was:\n{self.said}") from None
        self._thread.join(timeout=10)
        return code

    @property
    def said(self) -> str:
        """Return all that was said so far."""
        return "\n".join(self.lines)


@contextmanager
def running(pgaas: Pgaas, *arguments: str, **environment: str) -> Iterator[Run]:
    """Run pgaas beside the block; what still runs at its end is killed."""
    run = Run(pgaas.start(*arguments, **environment))
    try:
        yield run
    finally:
        if run.process.poll() is None:
            run.kill(children=True)


def begins(step: str) -> Callable[[str], bool]:
    """Return whether a line says that a step begins."""
    return lambda line: line.startswith(step) and line.endswith("…")


def ends(step: str) -> Callable[[str], bool]:
    """Return whether a line says that a step has ended well."""
    return lambda line: line.startswith(f"[ok] {step}")

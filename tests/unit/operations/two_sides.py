"""Two datacenters in memory, between which a primary moves; pgaas may be killed after each of its steps.

At every write, and whenever an operator does something, it is looked whether two sides are meant to be
primaries, or take writes: `wrong` holds what was found.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import yaml
from tests.unit.kube.fakes import FakeServer, path_of
from tests.unit.operations.operators import SPACE, Postgres, SideServer
from tests.unit.operations.worlds import REPOSITORY, TRUE, pod

from pgaas.config.naming import Target
from pgaas.errors import KubernetesError, KubernetesUnavailable, ToolFailed
from pgaas.kube.client import Api
from pgaas.kube.postgres import POSITION
from pgaas.kube.resources import (
    BACKUP,
    CERTIFICATE,
    CLUSTER,
    DATABASE,
    LEASE,
    NAMESPACE,
    OBJECT_STORE,
    POD,
    SCHEDULED_BACKUP,
    Kind,
    Object,
    dig,
)
from pgaas.kube.snapshot import HEALTHY
from pgaas.operations.moving import PENDING_RESTART
from pgaas.operations.subject import Subject, load_subject

ONE, TWO = "local1", "local2"
FIRST, SECOND = "local-ic1-local1", "local-ic1-local2"
CONTEXTS = {"cluster1": ONE, "cluster2": TWO}
LATER = "2026-11-25T00:00:00Z"
GOAL = re.compile(r"pg_last_wal_replay_lsn\(\) >= '([0-9A-F]+)/([0-9A-F]+)'")
LOOKS = 12
CLIENTS = "confs/admin/local/clients.yaml"
KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: cluster1
clusters:
- {name: cluster1, cluster: {server: "https://one.example:6443", insecure-skip-tls-verify: true}}
- {name: cluster2, cluster: {server: "https://two.example:6443", insecure-skip-tls-verify: true}}
users:
- {name: me, user: {token: secret-token}}
contexts:
- {name: cluster1, context: {cluster: cluster1, user: me}}
- {name: cluster2, context: {cluster: cluster2, user: me}}
"""


class Killed(BaseException):
    """The process was killed: nothing that it does from now on happens."""


@dataclass
class TwoSides:
    """Client ic1 in local1 and local2; `journal` holds each step, `life` is the number of the process."""

    root: Path
    servers: dict[str, SideServer] = field(default_factory=dict)
    archives: dict[str, Postgres] = field(default_factory=dict)
    journal: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    down: set[str] = field(default_factory=set)
    mute: set[str] = field(default_factory=set)
    acknowledged: list[str] = field(default_factory=list)
    name_leads_to: str = ONE
    name_moves: bool = True
    backups_complete: bool = True
    syncs: bool = True
    life: int = 0
    dead: int = -1
    last_step: int | None = None
    on_step: Callable[[str], None] = lambda _: None
    apis: dict[tuple[str, int], Api] = field(default_factory=dict)
    loaded: dict[Any, Subject] = field(default_factory=dict)
    edits: int = 0

    def api(self, context: str | None) -> Api:
        """Return a side's API server, as this life of the process has it."""
        dc = CONTEXTS[str(context)]
        key = (dc, self.life)
        if key not in self.apis:
            self.apis[key] = SideApi(self, dc, self.life)
        return self.apis[key]

    def load(self, root: Path, target: Target) -> Subject:
        """Load a side's configuration, which takes a while, only where clients.yaml has changed since."""
        key = (target, (root / CLIENTS).read_bytes(), self.edits)
        if key not in self.loaded:
            self.loaded[key] = load_subject(root, target)
        return self.loaded[key]

    def subject(self, dc: str) -> Subject:
        """Return a side's configuration as it is now."""
        return self.load(self.root, Target("ic1", "local", dc))

    def alive(self, life: int) -> None:
        """Stop whatever a killed process still does."""
        if life <= self.dead:
            raise Killed

    def step(self, what: str, life: int) -> None:
        """Note down a step that was done, and kill the process that did it if it was to be the last."""
        self.journal.append(what)
        self.watch()
        self.on_step(what)
        if self.last_step is not None and len(self.journal) >= self.last_step:
            self.dead, self.last_step = life, None
            raise Killed

    def next_life(self) -> None:
        """Start pgaas anew; what the one before held is free, as that of a process which has ended."""
        self.dead, self.life, self.last_step = self.life, self.life + 1, None
        self.journal.clear()
        for server in self.servers.values():
            for path in [path for path in server.objects if f"/{LEASE.plural}/" in path]:
                del server.objects[path]

    def time_passes(self) -> None:
        """Let the operators come to an end, while nobody looks."""
        for _ in range(LOOKS):
            for server in self.servers.values():
                server.position()

    def watch(self) -> None:
        """Look whether there are two primaries; the spec of a side that is away cannot be changed."""
        claims = [
            dc
            for dc, server in self.servers.items()
            if server.path in server.objects and server.claims and dc not in self.down
        ]
        writers = [
            dc for dc, server in self.servers.items() if server.postgres.up and not server.postgres.recovering
        ]
        for found, what in ((claims, "specs"), (writers, "writers")):
            if len(found) > 1:
                self.wrong.append(f"two {what} after {self.journal[-1:]}")

    def primary(self) -> str:
        """Return the one datacenter that is the primary and takes writes."""
        [found] = [
            dc for dc, server in self.servers.items() if server.claims and not server.postgres.recovering
        ]
        assert self.servers[found].postgres.up
        return found

    def write(self, row: str) -> None:
        """Have a client write a row, if there is somebody to take it."""
        for server in self.servers.values():
            if server.postgres.up and not server.postgres.recovering:
                server.postgres.rows += (row,)
                server.postgres.lsn += 0x40
                self.acknowledged.append(row)

    def edit(self, file: str, before: str, after: str) -> None:
        """Change a configuration file."""
        path = self.root / "confs" / file
        text = path.read_text()
        assert before in text, f"{before} is not in {file}"
        path.write_text(text.replace(before, after))
        self.edits += 1

    def clients(self) -> Any:
        """Return what clients.yaml says of the client."""
        return yaml.load((self.root / CLIENTS).read_text(), yaml.CSafeLoader)["clients"]["ic1"]

    def run(self, argv: list[str], *, env: dict[str, str], **_: Any) -> Any:
        """Stand in for helmfile: apply what the values file of the side says."""
        dc = env["DC"]
        assert "sync" in argv
        self.alive(self.life)
        if not self.syncs:
            raise ToolFailed(f"helm failed in {dc}")
        file = self.root / f"confs/_generated/ic1-local/{dc}/values.yaml"
        values = yaml.load(file.read_text(), yaml.CSafeLoader)
        self.helm(dc, values["replication"])
        self.step(f"{dc} helm sync", self.life)
        return type("Result", (), {"stdout": "", "stderr": "", "returncode": 0})()

    def helm(self, dc: str, replication: Object) -> None:
        """Apply a side's Cluster as helm does."""
        subject, server = self.subject(dc), self.servers[dc]
        cluster = subject.values.cluster
        body = {
            "apiVersion": CLUSTER.api_version,
            "kind": CLUSTER.kind,
            "metadata": {"name": server.name, "namespace": SPACE},
            "spec": {
                "instances": cluster.instances,
                "imageCatalogRef": {"major": subject.values.image_catalog.major},
                "plugins": [plugin.plain() for plugin in cluster.plugins],
                "postgresql": {"parameters": dict(cluster.parameters)},
                "replica": {key: replication[key] for key in ("self", "primary", "source")},
            },
        }
        answer = server.apply_as(server.path, "helm", body, force=False, dry=False)
        if answer.status_code != 200:
            raise ToolFailed(f"helm failed in {dc}: {answer.json()['message']}")

    def put(self, dc: str, kind: Kind, name: str, **content: Any) -> None:
        """Put an object into a side's API server."""
        labels = {"cnpg.io/cluster": self.servers[dc].name}
        metadata = {
            "name": name,
            "namespace": SPACE,
            "labels": labels,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        }
        self.servers[dc].put(kind, {"metadata": metadata | content.pop("metadata", {}), **content})

    def deploy(self, dc: str) -> None:
        """Make a healthy side, as helm and the operators would."""
        subject, server = self.subject(dc), self.servers[dc]
        replication = subject.values.replication
        names = {"self": replication.self_name, "primary": replication.primary, "source": replication.source}
        self.helm(dc, names)
        roles = [role.name for role in subject.values.cluster.roles]
        server.cluster["metadata"] |= {"creationTimestamp": "2026-01-01T00:00:00Z"}
        server.cluster["status"] = {
            "phase": HEALTHY,
            "instances": 1,
            "readyInstances": 1,
            "currentPrimary": f"{server.name}-1",
            "image": subject.image,
            "managedRolesStatus": {"byStatus": {"reconciled": roles}},
            "conditions": [
                {"type": "Ready", "status": TRUE},
                {"type": "ContinuousArchiving", "status": TRUE},
            ],
        }
        self.put(dc, POD, f"{server.name}-1", **pod(subject.image))
        for database in subject.values.databases:
            self.put(
                dc,
                DATABASE,
                database.resource,
                metadata={"generation": 1},
                spec={"name": database.name, "owner": database.owner, "cluster": {"name": server.name}},
                status={"applied": True, "observedGeneration": 1},
            )
        certificates = subject.values.certificates
        ready = {"conditions": [{"type": "Ready", "status": TRUE}], "notAfter": "2999-01-01T00:00:00Z"}
        others = [each.name for each in certificates.clients]
        for name in [certificates.server.name, certificates.client_ca, certificates.replication, *others]:
            self.put(dc, CERTIFICATE, name, status=dict(ready))
        window = {"lastSuccessfulBackupTime": "2026-01-02T00:00:00Z"}
        self.put(dc, OBJECT_STORE, "store", status={"serverRecoveryWindow": {subject.server_name: window}})
        self.put(dc, SCHEDULED_BACKUP, server.name, status={"nextScheduleTime": "2026-05-02T01:00:00Z"})
        done = {"phase": "completed", "beginWal": "000000010000000000000002"}
        self.put(dc, BACKUP, "first", spec={"cluster": {"name": server.name}}, status=done)
        self.put(dc, NAMESPACE, SPACE, metadata={"namespace": None}, status={"phase": "Active"})

    def complete_backups(self, dc: str) -> None:
        """Let the plugin work."""
        server = self.servers[dc]
        for path, backup in server.objects.items():
            if f"/{BACKUP.plural}/" not in path:
                continue
            backup["metadata"].setdefault("creationTimestamp", LATER)
            if "status" not in backup and self.backups_complete:
                begin = f"{server.postgres.timeline:08X}0000000000000006"
                backup["status"] = {"phase": "completed", "beginWal": begin}


class SideApi(Api):
    """An API server as one life of the process sees it; its instance is asked without a WebSocket."""

    def __init__(self, world: TwoSides, dc: str, life: int) -> None:
        self._world, self._dc, self._life = world, dc, life
        self._server = world.servers[dc]
        context = next(name for name, place in CONTEXTS.items() if place == dc)
        super().__init__(context, transport=httpx2.MockTransport(self._answer))

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self._reach()
        answer = self._server(request)
        name = request.url.path.removesuffix("/status").rpartition("/")[2]
        if request.method != "GET" and answer.status_code < 400:
            if request.method == "POST":
                self._world.complete_backups(self._dc)
            self._world.step(f"{self._dc} {request.method} {name}", self._life)
        return answer

    def _reach(self) -> None:
        self._world.alive(self._life)
        if self._dc in self._world.down:
            raise httpx2.ConnectError("connection refused")

    def execute(self, pod: str, container: str, namespace: str, argv: list[str], *, timeout: float) -> str:
        """Answer what PostgreSQL would."""
        self._ask(pod, container, namespace)
        line = self._server.position()
        if line is None:
            raise KubernetesError("psql ended with 2: the database system is shutting down")
        if argv[-1] == POSITION:
            return f"{line}\n"
        if argv[-1] == PENDING_RESTART:
            return f"{self._server.restarts_for}\n"
        if "pg_switch_wal" in argv[-1]:
            self._server.archive()
        self._world.step(f"{self._dc} {argv[-1]}", self._life)
        return ""

    def stream(
        self,
        pod: str,
        container: str,
        namespace: str,
        argv: list[str],
        take: Callable[[str], bool],
        *,
        timeout: float,
    ) -> None:
        """Follow the instance for some looks, to the goal that the query names, or until it takes writes."""
        found = GOAL.search(argv[4])
        goal = (int(found[1], 16) << 32) + int(found[2], 16) if found else None
        for _ in range(LOOKS):
            self._ask(pod, container, namespace)
            line = self._server.position()
            if line is not None and take(line):
                return
            postgres = self._server.postgres
            if line is not None and (not postgres.recovering or (goal is not None and postgres.lsn >= goal)):
                return
            time.sleep(0.001)

    def _ask(self, pod: str, container: str, namespace: str) -> None:
        self._world.alive(self._life)
        if self._dc in self._world.down:
            raise KubernetesUnavailable(f"the API server of {self._dc} cannot be reached")
        if self._dc in self._world.mute:
            raise KubernetesError(f"exec {namespace}/{pod} {container} was refused")
        if path_of(POD, namespace, pod) not in self._server.objects:
            raise KubernetesError(f'pods "{pod}" not found')


def make_two_sides(folder: Path) -> TwoSides:
    """Return a pair whose primary is local1, as after two times `create`."""
    ignored = shutil.ignore_patterns("_generated")
    shutil.copytree(REPOSITORY / "confs", folder / "confs", ignore=ignored)
    (folder / "helmfile.yaml").touch()
    world = TwoSides(folder)
    for dc in (ONE, TWO):
        world.servers[dc] = SideServer(dc=dc, world=world)
        world.archives[dc] = Postgres(recovering=False)
    world.servers[ONE].postgres = Postgres(recovering=False)
    for dc in (ONE, TWO):
        world.deploy(dc)
    return world


def writes_of_cluster(server: FakeServer) -> list[tuple[str, Any]]:
    """Return the field manager and the body of each apply of a Cluster."""
    return [
        (asked.query["fieldManager"], asked.body)
        for asked in server.asked
        if asked.method == "PATCH"
        and f"/{CLUSTER.plural}/" in asked.path
        and not asked.path.endswith("/status")
    ]


def replica_of(server: SideServer) -> Any:
    """Return the replica stanza without a token."""
    return {
        key: value for key, value in dig(server.cluster, "spec", "replica").items() if key != "promotionToken"
    }

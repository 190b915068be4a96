"""A fake world with an archive, in which a helm that is told to makes a cluster that is being restored."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import yaml
from tests.unit.kube.authorities import ca_pem
from tests.unit.operations.told import Told
from tests.unit.operations.worlds import NAME, SPACE, TARGET, TRUE, World
from tests.unit.tools.archives import NOW, info_at, put_backup, put_wal

from pgaas.errors import KubernetesError
from pgaas.kube.client import Api
from pgaas.kube.postgres import POSITION
from pgaas.kube.resources import CERTIFICATE, CLUSTER, NAMESPACE, SECRET
from pgaas.kube.snapshot import HEALTHY
from pgaas.operations import restore as module
from pgaas.operations import restore_check, restore_wait
from pgaas.operations.restore import Choices, Restored, restore
from pgaas.operations.restore_plan import Wanted

NEW = "before-the-drop"
ROOT = f"ic1-local-local1-backup/{NAME}/"
FIRST, SECOND = "20261124T100000", "20261124T110000"


@dataclass
class RestoreWorld:
    """The world, what helm was asked with, and what PostgreSQL answers; `fails` is a line of the log."""

    world: World
    environments: list[dict[str, str]] = field(default_factory=list)
    asked: list[tuple[str, ...]] = field(default_factory=list)
    databases: list[dict[str, Any]] = field(default_factory=list)
    roles: list[str] = field(default_factory=list)
    broken: dict[str, list[list[str]]] = field(default_factory=dict)
    phase: str = HEALTHY
    archived: str = "F" * 24
    clock: float = NOW.timestamp()

    def run(self, argv: list[str], *, env: dict[str, str], **_: Any) -> Any:
        """Stand in for helmfile and helm: what is synced is there at once, as the operators would make it."""
        self.world.commands.append(argv)
        self.environments.append(dict(env))
        if "sync" in argv:
            self.make(env["CLUSTER_NAME"])
        if "uninstall" in argv:
            self.remove(argv[argv.index("uninstall") + 1])
        return type("Result", (), {"stdout": "", "stderr": "", "returncode": 0})()

    @property
    def values(self) -> dict[str, Any]:
        """Return the values that the restored cluster was made of."""
        folder = self.world.root / "confs/_generated/ic1-local/local1/restored" / NEW
        found: dict[str, Any] = yaml.safe_load((folder / "values.yaml").read_text())
        return found

    def make(self, name: str, *, status: str = "deployed") -> None:
        """Make the restored cluster, and Helm's record of it."""
        values = self.values
        labels = {
            "pgaas.io/ins": "ic1",
            "pgaas.io/env": "local",
            "pgaas.io/restored-as": name,
            "pgaas.io/restored-from": values["restore"]["restoredFrom"],
        }
        target = {"backupID": values["restore"]["backupID"]}
        server = {"parameters": {"serverName": values["restore"]["serverName"]}}
        self.world.server.put(
            CLUSTER,
            {
                "metadata": {
                    "name": name,
                    "namespace": SPACE,
                    "labels": labels,
                    "creationTimestamp": "2026-11-24T12:00:00Z",
                    "annotations": {"pgaas.io/restore-request": values["restore"]["request"]},
                },
                "spec": {
                    "instances": 1,
                    "bootstrap": {"recovery": {"recoveryTarget": target}},
                    "externalClusters": [{"plugin": server}],
                },
                "status": {
                    "phase": self.phase,
                    "instances": 1,
                    "readyInstances": 1 if self.phase == HEALTHY else 0,
                    "currentPrimary": f"{name}-1",
                    "conditions": [{"type": "Ready", "status": TRUE}],
                },
            },
        )
        certificates = values["certificates"]
        named = [certificates["clientCA"], certificates["replication"], certificates["server"]["name"]]
        for certificate in [*named, *(each["name"] for each in certificates["clients"])]:
            ready = {"conditions": [{"type": "Ready", "status": TRUE}]}
            metadata = {"name": certificate, "namespace": SPACE, "labels": labels}
            self.world.server.put(CERTIFICATE, {"metadata": metadata, "status": ready})
        self.secret(certificates["clientCA"], ca_pem("new"), labels)
        manifest = yaml.safe_dump({"metadata": {"labels": {"pgaas.io/restored-as": name}}})
        self.record(name, manifest, status)

    def record(self, name: str, manifest: str, status: str = "deployed") -> None:
        """Leave Helm's record of a release."""
        packed = base64.b64encode(gzip.compress(json.dumps({"manifest": manifest}).encode()))
        labels = {"owner": "helm", "name": name, "status": status, "version": "1", "modifiedAt": "1"}
        metadata = {"name": f"sh.helm.release.v1.{name}.v1", "namespace": SPACE, "labels": labels}
        self.world.server.put(
            SECRET, {"metadata": metadata, "data": {"release": base64.b64encode(packed).decode()}}
        )

    def secret(self, name: str, text: str, labels: dict[str, str] | None = None) -> None:
        """Put a Secret with a CA."""
        data = {"ca.crt": base64.b64encode(text.encode()).decode()}
        metadata = {"name": name, "namespace": SPACE, "labels": labels or {}}
        self.world.server.put(SECRET, {"metadata": metadata, "data": data})

    def remove(self, name: str) -> None:
        """Remove what Helm and the garbage collector would."""
        for path in list(self.world.server.objects):
            if path.endswith(f"/clusters/{name}") or f"/certificates/{name}-" in path:
                del self.world.server.objects[path]

    def execute(self, pod: str, _container: str, _space: str, argv: list[str], *, timeout: float) -> str:
        """Answer what PostgreSQL would."""
        self.asked.append((pod, *argv))
        sql = argv[-1]
        if argv[0] == "pg_dump":
            return ""
        if sql == module.SWITCH:
            return f"{self.clock}\n00000001000000000000003C\n"
        if sql == POSITION:
            return f"f|2|0/3D000060|7|-1|{self.archived}|1|1 0/3C0000F8 before\n"
        if sql == restore_check.DATABASES:
            return json.dumps(self.databases)
        if sql == restore_check.ROLES:
            return json.dumps(self.roles)
        if sql == restore_check.REASON:
            return "before 2026-11-24 11:30:00+00\n"
        if sql == restore_check.RELATIONS:
            return "[1, 2, 3]"
        if sql == restore_check.CLIENTS_TABLES:
            return "2"
        if sql == "rollback":
            return json.dumps(
                self.broken.get(re.sub(r"dbname='(.*?)' .*", r"\1", argv[argv.index("-d") + 1]), [])
            )
        raise KubernetesError(f"psql ended with 1: nobody expected {sql}")

    def restore(self, choices: Choices | None = None, progress: Any = None, **wanted: Any) -> Restored:
        """Restore; by default to half an hour ago."""
        if not wanted:
            wanted = {"moment": NOW - timedelta(minutes=30)}
        return restore(
            self.world.root,
            TARGET,
            Wanted(wanted.pop("name", NEW), **wanted),
            choices or Choices(timeout=3.0),
            progress or Told(),
        )


@contextmanager
def restore_world(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[RestoreWorld]:
    """Give a living source, an hour of WAL in its archive, and two base backups."""
    made = RestoreWorld(world)
    world.deploy()
    world.server.put(NAMESPACE, {"metadata": {"name": SPACE}})
    s3 = world.s3
    for name, minutes, segment in ((FIRST, 120, 3), (SECOND, 60, 33)):
        ended = f"{NOW - timedelta(minutes=minutes):%Y-%m-%d %H:%M:%S.%f}+00:00"
        put_backup(s3, ROOT, name, info_at(1, segment, end_time=ended, begin_time=ended))
    put_wal(s3, ROOT, 1, range(3, 61), every=120)
    certificates = world.subject.values.certificates
    made.secret(certificates.client_ca, ca_pem("old"))
    made.databases = [
        {"name": each.name, "owner": each.owner, "bytes": 8_000_000}
        for each in world.subject.values.databases
    ]
    made.roles = [role.name for role in world.subject.values.cluster.roles]
    monkeypatch.setattr("pgaas.operations.deploy.run", made.run)
    monkeypatch.setattr("pgaas.operations.removal.run", made.run)
    monkeypatch.setattr("pgaas.operations.removal.REST_SECONDS", 0.0)
    monkeypatch.setattr("pgaas.operations.preflight.check_tools", lambda _: [])
    monkeypatch.setattr("pgaas.operations.preflight.require_tools", lambda _: None)
    monkeypatch.setattr(restore_wait, "INTERVAL", 0.001)
    monkeypatch.setattr(
        Api, "execute", lambda _self, *arguments, **options: made.execute(*arguments, **options)
    )
    s3.now = NOW
    try:
        yield made
    finally:
        s3.now = None
        s3.written.clear()

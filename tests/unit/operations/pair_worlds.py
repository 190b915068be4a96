"""A fake client in two datacenters: an API server each, one S3, the servers' own answers, and the DNS."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.unit.kube.fakes import FakeServer, path_of, use_kubeconfig
from tests.unit.operations import pairs
from tests.unit.operations.worlds import REPOSITORY, TRUE, pod
from tests.unit.tools.archives import NOW, info_at, put_backup, put_wal
from tests.unit.tools.fake_s3 import FakeS3

from pgaas.errors import KubernetesError, KubernetesUnavailable
from pgaas.kube.client import Api
from pgaas.kube.resources import (
    BACKUP,
    CERTIFICATE,
    CLUSTER,
    DATABASE,
    LEASE,
    OBJECT_STORE,
    POD,
    SCHEDULED_BACKUP,
    SERVICE,
    Kind,
)
from pgaas.kube.snapshot import HEALTHY
from pgaas.operations import dns, status_pair_parts, subject
from pgaas.operations.subject import Subject
from pgaas.operations.trust import write_trust
from pgaas.tools.dns_read import Answer

HERE, THERE = pairs.HERE, pairs.THERE
SPACE = pairs.SPACE
CONTEXTS = {"cluster1": HERE, "cluster2": THERE}
ADDRESSES = {HERE: "192.0.2.1", THERE: "192.0.2.2"}
LATER = "2099-01-01T00:00:00Z"
BORN = "2026-01-01T00:00:00Z"


@dataclass
class Answers:
    """What a PostgreSQL says of itself; `transaction` is the newest that it knows."""

    recovering: bool
    timeline: int = 1
    lsn: str = "0/6000000"
    system: str = "7711702977226735635"
    replay_age: float = -1
    transaction: int = 700
    history: str = ""

    @property
    def line(self) -> str:
        """Return it as psql prints it."""
        recovering = "t" if self.recovering else "f"
        archived = "000000010000000000000005|3"
        where = f"{self.timeline}|{self.lsn}|{self.system}|{self.replay_age}"
        return f"{recovering}|{where}|{archived}|{self.history}|{self.transaction}"


# An old primary that wrote on after its successor had left its timeline, and that successor.
DIVERGED = Answers(True, timeline=1, lsn="0/5500000")
AHEAD = Answers(False, timeline=2, history="1 0/5000000 no recovery target specified")


@dataclass
class PairWorld:
    """Client ic1 in local1 and local2; `down` cannot be reached, `leads` is where DNS points."""

    root: Path
    s3: FakeS3
    trust: pairs.Pair
    answers: dict[str, Answers | str] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    leads: str = ""
    dns_error: str = ""
    ttl: int = 5

    @property
    def subjects(self) -> dict[str, Subject]:
        """Return both subjects, as configured now."""
        return self.trust.subjects

    def name(self, dc: str) -> str:
        """Return a side's cluster."""
        return f"local-ic1-{dc}"

    def edit(self, file: str, before: str, after: str) -> None:
        """Change a configuration file."""
        path = self.root / "confs" / file
        text = path.read_text()
        assert before in text, f"{before} is not in {file}"
        path.write_text(text.replace(before, after))

    def confs(self, **fields: str) -> None:
        """Set fields of the client in clients.yaml, as YAML."""
        path = self.root / "confs/admin/local/clients.yaml"
        lines = [line for line in path.read_text().splitlines() if line.strip().split(":")[0] not in fields]
        at = next(number for number, line in enumerate(lines) if line.strip().startswith("s3Bucket"))
        lines[at:at] = [f"    {key}: {value}" for key, value in fields.items()]
        path.write_text("\n".join(lines) + "\n")

    def put(self, dc: str, kind: Kind, name: str, **content: Any) -> None:
        """Put an object of a side's cluster into its API server."""
        labels = {"cnpg.io/cluster": self.name(dc)}
        metadata = {"name": name, "namespace": SPACE, "labels": labels, "creationTimestamp": BORN}
        self.trust.servers[dc].put(kind, {"metadata": metadata | content.pop("metadata", {}), **content})

    def cluster(self, dc: str) -> dict[str, Any]:
        """Return a side's live Cluster, to be changed in place."""
        return self.trust.servers[dc].objects[path_of(CLUSTER, SPACE, self.name(dc))]

    def hibernate(self, dc: str) -> None:
        """Fence a side: the annotation, and no pods."""
        self.cluster(dc)["metadata"].setdefault("annotations", {})["cnpg.io/hibernation"] = "on"
        for path in [path for path in self.trust.servers[dc].objects if "/pods/" in path]:
            del self.trust.servers[dc].objects[path]

    def remove(self, dc: str) -> None:
        """Remove a side's Cluster and its pods."""
        del self.trust.servers[dc].objects[path_of(CLUSTER, SPACE, self.name(dc))]
        for path in [path for path in self.trust.servers[dc].objects if "/pods/" in path]:
            del self.trust.servers[dc].objects[path]

    def lease(self, dc: str, verb: str, *, renewed: str = LATER) -> None:
        """Let a command of somewhere else hold a side's Lease."""
        notes = {"pgaas.io/held-by": "ann@host", "pgaas.io/verb": verb, "pgaas.io/since": "then"}
        spec = {"holderIdentity": "ann 1", "renewTime": renewed, "leaseDurationSeconds": 60}
        self.put(dc, LEASE, f"pgaas-{SPACE}", metadata={"annotations": notes}, spec=spec)

    def deploy(self, dc: str, primary: str, **status: Any) -> None:
        """Make a healthy cluster of a side that names a side as the primary, as the operators would."""
        made = self.subjects[dc]
        values = made.values
        name, pods = made.cluster, [f"{made.cluster}-{n + 1}" for n in range(values.cluster.instances)]
        conditions = [{"type": kind, "status": TRUE} for kind in ("Ready", "ContinuousArchiving")]
        healthy = {
            "phase": HEALTHY,
            "instances": len(pods),
            "readyInstances": len(pods),
            "currentPrimary": pods[0],
            "image": made.image,
            "managedRolesStatus": {"byStatus": {"reconciled": [role.name for role in values.cluster.roles]}},
            "conditions": conditions,
        }
        other = next(each for each in self.trust.servers if each != dc)
        external = [
            {"name": each.name, "plugin": {"parameters": {"serverName": each.server_name}}}
            for each in values.replication.external_clusters
        ]
        spec = {
            "instances": len(pods),
            "plugins": [plugin.plain() for plugin in values.cluster.plugins],
            "imageCatalogRef": {"major": values.image_catalog.major},
            "externalClusters": external,
            "replica": {"self": name, "primary": self.name(primary), "source": self.name(other)},
        }
        self.put(dc, CLUSTER, name, spec=spec, status=healthy | status)
        for each in pods:
            self.put(dc, POD, each, **pod(made.image))
        for database in values.databases:
            self.put(
                dc,
                DATABASE,
                database.resource,
                metadata={"generation": 1},
                spec={"name": database.name, "owner": database.owner, "cluster": {"name": name}},
                status={"applied": True, "observedGeneration": 1},
            )
        certificates = values.certificates
        names = [certificates.server.name, certificates.client_ca, certificates.replication]
        for each in [*names, *(client.name for client in certificates.clients)]:
            ready = [{"type": "Ready", "status": TRUE}]
            self.put(dc, CERTIFICATE, each, status={"conditions": ready, "notAfter": LATER})
        window = {made.server_name: {"lastSuccessfulBackupTime": BORN}}
        self.put(dc, OBJECT_STORE, "store", status={"serverRecoveryWindow": window})
        self.put(dc, SCHEDULED_BACKUP, name, status={"nextScheduleTime": LATER})
        self.put(dc, BACKUP, "first", spec={"cluster": {"name": name}}, status={"phase": "completed"})
        ingress = {"loadBalancer": {"ingress": [{"ip": ADDRESSES[dc]}]}}
        self.put(dc, SERVICE, f"{name}-rw-lb", spec={"type": "LoadBalancer"}, status=ingress)
        self.answers[pods[0]] = Answers(recovering=dc != primary)

    def archive(self, dc: str, segments: Sequence[int] = (3, 4, 5), *, until: float = 30) -> None:
        """Fill a side's archive with a base backup and WAL, the last of it `until` seconds old."""
        root = f"ic1-local-{dc}-backup/{self.subjects[dc].server_name}/"
        put_backup(self.s3, root, "20261124T114625", info_at(1, segments[0]))
        put_wal(self.s3, root, 1, list(segments), until=until)

    def trusting(self) -> None:
        """Give both sides what they should trust."""
        for dc in self.trust.servers:
            self.trust.make(dc)
        write_trust(self.subjects, self.trust.apis)

    def healthy(self, primary: str = HERE) -> PairWorld:
        """Make a pair in which all is as it should be, and return it."""
        self.confs(primaryDatacenter=primary)
        for dc in self.trust.servers:
            self.deploy(dc, primary)
            self.archive(dc)
        self.trusting()
        self.leads = primary
        return self

    def api_for(self, context: str | None) -> Api:
        """Stand in for `api_for`."""
        dc = CONTEXTS[context or "cluster1"]
        if dc in self.down:
            raise KubernetesUnavailable(f"the API server of {dc} did not answer in time")
        return self.trust.api(dc)

    def ask(self, _api: Api, name: str, _namespace: str, _sql: str, **_: Any) -> str:
        """Stand in for psql in a pod."""
        answer = self.answers.get(name, "there is no such pod")
        if isinstance(answer, str):
            raise KubernetesError(answer)
        return answer.line

    def ask_all(self, servers: Sequence[str], name: str, _kind: str, **_: Any) -> list[Answer]:
        """Stand in for the DNS servers of all datacenters."""
        if self.dns_error:
            return [Answer(server, error=self.dns_error, silent=True) for server in servers]
        if (side := name.partition(".")[0]) in ADDRESSES:
            return [Answer(server, (ADDRESSES[side],), self.ttl, True) for server in servers]
        values = (ADDRESSES.get(self.leads, self.leads),) if self.leads else ()
        return [Answer(server, values, self.ttl, True) for server in servers]


def make_pair_world(folder: Path, s3: FakeS3, monkeypatch: pytest.MonkeyPatch) -> PairWorld:
    """Return a pair in which nothing is created yet; it is in force until the test's end."""
    s3.objects.clear()
    s3.written.clear()
    s3.refuse.clear()
    s3.buckets = {"ic1-backups"}
    monkeypatch.setattr(s3, "now", NOW)
    use_kubeconfig(folder, monkeypatch)
    root = folder / "root"
    shutil.copytree(REPOSITORY / "confs", root / "confs", ignore=shutil.ignore_patterns("_generated"))
    (root / "helmfile.yaml").touch()
    made = PairWorld(root, s3, pairs.Pair(root, {HERE: FakeServer(), THERE: FakeServer()}))
    made.edit("admin/local/datacenters.yaml", "http://192.168.49.2:30333", s3.url)
    monkeypatch.setattr(subject, "api_for", made.api_for)
    monkeypatch.setattr(status_pair_parts, "ask", made.ask)
    monkeypatch.setattr(dns, "ask_all", made.ask_all)
    return made

"""Many clients in two datacenters, each an API server in memory, as operators and Helm leave them."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from tests.unit.kube.fakes import FakeServer, path_of
from tests.unit.operations.two_sides import KUBECONFIG
from tests.unit.operations.worlds import REPOSITORY, TRUE

from pgaas.config.naming import Target
from pgaas.errors import KubernetesUnavailable
from pgaas.kube.client import Api
from pgaas.kube.resources import CLUSTER, SECRET
from pgaas.kube.snapshot import HEALTHY
from pgaas.operations.subject import Subject, load_subject
from pgaas.render.dump import dump_values

CONTEXTS = {"local1": "cluster1", "local2": "cluster2"}
CLIENT = """\
  {ins}:
    datacenters: [local1, local2]
    primaryDatacenter: local1
    s3Bucket: {ins}-backups
    storageProfile: S
    s3Credentials: {{accessKey: {ins}, secretKey: {ins}-local-secret}}
    replication: {{enabled: true}}
"""


@dataclass
class FleetWorld:
    """The files of `local` with some clients, and what is live of them."""

    root: Path
    servers: dict[str, FakeServer] = field(default_factory=dict)
    apis: dict[str, Api] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)

    def api(self, context: str | None) -> Api:
        """Return a context's API server. Raise KubernetesUnavailable if it is down."""
        if context in self.down:
            raise KubernetesUnavailable(f"the API server of {context} cannot be reached")
        return self.apis[str(context)]

    def subject(self, ins: str, dc: str = "local1") -> Subject:
        """Return one cluster's configuration as it is now."""
        return load_subject(self.root, Target(ins, "local", dc))

    def edit(self, file: str, before: str, after: str) -> None:
        """Change a configuration file."""
        path = self.root / "confs" / file
        text = path.read_text()
        assert before in text, f"{before} is not in {file}"
        path.write_text(text.replace(before, after, 1))

    def deploy(self, subject: Subject, *, like: dict[str, Any] | None = None, revision: int = 1) -> None:
        """Leave what a deployment leaves, out of what is configured now; `like` overrides the Cluster."""
        server = self.servers[CONTEXTS[subject.target.dc]]
        server.put(CLUSTER, live(subject) | (like or {}))
        server.put(SECRET, record(subject, revision=revision))

    def cluster(self, ins: str, dc: str = "local1") -> dict[str, Any]:
        """Return a live Cluster, to be changed in place."""
        name, space = f"local-{ins}-{dc}", f"{ins}-local"
        return self.servers[CONTEXTS[dc]].objects[path_of(CLUSTER, space, name)]


def live(subject: Subject) -> dict[str, Any]:
    """Return a healthy Cluster, as the operator reports it."""
    values = subject.values
    cluster, replication = values.cluster, values.replication
    spec: dict[str, Any] = {
        "instances": cluster.instances,
        "plugins": [plugin.plain() for plugin in cluster.plugins],
        "imageCatalogRef": {"major": values.image_catalog.major},
    }
    if replication.enabled:
        spec["replica"] = {"self": replication.self_name, "primary": replication.primary}
    return {
        "metadata": {"name": subject.cluster, "namespace": subject.namespace, "labels": subject.labels},
        "spec": spec,
        "status": {
            "phase": HEALTHY,
            "instances": cluster.instances,
            "readyInstances": cluster.instances,
            "image": subject.image,
            "managedRolesStatus": {"byStatus": {"reconciled": [role.name for role in cluster.roles]}},
            "conditions": [
                {"type": "Ready", "status": TRUE},
                {"type": "ContinuousArchiving", "status": TRUE},
            ],
        },
    }


def record(subject: Subject, *, revision: int = 1, status: str = "deployed") -> dict[str, Any]:
    """Return Helm's record of a release: the values as Helm reads them from the values file."""
    config = yaml.safe_load(dump_values(subject.values))
    release = {"name": subject.cluster, "config": config, "manifest": "x" * 1000, "info": {"status": status}}
    packed = base64.b64encode(base64.b64encode(gzip.compress(json.dumps(release).encode()))).decode()
    labels = {"owner": "helm", "name": subject.cluster, "status": status, "version": str(revision)}
    name = f"sh.helm.release.v1.{subject.cluster}.v{revision}"
    return {
        "metadata": {"name": name, "namespace": subject.namespace, "labels": labels},
        "data": {"release": packed},
    }


def counting(server: FakeServer) -> Callable[[httpx2.Request], httpx2.Response]:
    """Return a server that answers one request at a time, as several threads ask it."""
    lock = threading.Lock()

    def answer(request: httpx2.Request) -> httpx2.Response:
        with lock:
            return server(request)

    return answer


def make_fleet(folder: Path, clients: list[str], monkeypatch: pytest.MonkeyPatch) -> FleetWorld:
    """Return a world in which every one of the clients is live and as it should be, in both datacenters."""
    shutil.copytree(REPOSITORY / "confs/admin/local", folder / "confs/admin/local")
    for part in ("charts", "helmfile.yaml"):
        (folder / part).symlink_to(REPOSITORY / part)
    blocks = "".join(CLIENT.format(ins=ins) for ins in clients)
    (folder / "confs/admin/local/clients.yaml").write_text(f"clients:\n{blocks}")
    databases = (REPOSITORY / "confs/users/ic1/local/databases.yaml").read_text()
    for ins in clients:
        file = folder / f"confs/users/{ins}/local/databases.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(databases.replace(".ic1.", f".{ins}."))
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG)
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    world = FleetWorld(folder)
    for context in CONTEXTS.values():
        server = world.servers[context] = FakeServer()
        world.apis[context] = Api(context, transport=httpx2.MockTransport(counting(server)))
    for ins in clients:
        for dc in CONTEXTS:
            world.deploy(world.subject(ins, dc))
    return world

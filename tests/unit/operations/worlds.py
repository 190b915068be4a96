"""A fake world to operate in: an API server in memory, a small S3, a helm that puts objects into it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.unit.kube.fakes import FakeServer
from tests.unit.tools.fake_s3 import FakeS3

from pgaas.config.naming import Target
from pgaas.kube.resources import (
    BACKUP,
    CERTIFICATE,
    CLUSTER,
    CLUSTER_ISSUER,
    DATABASE,
    DEPLOYMENT,
    NAMESPACE,
    OBJECT_STORE,
    POD,
    SCHEDULED_BACKUP,
    STORAGE_CLASS,
    Kind,
)
from pgaas.kube.snapshot import HEALTHY
from pgaas.operations.subject import Subject, load_subject

REPOSITORY = Path(__file__).resolve().parents[3]
TARGET = Target("ic1", "local", "local1")
NAME, SPACE = "local-ic1-local1", "ic1-local"
BORN = "2026-01-01T00:00:00Z"
OURS = {"cnpg.io/cluster": NAME}
TRUE = "True"

KINDS = {
    "/apis/postgresql.cnpg.io/v1": ["Cluster", "Database", "ScheduledBackup", "ImageCatalog", "Backup"],
    "/apis/barmancloud.cnpg.io/v1": ["ObjectStore"],
    "/apis/cert-manager.io/v1": ["Certificate", "Issuer", "ClusterIssuer"],
}
OPERATORS = {
    "cnpg-controller-manager": "ghcr.io/cloudnative-pg/cloudnative-pg:1.30.0",
    "barman-cloud": "ghcr.io/cloudnative-pg/plugin-barman-cloud:v0.14.0",
}


@dataclass
class World:
    """Everything around an operation; `commands` are the outside programs that ran."""

    root: Path
    server: FakeServer
    s3: FakeS3
    commands: list[list[str]] = field(default_factory=list)
    rendered: str = ""

    @property
    def subject(self) -> Subject:
        """Return the target's configuration as it is now."""
        return load_subject(self.root, TARGET)

    def edit(self, file: str, before: str, after: str) -> None:
        """Change a configuration file."""
        path = self.root / "confs" / file
        text = path.read_text()
        assert before in text, f"{before} is not in {file}"
        path.write_text(text.replace(before, after))

    def put(self, kind: Kind, name: str, **content: Any) -> None:
        """Put an object of the cluster's into the API server."""
        metadata = {"name": name, "namespace": SPACE, "labels": OURS, "creationTimestamp": BORN}
        self.server.put(kind, {"metadata": metadata | content.pop("metadata", {}), **content})

    def run(self, argv: list[str], **_: Any) -> Any:
        """Stand in for the runner of outside programs: sync deploys, uninstall removes, template prints."""
        self.commands.append(argv)
        if "sync" in argv:
            self.deploy()
        if "uninstall" in argv:
            self.uninstall()
        return type("Result", (), {"stdout": self.rendered, "stderr": "", "returncode": 0})()

    def ran(self) -> list[str]:
        """Return the verbs that ran."""
        verbs = ("sync", "template", "uninstall")
        return [next(verb for verb in verbs if verb in argv) for argv in self.commands]

    def deploy(self, **status: Any) -> None:
        """Make a healthy cluster, as the operators would."""
        subject = self.subject
        cluster = subject.values.cluster
        plugins = [plugin.plain() for plugin in cluster.plugins]
        names = [f"{NAME}-{number + 1}" for number in range(cluster.instances)]
        roles = [role.name for role in cluster.roles]
        healthy = {
            "phase": HEALTHY,
            "instances": cluster.instances,
            "readyInstances": cluster.instances,
            "currentPrimary": names[0],
            "image": subject.image,
            "timelineID": 1,
            "managedRolesStatus": {"byStatus": {"reconciled": roles}},
            "conditions": [
                {"type": "Ready", "status": TRUE},
                {"type": "ContinuousArchiving", "status": TRUE, "message": "works"},
            ],
        }
        major = subject.values.image_catalog.major
        spec = {"instances": cluster.instances, "plugins": plugins, "imageCatalogRef": {"major": major}}
        self.put(CLUSTER, NAME, spec=spec, status=healthy | status)
        for name in names:
            self.put(POD, name, **pod(subject.image))
        for database in subject.values.databases:
            self.put(
                DATABASE,
                database.resource,
                metadata={"generation": 1},
                spec={"name": database.name, "owner": database.owner, "cluster": {"name": NAME}},
                status={"applied": True, "observedGeneration": 1},
            )
        certificates = subject.values.certificates
        for name in [
            certificates.server.name,
            certificates.client_ca,
            certificates.replication,
            *(each.name for each in certificates.clients),
        ]:
            ready = [{"type": "Ready", "status": TRUE}]
            self.put(CERTIFICATE, name, status={"conditions": ready, "notAfter": "2026-06-01T00:00:00Z"})
        window = {"lastSuccessfulBackupTime": "2026-01-02T00:00:00Z"}
        self.put(OBJECT_STORE, "store", status={"serverRecoveryWindow": {subject.server_name: window}})
        self.put(SCHEDULED_BACKUP, NAME, status={"nextScheduleTime": "2026-05-02T01:00:00Z"})
        self.backup("first", "completed")

    def backup(self, name: str, phase: str, *, at: str = BORN, **content: Any) -> None:
        """Put a Backup into the API server."""
        metadata = {"creationTimestamp": at, **content.pop("metadata", {})}
        status = {"phase": phase, **content.pop("status", {})}
        self.put(BACKUP, name, metadata=metadata, spec={"cluster": {"name": NAME}}, status=status)

    def uninstall(self) -> None:
        """Remove what helm and the garbage collector would; Backups and Leases are nobody's."""
        for path in list(self.server.objects):
            if f"/{SPACE}/" in path and "/backups/" not in path and "/leases/" not in path:
                del self.server.objects[path]

    def cluster(self) -> dict[str, Any]:
        """Return the live Cluster, to be changed in place."""
        [cluster] = [obj for path, obj in self.server.objects.items() if "/clusters/" in path]
        return cluster

    def has_cluster(self) -> bool:
        """Say whether there is a live Cluster."""
        return any("/clusters/" in path for path in self.server.objects)


def pod(image: str, *, ready: bool = True) -> dict[str, Any]:
    """Return an instance's pod."""
    return {
        "spec": {"nodeName": "n", "containers": [{"name": "postgres", "image": image}]},
        "status": {
            "conditions": [{"type": "Ready", "status": TRUE if ready else "False"}],
            "containerStatuses": [{"name": "postgres", "restartCount": 2}],
        },
    }


def make_world(folder: Path, s3: FakeS3) -> World:
    """Return a world with everything that a cluster needs, and no cluster."""
    shutil.copytree(REPOSITORY / "confs", folder / "confs", ignore=shutil.ignore_patterns("_generated"))
    (folder / "helmfile.yaml").touch()
    server = FakeServer()
    world = World(folder, server, s3)
    # One cluster by itself: tests of pairs have worlds of their own.
    world.edit("admin/local/clients.yaml", "enabled: true", "enabled: false")
    world.edit("admin/local/datacenters.yaml", "http://192.168.49.2:30333", s3.url)
    server.raw["/version"] = {"gitVersion": "v1.36.3"}
    for path, kinds in KINDS.items():
        resources = [{"name": f"{kind.lower()}s", "kind": kind, "namespaced": True} for kind in kinds]
        server.raw[path] = {"resources": resources}
    for name, image in OPERATORS.items():
        template = {"spec": {"containers": [{"name": "manager", "image": image}]}}
        server.put(
            DEPLOYMENT,
            {
                "metadata": {"name": name, "namespace": "cnpg-system"},
                "spec": {"template": template},
                "status": {"conditions": [{"type": "Available", "status": TRUE}]},
            },
        )
    server.put(
        CLUSTER_ISSUER,
        {
            "metadata": {"name": "pgaas-ca-issuer"},
            "status": {"conditions": [{"type": "Ready", "status": TRUE}]},
        },
    )
    server.put(STORAGE_CLASS, {"metadata": {"name": "standard"}})
    return world


def namespace_exists(world: World) -> bool:
    """Say whether the client's namespace is there."""
    return f"/api/v1/{NAMESPACE.plural}/{SPACE}" in world.server.objects

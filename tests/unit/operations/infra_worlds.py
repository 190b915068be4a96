"""Two bare local datacenters to install the infrastructure in: API servers in memory, a small S3, a helm."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from tests.unit.kube.fakes import FakeServer, path_of
from tests.unit.tools.fake_s3 import FakeS3

from pgaas.kube.client import Api
from pgaas.kube.resources import (
    CERTIFICATE,
    CLUSTER_ISSUER,
    DEFINITION,
    DEPLOYMENT,
    NODE,
    POD,
    SECRET,
    SERVICE,
)
from pgaas.operations import infra, infra_delete, infra_install, infra_release
from pgaas.operations.infra import RELEASES, Release
from pgaas.tools.versions import TOOLS, Found

REPOSITORY = Path(__file__).resolve().parents[3]
ISSUER = "pgaas-ca-issuer"
TRUE = {"type": "Ready", "status": "True"}
ADDRESS = {"cluster1": "127.0.0.1", "cluster2": "127.0.0.2"}
KINDS = {
    "/apis/cert-manager.io/v1": ("Certificate", "Issuer", "ClusterIssuer"),
    "/apis/postgresql.cnpg.io/v1": ("Cluster", "Database"),
}
CONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "cluster1",
    "clusters": [
        {"name": "c", "cluster": {"server": "https://fake.example:6443", "insecure-skip-tls-verify": True}}
    ],
    "users": [{"name": "u", "user": {"token": "t"}}],
    "contexts": [{"name": name, "context": {"cluster": "c", "user": "u"}} for name in ADDRESS],
}


@dataclass
class InfraWorld:
    """What there is in each context; `ran` are helm's and helmfile's verbs, with release and context."""

    root: Path
    s3: FakeS3
    servers: dict[str, FakeServer] = field(default_factory=dict)
    apis: dict[str, Api] = field(default_factory=dict)
    ran: list[tuple[str, str, str]] = field(default_factory=list)
    environments: list[dict[str, str]] = field(default_factory=list)
    fails: dict[tuple[str, str], Exception] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    extra: str = ""

    def api(self, context: str | None) -> Api:
        """Return a context's API server."""
        return self.apis[str(context)]

    def syncs(self) -> list[tuple[str, str]]:
        """Return which release was synced where."""
        return sorted((release, context) for verb, release, context in self.ran if verb == "sync")

    def run(self, argv: list[str], *, env: dict[str, str], **_: Any) -> Any:
        """Stand in for the runner of outside programs."""
        verb = next(word for word in ("sync", "template", "repos", "uninstall") if word in argv)
        context = argv[argv.index("--kube-context") + 1] if "--kube-context" in argv else ""
        named = [word.partition("name=")[2] for word in argv if "name=" in word]
        release = named[0] if named else argv[2] if verb == "uninstall" else ""
        self.ran.append((verb, release, context))
        self.environments.append(env)
        if error := self.fails.pop((verb, release), None):
            raise error
        text = ""
        if verb in ("template", "sync"):
            what = next(each for each in RELEASES if each.name == release)
            text = self.manifest(what)
            if verb == "sync":
                self.deploy(what, context, text)
        if verb == "uninstall":
            self.uninstall(next(each for each in RELEASES if each.name == release), context)
        return type("Result", (), {"stdout": text, "stderr": "", "returncode": 0})()

    def manifest(self, release: Release) -> str:
        """Return what a release is made of here: a Deployment, for S3 a Service, for upstream's a kind."""
        objects: list[dict[str, Any]] = [
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": release.name, "annotations": {"of": self.extra}},
                "spec": {
                    "selector": {"matchLabels": {"app": release.name}},
                    "template": {"spec": {"containers": [{"image": f"x/{release.image or release.name}:1"}]}},
                },
            }
        ]
        if release.name == "seaweedfs":
            port = {"port": 8333, "nodePort": self.s3.server_port}
            objects.append(
                {
                    "apiVersion": "v1",
                    "kind": "Service",
                    "metadata": {"name": "seaweedfs-s3"},
                    "spec": {"ports": [port]},
                }
            )
        if release.upstream:
            objects.append(
                {
                    "apiVersion": DEFINITION.api_version,
                    "kind": DEFINITION.kind,
                    "metadata": {
                        "name": f"things.{release.name}",
                        "annotations": {
                            "meta.helm.sh/release-name": release.name,
                            "meta.helm.sh/release-namespace": release.namespace,
                        },
                    },
                }
            )
        return "".join(f"---\n# Source: x\n{yaml.safe_dump(each)}" for each in objects)

    def deploy(self, release: Release, context: str, text: str, status: str = "deployed") -> None:
        """Put a release's objects there, with a record of it, as helm would."""
        server = self.servers[context]
        for obj in yaml.safe_load_all(text):
            kind = {"Deployment": DEPLOYMENT, "Service": SERVICE, "Certificate": CERTIFICATE}.get(
                obj["kind"], DEFINITION
            )
            obj["metadata"] |= {"namespace": release.namespace} if kind.namespaced else {}
            if kind is DEPLOYMENT:
                bad = self.broken.get(release.name)
                ready = 0 if bad else 1
                obj["status"] = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": ready}
                waiting = {"waiting": {"reason": "ErrImagePull", "message": bad}} if bad else {}
                pod = {
                    "conditions": [] if bad else [TRUE],
                    "containerStatuses": [{"name": "main", "state": waiting}],
                }
                where = {"namespace": release.namespace, "labels": {"app": release.name}}
                server.put(POD, {"metadata": {"name": f"{release.name}-0", **where}, "status": pod})
            server.put(kind, obj)
        content = {"manifest": text, "info": {"status": status}}
        packed = base64.b64encode(gzip.compress(json.dumps(content).encode()))
        labels = {"owner": "helm", "name": release.name, "version": "1", "status": status}
        server.put(
            SECRET,
            {
                "metadata": {
                    "name": f"sh.helm.release.v1.{release.name}.v1",
                    "namespace": release.namespace,
                    "labels": labels,
                },
                "data": {"release": base64.b64encode(packed).decode()},
            },
        )

    def put_theirs(self, context: str, name: str, image: str, *, ready: int = 1, **spec: Any) -> None:
        """Put a Deployment of somebody else there, in the namespace `operators`, and its pod."""
        where = {"namespace": "operators"}
        containers = [{"image": image, **spec}]
        labels = {"app": name}
        self.servers[context].put(
            DEPLOYMENT,
            {
                "metadata": {"name": name, **where},
                "spec": {
                    "selector": {"matchLabels": labels},
                    "template": {"spec": {"containers": containers}},
                },
                "status": {"replicas": 1, "updatedReplicas": 1, "availableReplicas": ready},
            },
        )
        status = {"conditions": [TRUE] if ready else []}
        self.servers[context].put(
            POD, {"metadata": {"name": f"{name}-0", "labels": labels, **where}, "status": status}
        )

    def uninstall(self, release: Release, context: str) -> None:
        """Take a release's objects away, but not the kinds, which upstream's charts keep."""
        objects = self.servers[context].objects
        for path in [
            path
            for path in objects
            if f"/{release.namespace}/" in path and path.rpartition("/")[2].startswith(
                (release.name, f"sh.helm.release.v1.{release.name}", f"{release.name}-s3")
            )
        ]:  # fmt: skip
            del objects[path]

    def names(self, context: str, kind: Any) -> set[str]:
        """Return the names of all objects of a kind."""
        return {obj["metadata"]["name"] for obj in self.apis[context].find(kind)}


def make_infra_world(root: Path, s3: FakeS3) -> InfraWorld:
    """Copy the configuration, and start two API servers that have a node each, and nothing else."""
    for part in ("confs/admin", "confs/users", "manifests"):
        shutil.copytree(REPOSITORY / part, root / part)
    shutil.copy(REPOSITORY / "helmfile.yaml", root / "helmfile.yaml")
    world = InfraWorld(root, s3)
    for context, address in ADDRESS.items():
        server = FakeServer()
        server.raw["/version"] = {"gitVersion": "v1.36.3"}
        for path, kinds in KINDS.items():
            resources = [
                {"name": f"{kind.lower()}s", "kind": kind, "namespaced": kind != "ClusterIssuer"}
                for kind in kinds
            ]
            server.raw[path] = {"resources": resources}
        where = path_of(CLUSTER_ISSUER, None, ISSUER)
        server.answers[f"GET {where}"] = lambda request, server=server: _issuer(server, request)
        status = {
            "addresses": [{"type": "Hostname", "address": "n"}, {"type": "InternalIP", "address": address}]
        }
        server.put(NODE, {"metadata": {"name": context}, "status": status})
        world.servers[context], world.apis[context] = (
            server,
            Api(context, transport=httpx2.MockTransport(server)),
        )
    return world


def _issuer(server: FakeServer, request: httpx2.Request) -> httpx2.Response:
    found = server.objects.get(request.url.path)
    if found is None:
        return httpx2.Response(404, json={})
    return httpx2.Response(200, json={**found, "status": {"conditions": [TRUE]}})


def charts_folder(folder: Path) -> Path:
    """Make a folder that has the charts that replace upstream's."""
    for name in ("cert-manager", "cloudnative-pg", "plugin-barman-cloud"):
        (folder / name).mkdir(parents=True)
        (folder / name / "Chart.yaml").touch()
    return folder


def connect(world: InfraWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the operations on the infrastructure meet this world's clusters and programs, and not wait."""
    monkeypatch.setattr(infra, "api_for", world.api)
    for module in (infra_install, infra_release):
        monkeypatch.setattr(module, "run", world.run)
    for module in (infra_install, infra_release, infra_delete):
        monkeypatch.setattr(module, "LOOK_EVERY", 0.001)
    found = [Found(tool, "ok", "9.9.9") for tool in TOOLS]
    monkeypatch.setattr(infra_install, "check_tools", lambda _: found)

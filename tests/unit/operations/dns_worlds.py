"""Two datacenters with a CoreDNS each, as the tests of the aliases need them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.unit.kube.fakes import FakeServer, fake_api, use_kubeconfig
from tests.unit.kube.test_corefile import KUBEADM

from pgaas.kube.client import Api
from pgaas.kube.resources import CONFIG_MAP, POD, SERVICE
from pgaas.operations import dns, subject
from pgaas.operations.dns import PrimaryRecord, primary_record
from pgaas.operations.subject import Subject
from pgaas.operations.update_dns import load_sides
from pgaas.tools.dns_read import Answer

REPOSITORY = Path(__file__).resolve().parents[3]
NAME = "primary.ic1-local.pgaas.local"
ADDRESS = {"local1": "192.0.2.1", "local2": "192.0.2.2"}
RESOLVERS = {"192.168.49.2:30053": "local1", "192.168.49.3:30053": "local2"}
MAP = "/api/v1/namespaces/kube-system/configmaps/coredns"
SLICE = "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices/pgaas-ic1-local"
POD_PATH = "/api/v1/namespaces/kube-system/pods/coredns-1"
SIDES = {dc: f"{dc}.ic1-local.pgaas.local" for dc in ADDRESS}
DOWN = httpx2.ConnectError("connection refused")


@dataclass
class Worlds:
    """Two datacenters and their DNS; `says` overrules what a datacenter's server answers for the alias."""

    subjects: dict[str, Subject]
    servers: dict[str, FakeServer]
    says: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def record(self, *away: str) -> PrimaryRecord:
        apis: dict[str, Api | None] = {dc: fake_api(server) for dc, server in self.servers.items()}
        return primary_record(self.subjects, apis | dict.fromkeys(away, None))

    def corefile(self, dc: str) -> str:
        return str(self.servers[dc].objects[MAP]["data"]["Corefile"])

    def addresses(self, dc: str) -> list[str]:
        return list(self.servers[dc].objects[SLICE]["endpoints"][0]["addresses"])

    def side(self, dc: str, whose: str) -> list[str] | None:
        """Return what a datacenter's objects hold for the name of a side."""
        found = self.servers[dc].objects.get(f"{SLICE}-{whose}")
        return found and list(found["endpoints"][0]["addresses"])

    def answer(self, server: str, name: str) -> Answer:
        """Answer as a CoreDNS that has read its Corefile would."""
        dc = RESOLVERS[server]
        if name == NAME and dc in self.says:
            return self.says[dc]
        path = SLICE if name == NAME else f"{SLICE}-{name.partition('.')[0]}"
        if path not in self.servers[dc].objects or f"\n{name}:53 {{" not in self.corefile(dc):
            return Answer(server, error="fails to answer for this name (SERVFAIL)")
        found = self.servers[dc].objects[path]["endpoints"][0]["addresses"]
        return Answer(server, tuple(found), 5, True)

    def ask_all(self, servers: Sequence[str], name: str, kind: str, **_: Any) -> list[Answer]:
        assert name in (NAME, *SIDES.values())
        assert kind == "A"
        self.asked.append(tuple(servers))
        return [self.answer(server, name) for server in servers]


def make_worlds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Worlds:
    """Return two datacenters in which no alias is made yet; they are in force until the test's end."""
    use_kubeconfig(tmp_path, monkeypatch)
    root = tmp_path / "root"
    root.mkdir()
    (root / "helmfile.yaml").write_text("")
    for folder in ("admin", "users"):
        _copy(REPOSITORY / "confs" / folder, root / "confs" / folder)
    clients = root / "confs/admin/local/clients.yaml"
    clients.write_text(clients.read_text().replace("enabled: false", "enabled: true"))
    made = Worlds(load_sides(root, "ic1", "local"), {})
    for dc, address in ADDRESS.items():
        server = made.servers[dc] = FakeServer()
        kinds = [{"name": "endpointslices", "kind": "EndpointSlice", "namespaced": True}]
        server.raw["/apis/discovery.k8s.io/v1"] = {"resources": kinds}
        config = {"name": "coredns", "namespace": "kube-system", "resourceVersion": "7"}
        server.put(CONFIG_MAP, {"metadata": config, "data": {"Corefile": KUBEADM}})
        pod = {"name": "coredns-1", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}}
        server.put(POD, {"metadata": pod})
        balance(server, dc, [{"ip": address}])
    monkeypatch.setattr(dns, "ask_all", made.ask_all)
    contexts = {
        each.resolved.datacenters.datacenters[dc].kube_context: dc for dc, each in made.subjects.items()
    }
    monkeypatch.setattr(subject, "api_for", lambda context: fake_api(made.servers[contexts[context]]))
    return made


def _copy(source: Path, target: Path) -> None:
    for path in source.rglob("*.yaml"):
        copied = target / path.relative_to(source)
        copied.parent.mkdir(parents=True, exist_ok=True)
        copied.write_bytes(path.read_bytes())


def balance(server: FakeServer, dc: str, ingress: list[dict[str, str]]) -> None:
    metadata = {"name": f"local-ic1-{dc}-rw-lb", "namespace": "ic1-local"}
    server.put(SERVICE, {"metadata": metadata, "status": {"loadBalancer": {"ingress": ingress}}})

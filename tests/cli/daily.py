"""A client of two datacenters as its people meet it: real certificates, and two fake API servers."""

from __future__ import annotations

import base64
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.cli.support import REPOSITORY
from tests.unit.kube.fakes import FakeServer, path_of

from pgaas.config.naming import Target
from pgaas.kube.resources import CERTIFICATE, CLUSTER, CONFIG_MAP, POD, SECRET, SERVICE, Kind
from pgaas.operations.subject import Subject, load_subject
from pgaas.tools import private_folder

HERE, THERE = "local1", "local2"
SPACE = "ic1-local"
CLIENT = ("--ins", "ic1", "--env", "local")
CONTEXTS = {HERE: "cluster1", THERE: "cluster2"}


def keys() -> set[Path]:
    """Return the folders of keys that there are on this machine now."""
    return set(private_folder._place().glob(f"{private_folder.PREFIX}*"))


@dataclass(frozen=True)
class Signed:
    """A certificate and its key, as cert-manager writes them by default: the key in SEC1's form."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        form = serialization.PrivateFormat.TraditionalOpenSSL
        return self.key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def sign(name: str, by: Signed | None = None, *, names: tuple[str, ...] = (), days: float = 60) -> Signed:
    """Return a certificate: a CA's own without `by`, else one for these names, or a client's."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    end = datetime.now(UTC) + timedelta(days=days)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(datetime.now(UTC), end) - timedelta(days=1))
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=False
        )
    return Signed(builder.sign(by.key if by else key, hashes.SHA256()), key)


@dataclass
class Daily:
    """Client ic1 of local: a root, and each datacenter's API server and authorities."""

    root: Path
    servers: dict[str, FakeServer] = field(default_factory=lambda: {HERE: FakeServer(), THERE: FakeServer()})
    authorities: dict[str, Signed] = field(default_factory=dict)
    roots: dict[str, Signed] = field(default_factory=dict)

    def edit(self, file: str, before: str, after: str) -> None:
        """Change a configuration file."""
        path = self.root / "confs" / file
        text = path.read_text()
        assert before in text, f"{before} is not in {file}"
        path.write_text(text.replace(before, after))

    def alone(self) -> None:
        """Let the client replicate no more."""
        self.edit("admin/local/clients.yaml", "enabled: true", "enabled: false")

    def instances(self, number: int) -> None:
        """Set how many instances each cluster has."""
        self.edit("admin/local/postgresql.yaml", "instances: 1", f"instances: {number}")

    def subject(self, dc: str = HERE) -> Subject:
        """Return a side's configuration as it is now."""
        return load_subject(self.root, Target("ic1", "local", dc))

    def put(self, dc: str, kind: Kind, name: str, **content: Any) -> dict[str, Any]:
        """Put an object into a side's API server and return it, to be changed in place."""
        labels = {"cnpg.io/cluster": f"local-ic1-{dc}"}
        metadata = {"name": name, "namespace": SPACE, "labels": labels} | content.pop("metadata", {})
        self.servers[dc].put(kind, {"metadata": metadata, **content})
        return self.get(dc, kind, name)

    def get(self, dc: str, kind: Kind, name: str) -> dict[str, Any]:
        """Return a live object."""
        return self.servers[dc].objects[path_of(kind, SPACE, name)]

    def secret(self, dc: str, name: str, **data: str) -> None:
        """Put a Secret; `tls_crt` is the key tls.crt."""
        encoded = {
            key.replace("_", "."): base64.b64encode(value.encode()).decode() for key, value in data.items()
        }
        self.put(dc, SECRET, name, data=encoded)

    def certify(self, dc: str, role: str, signed: Signed | None = None) -> Signed:
        """Let cert-manager have made a role's certificate."""
        name = f"local-ic1-{dc}-client-{role.replace('_', '-')}"
        made = signed or sign(f"{role}.ic1.local", self.authorities[dc])
        self.secret(dc, name, tls_crt=made.pem, tls_key=made.key_pem)
        self.put(dc, CERTIFICATE, name, status={"conditions": [{"type": "Ready", "status": "True"}]})
        return made

    def deploy(self, dc: str, *, address: str = "", primary: str = HERE) -> None:
        """Make a side's cluster, as the operators would."""
        name = f"local-ic1-{dc}"
        subject = self.subject(dc)
        number = subject.values.cluster.instances
        pods = [f"{name}-{each + 1}" for each in range(number)]
        spec: dict[str, Any] = {"instances": number}
        if subject.values.replication.enabled:
            spec["replica"] = {"self": name, "primary": f"local-ic1-{primary}"}
        self.put(dc, CLUSTER, name, spec=spec, status={"currentPrimary": pods[0], "readyInstances": number})
        for pod in pods:
            containers = [{"name": "postgres"}]
            sidecars = [{"name": "bootstrap-controller"}, {"name": "plugin-barman-cloud"}]
            self.put(
                dc,
                POD,
                pod,
                metadata={"uid": f"{pod}-uid"},
                spec={"containers": containers, "initContainers": sidecars},
                status={"conditions": [{"type": "Ready", "status": "True"}]},
            )
        for access in ("rw", "ro"):
            ingress = {"loadBalancer": {"ingress": [{"ip": address}] if address else []}}
            self.put(dc, SERVICE, f"{name}-{access}-lb", spec={"type": "LoadBalancer"}, status=ingress)
        for role in ("app_user", "report_user", "app_readonly", "pgadmin_readonly"):
            self.certify(dc, role)
        self.secret(dc, f"{name}-server", ca_crt=self.roots[dc].pem)
        bundle = {"ca.crt": "".join(each.pem for each in self.roots.values())}
        origins = '{"local1": ["a"], "local2": ["b"]}'
        annotations = {"pgaas.io/trusted-from": origins}
        self.put(
            dc, CONFIG_MAP, f"{name}-server-ca-bundle", metadata={"annotations": annotations}, data=bundle
        )

    @cached_property
    def clients(self) -> str:
        """Return whom both sides' servers let in."""
        return "".join(each.pem for each in self.authorities.values())


def make_daily(folder: Path, authorities: dict[str, Signed], roots: dict[str, Signed]) -> Daily:
    """Return a client for which nothing is created yet."""
    shutil.copytree(REPOSITORY / "confs", folder / "confs", ignore=shutil.ignore_patterns("_generated"))
    (folder / "helmfile.yaml").touch()
    return Daily(folder, authorities=authorities, roots=roots)


def kubeconfig(urls: dict[str, str]) -> str:
    """Return a kubeconfig for both API servers."""
    return yaml.safe_dump(
        {
            "current-context": CONTEXTS[HERE],
            "clusters": [{"name": CONTEXTS[dc], "cluster": {"server": url}} for dc, url in urls.items()],
            "users": [{"name": "me", "user": {"token": "secret-token"}}],
            "contexts": [
                {"name": CONTEXTS[dc], "context": {"cluster": CONTEXTS[dc], "user": "me"}} for dc in urls
            ],
        }
    )

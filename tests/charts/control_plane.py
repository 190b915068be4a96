"""A real API server with its etcd on loopback: it judges rights and keeps objects, and nothing runs in it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.charts.loopback import LOOPBACK, free_port, process
from tests.lab.support import wait_until

from pgaas_lab import packages, tools

ADMIN = "admin"


@dataclass(frozen=True)
class ControlPlane:
    """Where it is, and the tokens of those who may speak to it."""

    folder: Path
    port: int

    def kubeconfig(self, who: str) -> Path:
        """Write the kubeconfig of somebody that the API server was started with."""
        path = self.folder / f"{who}.kubeconfig"
        server = {
            "server": f"https://{LOOPBACK}:{self.port}",
            "certificate-authority": str(self.folder / "certificates/apiserver.crt"),
        }
        entries = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [{"name": "here", "cluster": server}],
            "users": [{"name": who, "user": {"token": token(who)}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": who}}],
        }
        path.write_text(yaml.safe_dump(entries))
        return path

    def kubectl(
        self, *arguments: str, who: str = ADMIN, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as somebody; whether it succeeded is for the test to judge."""
        argv = [str(tools.ensure("kubectl")), f"--kubeconfig={self.kubeconfig(who)}", *arguments]
        return subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)

    def apply(self, *objects: dict[str, Any]) -> None:
        """Write objects as the administrator."""
        done = self.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(objects))
        assert done.returncode == 0, done.stderr

    def namespace(self, name: str) -> None:
        """Make a namespace."""
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    def pod(self, namespace: str, name: str, address: str, port: int, labels: dict[str, str]) -> None:
        """Make a pod that is said to run at an address."""
        metadata = {"name": name, "namespace": namespace, "labels": labels}
        container = {"name": "main", "image": "main:1", "ports": [{"containerPort": port}]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}
        self.apply(pod)
        status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
        patch = ("--subresource=status", "--type=merge", "-p", yaml.safe_dump({"status": status}))
        done = self.kubectl("-n", namespace, "patch", "pod", name, *patch)
        assert done.returncode == 0, done.stderr


def token(who: str) -> str:
    """Return a token that no other test has."""
    return f"{who}-of-this-test"


@contextmanager
def control_plane(folder: Path, accounts: dict[str, str]) -> Iterator[ControlPlane]:
    """Run both until the block is left; accounts are ServiceAccounts, NAMESPACE:NAME, by their own name."""
    if packages.which("etcd") is None:
        packages.install(["etcd-server"])
    users = [f"{token(ADMIN)},{ADMIN},{ADMIN},system:masters"]
    users += [
        f"{token(who)},system:serviceaccount:{account},{who},system:serviceaccounts"
        for who, account in accounts.items()
    ]
    (folder / "tokens.csv").write_text("\n".join(users) + "\n")
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    (folder / "accounts.key").write_bytes(private)
    client, peer, port = free_port(), free_port(), free_port()
    etcd = [
        packages.which("etcd"), f"--data-dir={folder / 'etcd'}", "--unsafe-no-fsync",
        f"--listen-client-urls=http://{LOOPBACK}:{client}", f"--advertise-client-urls=http://{LOOPBACK}:{client}",
        f"--listen-peer-urls=http://{LOOPBACK}:{peer}",
    ]  # fmt: skip
    server = [
        tools.ensure("kube-apiserver"), f"--etcd-servers=http://{LOOPBACK}:{client}",
        f"--bind-address={LOOPBACK}", f"--secure-port={port}", f"--cert-dir={folder / 'certificates'}",
        "--service-cluster-ip-range=10.0.0.0/24", f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC", "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={folder / 'accounts.key'}",
        f"--service-account-signing-key-file={folder / 'accounts.key'}",
        # Nobody makes each namespace's default account here.
        "--disable-admission-plugins=ServiceAccount",
    ]  # fmt: skip
    with ExitStack() as stack:
        stack.enter_context(process(etcd, folder / "etcd.log"))
        stack.enter_context(process(server, folder / "apiserver.log"))
        found = ControlPlane(folder, port)
        wait_until("the API server", lambda: found.kubectl("get", "--raw", "/readyz").returncode == 0)
        yield found

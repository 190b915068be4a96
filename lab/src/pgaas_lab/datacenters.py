"""The two datacenters and every address in them."""

from dataclasses import dataclass
from pathlib import Path

from pgaas_lab import paths
from pgaas_lab.errors import UsageError

BRIDGE = "pgaas-lab"
BRIDGE_ADDRESS = "192.168.49.1/24"


@dataclass(frozen=True)
class Datacenter:
    """One network namespace with a one-node cluster in it; the addresses are minikube's."""

    name: str
    index: int

    @property
    def node_address(self) -> str:
        """Return the node's own address."""
        return f"192.168.49.{self.index + 1}"

    @property
    def pod_network(self) -> str:
        """Return the network of the pods."""
        return f"10.24{self.index}.0.0/24"

    @property
    def service_network(self) -> str:
        """Return the network of the cluster addresses of Services."""
        return f"10.9{self.index}.0.0/16"

    @property
    def api_service_address(self) -> str:
        """Return the cluster address of the API server."""
        return f"10.9{self.index}.0.1"

    @property
    def dns_address(self) -> str:
        """Return the cluster address of CoreDNS."""
        return f"10.9{self.index}.0.10"

    @property
    def server(self) -> str:
        """Return the address of the API server."""
        return f"https://{self.node_address}:6443"

    @property
    def balancer_addresses(self) -> tuple[str, ...]:
        """Return the addresses that LoadBalancer Services may get."""
        first = 50 + 50 * self.index
        return tuple(f"192.168.49.{last}" for last in range(first, first + 50))

    @property
    def namespace(self) -> str:
        """Return the name of the network namespace."""
        return f"pgaas-lab-{self.name}"

    @property
    def namespace_file(self) -> Path:
        """Return the file that holds the network namespace open."""
        return Path("/run/netns") / self.namespace

    @property
    def link(self) -> str:
        """Return the bridge's end of the link to the node."""
        return f"pgl-{self.name}"

    @property
    def folder(self) -> Path:
        """Return the folder of this datacenter's state."""
        return paths.state() / self.name

    @property
    def run(self) -> Path:
        """Return the folder of this datacenter's sockets and mounts."""
        return paths.RUN / self.name

    @property
    def socket(self) -> Path:
        """Return containerd's socket."""
        return self.run / "containerd.sock"

    @property
    def pki(self) -> Path:
        """Return the folder of certificates and keys."""
        return self.folder / "pki"

    @property
    def volumes(self) -> Path:
        """Return the folder of the persistent volumes."""
        return self.folder / "volumes"


ALL = (Datacenter("cluster1", 1), Datacenter("cluster2", 2))


def select(name: str) -> tuple[Datacenter, ...]:
    """Return the datacenters that a `--dc` option names. Raise UsageError if there is none of that name."""
    chosen = tuple(datacenter for datacenter in ALL if name in ("all", datacenter.name))
    if not chosen:
        names = ", ".join(datacenter.name for datacenter in ALL)
        raise UsageError(f"--dc {name}: no such datacenter; it is one of {names}, all")
    return chosen

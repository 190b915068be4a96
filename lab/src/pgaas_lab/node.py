"""The processes of one cluster's node, and the files that configure them."""

import base64
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pgaas_lab import cgroups, paths, process, tools
from pgaas_lab.datacenters import ALL, BRIDGE_ADDRESS, Datacenter
from pgaas_lab.images import PAUSE_IMAGE
from pgaas_lab.packages import which

# Starting order; ending is the other way round.
CONTROL_PLANE = ("etcd", "kube-apiserver")
REST = ("containerd", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
BUILT = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")


@dataclass(frozen=True)
class Program:
    """A process of a node, and the files that its restart must follow."""

    name: str
    argv: tuple[str, ...]
    follows: tuple[Path, ...] = ()


def kubeconfig_of(datacenters: list[Datacenter], certificate: str) -> dict[str, Any]:
    """Return a kubeconfig with a context per datacenter, named as minikube names its profiles."""

    def inline(file: Path) -> str:
        return base64.b64encode(file.read_bytes()).decode()

    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": datacenters[0].name,
        "contexts": [
            {"name": each.name, "context": {"cluster": each.name, "user": each.name}} for each in datacenters
        ],
        "clusters": [
            {
                "name": each.name,
                "cluster": {
                    "server": each.server,
                    "certificate-authority-data": inline(each.pki / "ca.crt"),
                },
            }
            for each in datacenters
        ],
        "users": [
            {
                "name": each.name,
                "user": {
                    "client-certificate-data": inline(each.pki / f"{certificate}.crt"),
                    "client-key-data": inline(each.pki / f"{certificate}.key"),
                },
            }
            for each in datacenters
        ],
    }


def write_private(file: Path, content: str) -> None:
    """Write a file that only root can read, leaving it alone if it says the same."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.exists() and file.read_text() == content:
        return
    temporary = file.with_name(f".{file.name}.new")
    temporary.touch(mode=0o600)
    temporary.write_text(content)
    temporary.replace(file)


def write_kubeconfig() -> None:
    """Write the lab's own kubeconfig, with every datacenter that has certificates."""
    made = [datacenter for datacenter in ALL if (datacenter.pki / "complete").exists()]
    if made:
        write_private(paths.kubeconfig(), yaml.safe_dump(kubeconfig_of(made, "admin"), sort_keys=False))


def containerd_config(datacenter: Datacenter) -> str:
    """Return containerd's configuration."""
    return f"""version = 2
root = "{datacenter.folder}/containerd"
state = "{datacenter.run}/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp",
]
[grpc]
  address = "{datacenter.socket}"
[plugins."io.containerd.grpc.v1.cri"]
  # Without CAP_SYS_RESOURCE, as in many sandboxes, no sandbox would start otherwise.
  restrict_oom_score_adj = true
  sandbox_image = "{PAUSE_IMAGE}"
  # So that all that `down` has to unmount lies in one folder.
  netns_mounts_under_state_dir = true
  disable_tcp_service = true
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{datacenter.folder}/registries"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{datacenter.folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = "{which("runc")}"
"""


def cni_config(datacenter: Datacenter) -> dict[str, Any]:
    """Return the configuration of the pods' network."""
    return {
        "cniVersion": "0.4.0",
        "name": datacenter.namespace,
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": True,
                "ipMasq": True,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "dataDir": str(datacenter.run / "ipam"),
                    "ranges": [[{"subnet": datacenter.pod_network}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def kubelet_config(datacenter: Datacenter) -> dict[str, Any]:
    """Return kubelet's configuration."""
    pki = datacenter.pki
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": "/",
        "cgroupsPerQOS": False,
        "enforceNodeAllocatable": [],
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "clusterDNS": [datacenter.dns_address],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": f"unix://{datacenter.socket}",
        "failSwapOn": False,
        "tlsCertFile": str(pki / "kubelet.crt"),
        "tlsPrivateKeyFile": str(pki / "kubelet.key"),
        "resolvConf": str(datacenter.folder / "resolv.conf"),
        # Nothing can be pulled again, so nothing may be thrown away.
        "imageGCHighThresholdPercent": 100,
        "imageMinimumGCAge": "876000h",
        "evictionHard": {"memory.available": "0%", "nodefs.available": "0%", "imagefs.available": "0%"},
        "registerNode": True,
        # Two kubelets that share a log folder delete each other's pods' logs.
        "podLogsDir": str(datacenter.folder / "podlogs"),
        "oomScoreAdj": 0,
        # Less work for two small cores.
        "volumeStatsAggPeriod": "-1s",
        "localStorageCapacityIsolation": False,
        "nodeStatusReportFrequency": "5m",
    }


def proxy_config(datacenter: Datacenter) -> dict[str, Any]:
    """Return kube-proxy's configuration."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(datacenter.folder / "admin.conf")},
        "clusterCIDR": datacenter.pod_network,
        "mode": "iptables",
        # In a network namespace of one's own these sysctls cannot be written.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "hostnameOverride": datacenter.name,
        "oomScoreAdj": 0,
    }


def write_files(datacenter: Datacenter) -> None:
    """Write every configuration file of a node."""
    folder = datacenter.folder
    for certificate, name in (("admin", "admin.conf"), ("kubelet", "kubelet.conf")):
        write_private(folder / name, yaml.safe_dump(kubeconfig_of([datacenter], certificate)))
    write_private(folder / "containerd.toml", containerd_config(datacenter))
    # No node reaches a registry: an image that is not there is to fail at once, not after DNS gave up.
    nowhere = "http://127.0.0.1:1"
    hosts = f'server = "{nowhere}"\n[host."{nowhere}"]\n'
    write_private(folder / "registries" / "_default" / "hosts.toml", hosts)
    write_private(folder / "cni" / "10-pgaas-lab.conflist", json.dumps(cni_config(datacenter), indent=2))
    write_private(folder / "kubelet.yaml", yaml.safe_dump(kubelet_config(datacenter)))
    write_private(folder / "proxy.yaml", yaml.safe_dump(proxy_config(datacenter)))
    # The machine's own DNS server is out of a node's reach; one that listens on the bridge would be found.
    write_private(folder / "resolv.conf", f"nameserver {BRIDGE_ADDRESS.partition('/')[0]}\n")


def program(datacenter: Datacenter, name: str) -> Program:
    """Return one of the node's processes."""
    folder, pki, address = datacenter.folder, datacenter.pki, datacenter.node_address
    admin = f"--kubeconfig={folder / 'admin.conf'}"
    binary = str(tools.binary(tools.find(name)) if name in BUILT else which(name))
    local = "http://127.0.0.1"
    flags: dict[str, list[str]] = {
        "etcd": [
            f"--data-dir={folder / 'etcd'}",
            # A lab's data may die with the machine; two cores must not wait for the disk.
            "--unsafe-no-fsync",
            f"--listen-client-urls={local}:2379",
            f"--advertise-client-urls={local}:2379",
            f"--listen-peer-urls={local}:2380",
            "--auto-compaction-retention=5m",
            "--auto-compaction-mode=periodic",
            "--quota-backend-bytes=2147483648",
        ],
        "kube-apiserver": [
            f"--etcd-servers={local}:2379",
            f"--service-cluster-ip-range={datacenter.service_network}",
            f"--tls-cert-file={pki / 'apiserver.crt'}",
            f"--tls-private-key-file={pki / 'apiserver.key'}",
            f"--client-ca-file={pki / 'ca.crt'}",
            f"--service-account-key-file={pki / 'sa.pub'}",
            f"--service-account-signing-key-file={pki / 'sa.key'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--authorization-mode=RBAC",
            "--allow-privileged=true",
            f"--advertise-address={address}",
            f"--kubelet-client-certificate={pki / 'admin.crt'}",
            f"--kubelet-client-key={pki / 'admin.key'}",
            f"--kubelet-certificate-authority={pki / 'ca.crt'}",
            # Or logs and exec would look the node's name up in DNS.
            "--kubelet-preferred-address-types=InternalIP",
            "--enable-priority-and-fairness=false",
            "--profiling=false",
        ],
        "containerd": [f"--config={folder / 'containerd.toml'}"],
        "kube-controller-manager": [
            admin,
            f"--root-ca-file={pki / 'ca.crt'}",
            f"--service-account-private-key-file={pki / 'sa.key'}",
            f"--cluster-signing-cert-file={pki / 'ca.crt'}",
            f"--cluster-signing-key-file={pki / 'ca.key'}",
            "--use-service-account-credentials=false",
            "--leader-elect=false",
            "--profiling=false",
            # A busy machine is not a lost node.
            "--node-monitor-grace-period=5m",
            "--node-monitor-period=30s",
        ],
        "kube-scheduler": [admin, "--leader-elect=false", "--profiling=false"],
        "kubelet": [
            f"--config={folder / 'kubelet.yaml'}",
            f"--kubeconfig={folder / 'kubelet.conf'}",
            f"--root-dir={folder / 'kubelet'}",
            f"--hostname-override={datacenter.name}",
            f"--node-ip={address}",
            "--housekeeping-interval=60s",
        ],
        "kube-proxy": [f"--config={folder / 'proxy.yaml'}"],
    }
    follows = {
        "kube-apiserver": (pki / "apiserver.crt",),
        "containerd": (folder / "containerd.toml",),
        "kubelet": (folder / "kubelet.yaml", pki / "kubelet.crt"),
        "kube-proxy": (folder / "proxy.yaml",),
    }
    return Program(name, (binary, *flags[name]), follows.get(name, ()))


def fingerprint(program: Program) -> str:
    """Return a hash of what a process was started with, so that a changed lab starts it anew."""
    digest = hashlib.sha256("\0".join(program.argv).encode())
    for file in program.follows:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def pid_file(datacenter: Datacenter, name: str) -> Path:
    """Return the pid file of one of the node's processes."""
    return datacenter.folder / "pids" / f"{name}.json"


def log_file(datacenter: Datacenter, name: str) -> Path:
    """Return the log of one of the node's processes."""
    return datacenter.folder / "logs" / f"{name}.log"


def start(datacenter: Datacenter, name: str) -> bool:
    """Start one of the node's processes unless it runs as it should; tell whether it was started."""
    wanted = program(datacenter, name)
    mark = fingerprint(wanted)
    file = pid_file(datacenter, name)
    record = process.running(file)
    if record and record.fingerprint == mark:
        return False
    process.stop(file)
    process.spawn(
        wanted.argv,
        pid_file=file,
        log=log_file(datacenter, name),
        cgroup=cgroups.folder(cgroups.system(datacenter)),
        fingerprint=mark,
        network_namespace=datacenter.namespace_file,
        # Fewer, larger collections: memory is plentiful here and cores are not.
        env={"GOGC": "200"},
    )
    return True


def is_running(datacenter: Datacenter, name: str) -> bool:
    """Tell whether one of the node's processes runs."""
    return process.running(pid_file(datacenter, name)) is not None

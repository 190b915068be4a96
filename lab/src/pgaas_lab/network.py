"""The bridge between the datacenters, and a network namespace for each."""

import contextlib
import json
from typing import Any

from pgaas_lab.command import run
from pgaas_lab.datacenters import BRIDGE, BRIDGE_ADDRESS, Datacenter


def links(datacenter: Datacenter | None = None) -> list[dict[str, Any]]:
    """Return the links and addresses of the machine, or of a datacenter."""
    inside = ["-n", datacenter.namespace] if datacenter else []
    return list(json.loads(run(["ip", "-j", *inside, "address", "show"]).stdout or "[]"))


def names() -> set[str]:
    """Return the names of the machine's links."""
    return {str(link["ifname"]) for link in links()}


def bridge_up() -> None:
    """Make the bridge, if it is missing."""
    if BRIDGE not in names():
        run(["ip", "link", "add", BRIDGE, "type", "bridge"])
    run(["ip", "address", "replace", BRIDGE_ADDRESS, "dev", BRIDGE])
    run(["ip", "link", "set", BRIDGE, "up"])


def namespace_up(datacenter: Datacenter) -> None:
    """Make a datacenter's network namespace and its link to the bridge, if they are missing."""
    if not is_up(datacenter):
        namespace_down(datacenter)
        build_namespace(datacenter)


def is_up(datacenter: Datacenter) -> bool:
    """Tell whether a datacenter's network is there and has its address."""
    if not datacenter.namespace_file.exists() or datacenter.link not in names():
        return False
    with contextlib.suppress(Exception):
        return datacenter.node_address in addresses(datacenter)
    return False


def build_namespace(datacenter: Datacenter) -> None:
    """Make a datacenter's network namespace and its link to the bridge."""
    inside = ["ip", "-n", datacenter.namespace]
    run(["ip", "netns", "add", datacenter.namespace])
    end = ["peer", "name", "eth0", "netns", datacenter.namespace]
    run(["ip", "link", "add", datacenter.link, "type", "veth", *end])
    run(["ip", "link", "set", datacenter.link, "master", BRIDGE, "up"])
    run([*inside, "address", "add", f"{datacenter.node_address}/24", "dev", "eth0"])
    run([*inside, "link", "set", "eth0", "up"])
    run([*inside, "link", "set", "lo", "up"])
    run([*inside, "route", "add", "default", "via", BRIDGE_ADDRESS.split("/")[0]])
    enter = ["nsenter", f"--net={datacenter.namespace_file}", "sysctl", "-qw"]
    run([*enter, "net.ipv4.ip_forward=1"])
    # Without br_netfilter a pod cannot reach a Service whose pod is on the same node; where it is built
    # into the kernel there is nothing to load.
    run(["sh", "-c", "command -v modprobe >/dev/null && modprobe br_netfilter"], check=False)
    run([*enter, "net.bridge.bridge-nf-call-iptables=1"], check=False)


def namespace_down(datacenter: Datacenter) -> None:
    """Remove a datacenter's network namespace and its link."""
    if datacenter.link in names():
        run(["ip", "link", "delete", datacenter.link], check=False)
    if datacenter.namespace_file.exists():
        run(["ip", "netns", "delete", datacenter.namespace], check=False)
        # After a crash the file may be there without a namespace mounted on it.
        datacenter.namespace_file.unlink(missing_ok=True)


def bridge_down() -> None:
    """Remove the bridge."""
    if BRIDGE in names():
        run(["ip", "link", "delete", BRIDGE])


def addresses(datacenter: Datacenter) -> set[str]:
    """Return the addresses of a node's eth0."""
    return {
        str(address["local"])
        for link in links(datacenter)
        if link["ifname"] == "eth0"
        for address in link["addr_info"]
        if address["family"] == "inet"
    }


def add_address(datacenter: Datacenter, address: str) -> None:
    """Give a node one more address."""
    run(["ip", "-n", datacenter.namespace, "address", "replace", f"{address}/32", "dev", "eth0"])


def delete_address(datacenter: Datacenter, address: str) -> None:
    """Take an address from a node."""
    run(["ip", "-n", datacenter.namespace, "address", "delete", f"{address}/32", "dev", "eth0"], check=False)

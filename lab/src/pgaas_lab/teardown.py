"""Take the lab down, or one datacenter, and leave nothing behind."""

import shutil
from pathlib import Path

from pgaas_lab import agent, cgroups, mounts, network, node, paths, process
from pgaas_lab.datacenters import ALL, BRIDGE, Datacenter
from pgaas_lab.errors import ToolFailed
from pgaas_lab.steps import Steps

# libcni keeps its results here whatever containerd's configuration says.
CNI_RESULTS = Path("/var/lib/cni/results")


def leftovers(datacenter: Datacenter) -> list[str]:
    """Return what is there of a datacenter besides its state: processes, mounts, its network."""
    found = [f"process {pid}" for pid in sorted(cgroups.members(cgroups.all_of(datacenter)))]
    found += [f"mount {point}" for point in mounts.under(datacenter.run, datacenter.folder)]
    if datacenter.namespace_file.exists():
        found.append(f"network namespace {datacenter.namespace}")
    if datacenter.link in network.names():
        found.append(f"link {datacenter.link}")
    return found


def stop(datacenter: Datacenter) -> None:
    """End a datacenter's processes, the kubelet before its pods and the API server last."""
    files = {name: node.pid_file(datacenter, name) for name in (*node.CONTROL_PLANE, *node.REST)}
    # These two would start again what is being ended.
    for name in ("kubelet", "kube-controller-manager", "kube-scheduler", "kube-proxy"):
        process.stop(files.pop(name), patience=10)
    cgroups.kill(cgroups.pods(datacenter))
    for name in reversed(files):
        process.stop(files[name], patience=10)


def clear(datacenter: Datacenter) -> None:
    """Remove what a datacenter left: processes, mounts, network, sockets and cgroups; its state stays.

    Raise ToolFailed if something will not go.
    """
    groups = cgroups.all_of(datacenter)
    containers = cgroups.container_ids(datacenter)
    left = [f"process {pid}" for pid in sorted(cgroups.kill(groups))]
    left += [f"mount {point}" for point in mounts.unmount(datacenter.run, datacenter.folder)]
    network.namespace_down(datacenter)
    left += [f"cgroup {path}" for path in cgroups.remove(groups)]
    if left:
        raise ToolFailed(f"{datacenter.name}: this will not go: {', '.join(left)}")
    shutil.rmtree(datacenter.run, ignore_errors=True)
    for result in CNI_RESULTS.glob("*-*-*"):
        if result.name.startswith(datacenter.namespace) or result.name.split("-")[-2] in containers:
            result.unlink(missing_ok=True)
    shutil.rmtree(datacenter.folder / "pids", ignore_errors=True)


def down(steps: Steps, *, keep: bool, purge: bool) -> None:
    """End the lab; `keep` leaves the clusters' state for the next `up`, `purge` removes the cache too."""
    with steps.step("End the agent"):
        process.stop(agent.pid_file())
        cgroups.kill([cgroups.AGENT])
    for datacenter in ALL:
        with steps.step(f"End {datacenter.name}"):
            stop(datacenter)
            clear(datacenter)
    with steps.step("Remove the bridge, cgroups and mounts"):
        network.bridge_down()
        cgroups.kill([cgroups.NAME])
        # The second goes only if nothing is in it: another containerd may keep its containers there.
        cgroups.remove([cgroups.NAME, *([] if cgroups.members([cgroups.PODS]) else [cgroups.PODS])])
        mounts.unmount(paths.RUN, paths.state(), paths.cache())
        shutil.rmtree(paths.RUN, ignore_errors=True)
    if not keep:
        with steps.step("Remove the state"):
            remove(paths.state())
    if purge:
        with steps.step("Remove the cache"):
            remove(paths.cache())
    if left := remains():
        raise ToolFailed(f"the lab is down, but this is left: {', '.join(left)}")


def remains() -> list[str]:
    """Return what is left of the lab on this machine besides its state and cache."""
    found = [f"process {pid}" for pid in sorted(cgroups.members([cgroups.NAME]))]
    found += [f"mount {point}" for point in mounts.under(paths.RUN, paths.state(), paths.cache())]
    found += [f"network namespace {each.namespace}" for each in ALL if each.namespace_file.exists()]
    links = {BRIDGE, *(datacenter.link for datacenter in ALL)} & network.names()
    return [*found, *(f"link {name}" for name in sorted(links))]


def remove(folder: Path) -> None:
    """Remove a folder with all that is in it, but never what is mounted there."""
    if not mounts.under(folder):
        shutil.rmtree(folder, ignore_errors=True)

"""The cgroups in which everything of the lab runs: it is how nothing is left behind."""

import contextlib
import signal
import time
from collections.abc import Iterable
from pathlib import Path

from pgaas_lab.datacenters import Datacenter
from pgaas_lab.process import send

ROOT = Path("/sys/fs/cgroup")
NAME = "pgaas-lab"
AGENT = f"{NAME}/agent"
# Where containerd puts the containers of pods, by their ids.
PODS = "k8s.io"


def system(datacenter: Datacenter) -> str:
    """Return the cgroup of a node's own processes, containerd's shims among them."""
    return f"{NAME}/{datacenter.name}"


def pods(datacenter: Datacenter) -> list[str]:
    """Return the cgroups of a node's containers, those that containerd has lost sight of included."""
    known = container_ids(datacenter)
    there = [path for path in folder(PODS).glob("*") if path.is_dir()]
    return [
        f"{PODS}/{path.name}"
        for path in there
        if path.name in known
        or any(is_rooted_under(pid, datacenter.folder) for pid in members([f"{PODS}/{path.name}"]))
    ]


def container_ids(datacenter: Datacenter) -> set[str]:
    """Return the ids of the containers that a node's containerd keeps something of."""
    kept = datacenter.folder / "containerd" / "io.containerd.grpc.v1.cri"
    tasks = datacenter.run / "containerd" / "io.containerd.runtime.v2.task" / PODS
    return {
        path.name for parent in (kept / "sandboxes", kept / "containers", tasks) for path in parent.glob("*")
    }


def is_rooted_under(pid: int, above: Path) -> bool:
    """Tell whether a process has a root file system that containerd keeps under a folder."""
    try:
        return f"upperdir={above}/" in Path(f"/proc/{pid}/mountinfo").read_text()
    except OSError:
        return False


def all_of(datacenter: Datacenter) -> list[str]:
    """Return every cgroup of a datacenter."""
    return [system(datacenter), *pods(datacenter)]


def parse_hierarchies(mounts: str) -> dict[str, Path]:
    """Return the folder per controller, or of v2, in the text of /proc/self/mounts."""
    found: dict[str, Path] = {}
    for line in mounts.splitlines():
        _, folder, kind, options, *_ = line.split()
        if kind == "cgroup2":
            found["v2"] = Path(folder)
        elif kind == "cgroup":
            names = [option for option in options.split(",") if option not in ("rw", "ro", "relatime")]
            found.update({name: Path(folder) for name in names})
    return found


def hierarchies() -> dict[str, Path]:
    """Return the cgroup hierarchies of this machine."""
    return parse_hierarchies(Path("/proc/self/mounts").read_text())


def tracking() -> Path:
    """Return the hierarchy in which the lab's processes are found again."""
    found = hierarchies()
    # With cgroup v1 the containers are in every controller's hierarchy, and in v2's only without controllers.
    for name in ("pids", "memory", "freezer", "v2"):
        if name in found:
            return found[name]
    return ROOT


def folder(name: str) -> Path:
    """Return a cgroup in the hierarchy that tracks the lab."""
    return tracking() / name


def members(names: Iterable[str]) -> set[int]:
    """Return the processes in some cgroups and those below them."""
    found: set[int] = set()
    for name in names:
        for file in folder(name).rglob("cgroup.procs"):
            with contextlib.suppress(OSError):
                found.update(int(word) for word in file.read_text().split())
    return found


def kill(names: Iterable[str], patience: float = 10) -> set[int]:
    """Kill what runs in some cgroups, wait until it is gone, and return what would not go."""
    names = list(names)
    deadline = time.monotonic() + patience
    while left := members(names):
        for pid in left:
            send(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            return left
        time.sleep(0.1)
    return set()


def remove(names: Iterable[str]) -> list[Path]:
    """Remove some cgroups from every hierarchy, and return what is left."""
    left: list[Path] = []
    for root in set(hierarchies().values()):
        for name in names:
            top = root / name
            below = [path for path in top.rglob("*") if path.is_dir()] if top.is_dir() else []
            for path in [*sorted(below, reverse=True), top]:
                with contextlib.suppress(OSError):
                    path.rmdir()
            if top.is_dir():
                left.append(top)
    return left

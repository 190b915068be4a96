"""The cgroup in which everything of the lab runs, pods included: it is how nothing is left behind."""

import contextlib
import signal
import time
from pathlib import Path

from pgaas_lab.process import send

ROOT = Path("/sys/fs/cgroup")
NAME = "pgaas-lab"


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


def folder(*names: str) -> Path:
    """Return the cgroup of one part of the lab in the hierarchy that tracks it."""
    return tracking().joinpath(NAME, *names)


def members(*names: str) -> set[int]:
    """Return the processes in one part of the lab."""
    found: set[int] = set()
    for file in folder(*names).rglob("cgroup.procs"):
        with contextlib.suppress(OSError):
            found.update(int(word) for word in file.read_text().split())
    return found


def kill(*names: str, patience: float = 10) -> set[int]:
    """Kill what runs in one part of the lab, wait until it is gone, and return what would not go."""
    deadline = time.monotonic() + patience
    while left := members(*names):
        for pid in left:
            send(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            return left
        time.sleep(0.1)
    return set()


def remove(*names: str) -> list[Path]:
    """Remove the cgroups of one part of the lab from every hierarchy, and return what is left."""
    left: list[Path] = []
    for root in set(hierarchies().values()):
        top = root.joinpath(NAME, *names)
        below = (
            sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True) if top.is_dir() else []
        )
        for path in [*below, top]:
            with contextlib.suppress(OSError):
                path.rmdir()
        if top.is_dir():
            left.append(top)
    return left

"""The lab's only process of its own: LoadBalancer addresses and volumes, for every cluster that is up."""

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from pgaas_lab import balancer, cgroups, network, paths, process, volumes
from pgaas_lab.api import Api
from pgaas_lab.datacenters import Datacenter, select

Reconcile = Callable[[Datacenter, Api], None]

# What each task looks at again when anything under these paths changes.
TASKS: tuple[tuple[Reconcile, tuple[str, ...]], ...] = (
    (balancer.reconcile, ("/api/v1/services",)),
    (volumes.reconcile, ("/api/v1/persistentvolumeclaims", "/api/v1/persistentvolumes")),
)
RESYNC_SECONDS = 60
SETTLE_SECONDS = 0.2


def watch(datacenter: Datacenter, path: str, changed: threading.Event) -> None:
    """Set an event whenever something under a path changes, for ever."""
    with Api(datacenter) as api:
        while True:
            try:
                for _ in api.changes(path):
                    changed.set()
            except httpx.HTTPError:
                # The API server is away: it comes back, or `down` ends this process.
                time.sleep(2)


def work(datacenter: Datacenter, reconcile: Reconcile, changed: threading.Event) -> None:
    """Reconcile after every change, and now and then without one, for ever."""
    said = ""
    with Api(datacenter) as api:
        while True:
            changed.wait(RESYNC_SECONDS)
            changed.clear()
            try:
                reconcile(datacenter, api)
                said = ""
            except Exception as error:
                # Whatever it was, one odd object or a moment without an API server must not end the task.
                if str(error) != said:
                    said = str(error)
                    print(f"{datacenter.name}: {type(error).__name__}: {said}; trying again", flush=True)
                time.sleep(2)
                changed.set()
            time.sleep(SETTLE_SECONDS)


def serve(datacenters: list[Datacenter]) -> None:
    """Run every task of every datacenter, until this process is ended."""
    for datacenter in datacenters:
        for reconcile, watched in TASKS:
            changed = threading.Event()
            changed.set()
            for path in watched:
                threading.Thread(target=watch, args=(datacenter, path, changed), daemon=True).start()
            threading.Thread(target=work, args=(datacenter, reconcile, changed), daemon=True).start()
    while True:
        time.sleep(3600)


def pid_file() -> Path:
    """Return the agent's pid file."""
    return paths.state() / "agent.json"


def log_file() -> Path:
    """Return the agent's log."""
    return paths.state() / "agent.log"


def fingerprint(names: list[str]) -> str:
    """Return what an agent must have been started with to be the right one."""
    files = [__file__, *(str(module.__file__) for module in (balancer, network, volumes))]
    code = max(Path(file).stat().st_mtime_ns for file in files)
    return f"{','.join(names)} {code}"


def start(datacenters: list[Datacenter], anew: bool = False) -> bool:
    """Start the agent unless it runs as it should; tell whether it was started."""
    names = [datacenter.name for datacenter in datacenters]
    record = process.running(pid_file())
    if record and record.fingerprint == fingerprint(names) and not anew:
        return False
    process.stop(pid_file())
    process.spawn(
        [sys.executable, "-m", "pgaas_lab.agent", *names],
        pid_file=pid_file(),
        log=log_file(),
        cgroup=cgroups.folder(cgroups.AGENT),
        fingerprint=fingerprint(names),
        env={"XDG_STATE_HOME": str(paths.state().parent), "XDG_CACHE_HOME": str(paths.cache().parent)},
    )
    return True


if __name__ == "__main__":
    serve([datacenter for name in sys.argv[1:] for datacenter in select(name)])

"""Have pgaas install what its clusters need, from a folder of charts that the lab makes."""

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from pgaas_lab import charts, demo_root, paths, stack
from pgaas_lab.api import Api
from pgaas_lab.command import run_streamed
from pgaas_lab.datacenters import ALL, Datacenter

NAMES = dict(zip(ALL, ("local1", "local2"), strict=True))
# What decides the values of the releases, and how they are rendered.
SOURCES = ("helmfile.yaml", "helmfile-checks", "local-infra", "manifests", "confs/admin/local")


def key() -> str:
    """Return a short hash of everything that decides what is installed."""
    digest = hashlib.sha256(charts.key().encode())
    for source in SOURCES:
        place = paths.REPOSITORY / source
        for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if file.is_file():
                digest.update(file.relative_to(paths.REPOSITORY).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def hand_environment() -> dict[str, str]:
    """Return the variables with which the lab is used by hand."""
    here = str(Path(sys.executable).parent)
    return {
        "PATH": f"{paths.tool_path()}:{here}:{os.environ.get('PATH', '/usr/bin:/bin')}",
        "KUBECONFIG": str(paths.kubeconfig()),
        "PGAAS_CHARTS": str(charts.folder()),
    }


def mark_file(datacenter: Datacenter) -> Path:
    """Return the file that says what was installed in a datacenter."""
    return datacenter.folder / "applied" / "infra"


def recorded(datacenter: Datacenter) -> tuple[str, list[stack.Workload]]:
    """Return the key and the workloads of the last installation, or nothing if there was none."""
    try:
        mark = json.loads(mark_file(datacenter).read_text())
        return str(mark["key"]), [(kind, namespace, name) for kind, namespace, name in mark["workloads"]]
    except (OSError, ValueError, KeyError, TypeError):
        return "", []


def installed(datacenter: Datacenter) -> list[stack.Workload]:
    """Return the workloads that the last installation left, whatever it was of."""
    return recorded(datacenter)[1]


def is_current(datacenter: Datacenter) -> bool:
    """Tell whether what would be installed is what was."""
    return recorded(datacenter)[0] == key()


def is_installed(datacenter: Datacenter, api: Api) -> bool:
    """Tell whether what would be installed is what was, and is still there. Raise httpx.HTTPError."""
    return is_current(datacenter) and set(installed(datacenter)) <= set(stack.workloads(api))


def forget(datacenters: Iterable[Datacenter]) -> None:
    """Take away the marks: whatever comes now may leave things half installed."""
    for datacenter in datacenters:
        mark_file(datacenter).unlink(missing_ok=True)


def remember(datacenters: Iterable[Datacenter]) -> None:
    """Write down what is installed now. Raise httpx.HTTPError."""
    for datacenter in datacenters:
        with Api(datacenter) as api:
            mark = {"key": key(), "workloads": stack.workloads(api)}
        mark_file(datacenter).parent.mkdir(parents=True, exist_ok=True)
        mark_file(datacenter).write_text(json.dumps(mark))


def install(datacenters: tuple[Datacenter, ...], say: Callable[[str], None]) -> None:
    """Run `pgaas infra install` on a copy of the checkout's confs. Raise ToolFailed with its words."""
    root = paths.state() / "infra"
    demo_root.copy(root)
    forget(datacenters)
    chosen = [] if datacenters == ALL else ["--dc", NAMES[datacenters[0]]]
    argv = [sys.executable, "-m", "pgaas", "infra", "install", *chosen]
    variables = {**hand_environment(), "PGAAS_ROOT": str(root)}
    run_streamed(argv, paths.state() / "infra.log", say, env=variables, cwd=paths.REPOSITORY)
    remember(datacenters)

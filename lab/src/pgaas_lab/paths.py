"""Where the lab keeps things: state, cache and sockets, all outside the checkout."""

import os
from pathlib import Path

RUN = Path("/run/pgaas-lab")
LOCK = Path("/run/lock/pgaas-lab.lock")
LAB = Path(__file__).resolve().parents[2]
GO_MODULES = LAB / "go"
DATA = Path(__file__).resolve().parent / "data"
REPOSITORY = LAB.parent


def xdg(variable: str, default: str) -> Path:
    """Return the folder that an XDG variable names, or its default under the home folder."""
    return Path(os.environ.get(variable) or Path.home() / default)


def state() -> Path:
    """Return the folder of everything that a running lab writes."""
    return xdg("XDG_STATE_HOME", ".local/state") / "pgaas-lab"


def cache() -> Path:
    """Return the folder of built binaries and images, which outlives a lab."""
    return xdg("XDG_CACHE_HOME", ".cache") / "pgaas-lab"


def kubeconfig() -> Path:
    """Return the kubeconfig that holds the contexts of both clusters."""
    return state() / "kubeconfig"


def tool_path() -> Path:
    """Return the folder of the built command-line tools, made for PATH."""
    return cache() / "path"

"""What a machine must have before the lab touches it."""

import os
import platform
import shutil
import sys
from pathlib import Path

from pgaas_lab import packages, paths
from pgaas_lab.errors import ToolFailed, ToolMissing, UsageError

# Go's caches, the binaries and the images of a first build come to about this much.
BUILD_BYTES = 12 * 2**30
RUN_BYTES = 4 * 2**30


def check() -> None:
    """Raise UsageError where the lab cannot run."""
    if not sys.platform.startswith("linux"):
        raise UsageError(f"the lab runs on Linux, and this is {platform.system()}: use minikube here")
    if platform.machine() != "x86_64":
        raise UsageError(
            f"the lab is built for x86_64, and this machine is {platform.machine()}: use minikube here"
        )
    if os.geteuid() != 0:
        raise UsageError("the lab makes network namespaces and mounts: run it as root")


def check_space(building: bool) -> None:
    """Raise ToolFailed if the disk is too full to build or to run the lab."""
    needed = BUILD_BYTES if building else RUN_BYTES
    for folder in (paths.cache(), paths.state()):
        free = shutil.disk_usage(existing(folder)).free
        if free < needed:
            raise ToolFailed(
                f"{free / 2**30:.1f} GB are free under {folder}, and the lab needs {needed / 2**30:.0f}: "
                "make room, or set XDG_CACHE_HOME and XDG_STATE_HOME to folders on a larger disk"
            )


def existing(folder: Path) -> Path:
    """Return a folder, or the nearest one above it that exists."""
    while not folder.exists():
        folder = folder.parent
    return folder


def check_go() -> None:
    """Raise ToolMissing without Go."""
    if packages.which("go") is None:
        raise ToolMissing(
            "go: not found, and there are programs to build: install Go 1.26.4 or newer (https://go.dev/dl) "
            "and put it on PATH"
        )

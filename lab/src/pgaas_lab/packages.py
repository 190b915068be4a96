"""Install the Debian packages that the lab needs, without starting what they bring."""

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from pgaas_lab import paths
from pgaas_lab.command import environment, run
from pgaas_lab.errors import ToolFailed, ToolMissing
from pgaas_lab.lock import one_at_a_time

# A program or file, and the package that brings it.
NEEDED = {
    "etcd": "etcd-server",
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "/usr/share/debootstrap/scripts/trixie": "debootstrap",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "mount": "mount",
    "sysctl": "procps",
    "tar": "tar",
    # The tests run it on this machine, with what the chart makes of the local directory.
    "/usr/sbin/slapd": "slapd",
}
POLICY = Path("/usr/sbin/policy-rc.d")


def which(name: str) -> Path | None:
    """Return where a program or file is, looking also where only root looks."""
    if name.startswith("/"):
        return Path(name) if Path(name).exists() else None
    found = shutil.which(name, path=environment()["PATH"])
    return Path(found) if found else None


def missing() -> list[str]:
    """Return the packages that are still to be installed."""
    return sorted({package for name, package in NEEDED.items() if which(name) is None})


def install(names: list[str]) -> None:
    """Install packages. Raise ToolMissing without apt-get, or ToolFailed with what apt said."""
    if which("apt-get") is None:
        raise ToolMissing(
            f"this machine has no apt-get: install {', '.join(names)} in its own way and run this again"
        )
    quiet = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_MODE": "a"}
    apt = ["apt-get", "-o", "DPkg::Lock::Timeout=120", "-o", "Dpkg::Use-Pty=0"]
    try:
        with apt_alone(), no_services():
            # One broken third-party source must not stop the lab: what counts is whether the install works.
            run([*apt, "update"], env=quiet, timeout=300, check=False)
            run([*apt, "install", "-y", "--no-install-recommends", *names], env=quiet, timeout=900)
    except ToolFailed as error:
        raise ToolFailed(
            f"{error}\nInstall by hand, then run this again: apt-get install {' '.join(names)}"
        ) from error


def apt_alone() -> AbstractContextManager[None]:
    """Let one process of ours at a time use apt: its own locks make an update fail that comes second."""
    return one_at_a_time(paths.cache() / ".apt.lock")


@contextmanager
def no_services() -> Iterator[None]:
    """Keep etcd, containerd and slapd from being started by their packages: the lab starts its own."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)

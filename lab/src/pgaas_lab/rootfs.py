"""Debootstrap the tree of Debian packages that the PostgreSQL image and the backup sidecar share."""

import hashlib
import json
import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pgaas_lab import mounts, paths
from pgaas_lab.archives import Layer, digest_of
from pgaas_lab.command import run, run_streamed
from pgaas_lab.errors import ToolFailed

SUITE = "trixie"
MAJOR = "17"
PACKAGES = (f"postgresql-{MAJOR}", "barman-cli-cloud", "ca-certificates")
# CloudNativePG runs PostgreSQL as this user.
POSTGRES_UID = "26"
LEFT_OUT = (
    "./dev/*",
    "./proc/*",
    "./sys/*",
    "./debootstrap",
    "./var/cache/apt/*",
    "./var/lib/apt/lists/*",
    "./var/lib/postgresql/*",
    "./var/log/*",
    "./usr/share/doc/*",
    "./usr/share/info/*",
    "./usr/share/man/*",
    "./usr/share/locale/*",
)


@dataclass(frozen=True)
class Base:
    """The shared layer, and the PostgreSQL version in it."""

    layer: Layer
    postgres_version: str


def recipe() -> str:
    """Return a short hash of what decides the tree's content."""
    words = [SUITE, *PACKAGES, POSTGRES_UID, *LEFT_OUT, platform.machine()]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:12]


def parse_version(package_version: str) -> str:
    """Return PostgreSQL's version in that of its Debian package: 17.5 in 17.5-1+deb13u1."""
    return package_version.partition("-")[0]


def files() -> tuple[Path, Path]:
    """Return where the layer and what is known of it stand in the cache."""
    stem = paths.cache() / "images" / "layers" / f"{SUITE}-postgresql-{recipe()}"
    return stem.with_suffix(".tar"), stem.with_suffix(".json")


def ensure(say: Callable[[str], None]) -> Base:
    """Return the shared layer, built first if it is missing. Raise ToolFailed with debootstrap's words."""
    layer, facts = files()
    if not (layer.exists() and facts.exists()):
        build(layer, facts, say)
    known = json.loads(facts.read_text())
    return Base(Layer(layer, known["digest"]), known["postgres_version"])


def build(layer: Path, facts: Path, say: Callable[[str], None]) -> None:
    """Debootstrap the tree, and write it as a layer."""
    tree = paths.cache() / "build" / "rootfs"
    packages = paths.cache() / "debs"
    clear(tree)
    packages.mkdir(parents=True, exist_ok=True)
    layer.parent.mkdir(parents=True, exist_ok=True)
    options = ["--variant=minbase", f"--include={','.join(PACKAGES)}", f"--cache-dir={packages}"]
    try:
        run_streamed(
            ["debootstrap", *options, SUITE, tree],
            paths.cache() / "logs" / "debootstrap.log",
            lambda line: say(line.removeprefix("I: ")[:70]),
        )
        query = ["chroot", tree, "dpkg-query", "--show", "--showformat=${Version}", f"postgresql-{MAJOR}"]
        version = parse_version(run(query).stdout)
        run(["chroot", tree, "usermod", "--uid", POSTGRES_UID, "postgres"])
        say("writing the layer")
        temporary = layer.with_suffix(".new")
        # Times stay as they are: Python would compile every module again for a source younger or older than
        # its .pyc, and barman-cloud-wal-restore is started once per WAL segment.
        leave = [f"--exclude={pattern}" for pattern in LEFT_OUT]
        run(["tar", "--numeric-owner", "--sort=name", *leave, "-cf", temporary, "-C", tree, "."], timeout=600)
        known = {"digest": digest_of(temporary), "postgres_version": version}
        temporary.replace(layer)
        facts.write_text(json.dumps(known))
    finally:
        clear(tree)


def clear(tree: Path) -> None:
    """Remove a tree, and what a killed debootstrap left mounted in it."""
    if left := mounts.unmount(tree):
        raise ToolFailed(f"cannot unmount {', '.join(left)}: unmount it, then run this again")
    shutil.rmtree(tree, ignore_errors=True)

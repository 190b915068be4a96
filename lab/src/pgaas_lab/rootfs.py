"""Debootstrap trees of Debian packages, each once, as layers of images."""

import hashlib
import json
import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pgaas_lab import mounts, paths, tools
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
class Tree:
    """A tree of Debian packages that becomes a layer.

    `work` is called with the folder of the finished tree, and returns what is to be known of it; what it does
    is not seen from outside, so `facts` hold what it depends on.
    """

    name: str
    packages: tuple[str, ...]
    suite: str = SUITE
    facts: tuple[str, ...] = ()
    left_out: tuple[str, ...] = LEFT_OUT
    work: Callable[[Path], dict[str, str]] = field(default=lambda _: {}, compare=False)


@dataclass(frozen=True)
class Built:
    """A tree's layer, and what its `work` found out."""

    layer: Layer
    known: dict[str, str]


@dataclass(frozen=True)
class Base:
    """The shared layer, and the PostgreSQL version in it."""

    layer: Layer
    postgres_version: str


def postgresql() -> Tree:
    """Return the tree that the PostgreSQL image and the backup sidecar share."""
    return Tree("postgresql", PACKAGES, facts=(POSTGRES_UID,), work=prepare_postgresql)


def prepare_postgresql(tree: Path) -> dict[str, str]:
    """Give PostgreSQL's user the number that the operator has, and return PostgreSQL's version."""
    version = parse_version(package_version(tree, f"postgresql-{MAJOR}"))
    run(["chroot", tree, "usermod", "--uid", POSTGRES_UID, "postgres"])
    return {"postgres_version": version}


def package_version(tree: Path, package: str) -> str:
    """Return the version of a package in a tree."""
    return run(["chroot", tree, "dpkg-query", "--show", "--showformat=${Version}", package]).stdout


def parse_version(package_version: str) -> str:
    """Return PostgreSQL's version in that of its Debian package: 17.5 in 17.5-1+deb13u1."""
    return package_version.partition("-")[0]


def recipe(wanted: Tree | None = None) -> str:
    """Return a short hash of what decides a tree's content; by default PostgreSQL's."""
    tree = wanted or postgresql()
    words = [tree.suite, *tree.packages, *tree.facts, *tree.left_out, platform.machine()]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:12]


def files(tree: Tree) -> tuple[Path, Path]:
    """Return where a tree's layer and what is known of it stand in the cache."""
    stem = paths.cache() / "images" / "layers" / f"{tree.suite}-{tree.name}-{recipe(tree)}"
    return stem.with_suffix(".tar"), stem.with_suffix(".json")


def ensure(say: Callable[[str], None]) -> Base:
    """Return PostgreSQL's layer, built first if it is missing. Raise ToolFailed with debootstrap's words."""
    built = ensure_tree(postgresql(), say)
    return Base(built.layer, built.known["postgres_version"])


def ensure_tree(tree: Tree, say: Callable[[str], None]) -> Built:
    """Return a tree's layer, built first if it is missing. Raise ToolFailed with debootstrap's words."""
    layer, facts = files(tree)
    if not (layer.exists() and facts.exists()):
        with tools.building(layer):
            if not (layer.exists() and facts.exists()):
                build(tree, layer, facts, say)
    known = json.loads(facts.read_text())
    return Built(Layer(layer, known.pop("digest")), known)


def build(wanted: Tree, layer: Path, facts: Path, say: Callable[[str], None]) -> None:
    """Debootstrap a tree, and write it as a layer."""
    tree = paths.cache() / "build" / f"rootfs-{wanted.name}"
    packages = paths.cache() / "debs"
    clear(tree)
    packages.mkdir(parents=True, exist_ok=True)
    options = ["--variant=minbase", f"--include={','.join(wanted.packages)}", f"--cache-dir={packages}"]
    try:
        run_streamed(
            ["debootstrap", *options, wanted.suite, tree],
            paths.cache() / "logs" / f"debootstrap-{wanted.name}.log",
            lambda line: say(line.removeprefix("I: ")[:70]),
        )
        known = wanted.work(tree)
        say("writing the layer")
        temporary = layer.with_suffix(".new")
        # Times stay as they are: Python would compile every module again for a source younger or older than
        # its .pyc, and barman-cloud-wal-restore is started once per WAL segment.
        leave = [f"--exclude={pattern}" for pattern in wanted.left_out]
        run(["tar", "--numeric-owner", "--sort=name", *leave, "-cf", temporary, "-C", tree, "."], timeout=600)
        digest = digest_of(temporary)
        temporary.replace(layer)
        facts.write_text(json.dumps({"digest": digest, **known}))
    finally:
        clear(tree)


def clear(tree: Path) -> None:
    """Remove a tree, and what a killed debootstrap left mounted in it."""
    if left := mounts.unmount(tree):
        raise ToolFailed(f"cannot unmount {', '.join(left)}: unmount it, then run this again")
    shutil.rmtree(tree, ignore_errors=True)

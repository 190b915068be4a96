"""Make the package of a commit: the one file that pgaas is deployed from."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pgaas.config.naming import package_name
from pgaas.errors import ToolFailed, ToolMissing, UsageError
from pgaas.operations.package_lists import bill_of_materials
from pgaas.operations.package_tree import PARTS, SOURCES, Tree, choose, is_unwanted, ships, unpack
from pgaas.operations.package_zip import Entry, rezipped, sums, write_whole, zipped
from pgaas.operations.progress import Progress, step
from pgaas.operations.version import TREE_BUILT, Version, dump_built, short, tree_version
from pgaas.tools import git, uv
from pgaas.tools.command import find_program, run

REQUIREMENTS = "requirements.txt"
BILL_OF_MATERIALS = "sbom.cdx.json"
VERSION = "VERSION"
SUMS = "SHA256SUMS"
BUILD_GROUP = "build"
MENTIONED = 10


class Packed(NamedTuple):
    """A file in the package."""

    name: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Package:
    """A package that was written; `left_out` are files that somebody may miss in it."""

    path: Path
    version: str
    python_version: str
    commit: str
    tag: str
    sha256: str
    size: int
    wheel: str
    files: tuple[Packed, ...]
    left_out: tuple[str, ...]

    @property
    def is_release(self) -> bool:
        """Whether it is what a version's tag names."""
        return bool(self.tag)


def package(root: Path, out: Path, progress: Progress) -> Package:
    """Write `out`/pgaas-VERSION.zip from the commit that is checked out in `root`.

    The same commit gives the same bytes. Raise UsageError for what is no checkout, differs from its commit or
    cannot be packaged, ToolMissing and ToolFailed for git and uv; no part of a package is left then.
    """
    for program in ("git", "uv"):
        _need(program)
    with step(progress, "reading the commit") as outcome:
        checkout = _checkout(root, progress)
        version = tree_version(root)
        outcome.text = f"{short(checkout.commit)} is {version.text}"
    with tempfile.TemporaryDirectory(prefix="pgaas-package-") as name:
        folder = Path(name)
        packed = git.archive_argv(checkout.commit, folder / "commit.tar")
        run(packed, env=git.environment(), cwd=root, echo=progress.command)
        tree = unpack(folder / "commit.tar", folder / "tree")
        wanted, unwanted = choose(tree)
        untracked = git.untracked(root, (*PARTS, *SOURCES), progress.command)
        _tell(progress, "left out, though committed", unwanted)
        _tell(progress, "left out, because git does not track them", missed := _missed(untracked))
        made = _made(tree, version, checkout.seconds, progress)
        entries = made + [Entry(each, (tree.folder / each).read_bytes(), tree.files[each]) for each in wanted]
        path = out.absolute() / package_name(version.text)
        return _write(path, version, made[0].name, entries, (*unwanted, *missed), checkout.seconds, progress)


def _need(program: str) -> None:
    try:
        find_program(program, uv.environment(0))
    except ToolMissing as error:
        raise ToolMissing(
            f"{program} is not installed, and `pgaas package` needs it",
            where=error.where,
            next_step=f"install {program}, and put it on PATH; nothing else that pgaas does needs it",
        ) from error


def _checkout(root: Path, progress: Progress) -> git.Checkout:
    """Return what is checked out. Raise UsageError if that is nothing, or not as it was committed."""
    checkout = git.look(root, progress.command)
    if checkout is None:
        raise UsageError(
            "a package is made from a commit, and this is no git checkout with one",
            where=str(root),
            next_step="name the root of a checkout of pgaas's repository with --root",
        )
    if checkout.changed:
        raise UsageError(
            f"what is checked out differs from its commit:{_listed(checkout.changed)}",
            where=str(root),
            next_step="commit the changes, or put them aside with `git stash`",
        )
    return checkout


def _made(tree: Tree, version: Version, seconds: int, progress: Progress) -> list[Entry]:
    """Return what is not in the commit but made from it: the wheel first."""
    tree.folder.joinpath(TREE_BUILT).write_text(dump_built(version), encoding="utf-8")
    with step(progress, "building the wheel") as outcome:
        wheel = _wheel(tree.folder, seconds, progress)
        outcome.text = wheel.name
    with step(progress, "listing what it needs"):
        needed = _uv(uv.requirements_argv(), tree.folder, seconds, progress)
        document = _uv(uv.bill_of_materials_argv(), tree.folder, seconds, progress)
    bill = bill_of_materials(document, version, (wheel.name, wheel.sha256), seconds)
    return [
        wheel,
        Entry(REQUIREMENTS, needed.encode()),
        Entry(BILL_OF_MATERIALS, bill),
        Entry(VERSION, f"{version.text}\n".encode()),
    ]


def _wheel(tree: Path, seconds: int, progress: Progress) -> Entry:
    """Build the wheel with the locked build tools."""
    constraints, out = tree.parent / "build.txt", tree.parent / "wheel"
    constraints.write_text(_uv(uv.requirements_argv(group=BUILD_GROUP), tree, seconds, progress))
    _uv(uv.build_wheel_argv(constraints, out), tree, seconds, progress)
    found = sorted(out.glob("*.whl"))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "nothing"
        raise ToolFailed(f"uv build was to make one wheel, and made {names}", where=str(tree))
    return Entry(found[0].name, rezipped(found[0].read_bytes(), seconds))


def _uv(argv: Sequence[str], tree: Path, seconds: int, progress: Progress) -> str:
    return run(argv, env=uv.environment(seconds), cwd=tree, echo=progress.command).stdout


def _write(
    path: Path,
    version: Version,
    wheel: str,
    entries: Sequence[Entry],
    left_out: tuple[str, ...],
    seconds: int,
    progress: Progress,
) -> Package:
    entries = sorted(entries)
    content = zipped([*entries, Entry(SUMS, sums(entries))], seconds)
    with step(progress, f"writing {path.name}") as outcome:
        write_whole(path, content)
        outcome.text = f"{len(entries) + 1} files, {len(content) / 2**20:.1f} MiB"
    return Package(
        path,
        version.text,
        version.python,
        version.commit,
        version.tag,
        hashlib.sha256(content).hexdigest(),
        len(content),
        wheel,
        tuple(Packed(entry.name, entry.sha256, len(entry.content)) for entry in entries),
        left_out,
    )


def _missed(untracked: Sequence[str]) -> list[str]:
    """Return, of what git does not track, the files that would be packaged or built if it did."""
    return [name for name in untracked if not is_unwanted(name) and (ships(name) or not _is_confs(name))]


def _is_confs(name: str) -> bool:
    return name.startswith("confs/")


def _tell(progress: Progress, what: str, names: Sequence[str]) -> None:
    if names:
        progress.note(f"{what}:{_listed(names)}")


def _listed(names: Sequence[str]) -> str:
    more = [f"and {len(names) - MENTIONED} more"] if len(names) > MENTIONED else []
    return "".join(f"\n  {line}" for line in (*names[:MENTIONED], *more))

"""What a commit holds, and what of it goes into the package."""

from __future__ import annotations

import posixpath
import re
import tarfile
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pgaas.errors import UsageError

# What a deployment needs of a checkout. helmfile.yaml names the charts below local-infra, and real
# environments' collectors are installed from there; `local` itself is no environment to deploy to.
PARTS = ("charts", "confs/admin", "helmfile-checks", "helmfile.yaml", "local-infra", "manifests")
NOT_SHIPPED = ("confs/admin/local",)
# What the wheel and the lists are made of.
SOURCES = ("pyproject.toml", "uv.lock", "src/pgaas")

# What git, editors and desktops leave behind, whether somebody committed it or not.
_UNWANTED = re.compile(
    r"\.git.*|\.idea|\.vscode|\.DS_Store|Thumbs\.db|__pycache__|\.?#.*|.*~|.*\.(pyc|sw[nopx]|bak|orig|rej|tmp)"
)
# A backslash is a separator to some that unpack, and a checksum file has no plain way to write either.
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\\\ud800-\udfff]")


@dataclass(frozen=True)
class Tree:
    """A commit's files, unpacked in a folder, each with whether it is a program.

    `links` are those that lead to no file of the commit; all others became the file that they lead to.
    """

    folder: Path
    files: dict[str, bool]
    links: dict[str, str]


def unpack(archive: Path, folder: Path) -> Tree:
    """Unpack a commit's tar file into an empty folder, without making a link there."""
    files: dict[str, bool] = {}
    links: dict[str, str] = {}
    with tarfile.open(archive, "r:") as tar:
        for member in tar:
            name = member.name
            if member.issym():
                links[name] = member.linkname
            elif member.isfile() and (content := tar.extractfile(member)):
                _write(folder, name, content.read())
                files[name] = bool(member.mode & 0o100)
    for name, source in _resolved(links, files).items():
        _write(folder, name, (folder / source).read_bytes())
        files[name] = files[source]
        del links[name]
    return Tree(folder, files, links)


def choose(tree: Tree) -> tuple[list[str], list[str]]:
    """Return the files to package, and those that lie between them and are left out.

    Raise UsageError if a part is missing, a link leads out of the commit, or a name could harm who unpacks.
    """
    missing = [part for part in (*PARTS, *SOURCES) if not any(is_below(name, part) for name in tree.files)]
    if missing:
        raise UsageError(
            f"the commit holds no {', no '.join(missing)}",
            next_step="package a commit of pgaas's own repository",
        )
    below = [name for name in sorted(tree.files) if ships(name)]
    wanted = [name for name in below if not is_unwanted(name)]
    _refuse(
        "these links lead to no file of the commit",
        [f"{name} -> {target}" for name, target in sorted(tree.links.items()) if ships(name) or _built(name)],
        "commit the file itself in each one's place",
    )
    _refuse(
        "these names hold control characters, backslashes or no text at all",
        [ascii(name) for name in wanted if _UNSAFE.search(name)],
        "rename them, and commit",
    )
    return wanted, [name for name in below if is_unwanted(name)]


def ships(name: str) -> bool:
    """Tell whether a file lies in a part of the repository that is packaged."""
    return any(is_below(name, part) for part in PARTS) and not any(
        is_below(name, part) for part in NOT_SHIPPED
    )


def is_unwanted(name: str) -> bool:
    """Tell whether a file, or a folder that it is in, is what git, an editor or a desktop left behind."""
    return any(_UNWANTED.fullmatch(part) for part in name.split("/"))


def is_below(name: str, part: str) -> bool:
    """Tell whether a path is another one, or lies below it."""
    return name == part or name.startswith(f"{part}/")


def _built(name: str) -> bool:
    return any(is_below(name, part) for part in SOURCES)


def _resolved(links: dict[str, str], files: Collection[str]) -> dict[str, str]:
    """Return, for each link that leads to a file of the commit, that file; a link may lead to a link."""
    found = {}
    for name in links:
        place, seen = name, set[str]()
        while place in links and place not in seen:
            seen.add(place)
            place = posixpath.normpath(posixpath.join(posixpath.dirname(place), links[place]))
        if place in files:
            found[name] = place
    return found


def _write(folder: Path, name: str, content: bytes) -> None:
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts:
        raise UsageError(f"the commit holds a file named {name!r}", next_step="ask git fsck what is wrong")
    path = folder.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _refuse(what: str, names: Iterable[str], next_step: str) -> None:
    if lines := [f"\n  {name}" for name in names]:
        raise UsageError(what + ":" + "".join(lines), next_step=next_step)

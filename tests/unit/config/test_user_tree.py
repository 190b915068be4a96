"""A client's folder shows nothing but itself, and what nobody reads is said."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.config.support import PROD, Confs

from pgaas.config.naming import Target
from pgaas.config.targets import find_targets

OWN = "confs/users/ic1"
PLACE = f"{OWN}/prod"
FILE = f"{PLACE}/databases.yaml"
OUT = f"{FILE}: is a link that leads out of {OWN}"

Change = Callable[[Path], None]


def link(place: str, target: str) -> Change:
    """Return what puts a link in the place of what is there."""

    def change(root: Path) -> None:
        path = root / place
        if path.is_dir():
            path.rename(root / "away")
        else:
            path.unlink(missing_ok=True)
        path.symlink_to(target)

    return change


def write(place: str, content: str | bytes) -> Change:
    return lambda root: Confs(root).write(place, content) and None


def fifo(root: Path) -> None:
    (root / FILE).unlink()
    os.mkfifo(root / FILE)


def listening(root: Path) -> None:
    (root / FILE).unlink()
    here = Path.cwd()
    os.chdir(root / PLACE)  # the name of a socket may have 107 bytes
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("databases.yaml")
    finally:
        os.chdir(here)


ANCHORS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdef", "bcdefg", strict=True)
)
# What a client can put into its folder, and what is said of it when its cluster is to be made.
HOSTILE: dict[str, tuple[Change, str]] = {
    "a file of this machine": (link(FILE, "/etc/hostname"), OUT),
    "another client's file": (link(FILE, "../../is1/hp/pic/databases.yaml"), OUT),
    "a client whose code begins alike": (link(FILE, "../../ic11/prod/databases.yaml"), OUT),
    "the platform team's file": (link(FILE, "../../../admin/prod/clients.yaml"), OUT),
    "a link to nothing, far away": (link(FILE, "/nowhere/databases.yaml"), OUT),
    "a link to nothing in its own folder": (link(FILE, "gone.yaml"), f"{FILE}: is missing"),
    "a link to itself": (link(FILE, "databases.yaml"), "can't be read: Too many levels of symbolic links"),
    "another client's environment": (link(PLACE, "../is1/hp/pic"), OUT),
    "another client's folder": (link(OWN, "is1"), OUT),
    "all of this machine": (link(OWN, "/"), OUT),
    "a way up and down again": (link(PLACE, "../../users/is1/hp/pic"), OUT),
    "a pipe": (fifo, f"{FILE}: is not a regular file"),
    "a socket": (listening, f"{FILE}: can't be read: No such device or address"),
    "a device": (link(FILE, "/dev/zero"), OUT),
    "too large a file": (write(FILE, b"#" * 1_048_577), "has more than 1024 KiB: no such file is that long"),
    "references to references": (write(FILE, ANCHORS), "stand for more than 10000 values"),
    "a reference to itself": (write(FILE, "a: &a [*a]\n"), "*'a' stands inside of what it refers to"),
    "a bottomless list": (write(FILE, "a: " + "[" * 100_000), f"{FILE}:1: is nested more than 32 deep"),
    "a tag": (write(FILE, "a: !!python/object:os.system x\n"), f"{FILE}:1: tags such as"),
    "another file by its name": (write(FILE, "a: !include ../../is1/x\n"), f"{FILE}:1: tags such as"),
    "bytes": (write(FILE, b"\xff\xfe\x00"), "is not UTF-8 text"),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_a_client_reaches_nothing_but_its_own_folder(confs: Confs, what: str):
    change, said = HOSTILE[what]
    change(confs.root)
    (issue,) = confs.issues(PROD)
    assert said in issue
    assert issue.startswith(FILE)


def told(confs: Confs) -> list[str]:
    return [str(issue) for issue in find_targets(confs.root)[1]]


def known(confs: Confs) -> set[Target]:
    return set(find_targets(confs.root)[0])


CODE = "it takes lower-case letters and digits, and begins with a letter"
MISPLACED: dict[str, tuple[Change, list[str]]] = {
    "a file in upper case": (
        write(f"{OWN}/perf/Databases.yaml", ""),
        [f"{OWN}/perf/Databases.yaml: is not read: call it databases.yaml"],
    ),
    "a file of another ending": (
        write(f"{OWN}/hp/dev1/databases.yml", ""),
        [f"{OWN}/hp/dev1/databases.yml: is not read: call it databases.yaml"],
    ),
    "a file in no environment": (
        write(f"{OWN}/databases.yaml", ""),
        [f"{OWN}/databases.yaml: is not read: it belongs into an environment's folder, such as ic1/prod"],
    ),
    "a file of all hp": (
        write(f"{OWN}/hp/databases.yaml", ""),
        [f"{OWN}/hp/databases.yaml: is not read: it belongs into an environment's folder, such as ic1/prod"],
    ),
    "an environment in upper case": (
        write(f"{OWN}/Prod/databases.yaml", ""),
        [f"{OWN}/Prod: is not an environment: a sub-environment of hp belongs in {OWN}/hp/Prod"],
    ),
    "a client in upper case": (
        write("confs/users/IC1/prod/databases.yaml", ""),
        [f"confs/users/IC1: 'IC1' is not a code: {CODE}"],
    ),
    "a folder whose name is two lines": (
        write("confs/users/a\nnext: all is well/prod/databases.yaml", ""),
        ["confs/users/a\\nnext: all is well: 'a\\nnext: all is well' is not a code: " + CODE],
    ),
    "a client under another name": (
        link("confs/users/ic2", "ic1"),
        ["confs/users/ic2: is a link: a client's folder can't be one"],
    ),
    "a client that is nowhere": (
        link("confs/users/ic2", "nowhere"),
        ["confs/users/ic2: is a link: a client's folder can't be one"],
    ),
    "a client in a circle": (
        link("confs/users/ic2", "ic2"),
        ["confs/users/ic2: is a link: a client's folder can't be one"],
    ),
    "environments of this machine": (
        link(f"{OWN}/etc", "/etc"),
        [f"{OWN}/etc: is a link that leads out of {OWN}"],
    ),
    "an environment that is nowhere": (
        link(f"{OWN}/hp/dev9", "nowhere"),
        [f"{OWN}/hp/dev9: is a link that leads nowhere"],
    ),
    "an environment in a circle": (
        link(f"{OWN}/hp/dev9", "dev9"),
        [f"{OWN}/hp/dev9: is a link that leads nowhere"],
    ),
}


@pytest.mark.parametrize("what", MISPLACED)
def test_what_nobody_reads_is_told_and_hides_nobody_else(confs: Confs, what: str):
    before = known(confs)
    change, said = MISPLACED[what]
    change(confs.root)
    assert told(confs) == said
    assert known(confs) == before


def test_a_folder_that_may_not_be_read_is_told(confs: Confs, monkeypatch: pytest.MonkeyPatch):
    # Root may read everything, so the refusal is made here.
    scan = os.scandir

    def refuse(path: Path) -> object:
        if Path(path).name == "is1":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert told(confs) == ["confs/users/is1: can't be read: Permission denied"]
    assert {target.ins for target in known(confs)} == {"ic1"}


def test_links_in_ones_own_folder_and_links_to_documents_are_taken(confs: Confs):
    before = known(confs)
    (confs.root / OWN / "hp/dev9").symlink_to("dev1")
    (confs.root / OWN / "prod/notes.md").symlink_to("../perf/databases.yaml")
    (confs.root / "confs/users/README.md").symlink_to("ic1/prod/databases.yaml")
    assert told(confs) == []
    assert known(confs) - before == {Target("ic1", "dev9", "dc1")}

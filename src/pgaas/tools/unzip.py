"""Unpack an archive that came over the network: nothing in it gets outside the folder, or fills the disk."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from pgaas.errors import RefusedAsUnsafe

ENTRY_LIMIT = 50_000
SIZE_LIMIT = 1 << 30
FILE_MODE, PROGRAM_MODE = 0o644, 0o755
# Bit 0 of an entry's flags.
ENCRYPTED = 1


def unzip(
    archive: Path, folder: Path, *, top: str = "", wanted: Callable[[str], bool] = lambda _: True
) -> list[str]:
    """Unpack an archive into a folder that is empty, and return the names of what is there now.

    A folder `top` around everything is taken off, if it is there; `wanted` says which names to unpack.
    Raise RefusedAsUnsafe for an archive that is damaged, encrypted, too large, holds a link or a special
    file, two files of one name, or a name that leads outside; nothing of it is unpacked then.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = [entry for entry in opened.infolist() if not entry.is_dir()]
            names = _names(archive.name, opened.infolist(), top)
            if bad := opened.testzip():
                raise _refused(archive.name, f"{bad!r} is damaged")
            unpacked = []
            for entry in entries:
                name = names[entry.filename]
                if wanted(name):
                    _write(opened, entry, folder / name)
                    unpacked.append(name)
            return unpacked
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        RuntimeError,
        ValueError,
    ) as error:
        raise _refused(archive.name, f"it is no zip that can be read ({error})") from error


def _names(archive: str, entries: list[zipfile.ZipInfo], top: str) -> dict[str, str]:
    """Return what each entry will be called. Raise RefusedAsUnsafe if one of them can't be taken."""
    if len(entries) > ENTRY_LIMIT or sum(entry.file_size for entry in entries) > SIZE_LIMIT:
        raise _refused(archive, f"it holds more than {ENTRY_LIMIT} files or {SIZE_LIMIT >> 20} MiB")
    for entry in entries:
        if problem := _problem(entry):
            raise _refused(archive, f"{entry.filename!r} {problem}")
    prefix = f"{top}/"
    cut = len(prefix) if top and all(entry.filename.startswith(prefix) for entry in entries) else 0
    names = {entry.filename: entry.filename[cut:] for entry in entries if not entry.is_dir()}
    seen: dict[str, str] = {}
    for name in [entry.filename for entry in entries if not entry.is_dir()]:
        # Names that differ in case only are one file on some machines.
        if (folded := name.casefold()) in seen:
            raise _refused(archive, f"{name!r} is in it twice, or another name differs from it in case only")
        seen[folded] = name
    for name in seen.values():
        for parent in Path(name.casefold()).parents:
            if parent.as_posix() in seen:
                raise _refused(archive, f"{seen[parent.as_posix()]!r} is both a file and a folder in it")
    return names


def _problem(entry: zipfile.ZipInfo) -> str:
    name, kind = entry.filename, stat.S_IFMT(entry.external_attr >> 16)
    parts = name.rstrip("/").split("/")
    if name.startswith("/") or "\\" in name or ":" in parts[0] or not name.isprintable():
        return "is not a name below a folder"
    if any(part in ("", ".", "..") for part in parts):
        return "leads outside the folder, or nowhere"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a special file"
    return "is encrypted" if entry.flag_bits & ENCRYPTED else ""


def _write(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with opened.open(entry) as source, path.open("xb") as target:
        shutil.copyfileobj(source, target)
    path.chmod(PROGRAM_MODE if entry.external_attr >> 16 & stat.S_IXUSR else FILE_MODE)


def _refused(archive: str, why: str) -> RefusedAsUnsafe:
    return RefusedAsUnsafe(
        f"{archive} was not unpacked: {why}", next_step="look at who made it, and publish a new version"
    )

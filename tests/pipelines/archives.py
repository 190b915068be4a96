"""Archives as they are published: a platform's and users', and some that must not be unpacked."""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PLATFORM_PARTS = ("helmfile.yaml", "helmfile-checks", "charts", "local-infra", "confs/admin", "manifests")


def zipped(files: Mapping[str, bytes | str], *, links: Mapping[str, str] | None = None) -> bytes:
    """Return an archive of files by name, and of symbolic links."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
        for name, target in (links or {}).items():
            entry = zipfile.ZipInfo(name)
            entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
            archive.writestr(entry, target)
    return buffer.getvalue()


def below(folder: str, prefix: str = "") -> dict[str, bytes]:
    """Return the repository's files below a folder, or one file, named from the repository's root."""
    start = REPOSITORY / folder
    paths = sorted(path for path in start.rglob("*") if path.is_file()) if start.is_dir() else [start]
    return {prefix + path.relative_to(REPOSITORY).as_posix(): path.read_bytes() for path in paths}


def platform_files(prefix: str = "") -> dict[str, bytes | str]:
    """Return the files of a platform as it is packaged, for all environments of this repository."""
    files: dict[str, bytes | str] = {}
    for part in PLATFORM_PARTS:
        files |= below(part, prefix)
    return files


def users_files(prefix: str = "") -> dict[str, bytes | str]:
    """Return the users' repository: clients' folders at its top, and what else people keep there."""
    clients = {
        prefix + name.removeprefix("confs/users/"): content for name, content in below("confs/users").items()
    }
    return {**clients, f"{prefix}README.md": "read me", f"{prefix}.gitlab-ci.yml": "x: {script: [a]}"}

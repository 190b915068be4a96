"""Fetch a version of the platform and one of the users' files, and put them together into a root."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from pgaas.config.environments import USER_FILE, USERS_FOLDER
from pgaas.config.naming import (
    PLATFORM_ARTIFACT,
    USERS_ARTIFACT,
    artifact_path,
    package_name,
    users_package_name,
)
from pgaas.config.releases import version_problem
from pgaas.config.root import is_root
from pgaas.errors import RefusedAsUnsafe, UsageError
from pgaas.operations.ci_access import Access, artifacts
from pgaas.operations.progress import Progress, step
from pgaas.tools.artifactory import Artifactory
from pgaas.tools.unzip import unzip

# Says which versions a root is made of, and that it may be replaced by another fetch.
RELEASE_FILE = ".pgaas-release.json"


@dataclass(frozen=True)
class Part:
    """One archive that a root is made of."""

    version: str
    sha256: str


@dataclass(frozen=True)
class Release:
    """What a root is made of."""

    pgaas: Part
    users: Part


@dataclass(frozen=True)
class Fetched:
    """The root, the clients in it, and what of the users' archive is no client's."""

    root: Path
    release: Release
    clients: tuple[str, ...]
    left_out: tuple[str, ...]


def fetch(
    into: Path,
    pgaas_version: str,
    users_version: str,
    access: Access,
    progress: Progress,
    environment: Mapping[str, str] = os.environ,
) -> Fetched:
    """Make a root of two versions: the platform's, with the users' files as its confs/users.

    The folder is there as a whole or not at all; one that an earlier fetch made is replaced. Raise
    UsageError if something else is in its place, RefusedAsUnsafe for an archive that is not what it should
    be, ToolFailed or TimedOut for what Vault or Artifactory says.
    """
    _check_versions(pgaas_version, users_version)
    into = into.absolute()
    _refuse_foreign(into)
    into.parent.mkdir(parents=True, exist_ok=True)
    work = into.with_name(f".{into.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    work.mkdir(mode=0o700)
    try:
        with artifacts(access, environment, progress) as repository:
            platform = _fetched(repository, PLATFORM_ARTIFACT, pgaas_version, package_name, work, progress)
            users = _fetched(repository, USERS_ARTIFACT, users_version, users_package_name, work, progress)
        release = Release(Part(pgaas_version, platform.sha256), Part(users_version, users.sha256))
        with step(progress, f"putting {into.name} together") as outcome:
            made = work / "root"
            clients, left_out = _assemble(made, platform, users)
            (made / RELEASE_FILE).write_text(json.dumps(asdict(release), indent=2) + "\n")
            _put_in_place(made, into, work)
            outcome.text = f"{len(clients)} clients"
        return Fetched(into, release, clients, left_out)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def read_release(root: Path) -> Release | None:
    """Return what a fetched root is made of, or None for any other root."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        content = json.loads((root / RELEASE_FILE).read_text())
        pgaas, users = content["pgaas"], content["users"]
        return Release(Part(pgaas["version"], pgaas["sha256"]), Part(users["version"], users["sha256"]))
    return None


@dataclass(frozen=True)
class _Archive:
    file: Path
    sha256: str
    top: str


def _check_versions(pgaas_version: str, users_version: str) -> None:
    given = {"PGAAS_VERSION": pgaas_version, "USERS_VERSION": users_version}
    wrong = [f"{name}: {problem}" for name, value in given.items() if (problem := version_problem(value))]
    if wrong:
        raise UsageError("; ".join(wrong))


def _refuse_foreign(into: Path) -> None:
    if into.is_symlink() or (into.exists() and not into.is_dir()):
        problem = "is no folder"
    elif into.is_dir() and any(into.iterdir()) and not (into / RELEASE_FILE).is_file():
        problem = "holds something that no fetch has made"
    else:
        return
    raise UsageError(f"{into} {problem}", next_step="name a folder that is empty, or not there yet")


def _fetched(
    repository: Artifactory,
    artifact: str,
    version: str,
    named: Callable[[str], str],
    work: Path,
    progress: Progress,
) -> _Archive:
    name = named(version)
    file = work / name
    with step(progress, f"fetching {name}") as outcome, file.open("w+b") as content:
        sha256 = repository.get(artifact_path(artifact, version, name), content)
        outcome.text = f"{file.stat().st_size >> 10} KiB, SHA-256 as published"
    return _Archive(file, sha256, f"{artifact}-{version}")


def _assemble(made: Path, platform: _Archive, users: _Archive) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Unpack both; of the users' archive, what belongs to a client. Return the clients and what is left out.

    Users' files that the platform's archive might hold are not unpacked: what is deployed of a client is what
    the users' version says, or nothing.
    """
    made.mkdir()
    unzip(platform.file, made, top=platform.top, wanted=lambda name: not _is_below(name, USERS_FOLDER))
    if not is_root(made) or not (made / "charts").is_dir():
        raise RefusedAsUnsafe(
            f"{platform.file.name} is no platform: it lacks helmfile.yaml, confs/ or charts/",
            next_step="look at how it was packaged; `pgaas package` makes it",
        )
    aside = made.with_name("users")
    aside.mkdir()
    names = unzip(users.file, aside, top=users.top)
    # A folder with a databases.yaml below it is a client's: beside them are a README, CODEOWNERS, schemas.
    clients = {PurePosixPath(name).parts[0] for name in names if _is_users(name)}
    if not clients:
        raise RefusedAsUnsafe(
            f"{users.file.name} holds no client: no INS/ENV/{USER_FILE} is in it",
            next_step="package the users' repository itself, clients' folders at its top",
        )
    folder = made / USERS_FOLDER
    folder.mkdir(parents=True)
    for ins in clients:
        (aside / ins).rename(folder / ins)
    return tuple(sorted(clients)), tuple(
        sorted(name for name in names if PurePosixPath(name).parts[0] not in clients)
    )


def _is_users(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return len(parts) > 1 and parts[-1] == USER_FILE and not parts[0].startswith(".")


def _is_below(name: str, folder: PurePosixPath) -> bool:
    return PurePosixPath(name).is_relative_to(folder)


def _put_in_place(made: Path, into: Path, work: Path) -> None:
    """Put the new root where the old one was, which goes back if that fails."""
    if not into.exists():
        made.rename(into)
        return
    old = work / "old"
    into.rename(old)
    try:
        made.rename(into)
    except BaseException:
        old.rename(into)
        raise

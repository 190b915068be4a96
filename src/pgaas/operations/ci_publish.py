"""Publish a version's files: once, whole, read back, and never over another content."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pgaas.config.naming import artifact_path
from pgaas.config.releases import tag_version
from pgaas.errors import RefusedAsUnsafe, ToolFailed, UsageError
from pgaas.operations.ci_access import Access, artifacts
from pgaas.operations.progress import Progress, step
from pgaas.tools.artifactory import Artifactory, sha256_of

# The name of what is published, before its version: pgaas, pgaas-users.
ARTIFACT = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
# After the version: .zip, .zip.sha256, .cdx.json.
ENDING = re.compile(r"(?:\.[A-Za-z0-9]+)+")


@dataclass(frozen=True)
class PublishedFile:
    """One file as it is in the repository; `already` says that it was there before, with the same bytes."""

    name: str
    url: str
    sha256: str
    size: int
    already: bool


@dataclass(frozen=True)
class Published:
    """What was published of which version."""

    version: str
    files: tuple[PublishedFile, ...]


@dataclass(frozen=True)
class _Wanted:
    file: Path
    path: str
    sha256: str
    size: int


def publish(
    files: Sequence[Path],
    tag: str | None,
    access: Access,
    progress: Progress,
    environment: Mapping[str, str] = os.environ,
) -> Published:
    """Publish files of a tag's version, and read each back. All are looked at before the first is sent.

    Raise RefusedAsUnsafe if there is no tag, or another content is there under the same name; UsageError for
    files that are not that version's; ToolFailed or TimedOut for what Vault or Artifactory says.
    """
    if not tag:
        raise RefusedAsUnsafe(
            "nothing was published: this is not the build of a tag",
            next_step="run it for a tag (CI_COMMIT_TAG or TAG_NAME says which), or name it with --tag",
        )
    version = tag_version(tag)
    wanted = _check_files(files, version)
    with artifacts(access, environment, progress) as repository:
        with step(progress, f"looking at what is published of {version}"):
            there = {each.path: repository.stored_checksum(each.path) for each in wanted}
            _refuse_others(repository, wanted, there)
        done = [_publish(repository, each, there[each.path], progress) for each in wanted]
    return Published(version, tuple(done))


def _check_files(files: Sequence[Path], version: str) -> list[_Wanted]:
    """Return each file, where it goes, and its checksum. Raise UsageError with all that is wrong."""
    problems: list[str] = []
    wanted: list[_Wanted] = []
    for file in files:
        artifact, found, ending = file.name.partition(f"-{version}")
        if not file.is_file():
            problems.append(f"{file} is not there, or is no file")
        elif not (found and ARTIFACT.fullmatch(artifact) and ENDING.fullmatch(ending)):
            problems.append(f"{file.name} is not named NAME-{version}.ENDING, such as pgaas-{version}.zip")
        elif any(each.file.name == file.name for each in wanted):
            problems.append(f"{file.name} is named twice")
        else:
            path = artifact_path(artifact, version, file.name)
            wanted.append(_Wanted(file, path, sha256_of(file), file.stat().st_size))
    if problems or not wanted:
        raise UsageError(
            "; ".join(problems) or "no file to publish",
            next_step=f"publish what `pgaas package` wrote of {version}",
        )
    return wanted


def _refuse_others(
    repository: Artifactory, wanted: Sequence[_Wanted], there: Mapping[str, str | None]
) -> None:
    others = [
        f"\n  {repository.url(each.path)} has SHA-256 {there[each.path]}, and {each.file} has {each.sha256}"
        for each in wanted
        if there[each.path] not in (None, each.sha256)
    ]
    if others:
        raise RefusedAsUnsafe(
            f"nothing was published: another content has this version already:{''.join(others)}",
            next_step="publish under a new version: what a version holds never changes",
        )


def _publish(
    repository: Artifactory, wanted: _Wanted, before: str | None, progress: Progress
) -> PublishedFile:
    url = repository.url(wanted.path)
    with step(progress, f"publishing {wanted.file.name}") as outcome:
        if before is None:
            repository.put(wanted.path, wanted.file)
        _compare(repository, wanted, url, ours=before is None)
        outcome.text = "read back, the same" if before is None else "there already, the same"
    return PublishedFile(wanted.file.name, url, wanted.sha256, wanted.size, before is not None)


def _compare(repository: Artifactory, wanted: _Wanted, url: str, *, ours: bool) -> None:
    found = repository.read_back(wanted.path)
    if found != wanted.sha256:
        raise ToolFailed(
            f"what is read back of {wanted.file.name} is not what was "
            f"{'sent' if ours else 'published before'}: SHA-256 {found}, and should be {wanted.sha256}",
            where=url,
            next_step="delete it there before anyone deploys it, then publish again",
        )

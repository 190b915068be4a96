"""List what can be restored: every archive of a client, its base backups, and how far their WAL reaches."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pgaas.config.naming import Target
from pgaas.errors import PgaasError
from pgaas.kube.resources import BACKUP, Object, dig, name_of
from pgaas.kube.snapshot import BACKUP_DONE, BACKUP_FAILED
from pgaas.operations.archives import Found, open_bucket, places_of, read_places
from pgaas.operations.progress import Progress, step
from pgaas.operations.subject import Subject, load_subject
from pgaas.tools.backup_info import BaseBackup
from pgaas.tools.catalog import Catalog, Window


@dataclass(frozen=True)
class Listed:
    """One base backup; `objects` are the Backups of Kubernetes that stand for it.

    `reaches` is the moment up to which one can restore from it, None if it cannot be restored at all.
    """

    backup: BaseBackup
    reaches: datetime | None
    objects: tuple[str, ...]


@dataclass(frozen=True)
class Archived:
    """One archive, as a person needs to know it; `error` says why it could not be read.

    `problems` are holes in the WAL and whatever else a recovery would stop at.
    """

    datacenter: str
    cluster: str
    server_name: str
    generation: int
    current: bool
    url: str
    backups: tuple[Listed, ...] = ()
    windows: tuple[Window, ...] = ()
    newest_wal: str = ""
    newest_wal_at: datetime | None = None
    problems: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Unarchived:
    """A Backup of Kubernetes that no archive holds: it has failed, is running, or was pruned."""

    name: str
    cluster: str
    phase: str
    error: str


@dataclass(frozen=True)
class Backups:
    """All archives that this datacenter's S3 shows, its own first; `notes` say what could not be asked."""

    bucket: str
    archives: tuple[Archived, ...]
    unarchived: tuple[Unarchived, ...]
    notes: tuple[str, ...]


def list_backups(root: Path, target: Target, progress: Progress) -> Backups:
    """Return what is in the archives; no cluster need be there, and Kubernetes only if it holds the keys.

    Raise ConfigError, KubernetesError or ToolFailed if S3 cannot be looked at.
    """
    subject = load_subject(root, target)
    bucket = open_bucket(subject, environment=True)
    with step(progress, f"reading {subject.place}") as outcome:
        found = read_places(bucket, places_of(subject, bucket))
        outcome.text = f"{len(found)} archives"
    objects, notes = _objects(subject)
    archives = tuple(_archived(each, subject, objects) for each in found)
    held = {name for archive in archives for each in archive.backups for name in each.objects}
    loose = tuple(
        Unarchived(
            name_of(each),
            str(dig(each, "spec", "cluster", "name", default="")),
            str(dig(each, "status", "phase", default="pending")),
            str(dig(each, "status", "error") or dig(each, "status", "commandError", default="")),
        )
        for each in objects
        if name_of(each) not in held
    )
    return Backups(str(subject.place), archives, loose, tuple(notes))


def _archived(found: Found, subject: Subject, objects: list[Object]) -> Archived:
    place, catalog = found.place, found.catalog
    url = f"s3://{subject.place.bucket}/{place.prefix}{place.server_name}/"
    known = (place.target.dc, place.cluster, place.server_name, place.generation, place.current, url)
    if catalog is None:
        return Archived(*known, error=found.error)
    reach = {each.backup.id: each.window for each in catalog.recoverable}
    return Archived(
        *known,
        backups=tuple(
            Listed(each, _reaches(reach.get(each.id)), _standing_for(each, place.cluster, objects))
            for each in catalog.backups
        ),
        windows=catalog.windows,
        newest_wal=catalog.newest_wal.name if catalog.newest_wal else "",
        newest_wal_at=catalog.newest_wal.written if catalog.newest_wal else None,
        problems=problems_of(catalog),
    )


def problems_of(catalog: Catalog) -> tuple[str, ...]:
    """Return in words what a recovery out of an archive would stop at."""
    holes = [
        f"WAL {catalog.gap_names(gap)} is missing ({gap.count} segment{'s' if gap.count != 1 else ''})"
        for gap in catalog.holes
    ]
    bad = [
        f"backup {each.id}: {each.error}"
        for each in catalog.backups
        if each.status in ("failed", "unreadable") and each.error
    ]
    return (*holes, *catalog.problems, *bad)


def _reaches(window: Window | None) -> datetime | None:
    return window.last if window else None


def _standing_for(backup: BaseBackup, cluster: str, objects: list[Object]) -> tuple[str, ...]:
    """Return the Backups whose id this is, of this cluster: two clusters may begin one in the same second."""
    return tuple(
        name_of(each)
        for each in objects
        if dig(each, "spec", "cluster", "name") == cluster
        and dig(each, "status", "backupId") == backup.id
        and dig(each, "status", "phase", default="") not in BACKUP_FAILED
    )


def _objects(subject: Subject) -> tuple[list[Object], list[str]]:
    """Return the Backups of all datacenters, and in words whose could not be asked."""
    datacenters = list(dict.fromkeys([subject.target.dc, *subject.resolved.client.datacenters]))

    def ask(dc: str) -> tuple[list[Object], str]:
        try:
            other = subject if dc == subject.target.dc else _other(subject, dc)
            return other.api().find(BACKUP, subject.namespace), ""
        except PgaasError as error:
            return [], f"{dc}: its Backup objects could not be asked for: {error.what}"

    with ThreadPoolExecutor(len(datacenters)) as pool:
        answers = list(pool.map(ask, datacenters))
    # Datacenters may share a context, and with it the objects.
    found = {
        dig(each, "metadata", "uid") or name_of(each): each for objects, _ in answers for each in objects
    }
    ordered = sorted(found.values(), key=lambda each: str(dig(each, "metadata", "creationTimestamp")))
    return ordered, [note for _, note in answers if note]


def _other(subject: Subject, dc: str) -> Subject:
    return load_subject(subject.root, subject.target._replace(dc=dc))


def unfinished(each: Unarchived) -> bool:
    """Whether a Backup is still at work."""
    return each.phase not in (BACKUP_DONE, *BACKUP_FAILED)

"""Find out what a restore would be made of: archive, base backup, image, volume. Change nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from pgaas.config.models.types import quantity_value
from pgaas.config.naming import Target
from pgaas.config.restored import moment_text
from pgaas.errors import RefusedAsUnsafe, UsageError
from pgaas.kube.client import Api
from pgaas.kube.resources import CLUSTER, POD, SECRET, VOLUME_CLAIM, Object, dig
from pgaas.kube.snapshot import CLUSTER_LABEL, major_of, server_name
from pgaas.operations.archives import Found, Place, open_bucket, places_of, read_places
from pgaas.operations.backups import problems_of
from pgaas.operations.subject import Subject
from pgaas.render.restored import Restoring, restored_values
from pgaas.tools.backup_info import BaseBackup
from pgaas.tools.catalog import Catalog, Recoverable, Window, joined

# A volume holds the files of the backup, and beside them WAL that is replayed.
ROOM = 1.2
MEBI = 2**20


@dataclass(frozen=True)
class Wanted:
    """What was asked for: one of a moment, a backup's id, or the newest; `archive` is empty for the default.

    With none of the three it is whatever the cluster of that name is being restored to.
    """

    name: str
    moment: datetime | None = None
    backup_id: str = ""
    latest: bool = False
    archive: str = ""

    @property
    def request(self) -> str:
        """Return what was asked for in a few words, the same for the same."""
        if self.moment:
            return f"time {moment_text(self.moment)}"
        return f"backup {self.backup_id}" if self.backup_id else "latest" if self.latest else ""


@dataclass(frozen=True)
class Plan:
    """What will be restored: `subject` is the cluster that comes, `source` the target's own.

    `window` is what one could restore to from this archive. `own_clients` if the source's client CA is gone,
    so that the new cluster gets certificates of its own.
    """

    subject: Subject
    source: Subject
    place: Place
    backup: BaseBackup
    window: Window
    image: str
    storage: str
    own_clients: bool
    request: str
    notes: tuple[str, ...] = ()


def find_base(
    subject: Subject, wanted: Wanted, advance: Callable[[Place], datetime | None]
) -> tuple[Place, Recoverable]:
    """Return the archive and the base backup to restore from.

    `advance` has the living source archive what it has written until now, and returns until when by its
    clock that is; None if it has none to tell. Raise UsageError for a time to come or an archive that is not
    there, RefusedAsUnsafe if what is asked for cannot be restored, with what can.
    """
    bucket = open_bucket(subject)
    places = _candidates(places_of(subject, bucket), subject, wanted)
    until = {} if wanted.backup_id else {place: advance(place) for place in places}
    found = read_places(bucket, places)
    clocks = [(clock, subject.cluster) for clock in until.values() if clock] or [
        (each.catalog.read_at, "S3") for each in found if each.catalog
    ]
    if wanted.moment and clocks and wanted.moment > max(clocks)[0]:
        raise _to_come(wanted.moment, *max(clocks), found)
    for each in found:
        base = _base_in(each.catalog, wanted, until.get(each.place)) if each.catalog else None
        if base:
            return each.place, base
    raise _refused(subject, wanted, found)


def find_pinned(subject: Subject, server_name: str, backup_id: str) -> tuple[Place, Recoverable]:
    """Return what a restore that was begun is made of. Raise RefusedAsUnsafe if it is not there any more."""
    bucket = open_bucket(subject)
    places = [place for place in places_of(subject, bucket) if place.server_name == server_name]
    for each in read_places(bucket, places):
        for base in each.catalog.recoverable if each.catalog else ():
            if base.backup.id == backup_id and base.window:
                return each.place, base
    raise RefusedAsUnsafe(
        f"the restore was begun from backup {backup_id} of {server_name}, which is not there any more",
        where=str(subject.place),
        next_step="remove what was begun with --remove, and restore from another backup",
    )


def _candidates(places: list[Place], subject: Subject, wanted: Wanted) -> list[Place]:
    """Return the archives to look in: the one named, or this datacenter's, the newest life first."""
    if wanted.archive:
        chosen = [place for place in places if place.server_name == wanted.archive]
    else:
        chosen = [place for place in places if place.target == subject.target]
    if chosen:
        return chosen
    names = ", ".join(place.server_name for place in places)
    whose = f"no archive {wanted.archive!r}" if wanted.archive else f"no archive of {subject.cluster}"
    raise UsageError(
        f"there is {whose} in {subject.place}",
        where=str(subject.place),
        next_step=f"name one that is there with --archive: {names}" if names else subject.command("backups"),
    )


def _base_in(catalog: Catalog, wanted: Wanted, until: datetime | None) -> Recoverable | None:
    usable = [each for each in catalog.recoverable if each.window]
    if wanted.moment:
        # The source's own word counts for more than when S3 says that it got a file.
        sure = [each for each in usable if until and each.chain.complete and until >= wanted.moment]
        ended = [each for each in sure if each.window and each.window.first <= wanted.moment]
        return ended[0] if ended else catalog.base_for(wanted.moment)
    if wanted.backup_id:
        named = catalog.backup_named(wanted.backup_id)
        return next((each for each in usable if named and each.backup.id == named.id), None)
    # All that the archive holds is on the newest timeline.
    return next((each for each in usable if not each.chain.astray), None)


def _to_come(moment: datetime, now: datetime, whose: str, found: list[Found]) -> UsageError:
    return UsageError(
        f"--to-time {moment_text(moment)} is still to come: the clock of {whose} says {moment_text(now)}",
        next_step=f"{_window_text(found)}; --latest takes all that there is",
    )


def _refused(subject: Subject, wanted: Wanted, found: list[Found]) -> RefusedAsUnsafe:
    """Return the error that says what cannot be restored, why, and what can."""
    lines = [f"{each.place.server_name}: {each.error}" for each in found if each.error]
    for each in found:
        if each.catalog:
            lines += [f"{each.place.server_name}: {text}" for text in problems_of(each.catalog)]
    if wanted.backup_id:
        named = [each.catalog.backup_named(wanted.backup_id) for each in found if each.catalog]
        there = next((each for each in named if each), None)
        what = (
            f"backup {wanted.backup_id} cannot be restored: "
            + (f"it is {there.status}" if there.status != "completed" else "WAL that it needs is missing")
            if there
            else f"there is no backup {wanted.backup_id}"
        )
    elif wanted.moment:
        what = f"nothing in the archive gets to {moment_text(wanted.moment)}"
    else:
        what = "there is no completed base backup whose WAL is there"
    return RefusedAsUnsafe(
        f"{what}: {_window_text(found)}" + "".join(f"\n  {line}" for line in lines),
        where=", ".join(each.catalog.url for each in found if each.catalog) or str(subject.place),
        next_step=f"{subject.command('backups')} shows all archives; --archive names another one",
    )


def _window_text(found: list[Found]) -> str:
    windows = joined(window for each in found if each.catalog for window in each.catalog.windows)
    if not windows:
        return "nothing can be restored from here"
    spans = [f"from {moment_text(each.first)} to {moment_text(each.last)}" for each in windows]
    return f"one can restore to any moment {', or '.join(spans)}"


def make_plan(subject: Subject, api: Api, wanted: Wanted, place: Place, base: Recoverable) -> Plan:
    """Return what the restored cluster is made of. Raise RefusedAsUnsafe if no image fits its backup."""
    live = api.get(CLUSTER, subject.cluster, subject.namespace)
    image, major = _image(subject, api, live, base.backup)
    storage, notes = _storage(subject, api, live, base.backup)
    own_clients = not has_client_ca(subject, api)
    backup, window = base.backup, base.window
    assert window is not None
    restoring = Restoring(
        name=wanted.name,
        source=place.target,
        server_name=place.server_name,
        request=wanted.request,
        backup_id=backup.id,
        image=image,
        major=major,
        storage_size=storage,
        target_time=moment_text(wanted.moment) if wanted.moment else "",
        immediate=bool(wanted.backup_id),
        # Where the newest timeline left before the backup's end, PostgreSQL would refuse to go there.
        timeline=backup.timeline if wanted.backup_id else 0,
        own_clients=own_clients,
    )
    if own_clients:
        notes.append(
            "the client CA of the source is gone: the restored cluster gets client certificates of its own"
        )
    values = restored_values(subject.resolved, restoring)
    return Plan(
        subject=replace(subject, values=values),
        source=subject,
        place=place,
        backup=backup,
        window=window,
        image=image,
        storage=storage,
        own_clients=own_clients,
        request=wanted.request,
        notes=tuple(notes),
    )


def name_only(subject: Subject, name: str, source: Target | None = None) -> Subject:
    """Return a restored cluster by its name, for what needs no more than the names of its parts."""
    major = subject.values.image_catalog.major
    whose = source or subject.target
    restoring = Restoring(name, whose, subject.server_name, "latest", "none", subject.image, major)
    return replace(subject, values=restored_values(subject.resolved, restoring))


def has_client_ca(subject: Subject, api: Api) -> bool:
    """Whether the client CA is there that signed the certificates that the client has."""
    return api.get(SECRET, subject.values.certificates.client_ca, subject.namespace) is not None


def archives_to(live: Object | None, place: Place) -> bool:
    """Whether a live cluster is the one that writes to this archive."""
    return live is not None and server_name(live) == place.server_name


def _image(subject: Subject, api: Api, live: Object | None, backup: BaseBackup) -> tuple[str, int]:
    """Return the image that runs the source, or the catalog's for the backup's major version."""
    major = backup.major or subject.values.image_catalog.major
    if live is not None and major_of(live) == major:
        pods = api.find(POD, subject.namespace, labels={CLUSTER_LABEL: subject.cluster})
        running = [
            str(container["image"])
            for pod in pods
            for container in dig(pod, "spec", "containers", default=[])
            if container.get("name") == "postgres"
        ]
        image = str(dig(live, "status", "image", default="")) or next(iter(running), "")
        if image:
            return image, major
    offered = subject.values.image_catalog.images
    for entry in offered:
        if entry.major == major:
            return entry.image, major
    raise RefusedAsUnsafe(
        f"backup {backup.id} is of PostgreSQL {major}, and the image catalog has no such version",
        where=f"confs/admin/{subject.resolved.team_env}/postgresql.yaml",
        next_step=f"add an image of PostgreSQL {major} to imageCatalog there",
    )


def _storage(subject: Subject, api: Api, live: Object | None, backup: BaseBackup) -> tuple[str, list[str]]:
    """Return the largest of what the client has now, the source's volumes, what the backup needs."""
    sizes = [subject.values.cluster.storage.size]
    sizes += [str(dig(live, "spec", "storage", "size", default=""))] if live else []
    for claim in api.find(VOLUME_CLAIM, subject.namespace, labels={CLUSTER_LABEL: subject.cluster}):
        sizes.append(str(dig(claim, "spec", "resources", "requests", "storage", default="")))
    largest = max((size for size in sizes if size), key=quantity_value)
    needed = int((backup.size or 0) * ROOM)
    if needed <= quantity_value(largest):
        return largest, []
    size = f"{-(-needed // MEBI)}Mi"
    return size, [f"the volume gets {size} instead of {largest}: the backup's files would not fit"]

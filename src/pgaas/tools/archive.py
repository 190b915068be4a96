"""Read what the archive of a cluster in S3 holds: base backups, WAL, and whether the two meet.

Barman keeps an archive as SERVER/base/ID/backup.info and SERVER/wals/FOLDER/SEGMENT, with history files
directly in wals/. A folder holds the WAL of 4 GiB, so that the names of the folders are few; only the newest
folders are read, and those behind the newest base backup.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from pgaas.tools.archived_wal import ArchivedWal, Stored, rate
from pgaas.tools.backup_info import BaseBackup, parse_backup_info
from pgaas.tools.s3 import Bucket, Unreadable
from pgaas.tools.wal import SEGMENT_SIZE, Segment, end_of, history_name, parse_segment, segment_name
from pgaas.tools.wal_chain import Gap, after, before, gaps, stretches

# Over which time the rate of WAL is measured: twice PostgreSQL's usual archive_timeout of five minutes.
RECENT = timedelta(minutes=10)
BACKUPS_AT_ONCE = 8
BACKUPS_READ = 32
INFO_LIMIT = 2**20


@dataclass(frozen=True)
class Chain:
    """Whether all WAL is there from the newest base backup's begin to the newest segment.

    `reached` is the last segment that a recovery from that backup gets to, None if not even its first.
    `problem` says in words what keeps a recovery from the newest WAL besides gaps; `note` how sure this is.
    `settled` is when the first segment behind what is missing was written: uploads overtake one another, and
    a replica archives the history of a timeline minutes after its WAL, so that what is young may come yet.
    `astray` if the newest timeline does not go through the backup: from there PostgreSQL cannot follow it.
    """

    gaps: tuple[Gap, ...] = ()
    problem: str = ""
    note: str = ""
    reached: Stored | None = None
    settled: datetime | None = None
    astray: bool = False

    @property
    def complete(self) -> bool:
        """Whether a recovery gets from the backup to the newest WAL."""
        return not self.gaps and not self.problem

    @property
    def missing(self) -> int:
        """Return how many segments are missing in all gaps together."""
        return sum(gap.count for gap in self.gaps)


@dataclass(frozen=True)
class Archive:
    """What one archive holds.

    `backups` are the newest, newest first, of `backup_count`. `history` is the highest timeline that has a
    history file, None if there is none. `rate` is in bytes of WAL per second, None where too little is there
    to tell. `chain` is None if there is no completed backup, or if it was not asked for. `read_at` is the
    time of S3's clock: compare `written` with it rather than with a clock of one's own.
    """

    url: str
    server_name: str
    read_at: datetime
    backups: tuple[BaseBackup, ...] = ()
    backup_count: int = 0
    newest_wal: Stored | None = None
    history: int | None = None
    rate: float | None = None
    chain: Chain | None = None
    segment_size: int = SEGMENT_SIZE

    @property
    def exists(self) -> bool:
        """Whether there is anything of barman's at all; SeaweedFS goes on naming emptied folders."""
        return bool(self.backups or self.newest_wal or self.history)

    @property
    def newest_backup(self) -> BaseBackup | None:
        """Return the completed backup that ended last, which a recovery begins with."""
        return newest_completed(self.backups)

    @property
    def failed(self) -> tuple[BaseBackup, ...]:
        """Return the backups that failed, or that cannot be read, newest first."""
        return tuple(each for each in self.backups if each.status in ("failed", "unreadable"))

    @property
    def running(self) -> tuple[BaseBackup, ...]:
        """Return the backups that have begun and not ended; some may have been broken off."""
        return tuple(each for each in self.backups if each.status == "running")

    @property
    def timeline(self) -> int | None:
        """Return the newest segment's timeline."""
        newest = self.newest_wal
        return parse_segment(newest.name, self.segment_size).timeline if newest else None

    @property
    def last(self) -> Stored | None:
        """Return the last segment that counts: the one that a recovery reaches, if that is known."""
        return self.chain.reached if self.chain else self.newest_wal

    @property
    def end_lsn(self) -> int | None:
        """Return the position behind the last segment that counts."""
        return self._end(self.last)

    @property
    def newest_end(self) -> int | None:
        """Return the position behind the newest segment, whether or not a recovery gets there."""
        return self._end(self.newest_wal)

    def _end(self, stored: Stored | None) -> int | None:
        size = self.segment_size
        return end_of(parse_segment(stored.name, size), size) if stored else None

    def gap_names(self, gap: Gap) -> str:
        """Return a gap as the names of its first and last segment."""
        first, last = segment_name(gap.first, self.segment_size), segment_name(gap.last, self.segment_size)
        return first if first == last else f"{first} to {last}"


def read_archive(
    bucket: Bucket, prefix: str, server_name: str, *, recent: timedelta = RECENT, chain: bool = True
) -> Archive:
    """Return what the archive below prefix/server_name holds; one that is not there is an empty Archive.

    `recent` is the time, back from the newest WAL, over which the rate is measured. Without `chain` only the
    newest folders are read, whatever the newest backup's age. Raise ToolFailed if S3 cannot be read.
    """
    root = f"{slashed(prefix)}{server_name}/"
    backups, count = base_backups(bucket, f"{root}base/")
    base = newest_completed(backups)
    size = base.segment_size if base else SEGMENT_SIZE
    top = bucket.listing(f"{root}wals/")
    wals = ArchivedWal(bucket, f"{root}wals/", size)
    for folder in top.folders:
        wals.add_folder(folder)
    for entry in top.entries:
        wals.add_history(entry)
    newest = wals.newest()
    return Archive(
        url=f"s3://{bucket.place.bucket}/{root}",
        server_name=server_name,
        read_at=top.at,
        backups=backups,
        backup_count=count,
        newest_wal=wals.stored(newest) if newest else None,
        history=max(wals.histories, default=None),
        rate=rate(wals, newest, recent, top.at) if newest else None,
        chain=chain_from(wals, base, newest) if base and chain else None,
        segment_size=size,
    )


def written_after(
    bucket: Bucket, prefix: str, server_name: str, segment: Segment | None, size: int
) -> datetime | None:
    """Return when the first segment behind one, or of all, was written; None if there is none.

    Raise ToolFailed if S3 cannot be read.
    """
    root = f"{slashed(prefix)}{server_name}/wals/"
    wals = ArchivedWal(bucket, root, size)
    for folder in bucket.listing(root).folders:
        wals.add_folder(folder)
    return _written(wals, wals.after(segment))


def other_generations(bucket: Bucket, prefix: str, cluster: str) -> list[str]:
    """Return the server folders of a cluster that hold anything, oldest life first: NAME, NAME-g2 and so on.

    Raise ToolFailed if S3 cannot be read.
    """
    found = []
    above = slashed(prefix)
    for folder in bucket.listing(f"{above}{cluster}").folders:
        name = folder.removeprefix(above).removesuffix("/")
        life = re.fullmatch(rf"{re.escape(cluster)}(?:-g([1-9][0-9]{{0,8}}))?", name, re.ASCII)
        if life and not bucket.is_empty(folder):
            found.append((int(life[1] or 1), name))
    return [name for _, name in sorted(found)]


def slashed(prefix: str) -> str:
    """Return a key prefix with a slash at its end."""
    return f"{prefix}/" if prefix and not prefix.endswith("/") else prefix


def base_backups(
    bucket: Bucket, base: str, *, at_least: int = BACKUPS_READ
) -> tuple[tuple[BaseBackup, ...], int]:
    """Return the newest backups, newest first, back to a completed one at least, and how many there are."""
    names = [each.removeprefix(base).removesuffix("/") for each in bucket.listing(base).folders]
    names.sort(reverse=True)
    found: list[BaseBackup] = []
    with ThreadPoolExecutor(BACKUPS_AT_ONCE) as pool:
        for start in range(0, len(names), BACKUPS_AT_ONCE):
            if len(found) >= at_least and newest_completed(found):
                break
            part = names[start : start + BACKUPS_AT_ONCE]
            found += [each for each in pool.map(lambda name: _backup(bucket, base, name), part) if each]
    return tuple(found), len(names)


def _backup(bucket: Bucket, base: str, name: str) -> BaseBackup | None:
    folder = f"{base}{name}/"
    try:
        content = bucket.read(f"{folder}backup.info", INFO_LIMIT)
    except Unreadable as error:
        return BaseBackup(name, "unreadable", error.what)
    if content is None:
        # Some servers go on naming a folder that nothing is left in.
        if bucket.is_empty(folder):
            return None
        return BaseBackup(name, "running", "it has no backup.info: it was broken off, or is being removed")
    found = parse_backup_info(name, content)
    if found.status == "completed" and bucket.is_empty(f"{folder}data"):
        # Where a bucket is copied to another datacenter, this small file may come before the large ones.
        return BaseBackup(name, "unreadable", "its data is not there: not copied yet, or partly removed")
    return found


def newest_completed(backups: Sequence[BaseBackup]) -> BaseBackup | None:
    """Return the completed backup that ended last."""
    completed = [each for each in backups if each.status == "completed" and each.end_time]
    return max(completed, key=lambda each: (each.end_time, each.id), default=None)


def chain_from(wals: ArchivedWal, base: BaseBackup, newest: Segment | None) -> Chain:
    """Return how far a recovery gets from a completed backup towards the newest segment."""
    begin, end = parse_segment(base.begin_wal, wals.size), parse_segment(base.end_wal, wals.size)
    problem, late = "", None
    without = wals.first_without_history(begin.timeline, newest.timeline) if newest else None
    if newest and without:
        problem = f"there is WAL of timeline {newest.timeline}, and no {history_name(without)}: "
        problem += f"a recovery stays on timeline {without - 1}"
        late = wals.first(without)
        newest = wals.newest(without - 1)
    if newest is None or newest < end:
        newest = end
    branches, note = wals.branches(newest.timeline, begin.timeline)
    try:
        needed = stretches(branches, newest, begin, base.end_lsn, wals.size)
    except ValueError as error:
        return Chain(problem=str(error), note=note, reached=wals.stored(end), astray=True)
    missing = gaps(needed, {each.timeline: wals.numbers(*each) for each in needed})
    if not missing:
        return Chain((), problem, note, wals.stored(newest), _written(wals, late))
    reached, resumed = before(missing[0], needed), after(missing[0], needed)
    return Chain(
        tuple(missing),
        problem,
        note,
        wals.stored(reached) if reached else None,
        _written(wals, resumed),
    )


def _written(wals: ArchivedWal, segment: Segment | None) -> datetime | None:
    stored = wals.stored(segment) if segment else None
    return stored.written if stored else None

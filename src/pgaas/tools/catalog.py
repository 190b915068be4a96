"""What can be restored out of one archive: each base backup, and how far the WAL behind it reaches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from pgaas.tools.archive import (
    Chain,
    base_backups,
    chain_from,
    newest_completed,
    slashed,
)
from pgaas.tools.archived_wal import ArchivedWal, Stored
from pgaas.tools.backup_info import BaseBackup
from pgaas.tools.s3 import Bucket
from pgaas.tools.wal import SEGMENT_SIZE, segment_name
from pgaas.tools.wal_chain import Gap

ALL = 10_000


@dataclass(frozen=True)
class Window:
    """From when until when one can restore to any moment: from a backup's end to the last WAL behind it."""

    first: datetime
    last: datetime

    def holds(self, moment: datetime) -> bool:
        """Whether a moment lies in it."""
        return self.first <= moment <= self.last


@dataclass(frozen=True)
class Recoverable:
    """A completed backup and the WAL behind it; `chain` says whether that goes to the newest segment."""

    backup: BaseBackup
    chain: Chain

    @property
    def window(self) -> Window | None:
        """Return which moments a recovery from this backup reaches; None if not even its own end."""
        reached, ended = self.chain.reached, self.backup.end_time
        if reached is None or ended is None or reached.name[8:] < self.backup.end_wal[8:]:
            return None
        if self.chain.astray:
            return Window(ended, ended)
        return Window(ended, max(ended, reached.written))


@dataclass(frozen=True)
class Catalog:
    """All backups of one archive, newest first, and what can be made of them.

    `recoverable` holds the completed ones, newest first. `read_at` is the time of S3's clock, which dates the
    WAL: a segment holds what was committed until it was written, a little less at most.
    """

    url: str
    server_name: str
    read_at: datetime
    backups: tuple[BaseBackup, ...]
    recoverable: tuple[Recoverable, ...]
    newest_wal: Stored | None
    segment_size: int = SEGMENT_SIZE

    @property
    def windows(self) -> tuple[Window, ...]:
        """Return the moments that can be restored to, as stretches of time that do not touch."""
        return joined(each.window for each in self.recoverable if not each.chain.astray)

    @property
    def holes(self) -> tuple[Gap, ...]:
        """Return the segments that are missing behind any backup, each gap once."""
        found = {(gap.first, gap.last): gap for each in self.recoverable for gap in each.chain.gaps}
        return tuple(found[key] for key in sorted(found))

    @property
    def problems(self) -> tuple[str, ...]:
        """Return in words what else keeps recoveries from the newest WAL, each once."""
        said = [text for each in self.recoverable for text in (each.chain.problem, each.chain.note) if text]
        return tuple(dict.fromkeys(said))

    def base_for(self, moment: datetime) -> Recoverable | None:
        """Return the newest backup from which a recovery gets to a moment, or None if none does."""
        return next(
            (
                each
                for each in self.recoverable
                if each.window and not each.chain.astray and each.window.holds(moment)
            ),
            None,
        )

    def backup_named(self, backup_id: str) -> BaseBackup | None:
        """Return a backup by its id or its name, or None."""
        return next((each for each in self.backups if backup_id in (each.id, each.name)), None)

    def gap_names(self, gap: Gap) -> str:
        """Return a gap as the names of its first and last segment."""
        first, last = segment_name(gap.first, self.segment_size), segment_name(gap.last, self.segment_size)
        return first if first == last else f"{first} to {last}"


def read_catalog(bucket: Bucket, prefix: str, server_name: str) -> Catalog:
    """Return what can be restored out of the archive below prefix/server_name; empty if it is not there.

    Raise ToolFailed if S3 cannot be read.
    """
    root = f"{slashed(prefix)}{server_name}/"
    backups, _ = base_backups(bucket, f"{root}base/", at_least=ALL)
    newest_backup = newest_completed(backups)
    size = newest_backup.segment_size if newest_backup else SEGMENT_SIZE
    top = bucket.listing(f"{root}wals/")
    wals = ArchivedWal(bucket, f"{root}wals/", size)
    for folder in top.folders:
        wals.add_folder(folder)
    for entry in top.entries:
        wals.add_history(entry)
    newest = wals.newest()
    completed = [each for each in backups if each.status == "completed" and each.end_time]
    completed.sort(key=lambda each: (each.end_time, each.id), reverse=True)
    return Catalog(
        url=f"s3://{bucket.place.bucket}/{root}",
        server_name=server_name,
        read_at=top.at,
        backups=backups,
        recoverable=tuple(Recoverable(each, chain_from(wals, each, newest)) for each in completed),
        newest_wal=wals.stored(newest) if newest else None,
        segment_size=size,
    )


def joined(windows: Iterable[Window | None]) -> tuple[Window, ...]:
    """Return stretches of time in order, those that touch as one."""
    found: list[Window] = []
    for each in sorted((each for each in windows if each), key=lambda each: each.first):
        if found and each.first <= found[-1].last:
            found[-1] = Window(found[-1].first, max(found[-1].last, each.last))
        else:
            found.append(each)
    return tuple(found)

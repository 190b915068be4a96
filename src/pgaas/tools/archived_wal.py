"""The WAL of one archive in S3, read folder by folder as it is needed."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pgaas.tools.s3 import Bucket, Entry, Unreadable
from pgaas.tools.wal import COMPRESSIONS, Segment, end_of, read_folder, read_name, segment_name
from pgaas.tools.wal_chain import Branch, parse_history

RECENT_FOLDERS = 8
WORKERS = 8
HISTORY_LIMIT = 2**20
# Snappy, Zstandard and LZ4 are not in Python's library.
_DECOMPRESSORS: dict[str, Callable[[], Any]] = {
    ".gz": lambda: zlib.decompressobj(wbits=31),
    ".bz2": bz2.BZ2Decompressor,
    ".xz": lzma.LZMADecompressor,
}


@dataclass(frozen=True)
class Stored:
    """A whole WAL segment in the archive; `written` is when this storage got it, by its own clock."""

    name: str
    written: datetime
    bytes: int


@dataclass
class ArchivedWal:
    """The WAL below wals/ of one archive; each folder is listed once, when it is first needed."""

    bucket: Bucket
    root: str
    size: int
    folders: dict[Segment, str] = field(default_factory=dict)
    histories: dict[int, Entry] = field(default_factory=dict)
    listed: dict[Segment, dict[Segment, Entry]] = field(default_factory=dict)

    def add_folder(self, prefix: str) -> None:
        """Take a folder of wals/, if it is one of WAL."""
        first = read_folder(prefix.removeprefix(self.root).removesuffix("/"), self.size)
        if first:
            self.folders[first] = prefix

    def add_history(self, entry: Entry) -> None:
        """Take an object that stands directly in wals/, if it is a history file."""
        found = read_name(entry.key.removeprefix(self.root), self.size)
        if found and found.kind == "history":
            self.histories[found.timeline] = entry

    def segments(self, folder: Segment) -> dict[Segment, Entry]:
        """Return the whole segments of a folder; of two forms of one segment the one written last."""
        if folder not in self.listed:
            prefix, found = self.folders[folder], dict[Segment, Entry]()
            for entry in self.bucket.listing(prefix).entries:
                file = read_name(entry.key.removeprefix(prefix), self.size)
                if not file or file.kind != "segment" or file.segment is None or not entry.bytes:
                    continue
                segment = file.segment
                if self.folder(segment) != folder:
                    continue
                if segment not in found or found[segment].written < entry.written:
                    found[segment] = entry
            self.listed[folder] = found
        return self.listed[folder]

    def folder(self, segment: Segment) -> Segment:
        """Return the folder that a segment belongs to, as the first segment in it."""
        per_folder = 2**32 // self.size
        return Segment(segment.timeline, segment.number // per_folder * per_folder)

    def newest(self, timeline: int = 2**32) -> Segment | None:
        """Return the newest whole segment: the last of the highest timeline that is not above this one."""
        for folder in sorted((each for each in self.folders if each.timeline <= timeline), reverse=True):
            found = self.segments(folder)
            if found:
                return max(found)
        return None

    def first(self, timeline: int) -> Segment | None:
        """Return the first whole segment of a timeline."""
        own = sorted(folder for folder in self.folders if folder.timeline == timeline)
        return next((min(part) for part in map(self.segments, own) if part), None)

    def after(self, segment: Segment | None) -> Segment | None:
        """Return the first whole segment behind one, or of all."""
        begin = self.folder(segment) if segment else None
        for folder in sorted(each for each in self.folders if begin is None or each >= begin):
            later = [each for each in self.segments(folder) if segment is None or each > segment]
            if later:
                return min(later)
        return None

    def stored(self, segment: Segment) -> Stored | None:
        """Return a segment as the archive has it."""
        folder = self.folder(segment)
        entry = self.segments(folder).get(segment) if folder in self.folders else None
        return Stored(segment_name(segment, self.size), entry.written, entry.bytes) if entry else None

    def numbers(self, timeline: int, first: int, last: int) -> list[int]:
        """Return the numbers of the segments that are there in a stretch, in order."""
        begin = self.folder(Segment(timeline, first))
        wanted = [each for each in self.folders if begin <= each <= Segment(timeline, last)]
        with ThreadPoolExecutor(WORKERS) as pool:
            found = [segment.number for part in pool.map(self.segments, wanted) for segment in part]
        return sorted(number for number in found if first <= number <= last)

    def first_without_history(self, begin: int, timeline: int) -> int | None:
        """Return the first timeline above `begin`, up to this one, that has no history file.

        A recovery looks for one after the other, and goes no further than the first that is missing.
        """
        return next((each for each in range(begin + 1, timeline + 1) if each not in self.histories), None)

    def branches(self, timeline: int, begin: int) -> tuple[tuple[Branch, ...], str]:
        """Return where the timelines before this one end, and what makes that less than sure."""
        if timeline <= begin or timeline not in self.histories:
            return (), ""
        key = self.histories[timeline].key
        try:
            content = self.bucket.read(key, HISTORY_LIMIT) or b""
            return parse_history(timeline, _decompressed(key, content)), ""
        except Unreadable as error:
            why = error.what
        except (ValueError, OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            why = str(error)
        note = f"the history of timeline {timeline} cannot be read ({why}): only names say where it begins"
        return self._guessed(timeline, begin), note

    def _guessed(self, timeline: int, begin: int) -> tuple[Branch, ...]:
        """Return branches where each timeline's first segment in the archive stands."""
        found: list[Branch] = []
        earlier = begin
        timelines = {folder.timeline for folder in self.folders}
        for each in sorted(each for each in timelines if begin < each <= timeline):
            first = self.first(each)
            if first:
                # The last byte of it: where in the segment the change was, its name does not say.
                found.append(Branch(earlier, end_of(first, self.size) - 1))
                earlier = each
        return tuple(found)


def rate(wals: ArchivedWal, newest: Segment, recent: timedelta, now: datetime) -> float | None:
    """Return bytes of WAL per second in the time before the newest segment was written.

    Whole segments count, also those that archive_timeout closed half empty. An archive younger than that time
    is measured until `now`. Return None if its segments were all written at once, as by a copy of the bucket.
    """
    times: list[datetime] = []
    for folder in sorted((each for each in wals.folders if each <= newest), reverse=True)[:RECENT_FOLDERS]:
        times += [entry.written for entry in wals.segments(folder).values()]
        if max(times) - min(times) >= recent:
            break
    first, last = min(times), max(times)
    since = [each for each in times if last - each < recent]
    if len(since) < len(times):
        return len(since) * wals.size / recent.total_seconds()
    if last - first < timedelta(seconds=1):
        return None
    return (len(times) - 1) * wals.size / max(last - first, min(now - first, recent)).total_seconds()


def _decompressed(key: str, content: bytes) -> bytes:
    ending = f".{key.rpartition('.')[2]}"
    if ending not in COMPRESSIONS:
        return content
    if ending not in _DECOMPRESSORS:
        raise ValueError(f"pgaas does not know the compression {ending}")
    decompressor = _DECOMPRESSORS[ending]()
    found: bytes = decompressor.decompress(content, HISTORY_LIMIT)
    if not decompressor.eof:
        raise ValueError("it is cut off")
    return found

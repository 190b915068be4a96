"""Names of write-ahead log files and positions in the log, as PostgreSQL writes them (xlog_internal.h)."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

SEGMENT_SIZE = 16 * 2**20
SMALLEST_SEGMENT, LARGEST_SEGMENT = 2**20, 2**30
LSN_END = 2**64
# What barman-cloud-wal-archive may append to any name.
COMPRESSIONS = (".gz", ".bz2", ".xz", ".snappy", ".zst", ".lz4")

_LSN = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})", re.ASCII)
_NAME = re.compile(
    r"([0-9A-F]{8})(?:\.(history)|([0-9A-F]{8})([0-9A-F]{8})(?:\.(partial)|\.[0-9A-F]{8}\.(backup))?)"
)
_FOLDER = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})")


class Segment(NamedTuple):
    """One file of the log: whose timeline, and which one counted from the beginning of the log."""

    timeline: int
    number: int


class WalFile(NamedTuple):
    """What a name in an archive says; `segment` is None for a history file, `name` has no compression."""

    kind: Literal["segment", "partial", "backup", "history"]
    name: str
    timeline: int
    segment: Segment | None
    compression: str


def parse_lsn(text: str) -> int:
    """Return a position such as 16/B374D848 as a number of bytes; raise ValueError for anything else."""
    found = _LSN.fullmatch(text)
    if not found:
        raise ValueError(f"{text[:40]!r} is no position in the WAL")
    return (int(found[1], 16) << 32) + int(found[2], 16)


def format_lsn(lsn: int) -> str:
    """Return a position as PostgreSQL prints it."""
    if not 0 <= lsn < LSN_END:
        raise ValueError(f"{lsn} is no position in the WAL")
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def distance(later: int, earlier: int) -> int:
    """Return how many bytes of WAL lie between two positions; negative if they come in the other order."""
    return later - earlier


def is_segment_size(size: int) -> bool:
    """Return whether initdb takes this as a segment's size: a power of two from 1 MiB to 1 GiB."""
    return SMALLEST_SEGMENT <= size <= LARGEST_SEGMENT and size & (size - 1) == 0


def segment_at(timeline: int, lsn: int, size: int = SEGMENT_SIZE) -> Segment:
    """Return the segment that holds the byte at a position."""
    return Segment(timeline, lsn // size)


def start_of(segment: Segment, size: int = SEGMENT_SIZE) -> int:
    """Return the position of a segment's first byte."""
    return segment.number * size


def end_of(segment: Segment, size: int = SEGMENT_SIZE) -> int:
    """Return the position just behind a segment's last byte."""
    return (segment.number + 1) * size


def segment_name(segment: Segment, size: int = SEGMENT_SIZE) -> str:
    """Return a segment's file name; raise ValueError where there can be no such segment."""
    high, low = divmod(segment.number, _per_folder(size))
    if not (1 <= segment.timeline < 2**32 and 0 <= high < 2**32):
        raise ValueError(f"there is no segment {segment.number} on timeline {segment.timeline}")
    return f"{segment.timeline:08X}{high:08X}{low:08X}"


def parse_segment(name: str, size: int = SEGMENT_SIZE) -> Segment:
    """Return the segment that a file name stands for; raise ValueError for any other name."""
    found = read_name(name, size)
    if not found or found.kind != "segment" or found.segment is None or found.compression:
        raise ValueError(f"{name[:40]!r} is no WAL segment of {size} bytes")
    return found.segment


def next_segment(name: str, size: int = SEGMENT_SIZE) -> str:
    """Return the name of the segment that follows on the same timeline."""
    timeline, number = parse_segment(name, size)
    return segment_name(Segment(timeline, number + 1), size)


def read_name(name: str, size: int = SEGMENT_SIZE) -> WalFile | None:
    """Return what a file of an archive is, compressed or not; None for what PostgreSQL would not write."""
    bare, compression = _without_compression(name)
    found = _NAME.fullmatch(bare)
    if not found:
        return None
    timeline = int(found[1], 16)
    if timeline == 0:
        return None
    if found[2]:
        return WalFile("history", bare, timeline, None, compression)
    high, low = int(found[3], 16), int(found[4], 16)
    if low >= _per_folder(size):
        return None
    segment = Segment(timeline, high * _per_folder(size) + low)
    kind: Literal["segment", "partial", "backup"] = "segment"
    if found[5]:
        kind = "partial"
    elif found[6]:
        kind = "backup"
    return WalFile(kind, bare, timeline, segment, compression)


def folder_of(segment: Segment, size: int = SEGMENT_SIZE) -> str:
    """Return the folder that barman keeps a segment in: its name without the last eight digits."""
    return segment_name(segment, size)[:16]


def read_folder(name: str, size: int = SEGMENT_SIZE) -> Segment | None:
    """Return the first segment that a folder of an archive may hold; None for any other folder."""
    found = _FOLDER.fullmatch(name)
    if not found or int(found[1], 16) == 0:
        return None
    return Segment(int(found[1], 16), int(found[2], 16) * _per_folder(size))


def history_name(timeline: int) -> str:
    """Return the name of the file that says where a timeline, and those before it, branched off."""
    return f"{timeline:08X}.history"


def _without_compression(name: str) -> tuple[str, str]:
    for ending in COMPRESSIONS:
        if name.endswith(ending):
            return name.removesuffix(ending), ending
    return name, ""


def _per_folder(size: int) -> int:
    """Return how many segments share the same middle eight digits: those of 4 GiB."""
    if not is_segment_size(size):
        raise ValueError(f"{size} is no size of a WAL segment")
    return 2**32 // size

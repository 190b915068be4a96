"""Which WAL a recovery needs, over changes of timeline, and what of it is not there."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pgaas.tools.wal import Segment, format_lsn, parse_lsn

_BRANCH = re.compile(r"\s*([0-9]{1,10})\s+([0-9A-Fa-f/]+)(?:\s.*)?", re.ASCII)


class Branch(NamedTuple):
    """A timeline and the position at which the next one left it."""

    timeline: int
    until: int


@dataclass(frozen=True)
class Gap:
    """Segments of one timeline that are not there, the first and the last of them."""

    first: Segment
    last: Segment

    @property
    def count(self) -> int:
        """Return how many segments are missing."""
        return self.last.number - self.first.number + 1


class Stretch(NamedTuple):
    """The segments that a recovery reads of one timeline, the first and the last of them."""

    timeline: int
    first: int
    last: int


def parse_history(timeline: int, content: bytes) -> tuple[Branch, ...]:
    """Return a timeline's ancestors, oldest first, from its history file; raise ValueError for nonsense."""
    found: list[Branch] = []
    for line in content.decode().splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _BRANCH.fullmatch(line)
        if not match:
            raise ValueError(f"{line[:40]!r} is no line of a history file")
        found.append(Branch(int(match[1]), parse_lsn(match[2])))
    timelines = [branch.timeline for branch in found]
    if not found or sorted({*timelines, 0, timeline}) != [0, *timelines, timeline]:
        raise ValueError(f"its timelines {timelines[:9]} do not lead to {timeline}")
    if sorted(branch.until for branch in found) != [branch.until for branch in found]:
        raise ValueError("its timelines leave one another in the wrong order")
    return tuple(found)


def stretches(
    branches: Sequence[Branch], newest: Segment, begin: Segment, end_lsn: int, size: int
) -> list[Stretch]:
    """Return what a recovery reads from a backup's first segment to the newest one.

    At a change of timeline it reads the new timeline's file, from the very segment of the change on. Raise
    ValueError where the backup is on no ancestor of the newest timeline, or ends after that was left.
    """
    at = next((index for index, each in enumerate(branches) if each.timeline == begin.timeline), None)
    if at is None and begin.timeline != newest.timeline:
        raise ValueError(
            f"timeline {newest.timeline} does not come from the backup's timeline {begin.timeline}"
        )
    path = [] if at is None else branches[at:]
    if path and end_lsn > path[0].until:
        raise ValueError(
            f"the backup ends at {format_lsn(end_lsn)}, and timeline {_follower(path, newest)} had left its "
            f"timeline {begin.timeline} before that, at {format_lsn(path[0].until)}"
        )
    found: list[Stretch] = []
    first = begin.number
    for branch in path:
        change = branch.until // size
        if change > first:
            found.append(Stretch(branch.timeline, first, change - 1))
        first = max(first, change)
    return [*found, Stretch(newest.timeline, first, newest.number)]


def gaps(needed: Sequence[Stretch], present: Mapping[int, Sequence[int]]) -> list[Gap]:
    """Return what is missing; `present` holds the numbers of each timeline's segments, in order.

    The work grows with what is present, not with what is needed.
    """
    missing: list[Gap] = []
    for timeline, first, last in needed:
        numbers = present.get(timeline, ())
        wanted = first
        for number in numbers[bisect_left(numbers, first) : bisect_right(numbers, last)]:
            if number > wanted:
                missing.append(Gap(Segment(timeline, wanted), Segment(timeline, number - 1)))
            wanted = number + 1
        if wanted <= last:
            missing.append(Gap(Segment(timeline, wanted), Segment(timeline, last)))
    return missing


def before(gap: Gap, needed: Sequence[Stretch]) -> Segment | None:
    """Return the last needed segment ahead of a gap, or None where the gap is at the very beginning."""
    earlier: Segment | None = None
    for timeline, first, last in needed:
        if timeline == gap.first.timeline:
            return Segment(timeline, gap.first.number - 1) if gap.first.number > first else earlier
        if first <= last:
            earlier = Segment(timeline, last)
    return earlier


def after(gap: Gap, needed: Sequence[Stretch]) -> Segment | None:
    """Return the first needed segment behind a gap, or None where the gap goes to the very end."""
    later = False
    for timeline, first, last in needed:
        if later and first <= last:
            return Segment(timeline, first)
        if timeline == gap.last.timeline:
            later = True
            if gap.last.number < last:
                return Segment(timeline, gap.last.number + 1)
    return None


def _follower(path: Sequence[Branch], newest: Segment) -> int:
    return path[1].timeline if len(path) > 1 else newest.timeline

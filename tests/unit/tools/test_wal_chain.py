"""Which WAL a recovery needs over changes of timeline, and what of it is missing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgaas.tools.wal import Segment, parse_lsn
from pgaas.tools.wal_chain import Branch, Gap, Stretch, after, before, gaps, parse_history, stretches

S = 2**24
HISTORY = b"""1\t0/5000060\tno recovery target specified
# a comment

2\t1/A0000A0\tbefore 2026-01-01 00:00:00+00
"""


def at(number: int, offset: int = 0x60) -> int:
    return number * S + offset


def test_a_history_file_names_the_ancestors() -> None:
    assert parse_history(3, HISTORY) == (
        Branch(1, parse_lsn("0/5000060")),
        Branch(2, parse_lsn("1/A0000A0")),
    )


@pytest.mark.parametrize(
    ("timeline", "content"),
    [
        (2, b""),
        (2, b"\n# nothing\n"),
        (2, b"\xff\xfe\x00"),
        (2, b"1"),
        (2, b"1\t0/5000060\tx\n2"),
        (2, b"1\tnowhere\tx\n"),
        (2, b"x\t0/5000060\tx\n"),
        (2, HISTORY),
        (1, b"1\t0/5000060\tx\n"),
        (3, b"2\t0/5000060\tx\n1\t0/6000060\tx\n"),
        (3, b"1\t0/6000060\tx\n2\t0/5000060\tx\n"),
        (3, b"1\t0/5000060\tx\n1\t0/6000060\tx\n"),
        (3, b"0\t0/5000060\tx\n"),
        (3, b"99999999999999999999\t0/5000060\tx\n"),
    ],
)
def test_nonsense_is_no_history(timeline: int, content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_history(timeline, content)


def test_without_a_change_of_timeline_it_is_one_stretch() -> None:
    assert stretches((), Segment(1, 9), Segment(1, 4), at(4), S) == [Stretch(1, 4, 9)]


def test_the_segment_of_the_change_is_read_from_the_new_timeline() -> None:
    branches = (Branch(1, at(5)), Branch(2, at(8)))
    assert stretches(branches, Segment(3, 9), Segment(1, 4), at(4), S) == [
        Stretch(1, 4, 4),
        Stretch(2, 5, 7),
        Stretch(3, 8, 9),
    ]


def test_a_change_at_a_segments_very_begin_leaves_the_one_before_to_the_old_timeline() -> None:
    assert stretches((Branch(1, at(5, 0)),), Segment(2, 5), Segment(1, 4), at(4), S) == [
        Stretch(1, 4, 4),
        Stretch(2, 5, 5),
    ]


def test_two_changes_in_one_segment_need_only_the_last_timeline() -> None:
    branches = (Branch(1, at(5)), Branch(2, at(5, 0x90)))
    assert stretches(branches, Segment(3, 6), Segment(1, 4), at(4), S) == [Stretch(1, 4, 4), Stretch(3, 5, 6)]


def test_a_backup_in_the_segment_of_the_change() -> None:
    assert stretches((Branch(1, at(4)),), Segment(2, 6), Segment(1, 4), at(4), S) == [Stretch(2, 4, 6)]


def test_a_backup_of_a_later_timeline_needs_nothing_before() -> None:
    branches = (Branch(1, at(5)), Branch(2, at(8)))
    assert stretches(branches, Segment(3, 9), Segment(2, 6), at(6), S) == [Stretch(2, 6, 7), Stretch(3, 8, 9)]


def test_a_backup_that_ends_after_its_timeline_was_left_cannot_follow() -> None:
    with pytest.raises(ValueError, match="timeline 2 had left its timeline 1 before that, at 0/5000060"):
        stretches((Branch(1, at(5)), Branch(2, at(9))), Segment(3, 9), Segment(1, 4), at(5, 0x61), S)
    with pytest.raises(ValueError, match="timeline 2 had left its timeline 1"):
        stretches((Branch(1, at(5)),), Segment(2, 9), Segment(1, 4), at(5, 0x61), S)
    assert stretches((Branch(1, at(5)),), Segment(2, 9), Segment(1, 4), at(5), S)


def test_a_backup_of_a_timeline_that_is_no_ancestor() -> None:
    with pytest.raises(ValueError, match="timeline 4 does not come from the backup's timeline 3"):
        stretches((Branch(1, at(5)), Branch(2, at(8))), Segment(4, 9), Segment(3, 8), at(8), S)


def test_gaps_between_at_the_begin_and_at_the_end() -> None:
    needed = [Stretch(1, 4, 9), Stretch(2, 10, 20)]
    found = gaps(needed, {1: [1, 5, 6, 9], 2: [10, 11, 13, 30]})
    assert found == [
        Gap(Segment(1, 4), Segment(1, 4)),
        Gap(Segment(1, 7), Segment(1, 8)),
        Gap(Segment(2, 12), Segment(2, 12)),
        Gap(Segment(2, 14), Segment(2, 20)),
    ]
    assert [gap.count for gap in found] == [1, 2, 1, 7]


def test_a_gap_of_quadrillions_costs_nothing() -> None:
    [gap] = gaps([Stretch(1, 0, 2**40)], {1: [0]})
    assert gap.count == 2**40
    assert gaps([Stretch(1, 0, 2**40)], {})[0].count == 2**40 + 1


@pytest.mark.parametrize(
    ("gap", "ahead", "behind"),
    [
        (Gap(Segment(1, 4), Segment(1, 5)), None, Segment(1, 6)),
        (Gap(Segment(1, 7), Segment(1, 9)), Segment(1, 6), Segment(3, 10)),
        (Gap(Segment(3, 10), Segment(3, 10)), Segment(1, 9), Segment(3, 11)),
        (Gap(Segment(3, 12), Segment(3, 20)), Segment(3, 11), None),
    ],
)
def test_what_stands_around_a_gap(gap: Gap, ahead: Segment | None, behind: Segment | None) -> None:
    needed = [Stretch(1, 4, 9), Stretch(2, 10, 9), Stretch(3, 10, 20)]
    assert before(gap, needed) == ahead
    assert after(gap, needed) == behind


def test_around_a_gap_stand_timelines_of_one_segment_too() -> None:
    needed = [Stretch(1, 4, 4), Stretch(2, 5, 5), Stretch(3, 6, 6)]
    gap = Gap(Segment(2, 5), Segment(2, 5))
    assert (before(gap, needed), after(gap, needed)) == (Segment(1, 4), Segment(3, 6))


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, S - 1)), max_size=4),
    st.integers(0, 14),
    st.integers(0, 14),
    st.sets(st.tuples(st.integers(1, 5), st.integers(0, 14))),
)
def test_it_is_what_postgresql_would_look_for(
    changes: list[tuple[int, int]], begin: int, length: int, there: set[tuple[int, int]]
) -> None:
    """Compare with XLogFileReadAnyTLI's rule: the highest timeline that does not begin after the segment."""
    branches = tuple(Branch(index + 1, at(*change)) for index, change in enumerate(sorted(changes)))
    newest = len(branches) + 1
    last = max([begin + length, *(branch.until // S for branch in branches)])
    begin_lsn = at(begin, 0)
    if branches and begin_lsn > branches[0].until:
        return
    needed = stretches(branches, Segment(newest, last), Segment(1, begin), begin_lsn, S)
    starts = {1: 0} | {branch.timeline + 1: branch.until // S for branch in branches}
    expected = [
        (max(line for line, start in starts.items() if start <= number), number)
        for number in range(begin, last + 1)
    ]
    assert [(line, number) for line, first, end in needed for number in range(first, end + 1)] == expected
    present = {
        line: sorted(number for each, number in there if each == line) for line in range(1, newest + 1)
    }
    missing = [
        (gap.first.timeline, number)
        for gap in gaps(needed, present)
        for number in range(gap.first.number, gap.last.number + 1)
    ]
    assert missing == [each for each in expected if each not in there]

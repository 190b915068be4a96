"""WAL names and positions as PostgreSQL makes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgaas.tools.wal import (
    COMPRESSIONS,
    LSN_END,
    SEGMENT_SIZE,
    Segment,
    distance,
    end_of,
    folder_of,
    format_lsn,
    history_name,
    next_segment,
    parse_lsn,
    parse_segment,
    read_folder,
    read_name,
    segment_at,
    segment_name,
    start_of,
)

MIB = 2**20
SIZES = [2**power * MIB for power in range(11)]

# From PostgreSQL's documentation, its regression tests and its mailing lists.
NAMES = [
    ("0/D3DA350", 1, "00000001000000000000000D", 16),
    ("0/0", 1, "000000010000000000000000", 16),
    ("0/1000000", 1, "000000010000000000000001", 16),
    ("0/FFFFFF", 1, "000000010000000000000000", 16),
    ("20E/FF000000", 5, "000000050000020E000000FF", 16),
    ("20F/0", 5, "000000050000020F00000000", 16),
    ("16/B374D848", 1, "0000000100000016000000B3", 16),
    ("1/0", 0xFFFFFFFF, "FFFFFFFF0000000100000000", 16),
    ("FFFFFFFF/FFFFFFFF", 1, "00000001FFFFFFFF000000FF", 16),
    ("0/40000000", 1, "000000010000000000000001", 1024),
    ("1/FFF00000", 1, "000000010000000100000FFF", 1),
    ("1/C000000", 3, "000000030000000100000003", 64),
]


@pytest.mark.parametrize(("lsn", "timeline", "name", "size"), NAMES)
def test_the_segment_of_a_position(lsn: str, timeline: int, name: str, size: int) -> None:
    segment = segment_at(timeline, parse_lsn(lsn), size * MIB)
    assert segment_name(segment, size * MIB) == name
    assert parse_segment(name, size * MIB) == segment
    assert start_of(segment, size * MIB) <= parse_lsn(lsn) < end_of(segment, size * MIB)


@pytest.mark.parametrize(
    ("name", "following", "size"),
    [
        ("000000010000000000000001", "000000010000000000000002", 16),
        ("0000000100000000000000FF", "000000010000000100000000", 16),
        ("000000050000020E000000FF", "000000050000020F00000000", 16),
        ("000000010000000000000003", "000000010000000100000000", 1024),
        ("000000010000000000000FFF", "000000010000000100000000", 1),
    ],
)
def test_the_segment_that_follows(name: str, following: str, size: int) -> None:
    assert next_segment(name, size * MIB) == following


def test_there_is_nothing_behind_the_last_segment() -> None:
    with pytest.raises(ValueError, match="there is no segment"):
        next_segment("00000001FFFFFFFF000000FF")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0/0", 0),
        ("0/1", 1),
        ("1/0", 2**32),
        ("16/B374D848", 0x16B374D848),
        ("FFFFFFFF/FFFFFFFF", LSN_END - 1),
    ],
)
def test_positions_as_text(text: str, number: int) -> None:
    assert parse_lsn(text) == number
    assert format_lsn(number) == text
    # PostgreSQL 19 pads the second half.
    assert parse_lsn(f"{number >> 32:X}/{number & 0xFFFFFFFF:08X}") == number
    assert parse_lsn(text.lower()) == number


@pytest.mark.parametrize(
    "text",
    ["", "/", "0", "0/", "/0", "0/0/0", " 0/0", "0/0\n", "G/0", "-1/0", "100000000/0", "0/100000000", "٣/٣"],
)
def test_what_is_no_position(text: str) -> None:
    with pytest.raises(ValueError, match="no position"):
        parse_lsn(text)


@pytest.mark.parametrize("number", [-1, LSN_END, 10**9 * LSN_END])
def test_what_cannot_be_printed_as_a_position(number: int) -> None:
    with pytest.raises(ValueError, match="no position"):
        format_lsn(number)


@pytest.mark.parametrize(
    ("name", "kind", "timeline"),
    [
        ("000000010000000000000001", "segment", 1),
        ("000000010000000000000001.partial", "partial", 1),
        ("000000010000000000000003.00000028.backup", "backup", 1),
        ("00000002.history", "history", 2),
        ("FFFFFFFF.history", "history", 0xFFFFFFFF),
    ],
)
@pytest.mark.parametrize("compression", ["", *COMPRESSIONS])
def test_what_a_name_says_compressed_or_not(name: str, kind: str, timeline: int, compression: str) -> None:
    found = read_name(f"{name}{compression}")
    assert found
    assert (found.kind, found.timeline, found.name, found.compression) == (kind, timeline, name, compression)
    assert (found.segment is None) == (kind == "history")


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".gz",
        "000000010000000000000001.gz.gz",
        "000000010000000000000001.tar",
        "000000010000000000000001.backup",
        "000000010000000000000001.partial.backup",
        "000000010000000000000001 ",
        "000000010000000000000001\n",
        "00000001000000000000000a",
        "00000001000000000000000",
        "0000000100000000000000001",
        "000000000000000000000001",
        "00000000.history",
        "2.history",
        "0000000100001234000055CD",
        "000000010000000000000100",
        "../000000010000000000000001",
        "٠٠٠٠٠٠٠١٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠١",
        "A" * 100_000,
    ],
)
def test_names_that_postgresql_would_not_write(name: str) -> None:
    assert read_name(name) is None
    with pytest.raises(ValueError, match="no WAL segment"):
        parse_segment(name)


@pytest.mark.parametrize(
    "name", ["00000002.history", "000000010000000000000001.gz", "000000010000000000000001.partial"]
)
def test_only_a_plain_segment_is_parsed_as_one(name: str) -> None:
    with pytest.raises(ValueError, match="no WAL segment"):
        parse_segment(name)


def test_what_a_segment_may_hold_depends_on_its_size() -> None:
    assert parse_segment("000000010000000000000FFF", MIB) == Segment(1, 0xFFF)
    assert parse_segment("000000010000000100000000", 2**30) == Segment(1, 4)
    with pytest.raises(ValueError, match="no WAL segment"):
        parse_segment("000000010000000000000004", 2**30)


@pytest.mark.parametrize("size", [0, -1, 1, 2**19, 3 * MIB, 2**31, SEGMENT_SIZE + 1])
def test_sizes_that_initdb_refuses(size: int) -> None:
    with pytest.raises(ValueError, match="no size"):
        parse_segment("000000010000000000000001", size)


@pytest.mark.parametrize("segment", [Segment(0, 1), Segment(2**32, 1), Segment(1, -1), Segment(1, 2**40)])
def test_segments_that_have_no_name(segment: Segment) -> None:
    with pytest.raises(ValueError, match="there is no segment"):
        segment_name(segment)


def test_folders() -> None:
    assert folder_of(Segment(2, 0x1FF)) == "0000000200000001"
    assert read_folder("0000000200000001") == Segment(2, 0x100)
    assert read_folder("0000000200000001", 2**30) == Segment(2, 4)
    for name in ("", "0000000000000001", "000000020000000", "00000002000000011", "000000020000000g"):
        assert read_folder(name) is None


def test_history_names() -> None:
    assert history_name(2) == "00000002.history"
    assert history_name(0xABC) == "00000ABC.history"


def test_a_distance_has_a_direction() -> None:
    assert distance(parse_lsn("1/10"), parse_lsn("0/FFFFFFF0")) == 0x20
    assert distance(0, 5) == -5


@given(st.integers(0, LSN_END - 1), st.integers(1, 2**32 - 1), st.sampled_from(SIZES))
def test_there_and_back(lsn: int, timeline: int, size: int) -> None:
    assert parse_lsn(format_lsn(lsn)) == lsn
    segment = segment_at(timeline, lsn, size)
    name = segment_name(segment, size)
    assert len(name) == 24
    assert parse_segment(name, size) == segment
    assert start_of(segment, size) <= lsn < end_of(segment, size)
    folder = read_folder(folder_of(segment, size), size)
    assert folder
    assert folder.number <= segment.number < folder.number + 2**32 // size


@given(st.lists(st.integers(0, LSN_END - 1), min_size=2, max_size=2), st.sampled_from(SIZES))
def test_names_sort_as_positions_do(lsns: list[int], size: int) -> None:
    first, second = (segment_at(1, lsn, size) for lsn in sorted(lsns))
    assert segment_name(first, size) <= segment_name(second, size)
    assert (start_of(second, size) - start_of(first, size)) % size == 0


@given(st.integers(0, LSN_END // SEGMENT_SIZE - 2))
def test_the_next_segment_begins_where_the_last_ends(number: int) -> None:
    following = parse_segment(next_segment(segment_name(Segment(7, number))))
    assert start_of(following) == end_of(Segment(7, number))


@given(st.text())
def test_no_name_is_a_traceback(name: str) -> None:
    found = read_name(name)
    assert found is None or name.startswith(found.name)

"""What a forced promotion would lose, and how it is said."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgaas.operations.loss import UPLOAD, LastKnown, about_bytes, about_seconds, estimate
from pgaas.tools.archive import Archive, Chain
from pgaas.tools.archived_wal import Stored
from pgaas.tools.backup_info import BaseBackup
from pgaas.tools.wal import LSN_END, Segment, parse_lsn
from pgaas.tools.wal_chain import Gap

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
MIB = 2**20
LAST = Stored("000000010000000000000005", NOW - timedelta(seconds=100), 20_000)
BASE = BaseBackup("20261124T000000", "completed", end_time=NOW - timedelta(hours=1))
ARCHIVE = Archive(
    "s3://b/x/",
    "x",
    NOW,
    backups=(BASE,),
    backup_count=1,
    newest_wal=LAST,
    rate=float(MIB),
    chain=Chain(reached=LAST),
)


def test_the_time_since_the_newest_wal_is_a_bound_and_the_rate_an_estimate() -> None:
    loss = estimate(ARCHIVE, NOW)
    assert loss.seconds == 100 + UPLOAD.total_seconds() == 105
    assert loss.bytes == 105 * MIB
    assert (loss.last_wal, loss.last_wal_at, loss.last_backup) == (LAST.name, LAST.written, BASE.end_time)
    assert loss.at_least is None
    assert loss.detail.startswith("at most the last 105 s of writes: the newest WAL in the archive, ")
    assert f"{LAST.name}, was written at 2026-11-24 11:58:20 UTC" in loss.detail
    assert "about 100 MiB of WAL, at the rate before that" in loss.detail
    assert "an idle database loses nothing" in loss.detail


def test_a_clock_that_is_behind_makes_no_time_negative() -> None:
    loss = estimate(ARCHIVE, NOW - timedelta(hours=1))
    assert (loss.seconds, loss.bytes) == (0, 0)


def test_where_the_rate_is_unknown_so_are_the_bytes() -> None:
    loss = estimate(replace(ARCHIVE, rate=None), NOW)
    assert (loss.seconds, loss.bytes) == (105, None)
    assert "how much WAL that is, the archive does not show" in loss.detail


def test_what_the_primary_was_seen_ahead_is_the_least() -> None:
    known = LastKnown(parse_lsn("0/6300000"), at=NOW - timedelta(seconds=10))
    loss = estimate(ARCHIVE, NOW, known)
    assert loss.at_least == 3 * MIB
    assert loss.bytes == (3 + 10) * MIB
    assert loss.seconds == 105
    assert "the primary was seen at least 3 MiB of WAL ahead of it; about 13 MiB" in loss.detail
    loss = estimate(replace(ARCHIVE, rate=None), NOW, known)
    assert loss.bytes == loss.at_least == 3 * MIB
    assert "does not show" not in loss.detail


def test_a_position_of_unknown_time_adds_to_the_whole_time() -> None:
    loss = estimate(ARCHIVE, NOW, LastKnown(parse_lsn("0/6300000")))
    assert (loss.at_least, loss.bytes) == (3 * MIB, 108 * MIB)


@pytest.mark.parametrize("position", ["0/6000000", "0/5FFFFFF", "0/0"])
def test_a_primary_that_was_idle_had_lost_nothing_until_it_was_seen(position: str) -> None:
    loss = estimate(ARCHIVE, NOW, LastKnown(parse_lsn(position), at=NOW - timedelta(seconds=3)))
    assert (loss.seconds, loss.bytes, loss.at_least) == (3, 3 * MIB, 0)
    assert "seen at least" not in loss.detail
    assert estimate(ARCHIVE, NOW, LastKnown(parse_lsn(position))).seconds == 105


def test_a_sight_from_before_the_newest_wal_says_nothing_new() -> None:
    loss = estimate(ARCHIVE, NOW, LastKnown(0, at=NOW - timedelta(days=1)))
    assert loss.seconds == 105


GAP = Gap(Segment(1, 6), Segment(1, 7))
NEWER = Stored("000000010000000000000008", NOW - timedelta(seconds=10), 20_000)
BROKEN = replace(ARCHIVE, newest_wal=NEWER, chain=Chain(gaps=(GAP,), reached=LAST))


def test_what_lies_behind_a_gap_is_lost_too() -> None:
    loss = estimate(BROKEN, NOW)
    assert (loss.seconds, loss.last_wal) == (105, LAST.name)
    assert f"the last WAL ahead of what is missing in the archive, {LAST.name}," in loss.detail
    loss = estimate(BROKEN, NOW, LastKnown(parse_lsn("0/9000000"), parse_lsn("0/7FFFFFF"), NOW))
    assert (loss.seconds, loss.at_least) == (105, 3 * 16 * MIB)


def test_unless_the_replica_is_beyond_it_already() -> None:
    loss = estimate(BROKEN, NOW, LastKnown(replayed_lsn=parse_lsn("0/8000000")))
    assert (loss.seconds, loss.last_wal) == (15, NEWER.name)
    lost = replace(BROKEN, chain=Chain(gaps=(GAP,), reached=LAST, problem="another past"))
    assert estimate(lost, NOW, LastKnown(replayed_lsn=LSN_END)).last_wal == LAST.name


@pytest.mark.parametrize(
    ("archive", "says"),
    [
        (Archive("s3://b/x/", "x", NOW), "there is nothing at s3://b/x/"),
        (replace(ARCHIVE, newest_wal=None, chain=None), "gets to no WAL at all"),
        (replace(ARCHIVE, chain=Chain(gaps=(GAP,))), "gets to no WAL at all"),
    ],
)
def test_what_nobody_can_tell(archive: Archive, says: str) -> None:
    loss = estimate(archive, NOW, LastKnown(parse_lsn("0/9000000"), at=NOW))
    assert (loss.seconds, loss.bytes, loss.at_least, loss.last_wal) == (None, None, None, "")
    assert says in loss.detail


def test_without_a_look_at_the_chain_the_newest_wal_counts() -> None:
    assert estimate(replace(ARCHIVE, chain=None), NOW).seconds == 105


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (999, "1000 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (34 * MIB + 5, "34 MiB"),
        (123 * MIB, "120 MiB"),
        (1019 * MIB, "1000 MiB"),
        (2**60, "1000 PiB"),
        (2**80, "1100000000 PiB"),
    ],
)
def test_sizes_have_two_digits(size: int, words: str) -> None:
    assert about_bytes(size) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.1, "1 s"),
        (599.5, "10 min"),
        (599, "599 s"),
        (601, "11 min"),
        (3600, "60 min"),
        (10_740, "179 min"),
        (10_741, "3 h"),
        (86_400 * 30, "720 h"),
    ],
)
def test_times_are_rounded_up(seconds: float, words: str) -> None:
    assert about_seconds(seconds) == words


@given(
    st.integers(0, LSN_END - 1),
    st.integers(0, LSN_END - 1),
    st.floats(0, 1e12) | st.none(),
    st.integers(-(10**6), 10**6),
)
def test_no_position_makes_nonsense(primary: int, replayed: int, rate: float | None, ago: int) -> None:
    known = LastKnown(primary, replayed, NOW - timedelta(seconds=ago))
    loss = estimate(replace(BROKEN, rate=rate), NOW, known)
    assert loss.seconds is not None
    assert 0 <= loss.seconds <= 105
    assert loss.bytes is not None
    assert loss.at_least is not None
    assert loss.bytes >= loss.at_least >= 0

"""What a backup.info says, whole or not."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.tools.archives import INFO, SYSTEM, info, info_at

from pgaas.tools.backup_info import NEEDED, BaseBackup, parse_backup_info
from pgaas.tools.wal import parse_lsn


def read(content: bytes) -> BaseBackup:
    return parse_backup_info("20261124T114626", content)


def test_a_real_one() -> None:
    assert read(INFO.encode()) == BaseBackup(
        "20261124T114626",
        "completed",
        begin_time=datetime(2026, 11, 24, 11, 46, 26, 389893, UTC),
        end_time=datetime(2026, 11, 24, 11, 46, 32, 796142, UTC),
        begin_wal="000000010000000000000003",
        end_wal="000000010000000000000003",
        begin_lsn=parse_lsn("0/3000028"),
        end_lsn=parse_lsn("0/3000158"),
        timeline=1,
        system_id=SYSTEM,
        size=31512680,
        version=170012,
        name="backup-20261124114625",
        segment_size=2**24,
    )
    assert read(INFO.encode()).major == 17


def test_one_that_failed_says_why() -> None:
    found = read(
        info(status="FAILED", error="failure uploading data (No space left = really)", end_time="None")
    )
    assert (found.status, found.error) == ("failed", "failure uploading data (No space left = really)")
    assert found.system_id == SYSTEM
    assert read(info(status="FAILED")).error == "it does not say why"


def test_what_another_program_wrote_moves_no_cursor() -> None:
    error = read(info(status="FAILED", error="\x1b[2Jgone\r\x07 " + "x" * 1000)).error
    assert error.startswith("[2Jgone x")
    assert len(error) == 300


@pytest.mark.parametrize("status", ["EMPTY", "STARTED", "SYNCING", "WAITING_FOR_WALS"])
def test_one_that_runs_has_no_end(status: str) -> None:
    nothing = dict.fromkeys(("begin_wal", "end_wal", "end_time", "end_xlog", "timeline", "version"), "None")
    found = read(info(status=status, **nothing))
    assert (found.status, found.error, found.end_time) == ("running", "", None)


@pytest.mark.parametrize("name", NEEDED)
@pytest.mark.parametrize("value", ["", "None"])
def test_a_completed_one_without_what_a_restore_needs(name: str, value: str) -> None:
    found = read(info(**{name: value}))
    assert found.status == "unreadable"
    assert f"it has no {name}" in found.error


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"status": ""}, "no status"),
        ({"status": "None"}, "no status"),
        ({"status": "done"}, "the status 'done'"),
        ({"status": "Y" * 10**5}, "the status 'YYY"),
        ({"version": "17.6"}, "version is '17.6', which is no number"),
        ({"version": "9" * 10**5}, "no number"),
        ({"timeline": "-1"}, "no number"),
        ({"timeline": "2"}, "does not fit timeline 2"),
        ({"timeline": "٣"}, "no number"),
        ({"systemid": "'; DROP"}, "no system id"),
        ({"begin_wal": "begin"}, "no WAL segment"),
        ({"begin_wal": "000000010000000000000003.gz"}, "no WAL segment"),
        ({"begin_wal": "000000010000000000000004"}, "does not fit timeline"),
        ({"end_wal": "000000020000000000000003", "begin_wal": "000000020000000000000003"}, "timeline 1"),
        ({"begin_xlog": "0/2FFFFFF"}, "does not fit its WAL"),
        ({"begin_xlog": "3000028"}, "no position"),
        ({"end_xlog": "0/3000027"}, "does not fit its WAL"),
        ({"end_xlog": "FFFFFFFFF/0"}, "no position"),
        ({"end_time": "yesterday"}, "end_time is 'yesterday', which is no time"),
        ({"end_time": "0001-01-01 00:00:00+00:00"}, "no time"),
        ({"end_time": "9999-12-31 23:59:59-23:59"}, "no time"),
        ({"xlog_segment_size": "1"}, "cannot have 1 bytes"),
        ({"xlog_segment_size": "16777217"}, "cannot have 16777217 bytes"),
        ({"size": "big"}, "size is 'big'"),
    ],
)
def test_values_that_cannot_be(changes: dict[str, str], says: str) -> None:
    found = read(info(**changes))
    assert found.status == "unreadable"
    assert says in found.error
    assert len(found.error) < 200


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no status"),
        (gzip.compress(INFO.encode()), "encrypted, compressed or damaged"),
        (b"Salted__\x00\x01\x02", "encrypted"),
        (INFO.encode("utf-16"), "encrypted"),
        (b"age-encryption.org/v1\n-> X25519 abc\n", "no backup.info of barman's: line 1"),
        (b"-----BEGIN PGP MESSAGE-----\n\nhQEMA=\n", "no backup.info of barman's: line 1"),
        (b"<html><body class=x>503</body></html>", "no backup.info of barman's: line 1"),
        (b"[backup]\nstatus=DONE\n", "no backup.info of barman's: line 1"),
        (b"status=DONE\nbroken", "line 2 is not name=value"),
    ],
)
def test_what_is_no_backup_info_at_all(content: bytes, says: str) -> None:
    found = read(content)
    assert found.status == "unreadable"
    assert says in found.error


def test_cut_off_anywhere_it_is_never_a_backup() -> None:
    whole = INFO.encode()
    shortest = whole.index(b"version=170012") + len("version=1")
    completed = [length for length in range(len(whole)) if read(whole[:length]).status == "completed"]
    assert [length for length in completed if length < shortest] == []


def test_comments_blank_lines_and_windows_line_ends() -> None:
    content = b"# by hand\n\n" + INFO.encode().replace(b"\n", b"\r\n")
    assert read(content) == read(INFO.encode())


def test_a_time_without_a_zone_is_utc_and_others_keep_theirs() -> None:
    assert read(info(end_time="2026-11-24 11:46:32")).end_time == datetime(
        2026, 11, 24, 11, 46, 32, tzinfo=UTC
    )
    zone = timezone(timedelta(hours=2))
    assert read(info(end_time="2026-11-24 13:46:32+02:00")).end_time == datetime(
        2026, 11, 24, 13, 46, 32, tzinfo=zone
    )


def test_segments_of_another_size() -> None:
    changes = {"begin_wal": "000000010000000000000000", "end_wal": "000000010000000000000000"}
    assert read(info(xlog_segment_size=str(2**30), **changes)).segment_size == 2**30
    assert read(info(xlog_segment_size="None")).segment_size == 2**24


def test_millions_in_the_position() -> None:
    found = read(info_at(4_000_000_000, 2**40 - 2, 2**40 - 1))
    assert (found.status, found.error) == ("completed", "")
    assert found.end_lsn == parse_lsn("FFFFFFFF/FF000158")


def test_sizes() -> None:
    assert read(info(size="5")).size == 5
    assert read(info(cluster_size="None")).size is None


@given(st.binary(max_size=300))
def test_nothing_is_a_traceback(content: bytes) -> None:
    assert read(content).status != "completed"


@given(st.integers(0, len(INFO) - 1), st.binary(min_size=1, max_size=8))
def test_no_damage_is_a_traceback(place: int, damage: bytes) -> None:
    content = INFO.encode()
    found = read(content[:place] + damage + content[place + len(damage) :])
    assert found.status in ("completed", "unreadable", "failed", "running")

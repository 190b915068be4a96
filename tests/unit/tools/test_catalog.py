"""What can be restored out of an archive: to which moments, and what a hole in the WAL takes away."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from tests.unit.tools.archives import NOW, bucket, info, info_at, put_backup, put_history, put_wal
from tests.unit.tools.fake_s3 import FakeS3, running

from pgaas.tools.catalog import Catalog, Window, joined, read_catalog

ROOT = "p/s/"


@pytest.fixture(scope="module")
def shared() -> Iterator[FakeS3]:
    with running() as server:
        yield server


@pytest.fixture
def s3(shared: FakeS3) -> FakeS3:
    shared.objects.clear()
    shared.buckets = {"b"}
    return shared


def ended(minutes: float) -> str:
    return f"{NOW - timedelta(minutes=minutes):%Y-%m-%d %H:%M:%S.%f}+00:00"


def put_at(s3: FakeS3, name: str, minutes: float, segment: int, timeline: int = 1, **changes: str) -> None:
    """Put a backup that ended so many minutes ago."""
    times = {"begin_time": ended(minutes + 1), "end_time": ended(minutes)}
    put_backup(s3, ROOT, name, info_at(timeline, segment, **(times | changes)))


def catalog(s3: FakeS3) -> Catalog:
    return read_catalog(bucket(s3), "p", "s")


def ago(minutes: float) -> object:
    return NOW - timedelta(minutes=minutes)


def test_nothing_is_an_empty_catalog(s3: FakeS3) -> None:
    found = catalog(s3)
    assert (found.backups, found.windows, found.newest_wal) == ((), (), None)
    assert found.base_for(NOW) is None


def test_one_can_restore_from_a_backups_end_to_the_newest_wal(s3: FakeS3) -> None:
    put_at(s3, "20261124T110000", 60, 3)
    put_at(s3, "20261124T113000", 30, 33)
    put_wal(s3, ROOT, 1, range(3, 61), until=120)
    found = catalog(s3)
    assert found.windows == (Window(ago(60), ago(2)),)
    assert [each.backup.id for each in found.recoverable] == ["20261124T113000", "20261124T110000"]
    for minutes, expected in ((60, "20261124T110000"), (31, "20261124T110000"), (30, "20261124T113000")):
        base = found.base_for(ago(minutes))
        assert base
        assert base.backup.id == expected
    assert found.base_for(ago(60.1)) is None
    assert found.base_for(ago(1.9)) is None
    assert found.holes == ()


def test_a_hole_parts_the_window_and_the_backup_behind_it_opens_another(s3: FakeS3) -> None:
    put_at(s3, "20261124T110000", 60, 3)
    put_at(s3, "20261124T113000", 30, 33)
    put_wal(s3, ROOT, 1, [*range(3, 20), *range(21, 61)], until=120)
    found = catalog(s3)
    first, second = found.windows
    assert first.first == ago(60)
    # Segment 19 is the last before the hole; 40 segments and 2 minutes come after it, one a minute.
    assert first.last == ago(42)
    assert second == Window(ago(30), ago(2))
    assert found.base_for(ago(41)) is None
    assert [found.gap_names(gap) for gap in found.holes] == ["000000010000000000000014"]


def test_a_backup_whose_own_wal_is_not_there_restores_nothing(s3: FakeS3) -> None:
    put_backup(s3, ROOT, "20261124T110000", info_at(1, 3, 5, begin_time=ended(61), end_time=ended(60)))
    put_wal(s3, ROOT, 1, [3, 4, 6, 7])
    found = catalog(s3)
    assert [each.window for each in found.recoverable] == [None]
    assert found.windows == ()


def test_the_backup_of_a_timeline_that_was_left_reaches_the_newest_one(s3: FakeS3) -> None:
    put_at(s3, "20261124T110000", 60, 3)
    put_wal(s3, ROOT, 1, range(3, 11), until=600)
    put_wal(s3, ROOT, 2, range(10, 20), until=60)
    put_history(s3, ROOT, 2, ["1\t0/A000060"])
    assert catalog(s3).windows == (Window(ago(60), ago(1)),)


def test_a_backup_that_the_newest_timeline_does_not_go_through_restores_its_own_end_alone(s3: FakeS3) -> None:
    put_at(s3, "20261124T110000", 60, 3)
    # It ended in segment 12, and timeline 2 had left in segment 10.
    put_at(s3, "20261124T113000", 30, 12)
    put_wal(s3, ROOT, 1, range(3, 14), until=1500)
    put_wal(s3, ROOT, 2, range(10, 20), until=60)
    put_history(s3, ROOT, 2, ["1\t0/A000060"])
    found = catalog(s3)
    assert [each.window for each in found.recoverable] == [Window(ago(30), ago(30)), Window(ago(60), ago(1))]  # type: ignore[arg-type]
    assert found.windows == (Window(ago(60), ago(1)),)  # type: ignore[arg-type]
    base = found.base_for(ago(30))
    assert base
    assert base.backup.id == "20261124T110000"


def test_failed_and_unreadable_backups_are_listed_and_restore_nothing(s3: FakeS3) -> None:
    put_backup(s3, ROOT, "20261124T100000", info(status="FAILED", error="no space"))
    put_backup(s3, ROOT, "20261124T101000", b"\0")
    put_at(s3, "20261124T110000", 60, 3)
    put_wal(s3, ROOT, 1, range(3, 5))
    found = catalog(s3)
    assert [each.status for each in found.backups] == ["completed", "unreadable", "failed"]
    assert len(found.recoverable) == 1


def test_a_backup_is_found_by_its_id_and_by_its_name(s3: FakeS3) -> None:
    put_at(s3, "20261124T110000", 60, 3)
    found = catalog(s3)
    assert found.backup_named("20261124T110000") is found.backup_named("backup-20261124114625")
    assert found.backup_named("") is None
    assert found.backup_named("20261124T110001") is None


def test_more_backups_than_status_reads_are_all_listed(s3: FakeS3) -> None:
    for number in range(40):
        put_at(s3, f"20261124T{number:06d}", 100 - number, 3)
    put_wal(s3, ROOT, 1, range(3, 5))
    assert len(catalog(s3).recoverable) == 40


def test_windows_that_touch_are_one() -> None:
    spans = [Window(ago(9), ago(5)), None, Window(ago(5), ago(3)), Window(ago(2), ago(1))]  # type: ignore[arg-type]
    assert joined(spans) == (Window(ago(9), ago(3)), Window(ago(2), ago(1)))  # type: ignore[arg-type]

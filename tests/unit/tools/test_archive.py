"""What an archive in S3 holds; the server is a small real one on this machine."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta

import pytest
from tests.unit.tools.archives import (
    INFO,
    NOW,
    SYSTEM,
    bucket,
    info,
    info_at,
    put,
    put_backup,
    put_history,
    put_wal,
)
from tests.unit.tools.fake_s3 import FakeS3

from pgaas.errors import ToolFailed
from pgaas.tools.archive import Archive, other_generations, read_archive, written_after
from pgaas.tools.s3 import EPOCH, Unreadable
from pgaas.tools.wal import COMPRESSIONS, SEGMENT_SIZE, Segment, parse_lsn

PREFIX, NAME = "ic1-prod-dc1-backup/", "prod-ic1-dc1"
ROOT = f"{PREFIX}{NAME}/"
MIB = 2**20
WAL = f"{ROOT}wals/0000000100000000/0000000100000000000000"


def read(s3: FakeS3, *, chain: bool = True) -> Archive:
    return read_archive(bucket(s3), PREFIX, NAME, chain=chain)


def gaps(archive: Archive) -> list[str]:
    assert archive.chain
    return [archive.gap_names(gap) for gap in archive.chain.gaps]


def test_an_archive_as_barman_leaves_it(s3: FakeS3) -> None:
    put_backup(s3, ROOT, "20261124T114626")
    put_wal(s3, ROOT, 1, range(1, 6), until=30)
    put(s3, f"{WAL}03.00000028.backup.gz")
    put(s3, f"{WAL}06.partial.gz")
    archive = read(s3)
    assert archive.url == f"s3://b/{ROOT}"
    assert archive.exists
    assert archive.newest_backup
    assert (archive.newest_backup.id, archive.newest_backup.system_id) == ("20261124T114626", SYSTEM)
    assert (archive.failed, archive.running, archive.backup_count) == ((), (), 1)
    assert archive.newest_wal
    assert archive.newest_wal.name == "000000010000000000000005"
    assert archive.newest_wal.written == NOW - timedelta(seconds=30)
    assert archive.newest_wal == archive.last
    assert (archive.timeline, archive.history) == (1, None)
    assert archive.end_lsn == archive.newest_end == parse_lsn("0/6000000")
    assert archive.read_at == NOW
    assert archive.chain
    assert archive.chain.complete
    assert archive.chain.reached == archive.newest_wal


def test_nothing_at_all(s3: FakeS3) -> None:
    put_backup(s3, f"{PREFIX}{NAME}-g2/", "20261124T114626")
    archive = read(s3)
    assert not archive.exists
    assert (archive.newest_backup, archive.newest_wal, archive.chain, archive.rate) == (
        None,
        None,
        None,
        None,
    )
    assert (archive.timeline, archive.end_lsn, archive.history) == (None, None, None)


def test_an_archive_of_which_one_part_is_there(s3: FakeS3) -> None:
    put_history(s3, ROOT, 2, ["1\t0/5000060"])
    assert read(s3).exists
    s3.objects.clear()
    put_wal(s3, ROOT, 1, [1])
    assert read(s3).exists
    s3.objects.clear()
    put_backup(s3, ROOT, "20261124T114626")
    assert read(s3).exists
    assert read_archive(bucket(s3), PREFIX, NAME).chain


def test_a_prefix_without_its_slash_and_no_prefix(s3: FakeS3) -> None:
    put_wal(s3, ROOT, 1, [1])
    assert read_archive(bucket(s3), PREFIX.rstrip("/"), NAME).newest_wal
    assert read_archive(bucket(s3), "", f"{PREFIX}{NAME}").newest_wal
    assert other_generations(bucket(s3), PREFIX.rstrip("/"), NAME) == [NAME]


def test_a_bucket_that_is_not_there_or_may_not_be_listed(s3: FakeS3) -> None:
    with pytest.raises(ToolFailed, match="no bucket other"):
        read_archive(bucket(s3, "other"), PREFIX, NAME)
    s3.refuse["GET"] = (403, "AccessDenied")
    with pytest.raises(ToolFailed, match="may not do this"):
        read(s3)


def test_failed_running_and_unreadable_backups_stand_beside_the_completed(s3: FakeS3) -> None:
    put_backup(s3, ROOT, "20261120T000000", info(end_time="2026-11-20 00:01:00+00:00"))
    put_backup(s3, ROOT, "20261121T000000", info(end_time="2026-11-21 00:01:00+00:00"))
    put_backup(s3, ROOT, "20261122T000000", info(status="FAILED", error="failure uploading data (x)"))
    put_backup(s3, ROOT, "20261123T000000", gzip.compress(INFO.encode()))
    put_backup(s3, ROOT, "20261124T000000", info(status="STARTED"), data=False)
    put(s3, f"{ROOT}base/20261125T000000/data.tar.gz")
    archive = read(s3)
    assert archive.newest_backup
    assert archive.newest_backup.id == "20261121T000000"
    assert [each.id for each in archive.backups] == [f"202611{day}T000000" for day in range(25, 19, -1)]
    assert [(each.id[6:8], each.status) for each in archive.failed] == [
        ("23", "unreadable"),
        ("22", "failed"),
    ]
    assert archive.failed[1].error == "failure uploading data (x)"
    assert [each.id[6:8] for each in archive.running] == ["25", "24"]
    assert "no backup.info" in archive.running[0].error


def test_the_newest_backup_is_the_one_that_ended_last(s3: FakeS3) -> None:
    put_backup(s3, ROOT, "20261124T000000", info(end_time="2026-11-24 03:00:00+02:00"))
    put_backup(s3, ROOT, "20261123T235900", info(end_time="2026-11-24 02:00:00+00:00"))
    newest = read(s3).newest_backup
    assert newest
    assert newest.id == "20261123T235900"


def test_a_backup_whose_data_was_not_copied_yet_is_none(s3: FakeS3) -> None:
    put_backup(s3, ROOT, "20261124T114626", data=False)
    archive = read(s3)
    assert archive.newest_backup is None
    assert "its data is not there" in archive.failed[0].error


def test_a_backup_info_that_is_withheld_is_said_in_words(s3: FakeS3) -> None:
    for number, code in enumerate(("AccessDenied", "InvalidRequest", "KMS.DisabledException"), 1):
        put_backup(s3, ROOT, f"2026112{number}T000000")
        s3.refuse[f"{ROOT}base/2026112{number}T000000/backup.info"] = (400 + number, code)
    put_backup(s3, ROOT, "20261124T000000", b"x" * (2**20 + 1))
    kms, request, denied = read(s3).failed[1:]
    assert "larger than 1048576 bytes" in read(s3).failed[0].error
    assert "may not do this (AccessDenied)" in denied.error
    assert "InvalidRequest" in request.error
    assert "KMS.DisabledException" in kms.error


def test_an_s3_that_fails_is_no_bad_backup(s3: FakeS3) -> None:
    put_backup(s3, ROOT, "20261124T000000")
    s3.refuse[f"{ROOT}base/20261124T000000/backup.info"] = (503, "SlowDown")
    with pytest.raises(ToolFailed, match="fewer requests"):
        read(s3)


def test_of_a_thousand_backups_only_the_newest_are_read(s3: FakeS3) -> None:
    for number in range(300):
        put_backup(s3, ROOT, f"20260101T{number:06}", INFO.encode() if number == 200 else b"")
    archive = read(s3)
    assert archive.newest_backup
    assert archive.newest_backup.id == "20260101T000200"
    assert archive.backup_count == 300
    reads = [path for _, path, _ in s3.asked if path.endswith("backup.info")]
    assert 100 <= len(reads) < 110
    s3.asked.clear()
    put_backup(s3, ROOT, "20260101T000299")
    assert len(read(s3).backups) == 32


def test_the_newest_wal_is_that_of_the_highest_timeline(s3: FakeS3) -> None:
    put_wal(s3, ROOT, 1, range(250, 270), until=5000)
    put_wal(s3, ROOT, 2, range(260, 263), until=60)
    put_history(s3, ROOT, 2, ["1\t1/4000060"])
    put_history(s3, ROOT, 3, ["1\t1/4000060", "2\t1/7000060"])
    archive = read(s3)
    assert archive.newest_wal
    assert archive.newest_wal.name == "000000020000000100000006"
    assert (archive.timeline, archive.history) == (2, 3)


@pytest.mark.parametrize("ending", ["", *COMPRESSIONS])
def test_every_compression_that_barman_knows(s3: FakeS3, ending: str) -> None:
    put_backup(s3, ROOT, "20261124T114626")
    put_wal(s3, ROOT, 1, range(3, 6), ending=ending)
    archive = read(s3)
    assert archive.newest_wal
    assert archive.newest_wal.name == "000000010000000000000005"
    assert archive.chain
    assert archive.chain.complete


def test_of_two_forms_of_one_segment_the_last_written_counts(s3: FakeS3) -> None:
    put(s3, f"{WAL}05", ago=500)
    put(s3, f"{WAL}05.gz", ago=50)
    put(s3, f"{WAL}05.zst", ago=5000)
    newest = read(s3).newest_wal
    assert newest
    assert newest.written == NOW - timedelta(seconds=50)


def test_what_is_no_wal_counts_for_nothing(s3: FakeS3) -> None:
    put_wal(s3, ROOT, 1, [1])
    for key in (
        "wals/FFFFFFFFFFFFFFFF/nonsense",
        "wals/FFFFFFFFFFFFFFFF/000000010000000000000009",
        "wals/FFFFFFFFFFFFFFFF/FFFFFFFFFFFFFFFFFFFFFFFF",
        "wals/0000000100000000/000000010000000000000007.partial",
        "wals/0000000100000000/000000010000000100000008",
        "wals/0000000100000000/deeper/000000010000000000000009",
        "wals/0000000100000000/<&>'%25 \\ü",
        "wals/0000000000000000/000000000000000000000001",
        "wals/000000090000000000000001",
        "wals/9.history",
        "wals/x/000000010000000000000009",
    ):
        put(s3, f"{ROOT}{key}")
    put(s3, f"{WAL}0A.gz", b"")
    archive = read(s3)
    assert archive.newest_wal
    assert archive.newest_wal.name == "000000010000000000000001"
    assert archive.history is None


def test_an_object_that_nobody_knows_the_age_of(s3: FakeS3) -> None:
    put_wal(s3, ROOT, 1, [1])
    s3.written[f"{WAL}01.gz"] = datetime(1, 1, 1, tzinfo=UTC)
    newest = read(s3).newest_wal
    assert newest
    assert newest.written == EPOCH


def test_the_rate_is_that_of_the_minutes_before_the_newest_segment(s3: FakeS3) -> None:
    put_wal(s3, ROOT, 1, range(1, 600), every=2, until=86_400)
    assert read(s3).rate == 16 * MIB / 2
    s3.objects.clear()
    put_wal(s3, ROOT, 1, range(1, 20), every=300, until=3000)
    assert read(s3).rate == 16 * MIB / 300


def test_a_segment_after_a_long_silence(s3: FakeS3) -> None:
    put_wal(s3, ROOT, 1, range(1, 20), until=40_000)
    put_wal(s3, ROOT, 1, [20], until=5)
    assert read(s3).rate == 16 * MIB / 600


def test_the_rate_of_a_young_archive(s3: FakeS3) -> None:
    put_wal(s3, ROOT, 1, range(1, 4), every=20, until=60)
    assert read(s3).rate == 2 * 16 * MIB / 100
    s3.objects.clear()
    put_wal(s3, ROOT, 1, range(1, 4), every=20, until=90_000)
    assert read(s3).rate == 2 * 16 * MIB / 600


def test_no_rate_where_all_was_written_at_once(s3: FakeS3) -> None:
    put_wal(s3, ROOT, 1, range(1, 200), every=0)
    assert read(s3).rate is None
    s3.objects.clear()
    put_wal(s3, ROOT, 1, [1], until=50)
    assert read(s3).rate is None


def test_the_rate_goes_on_over_folders_and_timelines(s3: FakeS3) -> None:
    put_wal(s3, ROOT, 1, range(200, 258), every=10, until=30)
    put_wal(s3, ROOT, 2, range(257, 260), every=10)
    assert read(s3).rate == 16 * MIB / 10


def test_of_many_folders_the_newest_give_the_rate(s3: FakeS3) -> None:
    put_wal(s3, ROOT, 1, range(1, 256 * 12), every=1, until=3600)
    put_wal(s3, ROOT, 1, range(256 * 12, 256 * 12 + 3), every=200)
    assert read(s3).rate == 3 * 16 * MIB / 600


def test_the_first_segment_of_a_folder_counts(s3: FakeS3) -> None:
    put_backup(s3, ROOT, "20261124T114626", info_at(1, 254))
    put_wal(s3, ROOT, 1, range(250, 257), every=100)
    archive = read(s3)
    assert gaps(archive) == []
    assert archive.rate == 16 * MIB / 100


def test_without_the_chain_only_the_newest_folders_are_read(s3: FakeS3) -> None:
    put_backup(s3, ROOT, "20261124T114626")
    put_wal(s3, ROOT, 1, range(3, 256 * 20), every=10)
    s3.asked.clear()
    archive = read(s3, chain=False)
    assert archive.chain is None
    assert archive.last == archive.newest_wal
    assert len(s3.asked) <= 6


def test_the_lives_of_a_cluster(s3: FakeS3) -> None:
    for name in (
        NAME,
        f"{NAME}-g2",
        f"{NAME}-g10",
        f"{NAME}-gx",
        f"{NAME}-g02",
        f"{NAME}0",
        "other",
        f"{NAME}-g3x",
    ):
        put(s3, f"{PREFIX}{name}/wals/x")
    put(s3, f"{PREFIX}{NAME}-g9")
    assert other_generations(bucket(s3), PREFIX, NAME) == [NAME, f"{NAME}-g2", f"{NAME}-g10"]
    assert other_generations(bucket(s3), PREFIX, "nobody") == []


def test_a_hundred_thousand_segments_are_few_requests(s3: FakeS3) -> None:
    put_backup(s3, ROOT, "20261124T114626", info_at(1, 99_000))
    put_wal(s3, ROOT, 1, range(1, 100_001), every=5)
    archive = read(s3)
    assert archive.newest_wal
    assert archive.newest_wal.name == "00000001000001860000" + "00A0"
    assert archive.chain
    assert archive.chain.complete
    assert len(s3.asked) <= 14


def test_an_object_can_be_read_withheld_missing_or_too_large(s3: FakeS3) -> None:
    opened = bucket(s3)
    put(s3, "k/ü %.info", b"12345")
    assert opened.read("k/ü %.info", 5) == b"12345"
    assert opened.read("k/none", 5) is None
    with pytest.raises(Unreadable, match="larger than 4 bytes"):
        opened.read("k/ü %.info", 4)
    s3.refuse["k/none"] = (403, "AccessDenied")
    with pytest.raises(Unreadable, match="may not do this") as caught:
        opened.read("k/none", 5)
    assert (caught.value.where, bool(caught.value.next_step)) == ("k/none", True)
    with pytest.raises(ToolFailed, match="no bucket other"):
        bucket(s3, "other").read("k", 5)


def test_a_listing_has_pages_folders_and_the_time(s3: FakeS3) -> None:
    for name in ("a/1", "a/2", "b/1", "c/d/e", "top", "x&y"):
        put(s3, f"p/{name}")
    s3.page = 2
    found = bucket(s3).listing("p/")
    assert found.folders == ("p/a/", "p/b/", "p/c/")
    assert [entry.key for entry in found.entries] == ["p/top", "p/x&y"]
    assert found.at == NOW
    assert bucket(s3).listing("p/t").entries[0].bytes == 1
    assert bucket(s3).listing("q/").folders == ()


def test_when_the_first_segment_behind_one_was_written(s3: FakeS3) -> None:
    put_wal(s3, ROOT, 1, [254, 255, 256], until=300)
    put_wal(s3, ROOT, 2, [257], until=0)

    def ago(segment: Segment | None) -> float | None:
        found = written_after(bucket(s3), PREFIX, NAME, segment, SEGMENT_SIZE)
        return (NOW - found).total_seconds() if found else None

    wanted = {(1, 254): 360, (1, 255): 300, (1, 256): 0, (2, 256): 0, (2, 257): None, (1, 3): 420}
    assert {each: ago(Segment(*each)) for each in wanted} == wanted
    assert ago(None) == 420

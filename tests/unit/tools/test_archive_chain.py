"""Whether the WAL of an archive leads from its newest base backup to its newest segment."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from datetime import timedelta

import pytest
from tests.unit.tools.archives import (
    NOW,
    bucket,
    info,
    info_at,
    put,
    put_backup,
    put_history,
    put_wal,
)
from tests.unit.tools.fake_s3 import FakeS3

from pgaas.tools.archive import Archive, read_archive
from pgaas.tools.wal import Segment, parse_lsn
from pgaas.tools.wal_chain import Gap

PREFIX, NAME = "ic1-prod-dc1-backup/", "prod-ic1-dc1"
ROOT = f"{PREFIX}{NAME}/"
MIB = 2**20
WAL = f"{ROOT}wals/0000000100000000/0000000100000000000000"


def read(s3: FakeS3) -> Archive:
    return read_archive(bucket(s3), PREFIX, NAME)


def gaps(archive: Archive) -> list[str]:
    assert archive.chain
    return [archive.gap_names(gap) for gap in archive.chain.gaps]


def test_gaps_are_listed(s3: FakeS3) -> None:
    put_backup(s3, ROOT, "20261124T114626")
    put_wal(s3, ROOT, 1, [1, 3, 4, 7, 8, 10], until=30)
    archive = read(s3)
    assert gaps(archive) == [
        "000000010000000000000005 to 000000010000000000000006",
        "000000010000000000000009",
    ]
    chain = archive.chain
    assert chain
    assert (chain.complete, chain.missing, chain.problem) == (False, 3, "")
    assert chain.reached
    assert chain.reached.name == "000000010000000000000004"
    assert chain.settled == NOW - timedelta(seconds=30 + 2 * 60)
    assert archive.last == chain.reached
    assert archive.end_lsn == parse_lsn("0/5000000")
    assert archive.newest_end == parse_lsn("0/B000000")


def test_the_backups_own_wal_may_not_be_there_yet(s3: FakeS3) -> None:
    put_backup(s3, ROOT, "20261124T114626", info_at(1, 3, 5))
    put_wal(s3, ROOT, 1, range(1, 5))
    archive = read(s3)
    assert gaps(archive) == ["000000010000000000000005"]
    assert archive.chain
    assert archive.chain.settled is None
    s3.objects = {key: content for key, content in s3.objects.items() if "/base/" in key}
    archive = read(s3)
    assert gaps(archive) == ["000000010000000000000003 to 000000010000000000000005"]
    assert archive.chain
    assert (archive.chain.reached, archive.last, archive.end_lsn) == (None, None, None)


def test_what_is_older_than_the_backup_need_not_be_there(s3: FakeS3) -> None:
    put_backup(s3, ROOT, "20261124T114626", info_at(1, 300))
    put_wal(s3, ROOT, 1, [1, 2, 7, 299, 300, 301])
    archive = read(s3)
    assert gaps(archive) == []


def change(s3: FakeS3, ending: str = "") -> None:
    """Put a backup and WAL over a promotion in segment 5, and another in segment 8."""
    put_backup(s3, ROOT, "20261124T114626")
    put_wal(s3, ROOT, 1, range(1, 5))
    put(s3, f"{WAL}05.partial")
    put_wal(s3, ROOT, 2, range(5, 9))
    put_wal(s3, ROOT, 3, range(8, 11))
    put_history(s3, ROOT, 2, ["1\t0/5000060"], ending)
    put_history(s3, ROOT, 3, ["1\t0/5000060", "2\t0/8000060"], ending)


def test_the_chain_goes_over_changes_of_timeline(s3: FakeS3) -> None:
    change(s3)
    archive = read(s3)
    assert archive.chain
    assert (archive.chain.complete, archive.chain.note) == (True, "")
    del s3.objects[f"{ROOT}wals/0000000200000000/000000020000000000000005.gz"]
    archive = read(s3)
    assert gaps(archive) == ["000000020000000000000005"]
    assert archive.chain
    assert archive.chain.reached
    assert archive.chain.reached.name == "000000010000000000000004"
    assert archive.chain.settled == NOW - timedelta(seconds=120)


@pytest.mark.parametrize(
    ("ending", "encode"),
    [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)],
)
def test_history_files_are_compressed_as_all_else(
    s3: FakeS3, ending: str, encode: Callable[[bytes], bytes]
) -> None:
    change(s3, ending)
    for key in list(s3.objects):
        if ".history" in key:
            s3.objects[key] = encode(s3.objects[key])
    archive = read(s3)
    assert archive.history == 3
    assert archive.chain
    assert (archive.chain.complete, archive.chain.note) == (True, "")
    key = f"{ROOT}wals/00000003.history{ending}"
    s3.objects[key] = s3.objects[key][:-5]
    cut = read(s3).chain
    assert cut
    assert "history of timeline 3 cannot be read" in cut.note


@pytest.mark.parametrize("content", [b"", b"\x28\xb5\x2f\xfd", b"1\tx\n", b"1\t0/5000060\t\n" * 10**5])
def test_a_history_that_cannot_be_read_leaves_the_names(s3: FakeS3, content: bytes) -> None:
    change(s3)
    s3.objects[f"{ROOT}wals/00000003.history"] = content
    archive = read(s3)
    assert archive.chain
    assert (archive.chain.problem, archive.chain.complete) == ("", True)
    assert "only names say" in archive.chain.note
    assert len(archive.chain.note) < 250
    del s3.objects[f"{ROOT}wals/0000000200000000/000000020000000000000006.gz"]
    assert gaps(read(s3)) == ["000000020000000000000006"]


def test_compressions_that_python_does_not_know(s3: FakeS3) -> None:
    change(s3, ".zst")
    chain = read(s3).chain
    assert chain
    assert ".zst" in chain.note
    assert chain.complete


def test_wal_of_a_timeline_without_a_history_is_out_of_reach(s3: FakeS3) -> None:
    change(s3)
    del s3.objects[f"{ROOT}wals/00000003.history"]
    archive = read(s3)
    assert archive.chain
    assert (
        "WAL of timeline 3, and no 00000003.history: a recovery stays on timeline 2" in archive.chain.problem
    )
    assert not archive.chain.complete
    assert archive.chain.settled == NOW - timedelta(seconds=120)
    assert archive.last
    assert archive.last.name == "000000020000000000000008"
    del s3.objects[f"{ROOT}wals/00000002.history"]
    archive = read(s3)
    assert archive.chain
    assert "no 00000002.history: a recovery stays on timeline 1" in archive.chain.problem
    assert archive.last
    assert archive.last.name == "000000010000000000000004"


def test_a_backup_of_the_newest_timeline_needs_no_history(s3: FakeS3) -> None:
    put_backup(s3, ROOT, "20261124T114626", info_at(7, 3))
    put_wal(s3, ROOT, 7, range(3, 6))
    chain = read(s3).chain
    assert chain
    assert chain.complete


def test_a_backup_of_a_past_that_the_newest_timeline_does_not_share(s3: FakeS3) -> None:
    put_backup(s3, ROOT, "20261124T114626", info_at(1, 6))
    put_wal(s3, ROOT, 1, range(1, 7))
    put_wal(s3, ROOT, 2, range(5, 9))
    put_history(s3, ROOT, 2, ["1\t0/5000060"])
    archive = read(s3)
    assert archive.chain
    assert "the backup ends at 0/6000158, and timeline 2 had left" in archive.chain.problem
    assert archive.last
    assert archive.last.name == "000000010000000000000006"


def test_an_absurd_name_reaches_nowhere_and_costs_nothing(s3: FakeS3) -> None:
    put_backup(s3, ROOT, "20261124T114626")
    put_wal(s3, ROOT, 1, range(3, 6))
    put(s3, f"{ROOT}wals/00000001FFFFFFFF/00000001FFFFFFFF000000FF")
    archive = read(s3)
    assert archive.chain
    assert archive.chain.gaps == (Gap(Segment(1, 6), Segment(1, 2**40 - 2)),)
    assert archive.newest_end == 2**64
    assert archive.last
    assert archive.last.name == "000000010000000000000005"
    put(s3, f"{ROOT}wals/FFFFFFFFFFFFFFFF/FFFFFFFFFFFFFFFF000000FF")
    archive = read(s3)
    assert archive.chain
    assert "no 00000002.history" in archive.chain.problem


def test_segments_of_another_size(s3: FakeS3) -> None:
    size = 64 * MIB
    changes = {"begin_xlog": "1/C000028", "end_xlog": "1/C000158", "xlog_segment_size": str(size)}
    names = dict.fromkeys(("begin_wal", "end_wal"), "000000010000000100000003")
    put_backup(s3, ROOT, "20261124T114626", info(**changes, **names))
    put_wal(s3, ROOT, 1, range(67, 130), size=size, every=30)
    archive = read(s3)
    assert archive.newest_wal
    assert archive.newest_wal.name == "000000010000000200000001"
    assert archive.end_lsn == 130 * size
    assert archive.rate == size / 30
    assert archive.chain
    assert archive.chain.complete

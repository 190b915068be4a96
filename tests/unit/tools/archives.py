"""Archives as barman writes them, in a small S3; the text is that of a real backup.info."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.unit.tools.fake_s3 import FakeS3

from pgaas.tools.s3 import Bucket, Keys, Place
from pgaas.tools.wal import SEGMENT_SIZE, Segment, folder_of, segment_name

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
SYSTEM = "7711702977226735635"
INFO = """\
backup_label='START WAL LOCATION: 0/3000028 (file 000000010000000000000003)\\nSTART TIMELINE: 1\\n'
backup_name=backup-20261124114625
begin_offset=40
begin_time=2026-11-24 11:46:26.389893+00:00
begin_wal=000000010000000000000003
begin_xlog=0/3000028
children_backup_ids=None
cluster_size=31512680
compression=None
config_file=/var/lib/postgresql/data/pgdata/postgresql.conf
copy_stats={'total_time': 8.820828, 'number_of_workers': 2, 'copy_time_per_item': {'data': 0.325716}}
data_checksums=on
deduplicated_size=None
end_offset=344
end_time=2026-11-24 11:46:32.796142+00:00
end_wal=000000010000000000000003
end_xlog=0/3000158
error=None
hba_file=/var/lib/postgresql/data/pgdata/pg_hba.conf
included_files=['/var/lib/postgresql/data/pgdata/custom.conf']
mode=None
pgdata=/var/lib/postgresql/data/pgdata
server_name=cloud
size=None
status=DONE
summarize_wal=off
systemid=7711702977226735635
tablespaces=None
timeline=1
version=170012
xlog_segment_size=16777216
"""


def info(**changes: str) -> bytes:
    """Return a backup.info with other values, without those that are given as ""."""
    lines = []
    for line in INFO.splitlines():
        name = line.partition("=")[0]
        if changes.get(name, line):
            lines.append(f"{name}={changes[name]}" if name in changes else line)
    return "".join(f"{line}\n" for line in lines).encode()


def info_at(timeline: int, first: int, last: int | None = None, **changes: str) -> bytes:
    """Return a backup.info of a backup that needs these segments."""
    begin, end = Segment(timeline, first), Segment(timeline, first if last is None else last)
    places = {
        "timeline": str(timeline),
        "begin_wal": segment_name(begin),
        "end_wal": segment_name(end),
        "begin_xlog": f"{first >> 8:X}/{(first & 255) << 24 | 0x28:X}",
        "end_xlog": f"{end.number >> 8:X}/{(end.number & 255) << 24 | 0x158:X}",
    }
    return info(**(places | changes))


def put(s3: FakeS3, key: str, content: bytes = b"x", *, ago: float = 0) -> None:
    """Put an object that was written so many seconds before NOW."""
    s3.objects[key] = content
    s3.written[key] = NOW - timedelta(seconds=ago)


def put_backup(
    s3: FakeS3, root: str, name: str, content: bytes = INFO.encode(), *, data: bool = True
) -> None:
    """Put a base backup."""
    put(s3, f"{root}base/{name}/backup.info", content)
    if data:
        put(s3, f"{root}base/{name}/data.tar.gz")


def put_wal(
    s3: FakeS3,
    root: str,
    timeline: int,
    numbers: range | list[int],
    *,
    every: float = 60,
    until: float = 0,
    ending: str = ".gz",
    size: int = SEGMENT_SIZE,
) -> None:
    """Put segments, the last `until` seconds before NOW, and one `every` so many seconds before."""
    for back, number in enumerate(reversed(numbers)):
        segment = Segment(timeline, number)
        key = f"{root}wals/{folder_of(segment, size)}/{segment_name(segment, size)}{ending}"
        put(s3, key, ago=until + back * every)


def put_history(s3: FakeS3, root: str, timeline: int, lines: list[str], ending: str = "") -> None:
    """Put a history file, such as ["1\\t0/5000060"], uncompressed."""
    text = "".join(f"{line}\tno recovery target specified\n" for line in lines)
    put(s3, f"{root}wals/{timeline:08X}.history{ending}", text.encode())


def bucket(s3: FakeS3, name: str = "b") -> Bucket:
    """Return the bucket, with a clock that shows NOW."""
    s3.now = NOW
    return Bucket(Place(s3.url, "us-east-1", name), Keys("AKIDEXAMPLE", "topsecret"))

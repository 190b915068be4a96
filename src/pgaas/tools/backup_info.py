"""Read what barman-cloud-backup says about one base backup: lines of name=value in backup.info."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from pgaas.tools.wal import SEGMENT_SIZE, format_lsn, is_segment_size, parse_lsn, parse_segment

Status = Literal["completed", "running", "failed", "unreadable"]
STATUSES: dict[str, Status] = {
    "DONE": "completed",
    "FAILED": "failed",
    "EMPTY": "running",
    "STARTED": "running",
    "SYNCING": "running",
    "WAITING_FOR_WALS": "running",
}
# A restore needs all of these; barman writes its fields in the order of their names, `version` near the end.
NEEDED = ("begin_wal", "begin_xlog", "end_time", "end_wal", "end_xlog", "timeline", "version")
ERROR_LENGTH = 300
_NUMBER = re.compile(r"[0-9]{1,20}", re.ASCII)
_SYSTEM_ID = re.compile(r"[1-9][0-9]{0,19}", re.ASCII)


@dataclass(frozen=True)
class BaseBackup:
    """One base backup; `error` says why it failed, or why its backup.info cannot be used.

    Positions and sizes are in bytes; `size` is that of the files before compression, None if it is not
    known. `version` is PostgreSQL's number, such as 170006, and 0 if it is unknown. A completed backup has
    all of begin and end, and its WAL names fit `segment_size`.
    """

    id: str
    status: Status
    error: str = ""
    begin_time: datetime | None = None
    end_time: datetime | None = None
    begin_wal: str = ""
    end_wal: str = ""
    begin_lsn: int = 0
    end_lsn: int = 0
    timeline: int = 0
    system_id: str = ""
    size: int | None = None
    version: int = 0
    segment_size: int = SEGMENT_SIZE
    name: str = ""

    @property
    def major(self) -> int:
        """Return PostgreSQL's major version, or 0 if it is unknown."""
        return self.version // 10000


def parse_backup_info(backup_id: str, content: bytes) -> BaseBackup:
    """Return what a backup.info says; what is wrong with the file itself makes it `unreadable`, in words."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        return _unreadable(backup_id, "it is no text: encrypted, compressed or damaged")
    fields: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, found, value = line.partition("=")
        if not found or not name.strip().isidentifier():
            problem = "it is cut off, or encrypted" if number > 1 else "it is no backup.info of barman's"
            return _unreadable(backup_id, f"{problem}: line {number} is not name=value")
        if value.strip() != "None":
            fields[name.strip()] = value.strip()
    try:
        return _read(backup_id, fields)
    except ValueError as error:
        return _unreadable(backup_id, str(error))


def _read(backup_id: str, fields: dict[str, str]) -> BaseBackup:
    said = fields.get("status", "")
    status = STATUSES.get(said)
    if not said:
        raise ValueError("it is cut off, or damaged: it has no status")
    if status is None:
        raise ValueError(f"pgaas does not know the status {said[:40]!r}")
    if status != "completed":
        error = _one_line(fields.get("error", "")) or ("it does not say why" if status == "failed" else "")
        return BaseBackup(
            backup_id,
            status,
            error,
            begin_time=_time(fields, "begin_time"),
            end_time=_time(fields, "end_time"),
            system_id=_system_id(fields),
        )
    missing = [name for name in NEEDED if name not in fields]
    if missing:
        raise ValueError(f"it is cut off, or damaged: it has no {', '.join(missing)}")
    size = _number(fields, "xlog_segment_size") or SEGMENT_SIZE
    if not is_segment_size(size):
        raise ValueError(f"a WAL segment cannot have {size} bytes")
    begin, end = parse_segment(fields["begin_wal"], size), parse_segment(fields["end_wal"], size)
    timeline = _number(fields, "timeline")
    if begin.timeline != timeline or end < begin:
        raise ValueError(
            f"WAL from {fields['begin_wal']} to {fields['end_wal']} does not fit timeline {timeline}"
        )
    begin_lsn, end_lsn = parse_lsn(fields["begin_xlog"]), parse_lsn(fields["end_xlog"])
    if end_lsn < begin_lsn or begin_lsn // size != begin.number:
        raise ValueError(
            f"{format_lsn(begin_lsn)} to {format_lsn(end_lsn)} does not fit its WAL {fields['begin_wal']}"
        )
    return BaseBackup(
        backup_id,
        status,
        begin_time=_time(fields, "begin_time"),
        end_time=_time(fields, "end_time"),
        begin_wal=fields["begin_wal"],
        end_wal=fields["end_wal"],
        begin_lsn=begin_lsn,
        end_lsn=end_lsn,
        timeline=timeline,
        system_id=_system_id(fields),
        size=_number(fields, "size") or _number(fields, "cluster_size") or None,
        version=_number(fields, "version"),
        segment_size=size,
        name=_one_line(fields.get("backup_name", "")),
    )


def _unreadable(backup_id: str, why: str) -> BaseBackup:
    return BaseBackup(backup_id, "unreadable", why)


def _number(fields: dict[str, str], name: str) -> int:
    value = fields.get(name, "0")
    if not _NUMBER.fullmatch(value):
        raise ValueError(f"{name} is {value[:40]!r}, which is no number")
    return int(value)


def _system_id(fields: dict[str, str]) -> str:
    value = fields.get("systemid", "")
    if value and not _SYSTEM_ID.fullmatch(value):
        raise ValueError(f"systemid is {value[:40]!r}, which is no system id")
    return value


def _time(fields: dict[str, str], name: str) -> datetime | None:
    """Return a time; one without a zone is taken as UTC, which the sidecar runs in."""
    value = fields.get(name)
    if value is None:
        return None
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        time = datetime.min
    # Arithmetic with zones overflows at the ends of the calendar.
    if not 2000 <= time.year <= 9000:
        raise ValueError(f"{name} is {value[:40]!r}, which is no time")
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _one_line(text: str) -> str:
    """Return a message of another program without what a terminal would take as a command."""
    shown = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(shown.split())[:ERROR_LENGTH]

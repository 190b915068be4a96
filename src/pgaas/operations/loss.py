"""What would be lost if the other datacenter never came back: the RPO of this moment, out of its archive."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import floor, log10

from pgaas.tools.archive import Archive
from pgaas.tools.wal import distance

# A segment is whole before it is written to S3: barman starts, compresses and sends it first.
UPLOAD = timedelta(seconds=5)
UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


@dataclass(frozen=True)
class LastKnown:
    """What was last seen of the databases themselves; None for what could not be reached.

    `primary_lsn` is the primary's position at the time `at`, `replayed_lsn` how far the replica is.
    """

    primary_lsn: int | None = None
    replayed_lsn: int | None = None
    at: datetime | None = None


@dataclass(frozen=True)
class Loss:
    """What a promotion without a token would lose.

    `seconds` is a bound: the last so many seconds of writes, at most. `bytes` of WAL is an estimate, and
    `at_least` a bound below, where the primary's position is known. None stands for what nobody can tell.
    `last_wal` is the segment that counts, `last_backup` when the newest base backup ended.
    """

    seconds: float | None
    bytes: int | None
    detail: str
    last_wal: str = ""
    last_wal_at: datetime | None = None
    last_backup: datetime | None = None
    at_least: int | None = None


def estimate(archive: Archive, now: datetime, last_known: LastKnown | None = None) -> Loss:
    """Return what would be lost if the archive's owner never came back after `now`.

    Take `now` from the archive's `read_at`: it is of the clock that dates the WAL. A bound: nothing older
    than `seconds` is lost, as long as the owner's archiver kept up until then; one that had fallen behind
    sent old WAL late, which S3 does not show. An idle database loses nothing while the seconds grow. An
    estimate: `bytes` is the rate of the minutes before the newest WAL times those seconds, and whole segments
    count in it, also those that archive_timeout closed half empty; where the primary's position was seen it
    is that, and the rate since. Known: `at_least` is how far the primary was seen ahead of the archive. What
    the archive holds behind a gap does not count, unless the replica has replayed more already.
    """
    known = last_known or LastKnown()
    base = archive.newest_backup
    last_backup = base.end_time if base else None
    passed = _passed(archive, known.replayed_lsn)
    last, end = (archive.newest_wal, archive.newest_end) if passed else (archive.last, archive.end_lsn)
    if last is None or end is None:
        return Loss(None, None, _nothing(archive), last_backup=last_backup)
    at_least = None if known.primary_lsn is None else max(0, distance(known.primary_lsn, end))
    age = now - last.written + UPLOAD
    if at_least == 0 and known.at:
        age = min(age, now - known.at)
    seconds = max(0.0, age.total_seconds())
    size = at_least
    if archive.rate is not None:
        unseen = max(0.0, (now - known.at).total_seconds()) if known.at and at_least is not None else seconds
        size = (at_least or 0) + int(archive.rate * unseen)
    detail = (
        f"at most the last {about_seconds(seconds)} of writes: {_last(archive, last.name)} was written at "
        f"{last.written.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC{_in_bytes(size, at_least)}; an idle database "
        "loses nothing, one whose archiver had fallen behind more"
    )
    return Loss(seconds, size, detail, last.name, last.written, last_backup, at_least)


def about_bytes(size: int) -> str:
    """Return a size in words, with no more digits than an estimate has."""
    rounded, unit = float(size), 0
    while rounded >= 1024 and unit < len(UNITS) - 1:
        rounded, unit = rounded / 1024, unit + 1
    return f"{_two_digits(rounded)} {UNITS[unit]}"


def about_seconds(seconds: float) -> str:
    """Return a time in words, rounded up: it is a bound."""
    whole = int(-(-seconds // 1))
    if whole < 600:
        return f"{whole} s"
    minutes = -(-whole // 60)
    return f"{minutes} min" if minutes < 180 else f"{-(-minutes // 60)} h"


def _passed(archive: Archive, replayed: int | None) -> bool:
    """Return whether the replica is beyond all that is missing in the archive."""
    if replayed is None or archive.chain is None or archive.chain.problem:
        return False
    size = archive.segment_size
    return all((gap.last.number + 1) * size <= replayed for gap in archive.chain.gaps)


def _last(archive: Archive, name: str) -> str:
    if archive.newest_wal and archive.newest_wal.name == name:
        return f"the newest WAL in the archive, {name},"
    return f"the last WAL ahead of what is missing in the archive, {name},"


def _nothing(archive: Archive) -> str:
    if archive.newest_wal or archive.backup_count:
        return "nobody can tell: a recovery from the archive gets to no WAL at all"
    return f"nobody can tell: there is nothing at {archive.url}"


def _in_bytes(size: int | None, at_least: int | None) -> str:
    seen = f"; the primary was seen at least {about_bytes(at_least)} of WAL ahead of it" if at_least else ""
    if size is None:
        return seen or "; how much WAL that is, the archive does not show"
    return f"{seen}; about {about_bytes(size)} of WAL, at the rate before that"


def _two_digits(value: float) -> str:
    if value < 10:
        return f"{value:.1f}".removesuffix(".0")
    digits = floor(log10(value)) - 1
    return str(round(value / 10**digits) * 10**digits)

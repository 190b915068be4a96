"""`pgaas backups`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pgaas.cli.options import (
    DcOption,
    EnvOption,
    InsOption,
    Output,
    OutputOption,
    RootOption,
    root_folder,
)
from pgaas.cli.output import cell, out, out_json, out_table, say, spelled
from pgaas.cli.progress import progress_for

if TYPE_CHECKING:
    from pgaas.operations.backups import Archived, Backups, Listed

COLUMNS = ("id", "status", "begin", "end", "size", "timeline", "PostgreSQL", "restores up to", "Backup")


def backups(
    ins: InsOption,
    env: EnvOption,
    dc: DcOption = None,
    output: OutputOption = Output.text,
    root: RootOption = None,
) -> None:
    """List what can be restored: base backups, and how far WAL reaches.

    Reads the bucket through the datacenter's S3: its own archives, those of former lives (NAME-g2, …), and
    the other datacenters' as far as they are there. Says what is missing in the WAL, and to which moments one
    can restore. The clusters may be gone. Where their Secret with the S3 keys is gone too, set
    AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.

    Times are UTC. Exit 0 whatever the archives hold.

    Examples:
      pgaas backups --ins ic1 --env prod
      pgaas backups --ins ic1 --env prod --dc dc2 -o json
    """
    from pgaas.operations.backups import list_backups
    from pgaas.operations.target import find_target

    folder = root_folder(root)
    found = list_backups(folder, find_target(folder, ins, env, dc), progress_for(verbose=False))
    out_json(as_json(found)) if output is Output.json else show(found)


def show(found: Backups) -> None:
    """Print each archive with its backups."""
    for note in found.notes:
        say(f"note: {note}")
    if not found.archives:
        out(f"{found.bucket}: no archive of this client")
    for archive in found.archives:
        show_archive(archive)
    if found.unarchived:
        rows = [(each.name, each.cluster, each.phase, each.error or "-") for each in found.unarchived]
        out_table(("Backup", "cluster", "phase", "error"), rows, title="Backups that no archive holds")


def show_archive(archive: Archived) -> None:
    """Print one archive: its backups, to when one can restore, what is wrong."""
    life = "archives now" if archive.current else "a former life"
    title = f"{archive.server_name} ({archive.datacenter}, {life}): {archive.url}"
    if archive.error:
        out(f"{title}\n  cannot be read: {archive.error}\n")
        return
    out_table(COLUMNS, map(row, archive.backups), title=title)
    spans = [f"{shown(window.first)} to {shown(window.last)}" for window in archive.windows]
    out(f"  can be restored: {', and '.join(spans) or 'nothing'}")
    if archive.newest_wal:
        out(f"  newest WAL: {archive.newest_wal}, written {shown(archive.newest_wal_at)}")
    for problem in archive.problems:
        out(f"  mind: {problem}")
    out("")


def row(each: Listed) -> tuple[str, ...]:
    """Return a backup as a row."""
    backup = each.backup
    return (
        backup.id,
        backup.status,
        shown(backup.begin_time),
        shown(backup.end_time),
        "-" if backup.size is None else spelled(backup.size),
        cell(backup.timeline or ""),
        cell(backup.major or ""),
        shown(each.reaches) if each.reaches else "cannot be restored",
        cell(list(each.objects)),
    )


def shown(moment: datetime | None) -> str:
    """Return a time as --to-time takes it, to the second."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if moment else "-"


def as_json(found: Backups) -> dict[str, object]:
    """Return the archives for a program."""
    return {
        "bucket": found.bucket,
        "archives": [archive_json(each) for each in found.archives],
        "unarchived": [
            {"backup": each.name, "cluster": each.cluster, "phase": each.phase, "error": each.error}
            for each in found.unarchived
        ],
        "notes": list(found.notes),
    }


def archive_json(archive: Archived) -> dict[str, object]:
    """Return one archive for a program."""
    return {
        "datacenter": archive.datacenter,
        "cluster": archive.cluster,
        "server_name": archive.server_name,
        "generation": archive.generation,
        "current": archive.current,
        "url": archive.url,
        "error": archive.error,
        "windows": [{"first": exact(each.first), "last": exact(each.last)} for each in archive.windows],
        "newest_wal": archive.newest_wal,
        "newest_wal_at": exact(archive.newest_wal_at),
        "problems": list(archive.problems),
        "backups": [
            {
                "id": each.backup.id,
                "name": each.backup.name,
                "status": each.backup.status,
                "error": each.backup.error,
                "begin": exact(each.backup.begin_time),
                "end": exact(each.backup.end_time),
                "begin_wal": each.backup.begin_wal,
                "end_wal": each.backup.end_wal,
                "bytes": each.backup.size,
                "timeline": each.backup.timeline,
                "major": each.backup.major,
                "system_id": each.backup.system_id,
                "reaches": exact(each.reaches),
                "objects": list(each.objects),
            }
            for each in archive.backups
        ],
    }


def exact(moment: datetime | None) -> str | None:
    """Return a time in UTC to the microsecond."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}" if moment else None

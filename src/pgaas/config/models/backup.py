"""confs/admin/ENV/backup.yaml: when backups are taken, and how long they are kept."""

from typing import Annotated, Literal

from pydantic import Field

from pgaas.config.models.base import FileModel
from pgaas.config.models.types import Retention, Schedule


class Backup(FileModel):
    """Base backups and the WAL archive; the schedule has six fields, seconds first."""

    schedule: Schedule
    """When base backups are taken: six fields, seconds first, such as `0 0 1 * * *` for 01:00 each day."""
    retention_policy: Retention
    """How far back a recovery can go: a number and d, w or m, such as 14d."""
    target: Literal["primary", "prefer-standby"] = "prefer-standby"
    """Which instance is backed up: a standby if there is one, or always the primary."""
    wal_compression: Literal["bzip2", "gzip", "lz4", "snappy", "xz", "zstd"] = "gzip"
    """How archived WAL files are compressed."""
    data_compression: Literal["bzip2", "gzip", "lz4", "snappy"] = "gzip"
    """How base backups are compressed."""
    wal_max_parallel: Annotated[int, Field(ge=1, le=32)] = 2
    """How many WAL files are archived or restored at a time."""


class BackupFile(FileModel):
    """The whole file."""

    backup: Backup
    """Base backups and the WAL archive of every cluster."""

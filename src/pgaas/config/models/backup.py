"""confs/admin/ENV/backup.yaml: when backups are taken, and how long they are kept."""

from typing import Annotated, Literal

from pydantic import Field

from pgaas.config.models.base import FileModel
from pgaas.config.models.types import Retention, Schedule


class Backup(FileModel):
    """Base backups and the WAL archive; the schedule has six fields, seconds first."""

    schedule: Schedule
    retention_policy: Retention
    target: Literal["primary", "prefer-standby"] = "prefer-standby"
    wal_compression: Literal["bzip2", "gzip", "lz4", "snappy", "xz", "zstd"] = "gzip"
    data_compression: Literal["bzip2", "gzip", "lz4", "snappy"] = "gzip"
    wal_max_parallel: Annotated[int, Field(ge=1, le=32)] = 2


class BackupFile(FileModel):
    """The whole file."""

    backup: Backup

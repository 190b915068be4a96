"""The preflight checks of the archive that a cluster is to be recovered from, or that it follows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pgaas.config.naming import Target, backup_path, cluster_name, replica_path
from pgaas.errors import NotHealthy, RefusedAsUnsafe
from pgaas.kube.client import Api
from pgaas.kube.resources import CLUSTER
from pgaas.operations.loss import about_bytes, about_seconds
from pgaas.operations.rows import Row, State
from pgaas.operations.side_archive import place_of
from pgaas.operations.subject import Subject
from pgaas.tools.archive import Archive, other_generations, read_archive
from pgaas.tools.backup_info import BaseBackup
from pgaas.tools.s3 import Bucket, split_url

# Uploads overtake one another, and so do copies to another datacenter: what is missing may be under way. A
# replica was seen to archive a history file almost four minutes after that timeline's first WAL.
YOUNG = timedelta(minutes=5)
SHOWN = 3


@dataclass(frozen=True)
class Source:
    """The archive that a cluster reads; `target` is whose it is."""

    target: Target
    prefix: str
    server_name: str
    other_prefix: str
    mirror: bool

    @property
    def cluster(self) -> str:
        """Return the name of the cluster that writes this archive."""
        return cluster_name(self.target)


def source_archive(
    subject: Subject, api: Api, primary_system_id: str | None, opened: Bucket
) -> Iterator[Row]:
    """Check the archive that this cluster will be recovered from, or follows, as it is in this side's S3.

    A cluster that is there already needs no base backup, so that for it only a warning is what is wrong
    behind one. Yield nothing for a cluster that reads no archive. `primary_system_id` is compared with the
    backup's if it is known.
    """
    born = api.get(CLUSTER, subject.cluster, subject.namespace) is not None
    bootstrap = subject.values.cluster.bootstrap
    if not born and subject.follows and bootstrap.method != "recovery":
        yield _would_be_empty(subject)
        return
    name = subject.values.replication.source if born else bootstrap.source
    if not name or (born and not subject.follows):
        return
    source = _source(subject, name)
    archive = read_archive(opened, source.prefix, source.server_name)
    if not archive.exists:
        yield _missing(subject, source, archive, opened)
        return
    yield _newest_life(subject, source, archive, opened)
    backup = base_backup_there(archive)
    yield _softer(backup) if born else backup
    base = archive.newest_backup
    if base is None:
        return
    yield _system(subject, source, base, primary_system_id)
    if not born:
        yield _version(subject, source, base)
    wal = _wal(source, archive, base)
    yield _softer(wal) if born else wal


def base_backup_there(archive: Archive) -> Row:
    """Say whether a recovery has a base backup to begin with, and what became of the others if not."""
    name, base = "source backup", archive.newest_backup
    if base and base.end_time:
        size = f", {about_bytes(base.size)}" if base.size else ""
        return Row(name, "ok", f"{base.id} in {archive.url}, ended {_when(base.end_time)}{size}")
    if archive.running:
        detail = f"none is completed in {archive.url}; {archive.running[0].id} has begun"
        next_step = "wait until it is completed, then run this again"
    else:
        detail = f"there is no completed base backup in {archive.url}"
        next_step = (
            f"take one of the cluster that writes {archive.server_name} (a Backup with method plugin; its "
            "ScheduledBackup takes one too), wait until it is completed, then run this again"
        )
    wrong = [f"{each.id} {_verb(each)}: {each.error}" for each in (*archive.failed, *archive.running)]
    wrong = [each for each in wrong if not each.endswith(": ")]
    more = f", and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
    detail += f" ({'; '.join(wrong[:SHOWN])}{more})" if wrong else ""
    return Row(name, "failed", detail, next_step, NotHealthy)


def _source(subject: Subject, name: str) -> Source:
    target, client = subject.target, subject.resolved.client
    found = place_of(subject, name)
    others = (Target(target.ins, target.env, dc) for dc in client.datacenters)
    whose = next((each for each in others if cluster_name(each) == name), None)
    if found is None or whose is None:
        raise RefusedAsUnsafe(
            f"{subject.cluster} would read the archive of {name}, which is no cluster of this client",
            where="confs/admin, clients.yaml",
            next_step="correct datacenters and originDatacenter of the client",
        )
    mirror = client.replication.replica_source == "mirror"
    other_path = (backup_path if mirror else replica_path)(client.s3_bucket, whose)
    prefix, server_name = found
    return Source(whose, prefix, server_name, split_url(other_path)[1], mirror)


def _would_be_empty(subject: Subject) -> Row:
    return Row(
        "source archive",
        "failed",
        f"{subject.cluster} would be born empty (initdb), and an empty cluster cannot follow "
        f"{subject.values.replication.primary}",
        f"{subject.command('rebuild')}: it recovers {subject.cluster} from the archive of the primary",
        RefusedAsUnsafe,
    )


def _missing(subject: Subject, source: Source, archive: Archive, opened: Bucket) -> Row:
    detail = f"there is no archive at {archive.url}"
    lives = other_generations(opened, source.prefix, source.cluster)
    elsewhere = other_generations(opened, source.other_prefix, source.cluster)
    generation = subject.resolved.client.generation(source.cluster)
    if lives:
        detail += f": clients.yaml says generation {generation}, and {', '.join(lives)} is what is there"
        next_step = f"correct archiveGenerations of {source.cluster} in clients.yaml, then run this again"
    elif source.server_name in elsewhere:
        setting = "archive" if source.mirror else "mirror"
        detail += f", and one at s3://{opened.place.bucket}/{source.other_prefix}{source.server_name}/"
        next_step = f"set replication.replicaSource: {setting} in clients.yaml, if that is where it is read"
    else:
        detail += f", as {subject.target.dc} reads S3 ({opened.place})"
        copied = "that the storage copies it to here" if source.mirror else "that both see the same bucket"
        next_step = (
            f"create {source.cluster} first ({subject.command('create').rpartition(' ')[0]} "
            f"{source.target.dc}); if it is there, check {copied}"
        )
    return Row("source archive", "failed", detail, next_step, NotHealthy)


def _newest_life(subject: Subject, source: Source, archive: Archive, opened: Bucket) -> Row:
    """Say whether a later life of the same cluster has an archive too: then this one is of the past."""
    lives = other_generations(opened, source.prefix, source.cluster)
    later = lives[lives.index(source.server_name) + 1 :] if source.server_name in lives else []
    if not later:
        return Row("source archive", "ok", f"{archive.url}, {_wal_so_far(archive)}")
    newest = read_archive(opened, source.prefix, later[-1], chain=False)
    generation = subject.resolved.client.generation(source.cluster)
    detail = f"clients.yaml says generation {generation} of {source.cluster}, but {later[-1]} is newer"
    written = [each.newest_wal.written for each in (archive, newest) if each.newest_wal]
    if newest.newest_wal is None or newest.newest_wal.written < max(written):
        return Row(
            "source archive",
            "warning",
            f"{detail}; it holds no WAL as new as that of {source.server_name}",
            f"if a create or rebuild broke off, remove s3://{opened.place.bucket}/{source.prefix}{later[-1]}/",
        )
    return Row(
        "source archive",
        "failed",
        f"{detail}, so that {source.server_name} is of a life that is over",
        f"correct archiveGenerations of {source.cluster} in clients.yaml, then run this again",
        RefusedAsUnsafe,
    )


def _system(subject: Subject, source: Source, base: BaseBackup, primary: str | None) -> Row:
    name = "source system"
    if not primary or not base.system_id:
        whose = "the primary's system id" if base.system_id else f"that of base backup {base.id}"
        return Row(name, "skipped", f"{whose} is not known")
    if primary == base.system_id:
        return Row(name, "ok", f"base backup {base.id} is of the primary's system, {primary}")
    return Row(
        name,
        "failed",
        f"base backup {base.id} of {source.server_name} is of system {base.system_id}, and the primary is "
        f"{primary}: what {subject.cluster} would be recovered from is another database",
        f"correct archiveGenerations of {source.cluster} in clients.yaml, or take a new base backup of the "
        "primary; if the primary was upgraded to another major version, this side must be rebuilt",
        RefusedAsUnsafe,
    )


def _version(subject: Subject, source: Source, base: BaseBackup) -> Row:
    wanted = subject.values.image_catalog.major
    if base.major in (0, wanted):
        return Row("source version", "ok", f"PostgreSQL {wanted}")
    return Row(
        "source version",
        "failed",
        f"base backup {base.id} is of PostgreSQL {base.major}, and the configuration says {wanted}: a "
        "recovery needs the same major version",
        f"take a new base backup of {source.cluster} after its upgrade, or correct majorVersion",
        RefusedAsUnsafe,
    )


def _wal(source: Source, archive: Archive, base: BaseBackup) -> Row:
    name, chain = "source WAL", archive.chain
    again = f"take a new base backup of {source.cluster}, and wait until it is completed"
    if chain is None or chain.complete:
        note = f"; {chain.note}" if chain and chain.note else ""
        return Row(name, "ok", f"complete from base backup {base.id}, {_wal_so_far(archive)}{note}")
    since = chain.settled
    if chain.problem:
        detail = f"behind base backup {base.id}: {chain.problem}"
    else:
        shown = [archive.gap_names(gap) for gap in chain.gaps[:SHOWN]]
        more = f" and {len(chain.gaps) - SHOWN} more gaps" if len(chain.gaps) > SHOWN else ""
        reached = f"ends with {chain.reached.name}" if chain.reached else "does not even begin"
        count = "1 segment is" if chain.missing == 1 else f"{chain.missing} segments are"
        detail = (
            f"{count} missing behind base backup {base.id} ({', '.join(shown)}{more}): a recovery {reached}"
        )
        since = since or base.end_time
    if since and archive.read_at - since < YOUNG:
        age = about_seconds(max(0.0, (archive.read_at - since).total_seconds()))
        detail += f"; what follows is {age} old, so it may be under way still"
        return Row(name, "warning", detail, f"look again in {about_seconds(YOUNG.total_seconds())}")
    return Row(name, "failed", detail, again, NotHealthy)


def _softer(row: Row) -> Row:
    state: State = "warning" if row.state == "failed" else row.state
    return Row(row.name, state, row.detail, row.next_step, row.error)


def _wal_so_far(archive: Archive) -> str:
    newest = archive.newest_wal
    if newest is None:
        return "no WAL yet"
    age = max(0.0, (archive.read_at - newest.written).total_seconds())
    return f"WAL to {newest.name}, written {about_seconds(age)} ago"


def _verb(backup: BaseBackup) -> str:
    return {"failed": "failed", "unreadable": "cannot be used", "running": "is not done"}[backup.status]


def _when(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"

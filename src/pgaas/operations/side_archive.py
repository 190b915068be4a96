"""Read the archive of one of a client's clusters, as one side's S3 has it."""

from __future__ import annotations

from datetime import datetime

from pgaas.errors import RefusedAsUnsafe
from pgaas.kube.client import Api
from pgaas.operations.preflight_s3 import s3_keys
from pgaas.operations.subject import Subject
from pgaas.tools.archive import Archive, read_archive, written_after
from pgaas.tools.s3 import Bucket, split_url
from pgaas.tools.wal import Segment


def archive_of(subject: Subject, api: Api, cluster: str, *, chain: bool = True) -> Archive:
    """Return what is in the archive of a cluster, this side's own or another's.

    `chain` also looks for gaps behind the newest base backup, which lists more. Raise ToolFailed if S3 does
    not answer, RefusedAsUnsafe for a cluster that is none of this client's.
    """
    return read_archive(*_opened(subject, api, cluster), chain=chain)


def uncopied_since(
    subject: Subject, api: Api, cluster: str, copied: Segment | None, size: int
) -> datetime | None:
    """Return when the first segment behind what was copied elsewhere was written; None if there is none.

    `copied` is None if nothing was. Raise as `archive_of` does.
    """
    return written_after(*_opened(subject, api, cluster), copied, size)


def _opened(subject: Subject, api: Api, cluster: str) -> tuple[Bucket, str, str]:
    """Return the bucket, the prefix and the serverName of a cluster's archive."""
    found = place_of(subject, cluster)
    if found is None:
        raise RefusedAsUnsafe(
            f"{cluster} is no cluster of this client",
            where=f"clients.yaml of {subject.resolved.team_env}",
            next_step="correct datacenters of the client there",
        )
    return Bucket(subject.place, s3_keys(subject, api)), *found


def place_of(subject: Subject, cluster: str) -> tuple[str, str] | None:
    """Return the prefix in the bucket and the serverName of a cluster's archive, as this side reads it."""
    values = subject.values
    if not values.replication.enabled:
        return (subject.archive_prefix, subject.server_name) if cluster == subject.cluster else None
    external = next((each for each in values.replication.external_clusters if each.name == cluster), None)
    store = next(
        (each for each in values.object_stores if external and each.name == external.barman_object_name), None
    )
    if external is None or store is None:
        return None
    return split_url(store.destination_path)[1], external.server_name

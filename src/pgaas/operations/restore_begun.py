"""Whether a name is free for a restored cluster, or a restore to it was begun already."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pgaas.config.naming import RestoredNames, restored_names
from pgaas.config.restored import parse_moment
from pgaas.errors import KubernetesForbidden, RefusedAsUnsafe, UsageError
from pgaas.kube.client import Api
from pgaas.kube.release import latest_release
from pgaas.kube.resources import (
    CERTIFICATE,
    CLUSTER,
    IMAGE_CATALOG,
    ISSUER,
    NETWORK_POLICY,
    OBJECT_STORE,
    SECRET,
    SERVICE,
    VOLUME_CLAIM,
    Kind,
    Object,
    dig,
    name_of,
)
from pgaas.kube.snapshot import CLUSTER_LABEL
from pgaas.operations.restore_plan import Wanted
from pgaas.operations.subject import RESTORED_AS, RESTORED_FROM, Subject

REQUEST = "pgaas.io/restore-request"


@dataclass(frozen=True)
class Begun:
    """A restore that was begun: what it restores, from which archive, and from which base backup."""

    live: Object
    request: str
    server_name: str
    backup_id: str
    source: str

    @property
    def wanted(self) -> Wanted:
        """Return what was asked for when it was begun."""
        kind, _, value = self.request.partition(" ")
        return Wanted(
            name=name_of(self.live),
            moment=parse_moment(value) if kind == "time" else None,
            backup_id=value if kind == "backup" else "",
            latest=kind == "latest",
            archive=self.server_name,
        )


def look_for_begun(subject: Subject, api: Api, wanted: Wanted) -> Begun | None:
    """Return the restore that was begun under this name, or None if the name is free.

    `subject` is the restored cluster. Raise RefusedAsUnsafe if something else has the name, or what was begun
    is another restore; UsageError if nothing was begun, and it is not said what to restore.
    """
    live = api.get(CLUSTER, subject.cluster, subject.namespace)
    where = f'namespace {subject.namespace}, context "{api.context}"'
    if live is None:
        taken = foreign_objects(subject, api)
        if taken:
            raise RefusedAsUnsafe(
                f"the name {subject.cluster} is taken: {', '.join(taken)}",
                where=where,
                next_step="a restore goes beside what is there, never over it: choose another name for --as",
            )
        if not wanted.request:
            raise UsageError(
                f"there is no restored cluster {subject.cluster}, and nothing says what to restore",
                next_step="add --to-time T, --to-backup ID or --latest",
            )
        return None
    check_restored(live, subject, where)
    begun = _read(live)
    if dig(live, "metadata", "deletionTimestamp"):
        raise RefusedAsUnsafe(
            f"{subject.cluster} is being removed",
            where=where,
            next_step=f"{subject.command('delete')} waits until it is gone",
        )
    other_archive = wanted.archive and wanted.archive != begun.server_name
    if wanted.request and (wanted.request != begun.request or other_archive):
        raise RefusedAsUnsafe(
            f"{subject.cluster} is there already, restored to {begun.request} of {begun.server_name}",
            where=where,
            next_step=f"choose another name for --as, or remove it first: {subject.command('delete')}",
        )
    return begun


def check_restored(live: Object, subject: Subject, where: str) -> None:
    """Raise RefusedAsUnsafe unless a live Cluster was restored by pgaas, for this client."""
    labels = dig(live, "metadata", "labels", default={})
    own = subject.labels
    ours = all(labels.get(key) == own[key] for key in ("pgaas.io/ins", "pgaas.io/env", RESTORED_AS))
    if not ours or not labels.get(RESTORED_FROM):
        raise RefusedAsUnsafe(
            f"{name_of(live)} is there, and is no cluster that pgaas restored: it is not touched",
            where=where,
            next_step="choose another name for --as",
        )


def foreign_objects(subject: Subject, api: Api) -> list[str]:
    """Return what has a name that the restored cluster would need, and is not its own, as "Kind/name"."""
    names, space = restored_names(subject.cluster), subject.namespace
    found = []
    for kind, wanted in _needed(names):
        for obj in _may_find(api, kind, space):
            labels = dig(obj, "metadata", "labels", default={})
            if name_of(obj) in wanted and labels.get(RESTORED_AS) != names.cluster:
                found.append(f"{kind.kind}/{name_of(obj)}")
    for claim in _may_find(api, VOLUME_CLAIM, space, {CLUSTER_LABEL: names.cluster}):
        found.append(f"{VOLUME_CLAIM.kind}/{name_of(claim)}")
    record = latest_release(api, names.cluster, space)
    if record and f"{RESTORED_AS}: " not in record.manifest and record.manifest:
        found.append(f"Helm release {names.cluster} (revision {record.revision}, {record.status})")
    return list(dict.fromkeys(found))


def _needed(names: RestoredNames) -> Iterable[tuple[Kind, set[str]]]:
    issued = {names.server_certificate, names.replication_certificate, names.client_ca}
    named = {names.cluster}
    yield SERVICE, set(names.services)
    yield SECRET, {*issued, names.client_ca_bundle, names.s3_secret, f"{names.cluster}-app"}
    yield CERTIFICATE, issued
    yield ISSUER, {names.client_ca, names.self_signed_issuer}
    yield VOLUME_CLAIM, {f"{names.cluster}-1"}
    for kind in (IMAGE_CATALOG, OBJECT_STORE, NETWORK_POLICY):
        yield kind, named


def _may_find(api: Api, kind: Kind, space: str, labels: dict[str, str] | None = None) -> list[Object]:
    try:
        return api.find(kind, space, labels=labels)
    except KubernetesForbidden:
        return []


def _read(live: Object) -> Begun:
    request, _, server_name = str(dig(live, "metadata", "annotations", REQUEST, default="")).rpartition(
        " of "
    )
    source = dig(live, "spec", "externalClusters", 0, default={})
    return Begun(
        live=live,
        request=request,
        server_name=server_name or str(dig(source, "plugin", "parameters", "serverName", default="")),
        backup_id=str(dig(live, "spec", "bootstrap", "recovery", "recoveryTarget", "backupID", default="")),
        source=str(dig(live, "metadata", "labels", RESTORED_FROM, default="")),
    )

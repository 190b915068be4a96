"""The preflight checks of a cluster that is one of several: the other sides, and the archive it reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pgaas.config.naming import Target
from pgaas.errors import PgaasError, RefusedAsUnsafe
from pgaas.kube.client import Api
from pgaas.kube.promotion import HIBERNATION
from pgaas.kube.resources import CLUSTER, Object, dig
from pgaas.kube.snapshot import is_following
from pgaas.operations.preflight_replica import source_archive
from pgaas.operations.preflight_s3 import s3_keys
from pgaas.operations.preflight_standby import standby_settings
from pgaas.operations.rows import Row
from pgaas.operations.subject import Subject, load_subject
from pgaas.render.topology import datacenter_targets
from pgaas.tools.s3 import Bucket

Check = Callable[[], Iterable[Row]]


def pair_checks(subject: Subject, api: Api, state: str) -> dict[str, Check]:
    """Return the checks by name; none for a client that does not replicate."""
    if not subject.values.replication.enabled:
        return {}
    return {
        "lost datacenter": lambda: [not_lost(subject)],
        "other datacenters": lambda: others(subject),
        "source archive": lambda: _source_archive(subject, api, state),
    }


def not_lost(subject: Subject) -> Row:
    """Check that this side was not given up by a promotion without a token."""
    if subject.target.dc in subject.resolved.client.lost_datacenters:
        return Row(
            "lost datacenter",
            "failed",
            f"{subject.target.dc} is marked as lost: what its cluster holds is older than what others have",
            f"{subject.command('rebuild')}; until then keep it fenced: {subject.command('fence')}",
            RefusedAsUnsafe,
        )
    return Row("lost datacenter", "ok", f"{subject.target.dc} is not marked as lost")


def others(subject: Subject) -> Iterable[Row]:
    """Check what would be applied against the live clusters in the other datacenters.

    One that cannot be reached keeps nobody from working on this side.
    """
    for target in datacenter_targets(subject.resolved):
        if target == subject.target:
            continue
        try:
            live = _live(subject, target)
        except PgaasError as error:
            yield Row("other datacenters", "warning", f"{target.dc} cannot be compared with: {error.what}")
            continue
        yield standby_settings(subject.values.cluster.parameters, live, subject.follows)
        yield _one_primary(subject, target, live)


def _one_primary(subject: Subject, target: Target, live: Object | None) -> Row:
    name = "one primary"
    if live is None:
        return Row(name, "ok", f"there is no cluster in {target.dc} yet")
    fenced = dig(live, "metadata", "annotations", HIBERNATION) == "on"
    other = "fenced" if fenced else "a replica" if is_following(live) else "a primary"
    if not subject.follows and not is_following(live) and not fenced:
        return Row(
            name,
            "failed",
            f"{subject.values.replication.self_name} would be a primary, and so is the live cluster in "
            f"{target.dc}",
            f"bring clients.yaml up to date; pgaas status --ins {target.ins} --env {target.env} shows both",
            RefusedAsUnsafe,
        )
    return Row(name, "ok", f"{target.dc} is {other}")


def _source_archive(subject: Subject, api: Api, state: str) -> Iterable[Row]:
    """Check the archive that this side is born from or follows."""
    opened = Bucket(subject.place, s3_keys(subject, api, state))
    return source_archive(subject, api, _primary_system(subject), opened)


def _primary_system(subject: Subject) -> str | None:
    for target in datacenter_targets(subject.resolved):
        if target == subject.target:
            continue
        try:
            live = _live(subject, target)
        except PgaasError:
            continue
        if live and not is_following(live):
            return str(dig(live, "status", "systemID", default="")) or None
    return None


def _live(subject: Subject, target: Target) -> Object | None:
    other = load_subject(subject.root, target)
    return other.api().get(CLUSTER, other.cluster, other.namespace)

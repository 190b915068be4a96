"""The numbers that one look at a client gives; what nobody knows has none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from pgaas.config.models.types import quantity_value
from pgaas.errors import PgaasError
from pgaas.kube.resources import dig, is_true, name_of
from pgaas.operations.pair import Side
from pgaas.operations.settle import following
from pgaas.operations.side_archive import uncopied_since
from pgaas.operations.status_pair_parts import Parts, gap
from pgaas.operations.status_pair_verdict import Verdict, verdict
from pgaas.tools.exposition import Family, Sample
from pgaas.tools.wal import parse_segment

PAIR = ("ins", "env")
SIDE = (*PAIR, "dc")
FAMILIES = {
    "pgaas_up": Family("Whether the datacenter could be looked at", SIDE),
    "pgaas_config_valid": Family("Whether the client's files could be read, and are right", PAIR),
    "pgaas_replicated": Family("Whether the client's datacenters replicate with one another", PAIR),
    "pgaas_healthy": Family("Whether pgaas status has nothing to complain about", PAIR),
    "pgaas_primaries": Family(
        "How many datacenters' PostgreSQL is seen to take writes; without replication, the least of any",
        PAIR,
    ),
    "pgaas_side_primary": Family("Whether the datacenter's PostgreSQL takes writes", SIDE),
    "pgaas_side_follows": Family(
        "Whether the replica's history and position are its primary's; 0 also if no instance is up", SIDE
    ),
    "pgaas_replay_gap_bytes": Family("WAL that the replica has not replayed yet", SIDE),
    "pgaas_replay_gap_seconds": Family(
        "The age, at most, of the newest transaction that the replica has; 0 if it lacks none", SIDE
    ),
    "pgaas_dns_correct": Family(
        "Whether the primary's name leads to the one primary; 0 also if DNS does not answer", PAIR
    ),
    "pgaas_estimated_loss_seconds": Family(
        "So many seconds of writes would be lost at most, were the primary's datacenter lost now", PAIR
    ),
    "pgaas_archive_age_seconds": Family("The age of the newest WAL in the datacenter's archive", SIDE),
    "pgaas_backup_age_seconds": Family("The time since the newest complete base backup ended", SIDE),
    "pgaas_mirror_delay_seconds": Family(
        "How long this datacenter's copy of the primary's archive has lacked WAL; 0 if it lacks none", SIDE
    ),
    "pgaas_certificate_expiry_seconds": Family("The time until the certificate expires", (*SIDE, "name")),
    "pgaas_bundle_stale": Family("Whether a bundle of CAs is not what it should be", SIDE),
    "pgaas_bundle_expiry_seconds": Family("The time until the first CA in the bundles expires", SIDE),
    "pgaas_volume_size_bytes": Family("The size that each instance's volume is asked to have", SIDE),
    "pgaas_look_seconds": Family("How long the last look at the client took", PAIR),
    "pgaas_last_look_timestamp_seconds": Family("When the last look at the client ended", PAIR),
}

# What is said of a client whose clusters have nothing to do with one another: the worst of them.
WORST: dict[str, Callable[[float, float], float]] = {
    "pgaas_healthy": min,
    "pgaas_primaries": min,
    "pgaas_estimated_loss_seconds": max,
}


def samples_of(parts: Parts) -> list[Sample]:
    """Return what one look at a client says: at all its sides if it replicates, else at its one cluster."""
    pair = parts.pair
    some = next(iter(pair.sides.values())).subject.target
    judged = verdict(parts) if len(pair.sides) > 1 else None
    found = [
        Sample(f"pgaas_{name}", (some.ins, some.env), float(value))
        for name, value in _common(parts, judged)
        if value is not None
    ]
    for dc, side in pair.sides.items():
        for name, value in _own(parts, side, judged):
            if value is not None:
                found.append(Sample(f"pgaas_{name}", (some.ins, some.env, dc), float(value)))
        found += [
            Sample("pgaas_certificate_expiry_seconds", (some.ins, some.env, dc, name), left)
            for name, left in _certificates(parts, dc)
        ]
    return found


def merged(looks: Iterable[list[Sample]]) -> list[Sample]:
    """Return what looks at clusters of one client say together: of the client as a whole, the worst."""
    found: dict[tuple[str, ...], Sample] = {}
    for sample in (sample for look in looks for sample in look):
        other = found.setdefault((sample.name, *sample.labels), sample)
        if other is not sample:
            value = WORST[sample.name](sample.value, other.value)
            found[sample.name, *sample.labels] = Sample(sample.name, sample.labels, value)
    return list(found.values())


def primaries(sides: list[Side]) -> int | None:
    """Return how many sides are seen to take writes; None if nobody can tell, or there is no cluster at all.

    A side whose instance is ready, and yet could not be asked, may be one.
    """
    writing = sum(side.writable for side in sides)
    silent = [side for side in sides if side.cluster and side.position is None and _leader_is_ready(side)]
    known = any(side.cluster for side in sides) and (writing or not silent)
    return writing if known else None


def mirror_delay(parts: Parts) -> float | None:
    """Return for how long the other datacenter's copy of the primary's archive has lacked WAL.

    None where nothing is copied, or one of the two cannot be read.
    """
    source, own = parts.source, parts.archives.get(parts.source.dc) if parts.source else None
    if source is None or source.api is None or not parts.copy_in or own is None or own.value is None:
        return None
    there, here = parts.copy.value, own.value
    if there is None or here.newest_wal is None:
        return None
    copied = parse_segment(there.newest_wal.name, here.segment_size) if there.newest_wal else None
    if copied and copied >= parse_segment(here.newest_wal.name, here.segment_size):
        return 0.0
    try:
        since = uncopied_since(source.subject, source.api, source.name, copied, here.segment_size)
    except PgaasError:
        return None
    return max(0.0, (here.read_at - since).total_seconds()) if since else 0.0


def _common(parts: Parts, judged: Verdict | None) -> Iterator[tuple[str, float | None]]:
    sides = list(parts.pair.sides.values())
    yield "primaries", primaries(sides)
    if any(side.cluster or side.error for side in sides):
        yield "healthy", not judged.problems if judged else _is_healthy(parts, sides[0])
    yield "estimated_loss_seconds", parts.loss.value.seconds if parts.loss.value else None
    if judged and judged.primary:
        dns = parts.dns.value
        yield "dns_correct", dns is not None and not dns.error and dns.points_to == judged.primary.dc


def _own(parts: Parts, side: Side, judged: Verdict | None) -> Iterator[tuple[str, float | None]]:
    yield "up", side.reachable
    archive = parts.archives[side.dc].value if side.dc in parts.archives else None
    base = archive.newest_backup if archive else None
    if archive and archive.newest_wal:
        yield "archive_age_seconds", _passed(archive.newest_wal.written, archive.read_at)
    if archive and base and base.end_time:
        yield "backup_age_seconds", _passed(base.end_time, archive.read_at)
    if side.dc == parts.copy_in:
        yield "mirror_delay_seconds", mirror_delay(parts)
    if side.cluster is None:
        return
    if side.position is not None or not _leader_is_ready(side):
        yield "side_primary", side.writable
    size = str(dig(side.cluster, "spec", "storage", "size", default=""))
    yield "volume_size_bytes", quantity_value(size) if size else None
    primary = judged.primary if judged else None
    if primary and primary.dc != side.dc and not side.fenced:
        yield from _behind(parts, side, primary)
    trust = (parts.trust.value or {}).get(side.dc)
    if trust and trust.created and not trust.error:
        ends = [entry.not_after for bundle in trust.bundles for entry in bundle.entries]
        yield "bundle_stale", trust.stale
        yield "bundle_expiry_seconds", min((_left(each, parts.now) for each in ends), default=None)


def _behind(parts: Parts, side: Side, primary: Side) -> Iterator[tuple[str, float | None]]:
    if side.position is None and not _leader_is_ready(side):
        # Nobody can ask it, as it is not there: what does not run follows nothing.
        yield "side_follows", False
    if side.position is None or primary.position is None:
        return
    follows, _ = following(side, primary)
    yield "side_follows", follows
    behind, age = gap(parts, side, primary) if follows else (None, None)
    yield "replay_gap_bytes", behind
    yield "replay_gap_seconds", age


def _certificates(parts: Parts, dc: str) -> Iterator[tuple[str, float]]:
    health = parts.health[dc].value if dc in parts.health else None
    for each in health.certificates if health else []:
        if each.not_after:
            yield each.name, _left(each.not_after, parts.now)


def _is_healthy(parts: Parts, side: Side) -> bool:
    health = parts.health[side.dc].value if side.dc in parts.health else None
    return health is not None and not health.problems


def _leader_is_ready(side: Side) -> bool:
    pods = side.snapshot.pods if side.snapshot else []
    return any(name_of(pod) == side.instance and is_true(pod, "Ready") for pod in pods)


def _left(ends: str, now: datetime) -> float:
    return (datetime.fromisoformat(ends) - now).total_seconds()


def _passed(then: datetime, now: datetime) -> float:
    return max(0.0, (now - then).total_seconds())

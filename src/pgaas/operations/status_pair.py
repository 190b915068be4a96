"""Look at a client in all its datacenters: who is the primary, who follows it, what a loss would cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pgaas.kube.resources import dig
from pgaas.kube.snapshot import server_name, users_revision
from pgaas.operations.fence import is_marked
from pgaas.operations.pair import Side, Subjects, load_pair
from pgaas.operations.settle import following
from pgaas.operations.status_pair_parts import Parts, gap, gather, holder
from pgaas.operations.status_pair_verdict import FENCED, TWO_PRIMARIES, verdict
from pgaas.operations.update_dns import load_sides
from pgaas.tools.archive import Archive


@dataclass(frozen=True)
class ArchiveState:
    """What one cluster's archive holds; ages are in seconds by S3's clock, None where there is nothing.

    `server_name` is the folder that the live cluster writes to, `configured` the one that confs name.
    `archiving` is what the operator says, None if it cannot be asked; `missing` how many segments are missing
    behind the newest base backup. `error` says why the archive cannot be read.
    """

    url: str
    server_name: str
    configured: str
    archiving: bool | None
    newest_wal: str
    newest_wal_age: float | None
    newest_backup: str
    newest_backup_age: float | None
    missing: int
    error: str


@dataclass(frozen=True)
class TrustSummary:
    """What a side trusts: ok, stale, absent or unknown, as `detail` says; the days of what ends first."""

    state: str
    days_left: int | None
    detail: str


@dataclass(frozen=True)
class SideState:
    """One datacenter's cluster. `error` says why nothing could be seen of it.

    `role` is primary, replica, absent, unreachable, fenced or TWO PRIMARIES. `names_primary` is the cluster
    that its live spec names as the primary. `writable`, `timeline` and `lsn` are PostgreSQL's own answer,
    None, 0 and empty if it could not be asked, for the reason in `position_error`. `follows` is None for
    what is no replica; `gap_bytes` and `gap_seconds` are at most so far behind the primary. `certificate`
    is the one that ends first. `problems` are the reasons why this cluster by itself is not healthy.
    `users_revision` is the commit of the clients' repository that it was deployed from, empty if that was not
    recorded.
    """

    datacenter: str
    cluster: str
    context: str
    role: str
    error: str
    marked_lost: bool
    healthy: bool
    problems: list[str]
    phase: str
    phase_reason: str
    names_primary: str
    instances_ready: int | None
    instances_wanted: int
    writable: bool | None
    timeline: int
    lsn: str
    position_error: str
    follows: bool | None
    following: str
    gap_bytes: int | None
    gap_seconds: float | None
    archive: ArchiveState
    certificate: str
    certificate_days: int | None
    trust: TrustSummary
    users_revision: str


@dataclass(frozen=True)
class LossState:
    """What would be lost now if `datacenter` never came back: at most the last `seconds` of writes.

    `bytes` of WAL is an estimate, `at_least` a bound below; None is what nobody can tell.
    """

    datacenter: str
    seconds: float | None
    bytes: int | None
    at_least: int | None
    detail: str


@dataclass(frozen=True)
class DnsState:
    """Where the primary's name leads: a datacenter, empty without a record, or unknown."""

    name: str
    points_to: str
    values: list[str]
    ttl: int | None
    detail: str
    drift: str
    error: str


@dataclass(frozen=True)
class ConfsState:
    """What the configuration says against what is live; `agree` if nothing differs, else `differences`."""

    primary_datacenter: str
    lost_datacenters: list[str]
    lost_live: list[str]
    agree: bool
    differences: list[str]


@dataclass(frozen=True)
class Working:
    """A command that holds a datacenter's Lease; `left_behind` if it seems to be gone."""

    datacenter: str
    detail: str
    verb: str
    left_behind: bool


@dataclass(frozen=True)
class PairStatus:
    """One look at a client in all its datacenters.

    `-o json` prints this shape: fields are added, never renamed or removed. `healthy` if and only if
    `problems` is empty; `loud` are those among them that cannot wait, `next_steps` the commands that help.
    `primary` is the datacenter of the one primary, empty if there is none or more than one.
    """

    ins: str
    env: str
    namespace: str
    at: str
    healthy: bool
    two_primaries: bool
    primary: str
    loud: list[str]
    problems: list[str]
    notes: list[str]
    next_steps: list[str]
    sides: list[SideState]
    loss: LossState
    dns: DnsState
    confs: ConfsState
    working: list[Working]


def replicates(root: Path, ins: str, env: str) -> bool:
    """Return whether a client has clusters that replicate with one another; raise ConfigError."""
    return len(load_sides(root, ins, env)) > 1


def pair_status(root: Path, ins: str, env: str) -> PairStatus:
    """Return how a client is in all its datacenters; whatever cannot be had is in words in its place.

    Raise UsageError if it does not replicate, ConfigError for what is wrong in the files.
    """
    return pair_status_of(load_pair(root, ins, env))


def pair_status_of(subjects: Subjects) -> PairStatus:
    """Return how these clusters are."""
    return told(gather(subjects))


def told(parts: Parts) -> PairStatus:
    """Return what was found out in the shape for people and programs."""
    pair = parts.pair
    judged = verdict(parts)
    primary = judged.primary
    some = next(iter(pair.sides.values())).subject
    loss, dns = parts.loss, parts.dns
    return PairStatus(
        ins=some.target.ins,
        env=some.target.env,
        namespace=some.namespace,
        at=f"{parts.now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        healthy=not judged.problems,
        two_primaries=judged.two_primaries,
        primary=primary.dc if primary else "",
        loud=judged.loud,
        problems=judged.problems,
        notes=judged.notes,
        next_steps=judged.next_steps,
        sides=[_side(parts, side, primary, two=judged.two_primaries) for side in pair.sides.values()],
        loss=LossState(
            datacenter=parts.source.dc if parts.source else "",
            seconds=loss.value.seconds if loss.value else None,
            bytes=loss.value.bytes if loss.value else None,
            at_least=loss.value.at_least if loss.value else None,
            detail=loss.value.detail if loss.value else loss.error,
        ),
        dns=DnsState(
            name=some.values.dns.primary_fqdn,
            points_to=dns.value.points_to if dns.value else "unknown",
            values=list(dns.value.values) if dns.value else [],
            ttl=dns.value.ttl if dns.value else None,
            detail=dns.value.detail if dns.value else dns.error,
            drift=dns.value.drift if dns.value else "",
            error=dns.value.error if dns.value else dns.error,
        ),
        confs=ConfsState(
            primary_datacenter=some.resolved.client.primary,
            lost_datacenters=list(some.resolved.client.lost_datacenters),
            lost_live=judged.lost_live,
            agree=not judged.differences,
            differences=judged.differences,
        ),
        working=_working(parts),
    )


def _side(parts: Parts, side: Side, primary: Side | None, *, two: bool) -> SideState:
    health = parts.health.get(side.dc)
    seen = health.value if health else None
    where = side.position
    follows, detail, behind, age = None, "", None, None
    if side.cluster and not side.is_primary and not side.fenced and primary:
        follows, detail = following(side, primary)
        behind, age = gap(parts, side, primary) if follows else (None, None)
    ending = min(seen.certificates if seen else [], key=lambda each: each.days_left, default=None)
    return SideState(
        datacenter=side.dc,
        cluster=side.name,
        context=side.api.context if side.api else "",
        role=_role(side, two=two),
        error=side.error or (health.error if health else ""),
        marked_lost=is_marked(parts.pair, side.dc),
        healthy=seen is not None and not seen.problems,
        problems=list(seen.problems) if seen else [],
        phase=side.snapshot.phase if side.snapshot else "",
        phase_reason=str(dig(side.cluster, "status", "phaseReason", default="")),
        names_primary=side.named_primary if side.cluster else "",
        instances_ready=int(dig(side.cluster, "status", "readyInstances", default=0))
        if side.cluster
        else None,
        instances_wanted=side.subject.values.cluster.instances,
        writable=side.writable if where else None,
        timeline=where.timeline if where else 0,
        lsn=where.lsn if where else "",
        position_error=side.position_error,
        follows=follows,
        following=detail,
        gap_bytes=behind,
        gap_seconds=age,
        archive=_archive(parts, side),
        certificate=ending.name if ending else "",
        certificate_days=ending.days_left if ending else None,
        trust=_trust(parts, side.dc),
        users_revision=users_revision(side.cluster),
    )


def _role(side: Side, *, two: bool) -> str:
    if side.fenced:
        return FENCED
    return TWO_PRIMARIES if two and (side.is_primary or side.writable) else side.role


def _archive(parts: Parts, side: Side) -> ArchiveState:
    part = parts.archives.get(side.dc)
    found = part.value if part else None
    base, newest = (found.newest_backup, found.newest_wal) if found else (None, None)
    working = side.snapshot.condition("ContinuousArchiving") if side.snapshot else {}
    return ArchiveState(
        url=found.url if found else "",
        server_name=server_name(side.cluster),
        configured=side.subject.server_name,
        archiving=working.get("status") == "True" if side.cluster else None,
        newest_wal=newest.name if newest else "",
        newest_wal_age=_age(found, newest.written) if newest else None,
        newest_backup=base.id if base else "",
        newest_backup_age=_age(found, base.end_time) if base else None,
        missing=found.chain.missing if found and found.chain else 0,
        error=part.error if part else "no datacenter can be reached to ask its S3",
    )


def _age(archive: Archive | None, then: datetime | None) -> float | None:
    return max(0.0, (archive.read_at - then).total_seconds()) if archive and then else None


def _trust(parts: Parts, dc: str) -> TrustSummary:
    states: Mapping[str, object] = parts.trust.value or {}
    found = parts.trust.value[dc] if parts.trust.value and dc in states else None
    if found is None or found.error:
        return TrustSummary("unknown", None, found.error if found else parts.trust.error)
    state = "stale" if found.stale else "ok" if found.created else "absent"
    return TrustSummary(state, found.days_left, found.detail)


def _working(parts: Parts) -> list[Working]:
    found = []
    for dc, part in parts.leases.items():
        if part.error:
            found.append(Working(dc, f"not known: {part.error}", "", False))
        for lease in part.value or []:
            held = holder(lease, parts.now)
            if held:
                text = f"{held[0]}{', and seems to be gone' if held[1] else ''}"
                found.append(Working(dc, text, held[0].verb, held[1]))
    return found

"""The parts of a pair's status: all are asked for at once; why one cannot be had is told in words."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Generic, TypeVar

from pgaas.errors import PgaasError
from pgaas.kube.client import Api
from pgaas.kube.holder import Holder, holder_of, is_gone
from pgaas.kube.postgres import POSITION, Position, ask, parse_position
from pgaas.kube.resources import LEASE, Object, dig
from pgaas.kube.snapshot import take_snapshot
from pgaas.operations.dns import RecordState, primary_record
from pgaas.operations.loss import LastKnown, Loss, estimate
from pgaas.operations.pair import Pair, Side, Subjects
from pgaas.operations.side_archive import archive_of
from pgaas.operations.status import Status, status_of
from pgaas.operations.subject import Subject
from pgaas.operations.trust import TrustState, look_at_trust
from pgaas.operations.trust_sync import Background
from pgaas.tools.archive import Archive
from pgaas.tools.wal import distance, parse_lsn

# Longer than a connection may take to be made: what hangs longer than that is not waited for.
LOOK_SECONDS = 8.0
PART_SECONDS = 15.0
# The newest transaction that this instance knows of: a replica that knows the primary's lacks none.
WHERE = f"select p.*, pg_snapshot_xmax(pg_current_snapshot()) from ({' '.join(POSITION.split())}) p"

Value = TypeVar("Value")


@dataclass(frozen=True)
class Part(Generic[Value]):
    """What was asked for, or why it cannot be had."""

    value: Value | None = None
    error: str = ""


@dataclass(frozen=True)
class Parts:
    """Everything that was found out about a pair, by datacenter; `archives` as each side's own S3 has them.

    `transactions` are the newest that each side knows, `source` is the side that would be lost: the primary,
    or the one that was. `copy` is its archive as another side's S3 has it, that of `copy_in`, which is empty
    where both have the same; `loss` is out of that copy.
    """

    pair: Pair
    now: datetime
    health: Mapping[str, Part[Status]]
    transactions: Mapping[str, int]
    archives: Mapping[str, Part[Archive]]
    trust: Part[dict[str, TrustState]]
    dns: Part[RecordState]
    leases: Mapping[str, Part[list[Object]]]
    source: Side | None
    loss: Part[Loss]
    copy_in: str = ""
    copy: Part[Archive] = Part()


def gather(subjects: Subjects) -> Parts:
    """Look at all sides, then at all that belongs to them, everything at the same time.

    Nothing is waited for longer than a bound, and nothing raises for what cannot be reached.
    """
    pair = look_briefly(subjects)
    now = datetime.now(UTC)
    seen = {dc: (side, side.api) for dc, side in pair.sides.items() if side.api and side.snapshot}
    positions = {dc: _later(_where, side) for dc, (side, _) in seen.items()}
    health = {dc: _later(_health, side, now) for dc, (side, _) in seen.items()}
    leases = {dc: _later(_leases, side.subject, api) for dc, (side, api) in seen.items()}
    own = {dc: reader for dc in pair.sides if (reader := archive_reader(pair, dc))}
    archives = {dc: _later(_archive, reader, pair[dc].name) for dc, reader in own.items()}
    source = source_of(pair)
    far = far_reader(pair, source) if source else None
    elsewhere = _later(_archive, far, source.name) if far and source else None
    trusting = subjects if len(subjects) > 1 else {}
    trust = _later(look_at_trust, trusting, {dc: side.api or side.error for dc, side in pair.sides.items()})
    dns = _later(_dns, subjects, {dc: side.api for dc, side in pair.sides.items()})

    until = time.monotonic() + PART_SECONDS
    asked = {dc: _part(each, until) for dc, each in positions.items()}
    transactions = {dc: each.value[1] for dc, each in asked.items() if each.value and each.value[1]}
    pair = Pair({dc: _placed(side, asked.get(dc)) for dc, side in pair.sides.items()})
    read = {dc: _part(each, until) for dc, each in archives.items()}
    source = pair[source.dc] if source else None
    copy = _part(elsewhere, until) if elsewhere else Part[Archive]()
    lost = copy if elsewhere else read.get(source.dc) if source else None
    return Parts(
        pair=pair,
        now=now,
        health={dc: _part(each, until) for dc, each in health.items()},
        transactions=transactions,
        archives=read,
        trust=_part(trust, until),
        dns=_part(dns, until),
        leases={dc: _part(each, until) for dc, each in leases.items()},
        source=source,
        loss=loss_of(pair, source, lost, now),
        copy_in=far.dc if far else "",
        copy=copy,
    )


def look_briefly(subjects: Subjects) -> Pair:
    """Look at the Kubernetes objects of all sides; one that does not answer in time is unreachable."""
    looks = {dc: _later(_look_at, subject) for dc, subject in subjects.items()}
    until = time.monotonic() + LOOK_SECONDS
    found = {dc: _part(look, until) for dc, look in looks.items()}
    return Pair({dc: found[dc].value or Side(subjects[dc], error=found[dc].error) for dc in subjects})


def source_of(pair: Pair) -> Side | None:
    """Return the side that would be lost: the one primary, or the unseen one that a replica follows."""
    primaries = pair.primaries
    if len(primaries) == 1:
        return primaries[0]
    followed = [pair.by_name(side.named_primary) for side in pair.sides.values() if side.cluster]
    others = [side for side in followed if side and not side.reachable]
    return others[0] if others and not primaries else None


def archive_reader(pair: Pair, dc: str) -> Side | None:
    """Return the side whose S3 shows a side's archive: itself, or another one if it cannot be asked."""
    return next((side for side in [pair[dc], *pair.others(dc)] if side.api), None)


def far_reader(pair: Pair, source: Side) -> Side | None:
    """Return the side that would recover from another one's archive, if its S3 is not the same one."""
    reader = next((side for side in pair.others(source.dc) if side.api), None)
    if reader is None:
        return None
    mirrored = reader.subject.resolved.client.replication.replica_source == "mirror"
    same = reader.subject.place == source.subject.place and not mirrored
    return None if same and archive_reader(pair, source.dc) else reader


def loss_of(pair: Pair, source: Side | None, archive: Part[Archive] | None, now: datetime) -> Part[Loss]:
    """Estimate what would be lost now if one side never came back."""
    if source is None:
        return Part(error="not known: no side is the one primary")
    if archive is None or archive.value is None:
        return Part(error=f"not known: {archive.error if archive else 'no side can read its archive'}")
    replica = next((side.position for side in pair.others(source.dc) if side.position), None)
    known = LastKnown(
        primary_lsn=parse_lsn(source.position.lsn) if source.position else None,
        replayed_lsn=parse_lsn(replica.lsn) if replica and replica.in_recovery else None,
        at=now if source.position else None,
    )
    return Part(estimate(archive.value, archive.value.read_at, known))


def gap(parts: Parts, side: Side, primary: Side) -> tuple[int | None, float | None]:
    """Return how far a replica is behind: bytes of WAL, and how old its newest transaction is at most.

    The seconds are 0 if it lacks no transaction, however old the newest is: an idle primary goes on writing
    a little WAL. Where it has applied the whole archive, it lacks only what is younger than that.
    """
    here, there = side.position, primary.position
    if here is None or there is None:
        return None, None
    behind = max(0, distance(parse_lsn(there.lsn), parse_lsn(here.lsn)))
    known = parts.transactions.get(side.dc), parts.transactions.get(primary.dc)
    if behind == 0 or (known[0] and known[1] and known[0] >= known[1]):
        return behind, 0.0
    archive, loss = parts.archives.get(primary.dc), parts.loss.value
    ages = [here.replay_age]
    end = archive.value.end_lsn if archive and archive.value else None
    if loss and end is not None and parse_lsn(here.lsn) >= end:
        ages.append(loss.seconds)
    return behind, min((age for age in ages if age is not None), default=None)


def lease_name(subject: Subject) -> str:
    """Return the name of the Lease that a command holds in a client's namespace."""
    return f"pgaas-{subject.namespace}"


def holder(lease: Object, now: datetime) -> tuple[Holder, bool] | None:
    """Return who holds a Lease, and whether it seems to be left behind; None if nobody does."""
    found = holder_of(lease)
    if found is None:
        return None
    try:
        age = (now - datetime.fromisoformat(str(dig(lease, "spec", "renewTime", default="")))).total_seconds()
    except (ValueError, TypeError):
        age = 0.0
    return found, is_gone(found) or age > float(dig(lease, "spec", "leaseDurationSeconds", default=60))


def _later(work: Callable[..., Value], *arguments: object) -> Background[Value]:
    return Background(lambda: work(*arguments))


def _part(work: Background[Value], until: float) -> Part[Value]:
    wait = max(0.0, until - time.monotonic())
    try:
        found = work.result(wait)
    except PgaasError as error:
        return Part(error=error.what)
    return Part(found) if found is not None else Part(error="no answer in time")


def _look_at(subject: Subject) -> Side:
    api = subject.api()
    return Side(
        subject, api, snapshot=take_snapshot(api, subject.cluster, subject.namespace, everything=True)
    )


def _where(side: Side) -> tuple[Position | None, int]:
    if not side.instance or side.fenced:
        return None, 0
    answer = ask(side.reached(), side.instance, side.subject.namespace, WHERE)
    line, _, transaction = answer.rpartition("|")
    return parse_position(line, side.instance), int(transaction) if transaction.isdigit() else 0


def _placed(side: Side, asked: Part[tuple[Position | None, int]] | None) -> Side:
    if asked is None:
        return side
    return replace(side, position=asked.value[0] if asked.value else None, position_error=asked.error)


def _health(side: Side, now: datetime) -> Status:
    assert side.snapshot is not None
    return status_of(side.subject, side.reached(), side.snapshot, now)


def _leases(subject: Subject, api: Api) -> list[Object]:
    found = api.get(LEASE, lease_name(subject), subject.namespace)
    return [found] if found else []


def _archive(reader: Side, cluster: str) -> Archive:
    return archive_of(reader.subject, reader.reached(), cluster)


def _dns(subjects: Subjects, apis: Mapping[str, Api | None]) -> RecordState:
    return primary_record(subjects, apis).read()

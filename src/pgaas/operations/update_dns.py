"""Show where a client's primary alias points, or point it to a datacenter."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pgaas.config.naming import Target
from pgaas.config.targets import default_datacenter
from pgaas.errors import PgaasError, RefusedAsUnsafe, UsageError
from pgaas.kube.client import Api
from pgaas.kube.resources import CLUSTER
from pgaas.kube.snapshot import is_following
from pgaas.operations.dns import PrimaryRecord, RecordState, primary_record
from pgaas.operations.progress import Progress, step
from pgaas.operations.rows import Row
from pgaas.operations.subject import Subject, load_subject
from pgaas.render.topology import datacenter_targets

DEFAULT_TIMEOUT = 120.0


@dataclass(frozen=True)
class LiveSide:
    """What a datacenter's cluster is: primary, replica, absent, or unreachable for the reason in `error`."""

    role: str
    api: Api | None = None
    error: str = ""


@dataclass(frozen=True)
class DnsReport:
    """Where the alias points. `-o json` prints this shape: fields are added, never renamed or removed.

    `roles` say what each datacenter's cluster is; `correct` whether the alias points to the one primary.
    `writable` is what a check found, None without one. `notes` name the datacenters that were left behind.
    """

    name: str
    provider: str
    kind: str
    values: list[str]
    ttl: int | None
    points_to: str
    detail: str
    error: str
    drift: str
    roles: dict[str, str]
    correct: bool
    changed: bool
    writable: bool | None
    check: str
    notes: list[str]


def update_dns(
    root: Path,
    ins: str,
    env: str,
    *,
    to: str | None = None,
    check: bool = False,
    force: bool = False,
    timeout: float = DEFAULT_TIMEOUT,
    progress: Progress,
) -> DnsReport:
    """Return where the alias points, after pointing it to the datacenter `to`, if one is named.

    `check` asks whether a move would be taken. Raise RefusedAsUnsafe if `to` is not the live primary, unless
    `force`; UsageError if it is no datacenter of the client; ToolFailed or KubernetesError if the move is not
    taken, TimedOut if it does not show within `timeout` seconds.
    """
    subjects = load_sides(root, ins, env)
    if to is not None and to not in subjects:
        raise UsageError(
            f"{ins} in {env} has no datacenter {to!r} that the alias could point to",
            next_step=f"name one of: {', '.join(subjects)}",
        )
    live = live_sides(subjects)
    record = primary_record(subjects, {dc: side.api for dc, side in live.items()})
    row = _check(record, progress) if check else None
    notes: tuple[str, ...] = ()
    if to is not None:
        if not force:
            refuse_other_than_primary(to, live, f"pgaas update-dns --ins {ins} --env {env}")
        notes = _move(record, to, timeout, progress)
    seen = record.read()
    return _report(record, subjects, live, seen, row, notes, changed=to is not None)


def load_sides(root: Path, ins: str, env: str) -> dict[str, Subject]:
    """Return a client's configuration in all datacenters that replicate, or in its only one."""
    first = load_subject(root, Target(ins, env, default_datacenter(root, ins, env)))
    return {
        target.dc: first if target == first.target else load_subject(root, target)
        for target in datacenter_targets(first.resolved)
    }


def live_sides(subjects: Mapping[str, Subject]) -> dict[str, LiveSide]:
    """Look at all datacenters at once; one that cannot be reached is a value, no error."""
    with ThreadPoolExecutor(max(len(subjects), 1)) as pool:
        return dict(zip(subjects, pool.map(_live_side, subjects.values()), strict=True))


def refuse_other_than_primary(to: str, live: Mapping[str, LiveSide], command: str) -> None:
    """Raise RefusedAsUnsafe unless a datacenter's cluster is the one live primary."""
    primaries = [dc for dc, side in live.items() if side.role == "primary"]
    if primaries == [to]:
        return
    where = "; ".join(f"{dc}: {side.error or side.role}" for dc, side in live.items())
    if to in primaries:
        raise RefusedAsUnsafe(
            f"there is more than one primary: {', '.join(primaries)}",
            where=where,
            next_step="fence the one that must not take writes first; or --force, if it takes none",
        )
    others = f"the primary is in {', '.join(primaries)}" if primaries else "no primary can be seen"
    raise RefusedAsUnsafe(
        f"{to} is not the primary ({live[to].error or live[to].role}): {others}",
        where=where,
        next_step=f"{command} --to {primaries[0]}" if primaries else "make it the primary first, or --force",
    )


def _live_side(subject: Subject) -> LiveSide:
    try:
        api = subject.api()
        cluster = api.get(CLUSTER, subject.cluster, subject.namespace)
    except PgaasError as error:
        return LiveSide("unreachable", error=error.what)
    if cluster is None:
        return LiveSide("absent", api)
    return LiveSide("replica" if is_following(cluster) else "primary", api)


def _check(record: PrimaryRecord, progress: Progress) -> Row:
    with step(progress, "asking whether the alias could be moved") as outcome:
        row = record.check()
        outcome.text = row.detail
        outcome.problem = row.detail if row.state == "failed" else ""
    return row


def _move(record: PrimaryRecord, to: str, timeout: float, progress: Progress) -> tuple[str, ...]:
    with step(progress, f"pointing {record.name} to {to}"):
        notes = record.point_to(to)
    for note in notes:
        progress.note(note)
    with step(progress, "waiting until DNS says so") as outcome:
        waited = record.wait_for(
            to,
            timeout,
            on_change=lambda items: progress.detail("; ".join(f"{it.name} {it.detail}" for it in items)),
        )
        outcome.text = f"{waited.seconds:.1f} s"
    return notes


def _report(
    record: PrimaryRecord,
    subjects: Mapping[str, Subject],
    live: Mapping[str, LiveSide],
    seen: RecordState,
    row: Row | None,
    notes: tuple[str, ...],
    *,
    changed: bool,
) -> DnsReport:
    primaries = [dc for dc, side in live.items() if side.role == "primary"]
    some = next(iter(subjects.values()))
    return DnsReport(
        name=record.name,
        provider=some.resolved.datacenters.dns.provider,
        kind=seen.kind,
        values=list(seen.values),
        ttl=seen.ttl,
        points_to=seen.points_to,
        detail=seen.detail,
        error=seen.error,
        drift=seen.drift,
        roles={dc: side.role for dc, side in live.items()},
        correct=primaries == [seen.points_to],
        changed=changed,
        writable=None if row is None else row.state != "failed",
        check="" if row is None else row.detail,
        notes=list(notes),
    )

"""Print how a client is in all its datacenters, and fail with the reasons unless it is healthy."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pgaas.cli.output import cell, harmless, out, out_table
from pgaas.errors import NotHealthy

if TYPE_CHECKING:
    from pgaas.operations.status_pair import PairStatus, SideState


def show(seen: PairStatus) -> None:
    """Print one table with a column for each datacenter, and one of what they have in common."""
    for text in seen.loud:
        shout(text)
    out(f"{seen.ins} in {seen.env}: {'healthy' if seen.healthy else 'NOT HEALTHY'} ({seen.at})")
    out("")
    rows = [(name, *(cell(value(side)) for side in seen.sides)) for name, value in ROWS.items()]
    out_table(("what", *(side.datacenter for side in seen.sides)), rows)
    out("")
    out_table(("what", "value"), common(seen))
    for note in seen.notes:
        out(f"note: {note}")


def shout(text: str) -> None:
    """Print a line in red, if stdout is a terminal that wants colour."""
    import sys

    from rich.console import Console
    from rich.text import Text

    Console(file=sys.stdout, highlight=False).print(Text(harmless(text), style="bold red"), soft_wrap=True)


def common(seen: PairStatus) -> list[tuple[str, str]]:
    """Return the rows that are about no side by itself."""
    from pgaas.operations.loss import about_bytes, about_seconds

    loss, dns = seen.loss, seen.dns
    size = f", about {about_bytes(loss.bytes)} of WAL" if loss.bytes is not None else ""
    time = about_seconds(loss.seconds) if loss.seconds is not None else ""
    rpo = f"{time} at most{size}, if {loss.datacenter} were lost now" if time else loss.detail
    marked = ", ".join(seen.confs.lost_datacenters)
    says = f"primaryDatacenter: {seen.confs.primary_datacenter}"
    says += f", lostDatacenters: {marked}" if marked else ""
    beside = "as it is live" if seen.primary else "no primary is seen to compare it with"
    return [
        ("primary", "TWO" if seen.two_primaries else seen.primary or "none is seen"),
        ("confs", f"{says}; {'; '.join(seen.confs.differences) or beside}"),
        ("DNS", f"{dns.name}: {dns.detail}"),
        ("estimated RPO", rpo),
        ("at work", _working(seen)),
    ]


def line(seen: PairStatus) -> str:
    """Return in one line what is worth knowing of a change: nothing that moves with every transaction."""
    sides = [
        f"{side.datacenter} {side.role}" + (f" on timeline {side.timeline}" if side.timeline else "")
        for side in seen.sides
    ]
    verbs = sorted({each.verb or "a command" for each in seen.working if not each.left_behind})
    parts = [
        "healthy" if seen.healthy else "NOT HEALTHY",
        *sides,
        f"DNS {seen.dns.points_to or 'nowhere'}",
        *([f"at work: {', '.join(verbs)}"] if verbs else []),
        *seen.problems,
    ]
    return "; ".join(parts)


def raise_if_unhealthy(seen: PairStatus) -> None:
    """Raise NotHealthy with all reasons, what is loud first."""
    if seen.healthy:
        return
    reasons = [text for text in seen.problems if text not in seen.loud]
    headline = seen.loud or [f"{seen.ins} in {seen.env} is not healthy:"]
    where = ", ".join(f"{side.datacenter}: context {side.context or 'unknown'}" for side in seen.sides)
    raise NotHealthy(
        "\n  ".join([*headline, *reasons]),
        where=f"namespace {seen.namespace}; {where}",
        next_step="\n        ".join(seen.next_steps),
    )


def _working(seen: PairStatus) -> str:
    """Return who is at work; one command holds a Lease in every datacenter."""
    where: dict[str, list[str]] = {}
    for each in seen.working:
        where.setdefault(each.detail, []).append(each.datacenter)
    return "; ".join(f"{detail} ({', '.join(dcs)})" for detail, dcs in where.items()) or "no command"


def _state(side: SideState) -> str:
    if side.error:
        return side.error
    if side.role in ("absent", "fenced"):
        return f"{side.role}{', marked as lost' if side.marked_lost else ''}"
    more = f" and {len(side.problems) - 1} more" if len(side.problems) > 1 else ""
    state = f"{side.problems[0]}{more}" if side.problems else "healthy" if side.healthy else "not known"
    return f"{state}{', marked as lost' if side.marked_lost else ''}"


def _instances(side: SideState) -> str:
    ready = side.instances_ready
    return "" if ready is None else f"{ready} ready of {side.instances_wanted}"


def _revision(side: SideState) -> str:
    from pgaas.operations.users_clone import short

    return short(side.users_revision)


def _position(side: SideState) -> str:
    return f"timeline {side.timeline}, {side.lsn}" if side.lsn else side.position_error


def _gap(side: SideState) -> str:
    from pgaas.operations.loss import about_bytes, about_seconds

    if side.gap_bytes is None:
        return ""
    bound = " at most" if side.gap_seconds else ""
    age = "age not known" if side.gap_seconds is None else f"{about_seconds(side.gap_seconds)}{bound}"
    return f"{age}, {about_bytes(side.gap_bytes)} of WAL"


def _wal(side: SideState) -> str:
    return _ago(side.archive.newest_wal, side.archive.newest_wal_age) or side.archive.error or "none"


def _backup(side: SideState) -> str:
    return _ago(side.archive.newest_backup, side.archive.newest_backup_age) or side.archive.error or "none"


def _ago(name: str, age: float | None) -> str:
    from pgaas.operations.loss import about_seconds

    return f"{name}, {about_seconds(age)} ago" if name and age is not None else name


def _archive(side: SideState) -> str:
    archive = side.archive
    other = f", confs say {archive.configured}" if archive.server_name not in ("", archive.configured) else ""
    name = f"{archive.server_name or archive.configured}{other}"
    missing = f", {archive.missing} segments missing" if archive.missing else ""
    state = {True: ": archiving", False: ": not archiving", None: ""}[archive.archiving]
    return f"{name}{state}{missing}"


def _trust(side: SideState) -> str:
    shown = side.trust.state != "ok" and not side.error
    days = "" if side.trust.days_left is None else f", {side.trust.days_left} days"
    return f"{side.trust.state}{days}{f': {side.trust.detail}' if shown else ''}"


def _certificate(side: SideState) -> str:
    return "" if side.certificate_days is None else f"{side.certificate_days} days ({side.certificate})"


ROWS: dict[str, Callable[[SideState], object]] = {
    "cluster": lambda side: side.cluster,
    "role": lambda side: side.role,
    "state": _state,
    "phase": lambda side: side.phase + (f" ({side.phase_reason})" if side.phase_reason else ""),
    "instances": _instances,
    "takes writes": lambda side: side.writable,
    "position": _position,
    "following": lambda side: side.following,
    "behind": _gap,
    "archive": _archive,
    "newest WAL": _wal,
    "base backup": _backup,
    "certificates": _certificate,
    "trust": _trust,
    "names as primary": lambda side: side.names_primary,
    "context": lambda side: side.context,
    "users revision": _revision,
}

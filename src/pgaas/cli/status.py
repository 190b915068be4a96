"""`pgaas status`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pgaas.cli import status_pair
from pgaas.cli.options import (
    EnvOption,
    InsOption,
    Output,
    OutputOption,
    RootOption,
    complete_dc,
    root_folder,
)
from pgaas.cli.output import cell, out, out_table
from pgaas.cli.watch import INTERVAL, View, parse_interval, run
from pgaas.errors import NotHealthy, UsageError

if TYPE_CHECKING:
    from pgaas.operations.status import Status

DcOption = Annotated[
    str | None,
    typer.Option(
        "--dc",
        help="One datacenter; without it, all of a client that replicates, or else its first.",
        metavar="DC",
        autocompletion=complete_dc,
        show_default=False,
    ),
]
WatchOption = Annotated[
    bool, typer.Option("--watch", help="Look again and again, every SECONDS, until Ctrl-C.")
]
# Typer knows no option whose value may be left out.
SecondsArgument = Annotated[
    float | None,
    typer.Argument(
        help="With --watch: the time between two looks, by default 2 s.",
        metavar="[SECONDS]",
        parser=parse_interval,
        show_default=False,
    ),
]


def status(
    ins: InsOption,
    env: EnvOption,
    dc: DcOption = None,
    watch: WatchOption = False,
    seconds: SecondsArgument = None,
    output: OutputOption = Output.text,
    root: RootOption = None,
) -> None:
    """Show how a cluster is, or both clusters of a client that replicates between two datacenters.

    With --dc, one cluster: instances, roles, databases, archive, backups, certificates, services. For a pair:
    role, position, archive and trust on each side, how far the replica is behind, what a loss would cost now,
    where DNS points, what confs say against what is live, which command is at work. A datacenter that cannot
    be reached is told, not waited for.

    Exit 0 only when it is healthy, else 9 with the reasons. With --watch, the last look counts; with
    -o json, each look is one line.

    Examples:
      pgaas status --ins ic1 --env prod
      pgaas status --ins ic1 --env prod --dc dc1 -o json
      pgaas status --ins ic1 --env prod --watch 5
    """
    run(view_of(root_folder(root), ins, env, dc), output, interval(watch, seconds))


def interval(watch: bool, seconds: float | None) -> float | None:
    """Return the seconds between two looks, None for one look; raise UsageError for seconds alone."""
    if seconds is not None and not watch:
        raise UsageError(f"{seconds:g} s between which looks?", next_step=f"write --watch {seconds:g}")
    return (seconds or INTERVAL) if watch else None


def view_of(folder: Path, ins: str, env: str, dc: str | None) -> View[Any]:
    """Return what is to be looked at: one cluster, or all of a client that replicates."""
    from pgaas.operations import status as operation
    from pgaas.operations.status_pair import pair_status, replicates
    from pgaas.operations.target import find_target

    if dc is None and replicates(folder, ins, env):
        return View(
            look=lambda: pair_status(folder, ins, env),
            show=status_pair.show,
            line=status_pair.line,
            plain=asdict,
            judge=status_pair.raise_if_unhealthy,
        )
    target = find_target(folder, ins, env, dc)
    create = f"pgaas create --ins {ins} --env {env} --dc {target.dc}"
    return View(
        look=lambda: operation.status(folder, target),
        show=show,
        line=line,
        plain=asdict,
        judge=lambda seen: raise_if_unhealthy(seen, create),
    )


def line(seen: Status) -> str:
    """Return a status in one line."""
    if not seen.created:
        return f"{seen.cluster} is not created"
    ready = f"{seen.instances_ready} ready of {seen.instances_wanted}"
    state = "healthy" if seen.healthy else "NOT HEALTHY"
    return "; ".join([f"{seen.cluster} ({seen.role}): {state}", seen.phase, ready, *seen.problems])


def raise_if_unhealthy(seen: Status, create: str) -> None:
    """Raise NotHealthy, with the reasons in words."""
    where = f'namespace {seen.namespace}, context "{seen.context}"'
    if not seen.created:
        raise NotHealthy(f"{seen.cluster} is not created", where=where, next_step=create)
    if not seen.healthy:
        reasons = "".join(f"\n  {problem}" for problem in seen.problems)
        waiting = create.replace("pgaas create", "pgaas wait", 1)
        raise NotHealthy(
            f"{seen.cluster} is not healthy:{reasons}",
            where=where,
            next_step=f"{waiting} follows it, and says why it is stuck",
        )


def show(seen: Status) -> None:
    """Print a status as tables."""
    if not seen.created:
        return
    archive = seen.archive
    facts = [
        ("cluster", f"{seen.cluster} ({seen.role})"),
        ("state", "healthy" if seen.healthy else "NOT HEALTHY"),
        ("phase", f"{seen.phase}{f' ({seen.phase_reason})' if seen.phase_reason else ''}"),
        ("where", f"namespace {seen.namespace}, context {seen.context}"),
        ("image", f"{seen.image} (PostgreSQL {seen.major})"),
        ("instances", f"{seen.instances_ready} ready of {seen.instances_wanted}, timeline {seen.timeline}"),
        ("archive", f"{archive.bucket}, {archive.server_name}: {archive.detail or 'no WAL archived yet'}"),
        ("last archived", f"{archive.last_archived_wal} {archive.last_archived_at}".strip() or "not known"),
        ("last backup", archive.last_backup or "none"),
        ("recoverable from", archive.first_recoverability_point or "not yet"),
        ("next backup", archive.next_backup or "not scheduled"),
        ("pgadmin", _pgadmin(seen)),
        ("users revision", seen.users_revision or "not recorded"),
    ]
    out_table(("what", "value"), facts)
    _table(
        "instances",
        ("name", "role", "ready", "node", "image", "restarts", "lsn"),
        [
            (
                each.name,
                each.role,
                "yes" if each.ready else f"no: {each.detail}",
                each.node,
                each.image.rpartition("/")[2],
                each.restarts,
                each.lsn,
            )
            for each in seen.instances
        ],
    )
    _table(
        "roles", ("name", "state", "detail"), [(each.name, each.state, each.detail) for each in seen.roles]
    )
    _table(
        "databases",
        ("name", "owner", "applied", "detail"),
        [(each.name, each.owner, each.applied, each.detail) for each in seen.databases],
    )
    _table(
        "certificates",
        ("name", "ready", "days left", "ends"),
        [(each.name, each.ready, each.days_left, each.not_after) for each in seen.certificates],
    )
    _table(
        "services",
        ("name", "type", "address", "port"),
        [(each.name, each.type, ", ".join(each.addresses), each.port) for each in seen.services],
    )
    for note in seen.notes:
        out(f"note: {note}")


def _pgadmin(seen: Status) -> str:
    if seen.pgadmin is None:
        return "none"
    where = ", ".join(f"https://{address}" for address in seen.pgadmin.addresses if address)
    state = "ready" if seen.pgadmin.ready else f"NOT READY: {seen.pgadmin.detail}"
    return f"{seen.pgadmin.name}: {state}{f' ({where})' if where else ''}"


def _table(title: str, columns: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    out("")
    out_table(columns, [tuple(map(cell, row)) for row in rows], title=title)

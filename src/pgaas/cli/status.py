"""`pgaas status`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from pgaas.cli.options import DcOption, EnvOption, InsOption, Output, OutputOption, RootOption, root_folder
from pgaas.cli.output import cell, out, out_json, out_table
from pgaas.errors import NotHealthy

if TYPE_CHECKING:
    from pgaas.operations.status import Status


def status(
    ins: InsOption,
    env: EnvOption,
    dc: DcOption = None,
    output: OutputOption = Output.text,
    root: RootOption = None,
) -> None:
    """Show how a cluster is: instances, roles, databases, archive, backups, certificates, services.

    Exit 0 only when it is healthy, else 9 with the reasons.

    Examples:
      pgaas status --ins ic1 --env local --dc local1
      pgaas status --ins ic1 --env prod --dc dc1 -o json
    """
    from pgaas.operations import status as operation
    from pgaas.operations.target import find_target

    folder = root_folder(root)
    seen = operation.status(folder, find_target(folder, ins, env, dc))
    out_json(asdict(seen)) if output is Output.json else show(seen)
    raise_if_unhealthy(seen, f"pgaas create --ins {ins} --env {env} --dc {seen.datacenter}")


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


def _table(title: str, columns: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    out("")
    out_table(columns, [tuple(map(cell, row)) for row in rows], title=title)

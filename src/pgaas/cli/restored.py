"""Show what a restore brought back, to a person and to a program."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from pgaas.cli.output import cell, out, out_table, spelled
from pgaas.errors import NotHealthy

if TYPE_CHECKING:
    from pgaas.operations.restore import Restored
    from pgaas.operations.restore_check import Checked


def show(done: Restored, *, dry_run: bool) -> None:
    """Print what was restored, or would be."""
    state = "would be restored" if dry_run else "restored" if done.checked else "being restored"
    again = ", begun before" if done.resumed else ""
    out(f"{done.cluster}: {state} to {done.request} of {done.server_name}{again} ({done.seconds:.0f} s)")
    out(f"  from base backup {done.backup_id}, with {done.image or 'the same image'}, on {done.storage}")
    if done.checked:
        show_checked(done.checked)
    if not dry_run:
        out(f"  reach it at {done.cluster}-rw.{done.namespace}, in Kubernetes only")
        certificates = ", ".join(done.clients) or "the client's own"
        out(f"  client certificates: {certificates}; server's root: ca.crt of Secret {done.cluster}-server")


def show_checked(checked: Checked) -> None:
    """Print where recovery ended, and what is there."""
    place = f"{checked.end_lsn or '?'} of timeline {checked.end_timeline}"
    out(f"  recovery ended at {place}: {checked.end_reason}")
    if checked.last_transaction:
        out(f"  last transaction: {checked.last_transaction}")
    rows = [
        (
            each.name,
            "yes" if each.there else "MISSING",
            cell(each.wanted),
            each.owner,
            spelled(each.bytes),
            each.tables,
            each.read,
            "; ".join(each.problems) or "ok" if each.there else "-",
        )
        for each in checked.databases
    ]
    looked = "checked" if checked.deep else "looked into"
    out_table(("database", "there", "wanted", "owner", "size", "tables", looked, "result"), rows)
    roles = [(each.name, "yes" if each.there else "MISSING", cell(each.wanted)) for each in checked.roles]
    out_table(("role", "there", "wanted"), roles)


def as_json(done: Restored) -> dict[str, object]:
    """Return what was restored for a program."""
    plain = asdict(done)
    plain["seconds"] = round(done.seconds, 1)
    plain["endpoint"] = f"{done.cluster}-rw.{done.namespace}.svc"
    plain["complete"] = None if done.checked is None else not done.checked.problems
    return plain


def refuse_what_is_missing(done: Restored) -> None:
    """Raise NotHealthy if what came back is not all that was wanted."""
    if done.checked and done.checked.problems:
        lines = "".join(f"\n  {problem}" for problem in done.checked.problems)
        raise NotHealthy(
            f"{done.cluster} was restored, and is not all that databases.yaml wants:{lines}",
            where=f'namespace {done.namespace}, context "{done.context}"',
            next_step="what is missing may not have been there at that moment: restore to another one",
        )

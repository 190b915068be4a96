"""`pgaas update-dns`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from pgaas.cli.durations import TimeoutOption
from pgaas.cli.options import (
    EnvOption,
    InsOption,
    Output,
    OutputOption,
    RootOption,
    VerboseOption,
    complete_dc,
    root_folder,
)
from pgaas.cli.output import cell, out, out_json, out_table
from pgaas.cli.progress import progress_for
from pgaas.errors import ToolFailed

if TYPE_CHECKING:
    from pgaas.operations.update_dns import DnsReport

ToOption = Annotated[
    str | None,
    typer.Option(
        "--to",
        help="Point the alias to this datacenter, which must be the primary's.",
        metavar="DC",
        autocompletion=complete_dc,
        show_default=False,
    ),
]
CheckOption = Annotated[
    bool, typer.Option("--check", help="Ask whether the alias could be moved; change nothing.")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Point it to a cluster that is not the primary.")]


def update_dns(
    ins: InsOption,
    env: EnvOption,
    to: ToOption = None,
    check: CheckOption = False,
    force: ForceOption = False,
    timeout: TimeoutOption = "2m",  # type: ignore[assignment]
    output: OutputOption = Output.text,
    root: RootOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Show where a client's primary alias points, or point it to a datacenter.

    Exit 8 when that datacenter's cluster is not the live primary, 7 when DNS does not say so in time.

    Examples:
      pgaas update-dns --ins ic1 --env local
      pgaas update-dns --ins ic1 --env prod --check
      pgaas update-dns --ins ic1 --env prod --to dc2
    """
    from pgaas.operations import update_dns as operation

    seen = operation.update_dns(
        root_folder(root),
        ins,
        env,
        to=to,
        check=check,
        force=force,
        timeout=timeout,
        progress=progress_for(verbose=verbose),
    )
    out_json(asdict(seen)) if output is Output.json else show(seen)
    raise_if_not_writable(seen)


def show(seen: DnsReport) -> None:
    """Print where the alias points as a table."""
    facts = [
        ("alias", seen.name),
        ("points to", seen.points_to if seen.values else seen.points_to or "nothing"),
        ("record", f"{seen.kind} {', '.join(seen.values)}" if seen.values else "none"),
        ("time to live", "" if seen.ttl is None else f"{seen.ttl} s"),
        ("provider", seen.provider),
        *((f"{dc} is", role) for dc, role in seen.roles.items()),
        ("right", seen.correct),
    ]
    out_table(("what", "value"), [(name, cell(value)) for name, value in facts])
    for text in filter(None, (seen.error, seen.drift, seen.check, *seen.notes)):
        out(f"note: {text}")


def raise_if_not_writable(seen: DnsReport) -> None:
    """Raise ToolFailed if a check found that the alias could not be moved."""
    if seen.writable is False:
        raise ToolFailed(
            f"{seen.name} could not be moved now: {seen.check}",
            where=f"dns.provider {seen.provider}",
            next_step="mend what it says; docs/dns.md tells what each provider needs",
        )

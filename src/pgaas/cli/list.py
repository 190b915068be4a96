"""`pgaas list`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pgaas.cli.options import OptionalEnvOption, Output, OutputOption, RootOption, root_folder
from pgaas.cli.output import cell, out, out_json, out_table
from pgaas.cli.progress import progress_for
from pgaas.errors import ConfigError

if TYPE_CHECKING:
    from pgaas.operations.fleet import Fleet
    from pgaas.operations.fleet_rows import Row

AllOption = Annotated[bool, typer.Option("--all", help="Show also what lives and is in no file.")]
COLUMNS = ("client", "env", "datacenter", "state", "role", "instances", "postgresql", "differs")


def list(
    env: OptionalEnvOption = None,
    everything: AllOption = False,
    output: OutputOption = Output.text,
    root: RootOption = None,
) -> None:
    """Show all clusters: what is configured, what is live, and in what they differ.

    Each datacenter is asked twice, whatever the number of clients, and all at the same time. One that cannot
    be asked is told in the rows of its clusters. A cluster differs if its primary is not the one of
    clients.yaml, if it was deployed with other values than confs give now, if it runs another image, or if it
    is not healthy. `pgaas status` looks closer at one.

    Examples:
      pgaas list
      pgaas list --env prod -o json
      pgaas list --all
    """
    from pgaas.operations.fleet import fleet

    seen = fleet(root_folder(root), env, progress_for(verbose=False), everything=everything)
    out_json(as_json(seen)) if output is Output.json else show(seen)
    raise_if_untold(seen)


def show(seen: Fleet) -> None:
    """Print a line for each cluster, then in what they differ, and what could not be seen."""
    out_table(COLUMNS, [_cells(row) for row in seen.rows])
    out("")
    for row in seen.rows:
        # Why a context cannot be asked is said once, below.
        for finding in row.findings if row.state != "unreachable" else ():
            out(f"{row.cluster or row.ins}: {finding.kind}: {finding.text}")
    show_gaps(seen)
    out(summary(seen))


def show_gaps(seen: Fleet) -> None:
    """Print which contexts could not be asked, or not for everything."""
    for each in seen.contexts:
        where = f"context {each.context} ({', '.join(each.datacenters)})"
        if each.error:
            out(f"{where} cannot be asked: {each.error}")
        elif each.releases_error:
            out(f"{where}: what was deployed is not known: {each.releases_error}")


def summary(seen: Fleet) -> str:
    """Return the counts in one line."""
    counts: dict[str, int] = {}
    for row in seen.rows:
        counts[row.state] = counts.get(row.state, 0) + 1
    differ = sum(row.live is not False and bool(row.findings) for row in seen.rows)
    parts = [f"{count} {state}" for state, count in counts.items()]
    parts += [f"{differ} to look at"] if differ else []
    parts += [f"{seen.hidden} more live in no file (--all shows them)"] if seen.hidden else []
    return f"{len(seen.rows)} clusters: {', '.join(parts) or 'none'}"


def as_json(seen: Fleet) -> dict[str, Any]:
    """Return the fleet for a program."""
    return {
        "clusters": [as_row(row) for row in seen.rows],
        "contexts": [asdict(each) for each in seen.contexts],
        "hidden": seen.hidden,
        "issues": [each._asdict() for each in seen.issues],
    }


def as_row(row: Row) -> dict[str, Any]:
    """Return one cluster for a program."""
    return {**asdict(row), "findings": [each._asdict() for each in row.findings]}


def raise_if_untold(seen: Fleet) -> None:
    """Raise ConfigError if files keep some clients from being told: the list is not whole then."""
    if seen.issues:
        raise ConfigError(seen.issues, next_step="mend them: the clients that they stand for are not listed")


def _cells(row: Row) -> tuple[str, ...]:
    instances = f"{row.instances_ready}/{row.instances_wanted}" if row.live else ""
    kinds = ", ".join(dict.fromkeys(finding.kind for finding in row.findings))
    values = (
        row.ins, row.env, row.datacenter, row.state, row.role, instances, row.major or "", kinds
    )  # fmt: skip
    return tuple(map(cell, values))

"""`pgaas create`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pgaas.cli.durations import TimeoutOption
from pgaas.cli.objects import out_object
from pgaas.cli.options import (
    DcOption,
    EnvOption,
    InsOption,
    Output,
    OutputOption,
    RootOption,
    VerboseOption,
    root_folder,
)
from pgaas.cli.output import out, out_json
from pgaas.cli.progress import progress_for

if TYPE_CHECKING:
    from pgaas.operations.create import Created

DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show what the API server says would change; change nothing.")
]
NoWaitOption = Annotated[bool, typer.Option("--no-wait", help="Deploy, and do not wait until healthy.")]
NextGenerationOption = Annotated[
    bool,
    typer.Option(
        "--next-generation",
        help="If a former cluster's archive is in the way, take the next generation (clients.yaml).",
    ),
]
SkipCheckOption = Annotated[
    list[str],
    typer.Option(
        "--skip-check",
        help="Leave out a check: s3 (but for a new cluster's archive), tools, kinds, operators, issuer or "
        "storage class; repeatable.",
        metavar="NAME",
        show_default=False,
    ),
]


def create(
    ins: InsOption,
    env: EnvOption,
    dc: DcOption = None,
    dry_run: DryRunOption = False,
    no_wait: NoWaitOption = False,
    timeout: TimeoutOption = "10m",  # type: ignore[assignment]
    next_generation: NextGenerationOption = False,
    skip_check: SkipCheckOption = [],  # noqa: B006
    output: OutputOption = Output.text,
    root: RootOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Create a cluster, or bring it up to date, and wait until it is healthy.

    Writes the values file, checks what the cluster needs, deploys with helmfile, and waits until all
    instances are ready, roles and databases are there, WAL is archived and the first base backup is complete.
    Run again, it changes nothing; interrupted or killed, run it again.

    Examples:
      pgaas create --ins ic1 --env local --dc local1
      pgaas create --ins ic1 --env prod --dc dc1 --dry-run
    """
    from pgaas.operations import create as operation
    from pgaas.operations.target import find_target

    folder = root_folder(root)
    choices = operation.Choices(dry_run, not no_wait, timeout, next_generation, tuple(skip_check))
    done = operation.create(folder, find_target(folder, ins, env, dc), choices, progress_for(verbose=verbose))
    if output is Output.json:
        out_json(as_json(done))
    else:
        show(done, dry_run=dry_run)


def show(done: Created, *, dry_run: bool) -> None:
    """Print what was done, or would be."""
    if dry_run:
        for change in done.changes:
            out_object(change.kind, change.name, change.action, change.lines, conflict=change.conflict)
        count = len(done.changes)
        out(
            f"{done.cluster}: {count} objects would change"
            if count
            else f"{done.cluster}: nothing would change"
        )
        return
    state = "deployed" if done.health is None else "healthy"
    changed = "created or changed" if done.changed else "unchanged"
    out(f"{done.cluster}: {state}, {changed} ({done.seconds:.0f} s)")


def as_json(done: Created) -> dict[str, object]:
    """Return what was done for a program."""
    return {
        "cluster": done.cluster,
        "namespace": done.namespace,
        "values_file": str(done.values_file),
        "changed": done.changed,
        "changes": [
            {"kind": change.kind, "name": change.name, "action": change.action, "diff": list(change.lines)}
            for change in done.changes
        ],
        "checks": [{"name": row.name, "state": row.state, "detail": row.detail} for row in done.checks],
        "healthy": done.health is not None,
        "items": [
            {"name": item.name, "ok": item.ok, "detail": item.detail}
            for item in (done.health.items if done.health else ())
        ],
        "seconds": round(done.seconds, 1),
    }

"""`pgaas switchover`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pgaas.cli.durations import TimeoutOption
from pgaas.cli.options import (
    EnvOption,
    InsOption,
    NoWaitBackupOption,
    Output,
    OutputOption,
    RootOption,
    VerboseOption,
    complete_dc,
    root_folder,
)
from pgaas.cli.output import out, out_json
from pgaas.cli.progress import progress_for
from pgaas.cli.steps import out_steps, plain_steps

if TYPE_CHECKING:
    from pgaas.operations.switchover import SwitchedOver

ToOption = Annotated[
    str,
    typer.Option(
        "--to",
        help="The datacenter, or the cluster, that is to be the primary.",
        metavar="DC",
        autocompletion=complete_dc,
    ),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Check and print the plan; change nothing.")]
SkipCheckOption = Annotated[
    list[str],
    typer.Option(
        "--skip-check",
        help="Leave out a check: dns, trust, certificates or base backup; repeatable.",
        metavar="NAME",
        show_default=False,
    ),
]


def switchover(
    ins: InsOption,
    env: EnvOption,
    to: ToOption,
    dry_run: DryRunOption = False,
    skip_check: SkipCheckOption = [],  # noqa: B006
    timeout: TimeoutOption = "5m",  # type: ignore[assignment]
    no_wait_backup: NoWaitBackupOption = False,
    output: OutputOption = Output.text,
    root: RootOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Move the primary to another datacenter without losing a row.

    Checks both sides, lets the replica apply everything, demotes the primary, promotes the replica with the
    token, moves the DNS name, writes clients.yaml, syncs both releases, takes a base backup and writes once
    through the DNS name. Interrupted or killed, run it again, from any terminal: it goes on where it stopped.

    Examples:
      pgaas switchover --ins ic1 --env prod --to dc2 --dry-run
      pgaas switchover --ins ic1 --env prod --to dc2
    """
    from pgaas.operations import switchover as operation

    choices = operation.Choices(dry_run, timeout, tuple(skip_check), not no_wait_backup)
    progress = progress_for(verbose=verbose)
    done = operation.switchover(root_folder(root), ins, env, to, choices, progress)
    out_json(as_json(done)) if output is Output.json else show(done)


def show(done: SwitchedOver) -> None:
    """Print the plan, or a timed summary."""
    if done.plan:
        out(f"{done.new} is to be the primary instead of {done.old}; now: {done.stage}")
        for number, line in enumerate(done.plan, 1):
            out(f"  {number}. {line}")
        for row in done.checks:
            out(f"  {row.state}: {row.name}: {row.detail}")
        return
    out_steps(done.steps)
    outage = f"; no primary for at most {done.outage:.1f} s" if done.outage is not None else ""
    out(f"{done.new} is the primary ({done.seconds:.0f} s in all{outage})")
    if done.finished:
        out(f"commit {done.finished.clients_file}")


def as_json(done: SwitchedOver) -> dict[str, object]:
    """Return what was done for a program."""
    finished = done.finished
    return {
        "old": done.old,
        "new": done.new,
        "stage": done.stage,
        "plan": list(done.plan),
        "checks": [{"name": row.name, "state": row.state, "detail": row.detail} for row in done.checks],
        "steps": plain_steps(done.steps),
        "outage_seconds": None if done.outage is None else round(done.outage, 2),
        "written": bool(finished and finished.written.tried),
        "name": finished.name if finished else "",
        "addresses": list(finished.addresses) if finished else [],
        "backup": finished.backup if finished else "",
        "clients_file": finished.clients_file if finished else "",
        "seconds": round(done.seconds, 1),
    }

"""`pgaas delete`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pgaas.cli.asking import retyped
from pgaas.cli.durations import TimeoutOption
from pgaas.cli.options import (
    ConfirmOption,
    DcOption,
    EnvOption,
    InsOption,
    Output,
    OutputOption,
    RootOption,
    VerboseOption,
    root_folder,
)
from pgaas.cli.output import out, out_json, say, spelled
from pgaas.cli.progress import progress_for

if TYPE_CHECKING:
    from pgaas.operations.delete import Deleted, Plan

SkipFinalBackupOption = Annotated[
    bool,
    typer.Option("--skip-final-backup", help="Delete without a last backup: what it would hold is lost."),
]


def delete(
    ins: InsOption,
    env: EnvOption,
    dc: DcOption = None,
    confirm: ConfirmOption = None,
    skip_final_backup: SkipFinalBackupOption = False,
    timeout: TimeoutOption = "15m",  # type: ignore[assignment]
    output: OutputOption = Output.text,
    root: RootOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Delete a cluster: take a last backup, remove everything but the archive in S3.

    Shows what goes and what stays, and asks for the cluster's name. The next cluster of this name archives as
    a new generation, which is written to clients.yaml: commit it. Interrupted, run it again.

    Examples:
      pgaas delete --ins ic1 --env local --dc local1
      pgaas delete --ins ic1 --env local --dc local1 --confirm local-ic1-local1
    """
    from pgaas.operations import delete as operation
    from pgaas.operations.target import find_target

    folder = root_folder(root)
    plan = operation.plan_deletion(folder, find_target(folder, ins, env, dc))
    show_plan(plan, skip_final_backup=skip_final_backup)
    operation.check_confirmation(plan, retyped(confirm, "to delete it", plan))
    progress = progress_for(verbose=verbose)
    done = operation.delete(plan, skip_final_backup=skip_final_backup, timeout=timeout, progress=progress)
    out_json(as_json(done)) if output is Output.json else show(done)


def show_plan(plan: Plan, *, skip_final_backup: bool) -> None:
    """Say what goes and what stays."""
    say("goes:")
    for line in plan.goes or ("nothing of the cluster is left; what a former deletion left will be removed",):
        say(f"  {line}")
    say("stays:")
    usage = plan.usage
    if usage is None:
        say(f"  {plan.bucket}, {plan.prefix}: not looked at")
    else:
        newest = f", newest of {usage.newest:%Y-%m-%d %H:%M:%S %Z}" if usage.newest else ""
        say(f"  {plan.bucket}, {plan.prefix}: {usage.objects} objects, {spelled(usage.bytes)}{newest}")
    for doubt in plan.doubts:
        say(f"mind: {doubt}")
    if plan.exists and skip_final_backup:
        say("mind: no final backup will be taken")


def show(done: Deleted) -> None:
    """Print what was done."""
    if done.was_there:
        out(f"{done.cluster}: deleted ({done.seconds:.0f} s)")
    else:
        out(f"{done.cluster}: was not there")
    if done.final_backup:
        out(f"final backup: {done.final_backup}")
    if not done.namespace_removed:
        out(f"the namespace stays: {', '.join(done.namespace_kept)}")
    if done.generation:
        out(f"the next cluster archives as generation {done.generation}: commit {done.generation_file}")


def as_json(done: Deleted) -> dict[str, object]:
    """Return what was done for a program."""
    return {
        "cluster": done.cluster,
        "was_there": done.was_there,
        "final_backup": done.final_backup,
        "removed": list(done.removed.objects),
        "namespace_removed": done.namespace_removed,
        "namespace_kept": list(done.namespace_kept),
        "generation": done.generation,
        "generation_file": done.generation_file,
        "seconds": round(done.seconds, 1),
    }

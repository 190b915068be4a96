"""`pgaas rebuild`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pgaas.cli.asking import retyped
from pgaas.cli.durations import TimeoutOption
from pgaas.cli.options import (
    ConfirmOption,
    EnvOption,
    InsOption,
    Output,
    OutputOption,
    RootOption,
    VerboseOption,
    complete_dc,
    root_folder,
)
from pgaas.cli.output import out, out_json, say
from pgaas.cli.progress import progress_for
from pgaas.cli.steps import out_steps, plain_steps

if TYPE_CHECKING:
    from pgaas.operations.rebuild import Rebuilt

RebuiltDcOption = Annotated[
    str,
    typer.Option(
        "--dc",
        help="The datacenter, or the cluster, to make anew.",
        metavar="DC",
        autocompletion=complete_dc,
    ),
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Make it anew although it follows the primary well.")
]


def rebuild(
    ins: InsOption,
    env: EnvOption,
    dc: RebuiltDcOption,
    confirm: ConfirmOption = None,
    force: ForceOption = False,
    timeout: TimeoutOption = "15m",  # type: ignore[assignment]
    output: OutputOption = Output.text,
    root: RootOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Make a diverged or lost datacenter's cluster anew from the primary.

    Fences it, removes it and its volumes, gives it a new archive generation, recovers it from the primary's
    archive, and checks that it follows. Its old archive stays in S3. Asks for the cluster's name.
    Interrupted, run it again.

    Examples:
      pgaas rebuild --ins ic1 --env prod --dc dc1
      pgaas rebuild --ins ic1 --env prod --dc dc1 --confirm prod-ic1-dc1
    """
    from pgaas.operations import rebuild as operation

    plan = operation.plan_rebuild(root_folder(root), ins, env, dc, force=force)
    for line in plan.lines:
        say(line)
    operation.check_confirmation(plan, retyped(confirm, "to make it anew", plan))
    done = operation.rebuild(plan, timeout=timeout, progress=progress_for(verbose=verbose))
    out_json(as_json(done)) if output is Output.json else show(done)


def show(done: Rebuilt) -> None:
    """Print a timed summary."""
    out_steps(done.steps)
    out(f"{done.cluster} follows {done.source}, archives as {done.server_name} ({done.seconds:.0f} s)")
    if done.clients_file:
        out(f"commit {done.clients_file}")


def as_json(done: Rebuilt) -> dict[str, object]:
    """Return what was done for a program."""
    return {
        "cluster": done.cluster,
        "source": done.source,
        "server_name": done.server_name,
        "clients_file": done.clients_file,
        "steps": plain_steps(done.steps),
        "seconds": round(done.seconds, 1),
    }

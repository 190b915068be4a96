"""`pgaas promote`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from pgaas.cli.asking import retyped
from pgaas.cli.durations import TimeoutOption
from pgaas.cli.options import (
    ConfirmOption,
    DcOption,
    EnvOption,
    InsOption,
    NoWaitBackupOption,
    Output,
    OutputOption,
    RootOption,
    VerboseOption,
    root_folder,
)
from pgaas.cli.output import out, out_json, say
from pgaas.cli.progress import progress_for
from pgaas.cli.steps import out_steps, plain_steps

if TYPE_CHECKING:
    from pgaas.operations.promote import Plan, Promotion

TokenOption = Annotated[
    str | None,
    typer.Option(
        "--demotion-token",
        help="The token that demote printed; - reads it from stdin. Without one, data may be lost.",
        metavar="TOKEN",
        envvar="PGAAS_DEMOTION_TOKEN",
        show_envvar=True,
        show_default=False,
    ),
]


def promote(
    ins: InsOption,
    env: EnvOption,
    dc: DcOption = None,
    demotion_token: TokenOption = None,
    confirm: ConfirmOption = None,
    timeout: TimeoutOption = "5m",  # type: ignore[assignment]
    no_wait_backup: NoWaitBackupOption = False,
    output: OutputOption = Output.text,
    root: RootOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Make a replica the primary: with a demotion's token, or without one when the primary is lost.

    With the token nothing is lost. Without one it shows what is known of the other side and what would be
    lost, and asks for the cluster's name; the other side is marked as lost, and must be rebuilt. Then it
    moves the DNS name, writes clients.yaml, syncs the releases, takes a base backup and writes once through
    the name.

    Examples:
      pgaas promote --ins ic1 --env prod --dc dc2 --demotion-token "$TOKEN"
      pgaas promote --ins ic1 --env prod --dc dc2
    """
    from pgaas.operations import promote as operation
    from pgaas.operations.target import find_target

    folder = root_folder(root)
    token = sys.stdin.read().strip() if demotion_token == "-" else demotion_token
    own = find_target(folder, ins, env, dc).dc
    plan = operation.plan_promotion(folder, ins, env, own, token)
    show_plan(plan)
    operation.check_confirmation(
        plan, retyped(confirm, "to promote it without a token", plan) if plan.forced else None
    )
    done = operation.promote(
        plan, timeout=timeout, wait_backup=not no_wait_backup, progress=progress_for(verbose=verbose)
    )
    out_json(as_json(done, plan)) if output is Output.json else show(done)


def show_plan(plan: Plan) -> None:
    """Say what is known of the other sides, and what a promotion without a token loses."""
    for line in plan.seen:
        say(line)
    if plan.forced:
        say(f"WITHOUT A TOKEN: {plan.cluster} becomes the primary, and what it has not received is lost")
        say(f"lost: {plan.loss_detail}")
        say(f"{plan.lost} is marked as lost: it is fenced when it returns, and must be rebuilt")


def show(done: Promotion) -> None:
    """Print a timed summary."""
    out_steps(done.steps)
    out(
        f"{done.cluster} is the primary ({done.seconds:.0f} s; took writes after {done.writable_after:.1f} s)"
    )
    out(f"commit {done.finished.clients_file}")
    if done.lost:
        out(f"{done.lost} is marked as lost: keep pgaas fence --dc {done.lost} --wait-for-return 24h running")


def as_json(done: Promotion, plan: Plan) -> dict[str, object]:
    """Return what was done for a program."""
    loss = plan.loss
    return {
        "cluster": done.cluster,
        "forced": done.forced,
        "already": done.already,
        "lost": done.lost,
        "loss": {
            "seconds": loss.seconds if loss else None,
            "bytes": loss.bytes if loss else None,
            "at_least": loss.at_least if loss else None,
            "detail": plan.loss_detail,
        },
        "seen": list(plan.seen),
        "writable_after": round(done.writable_after, 2),
        "written": done.finished.written.tried,
        "backup": done.finished.backup,
        "clients_file": done.finished.clients_file,
        "steps": plain_steps(done.steps),
        "seconds": round(done.seconds, 1),
    }

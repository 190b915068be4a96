"""`pgaas fence`."""

from __future__ import annotations

from typing import Annotated

import typer

from pgaas.cli.durations import parse_duration
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
from pgaas.cli.output import out, out_json
from pgaas.cli.progress import progress_for

FencedDcOption = Annotated[
    str,
    typer.Option(
        "--dc", help="The datacenter, or the cluster, to fence.", metavar="DC", autocompletion=complete_dc
    ),
]
ReturnOption = Annotated[
    float | None,
    typer.Option(
        "--wait-for-return",
        help="How long to wait for a datacenter that is away, such as 12h; it is fenced as it returns.",
        metavar="TIME",
        parser=parse_duration,
        show_default=False,
    ),
]


def fence(
    ins: InsOption,
    env: EnvOption,
    dc: FencedDcOption,
    wait_for_return: ReturnOption = None,
    output: OutputOption = Output.text,
    root: RootOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Keep a datacenter's cluster from taking writes: hibernate it, its volumes stay.

    For a side that was lost and given up: run it at once with --wait-for-return, and the side is fenced
    within a second of its return. Refuses to fence the only primary.

    Examples:
      pgaas fence --ins ic1 --env prod --dc dc1
      pgaas fence --ins ic1 --env prod --dc dc1 --wait-for-return 24h
    """
    from dataclasses import asdict

    from pgaas.operations import fence as operation

    progress = progress_for(verbose=verbose)
    done = operation.fence(
        root_folder(root), ins, env, dc, wait_for_return=wait_for_return or 0.0, progress=progress
    )
    if output is Output.json:
        out_json(asdict(done))
    else:
        out(f"{done.cluster}: {'fenced' if done.was_there else 'is not there'} ({done.seconds:.0f} s)")

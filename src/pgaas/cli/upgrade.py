"""`pgaas upgrade`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pgaas.cli.durations import TimeoutOption
from pgaas.cli.options import DcOption, EnvOption, InsOption, RootOption, VerboseOption, root_folder
from pgaas.cli.output import out
from pgaas.cli.progress import progress_for

if TYPE_CHECKING:
    from pgaas.operations.upgrade import Upgraded

ForceOption = Annotated[
    bool, typer.Option("--force", help="Upgrade a cluster that is not healthy to begin with.")
]


def upgrade(
    ins: InsOption,
    env: EnvOption,
    dc: DcOption = None,
    force: ForceOption = False,
    timeout: TimeoutOption = "30m",  # type: ignore[assignment]
    root: RootOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Roll the image of postgresql.yaml's catalog out, within the same major version.

    Replicas restart first, then the primary is switched over. Each instance is followed until all run the new
    image. A change of major version is refused (exit 8), and so is an unhealthy cluster.

    Examples:
      pgaas upgrade --ins ic1 --env prod --dc dc1
    """
    from pgaas.operations import upgrade as operation
    from pgaas.operations.target import find_target

    folder = root_folder(root)
    target = find_target(folder, ins, env, dc)
    show(
        operation.upgrade(
            folder, target, force=force, timeout=timeout, progress=progress_for(verbose=verbose)
        )
    )


def show(done: Upgraded) -> None:
    """Print what happened, and when."""
    if not done.changed:
        out(f"{done.cluster}: nothing to do, every instance runs {done.image}")
        return
    for happening in done.happenings:
        out(f"{happening.seconds:6.1f} s  {happening.text}")
    out(f"{done.cluster}: every instance runs {done.image}, healthy ({done.seconds:.0f} s)")

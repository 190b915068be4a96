"""`pgaas wait`."""

from __future__ import annotations

from pgaas.cli.durations import TimeoutOption
from pgaas.cli.options import DcOption, EnvOption, InsOption, RootOption, VerboseOption, root_folder
from pgaas.cli.output import out
from pgaas.cli.progress import progress_for


def wait(
    ins: InsOption,
    env: EnvOption,
    dc: DcOption = None,
    timeout: TimeoutOption = "10m",  # type: ignore[assignment]
    root: RootOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Wait until a cluster is healthy, whole, archiving and backed up.

    Exit 7 when the time is up, with what is stuck and why; exit 9 when there is no such cluster, or when it
    cannot become healthy by itself.

    Examples:
      pgaas wait --ins ic1 --env local --dc local1 --timeout 5m
    """
    from pgaas.operations.target import find_target
    from pgaas.operations.wait import wait_healthy

    folder = root_folder(root)
    target = find_target(folder, ins, env, dc)
    health = wait_healthy(folder, target, timeout=timeout, progress=progress_for(verbose=verbose))
    out(f"{health.cluster}: healthy ({health.seconds:.0f} s)")

"""`pgaas backup`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pgaas.cli.durations import TimeoutOption
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
from pgaas.cli.output import out, out_json, spelled
from pgaas.cli.progress import progress_for

if TYPE_CHECKING:
    from pgaas.operations.backup_now import Taken

WaitOption = Annotated[
    bool, typer.Option("--wait/--no-wait", help="Wait until it is complete, or only ask for it.")
]


def backup(
    ins: InsOption,
    env: EnvOption,
    dc: DcOption = None,
    wait: WaitOption = True,
    timeout: TimeoutOption = "1h",  # type: ignore[assignment]
    output: OutputOption = Output.text,
    root: RootOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Take a base backup now, or join one that is under way.

    It goes into the archive of the cluster's own datacenter; a replica can be backed up too, and may take
    some minutes longer. Exit 9 with why when it fails, 7 when the time is up: it goes on by itself, and the
    same command joins it again.

    Examples:
      pgaas backup --ins ic1 --env prod
      pgaas backup --ins ic1 --env prod --dc dc2 --no-wait
    """
    from pgaas.operations.backup_now import backup_now
    from pgaas.operations.target import find_target

    folder = root_folder(root)
    target, progress = find_target(folder, ins, env, dc), progress_for(verbose=verbose)
    taken = backup_now(folder, target, wait=wait, timeout=timeout, progress=progress)
    out_json(as_json(taken)) if output is Output.json else show(taken)


def show(taken: Taken) -> None:
    """Print what was taken."""
    if not taken.done:
        out(f"{taken.name}: {'under way already' if taken.joined else 'asked for'}")
        return
    facts = [f"id {taken.backup_id}"] if taken.backup_id else []
    facts += [spelled(taken.size)] if taken.size is not None else []
    facts += [f"took {taken.took:.0f} s"] if taken.took is not None else []
    facts += [f"WAL {taken.begin_wal} to {taken.end_wal}"] if taken.begin_wal and taken.end_wal else []
    out(f"{taken.name}: completed ({', '.join(facts) or f'{taken.seconds:.0f} s'})")


def as_json(taken: Taken) -> dict[str, object]:
    """Return what was taken for a program."""
    return {
        "cluster": taken.cluster,
        "backup": taken.name,
        "joined": taken.joined,
        "completed": taken.done,
        "backup_id": taken.backup_id,
        "begin_wal": taken.begin_wal,
        "end_wal": taken.end_wal,
        "bytes": taken.size,
        "took_seconds": None if taken.took is None else round(taken.took, 1),
        "seconds": round(taken.seconds, 1),
    }

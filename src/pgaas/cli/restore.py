"""`pgaas restore`."""

from __future__ import annotations

from pathlib import Path
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
from pgaas.cli.output import out, out_json, say
from pgaas.cli.progress import progress_for
from pgaas.cli.restored import as_json, refuse_what_is_missing, show
from pgaas.errors import UsageError

if TYPE_CHECKING:
    from pgaas.config.naming import Target
    from pgaas.operations.restore import Choices
    from pgaas.operations.restore_plan import Wanted
    from pgaas.operations.restore_remove import Gone, Plan

AsOption = Annotated[
    str,
    typer.Option(
        "--as",
        help="The new cluster's name, such as before-the-drop: nothing may have it yet.",
        metavar="NEW",
    ),
]
ToTimeOption = Annotated[
    str | None,
    typer.Option(
        "--to-time",
        help="All that was committed until then, RFC 3339 with its zone: 2026-11-28T14:30:00Z.",
        metavar="TIME",
        show_default=False,
    ),
]
ToBackupOption = Annotated[
    str | None,
    typer.Option(
        "--to-backup",
        help="A base backup as it was when it ended, by its id.",
        metavar="ID",
        show_default=False,
    ),
]
LatestOption = Annotated[bool, typer.Option("--latest", help="All that the archive holds.")]
ArchiveOption = Annotated[
    str | None,
    typer.Option(
        "--archive",
        help="The archive to restore from, as `pgaas backups` names it: another datacenter's, or a former "
        "life's. By default the datacenter's own, the newest that holds it.",
        metavar="NAME",
        show_default=False,
    ),
]
DeepOption = Annotated[
    bool,
    typer.Option("--deep", help="Check every page of every table and index afterwards (amcheck): slow."),
]
RemoveOption = Annotated[
    bool, typer.Option("--remove", help="Remove the restored cluster; asks for its name.")
]
NoWaitOption = Annotated[bool, typer.Option("--no-wait", help="Begin, and neither wait nor check.")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be restored from which backup; change nothing.")
]


def restore(
    ins: InsOption,
    env: EnvOption,
    name: AsOption,
    dc: DcOption = None,
    to_time: ToTimeOption = None,
    to_backup: ToBackupOption = None,
    latest: LatestOption = False,
    archive: ArchiveOption = None,
    deep: DeepOption = False,
    remove: RemoveOption = False,
    confirm: ConfirmOption = None,
    dry_run: DryRunOption = False,
    no_wait: NoWaitOption = False,
    timeout: TimeoutOption = "1h",  # type: ignore[assignment]
    output: OutputOption = Output.text,
    root: RootOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Restore into a new cluster beside the old one, and check it.

    The new cluster is in the client's namespace, has one instance, and is nobody's primary: no DNS name, no
    LoadBalancer, no replica, no metrics. The client's certificates open it, at NEW-rw. It has no archiver: it
    never writes to the archive that it came from, and nothing of it is backed up. The old cluster goes on; it
    is only told to archive the WAL that it has written until now.

    Afterwards it is looked at: where recovery ended, databases and roles against databases.yaml, the first
    page of every table, what pg_dump reads of each schema. Exit 9 when something is missing; 8 when the name
    is taken, or the archive does not get there: it says to when one can restore. Interrupted, run it again.
    Without a target it waits for a restore that was begun, and checks it again.

    Examples:
      pgaas restore --ins ic1 --env prod --to-time 2026-11-28T14:30:00Z --as before-the-drop
      pgaas restore --ins ic1 --env prod --to-backup 20261128T010000 --as last-night
      pgaas restore --ins ic1 --env prod --dc dc1 --archive prod-ic1-dc2 --latest --as from-dc2
      pgaas restore --ins ic1 --env prod --as before-the-drop --remove
    """
    from pgaas.operations.restore import Choices
    from pgaas.operations.target import find_target

    wanted = asked_for(name, to_time, to_backup, archive, latest=latest, remove=remove)
    folder = root_folder(root)
    target = find_target(folder, ins, env, dc)
    if remove:
        removing(folder, target, name, confirm, timeout, output, verbose=verbose)
        return
    restoring(folder, target, wanted, Choices(dry_run, not no_wait, deep, timeout), output, verbose=verbose)


def asked_for(
    name: str, to_time: str | None, to_backup: str | None, archive: str | None, *, latest: bool, remove: bool
) -> Wanted:
    """Return what is to be restored; raise UsageError for more than one target, or one with --remove."""
    from pgaas.config.restored import parse_moment
    from pgaas.operations.restore_plan import Wanted

    given = {"--to-time": to_time is not None, "--to-backup": to_backup is not None, "--latest": latest}
    named = [flag for flag, is_given in given.items() if is_given]
    if len(named) > 1 or (remove and (named or archive)):
        raise UsageError(
            f"{' and '.join([*named, *(['--remove'] if remove else [])])} do not go together",
            next_step="one of --to-time, --to-backup and --latest says what to restore; --remove takes none",
        )
    if to_backup is not None and not to_backup.strip():
        raise UsageError("--to-backup '' is no backup's id", next_step="pgaas backups lists them")
    moment = parse_moment(to_time) if to_time is not None else None
    return Wanted(name, moment, (to_backup or "").strip(), latest, archive or "")


def restoring(
    folder: Path, target: Target, wanted: Wanted, choices: Choices, output: Output, *, verbose: bool
) -> None:
    """Restore, and print what came of it."""
    from pgaas.operations.restore import restore

    done = restore(folder, target, wanted, choices, progress_for(verbose=verbose))
    out_json(as_json(done)) if output is Output.json else show(done, dry_run=choices.dry_run)
    refuse_what_is_missing(done)


def removing(
    folder: Path,
    target: Target,
    name: str,
    confirm: str | None,
    timeout: float,
    output: Output,
    *,
    verbose: bool,
) -> None:
    """Ask, remove a restored cluster, and print what went."""
    from pgaas.operations import restore_remove as operation

    plan = operation.plan_removal(folder, target, name)
    show_removal(plan)
    if plan.goes:
        operation.check_confirmation(plan, retyped(confirm, "to remove it", plan))
    gone = operation.remove(plan, timeout=timeout, progress=progress_for(verbose=verbose))
    out_json(gone_json(gone)) if output is Output.json else show_gone(gone)


def show_removal(plan: Plan) -> None:
    """Say what goes and what stays."""
    say("goes:")
    for line in plan.goes or ("nothing: there is no restored cluster of this name",):
        say(f"  {line}")
    say(f"stays: {plan.source.cluster}, all archives, other restored clusters")


def show_gone(gone: Gone) -> None:
    """Print what went."""
    out(
        f"{gone.cluster}: removed ({gone.seconds:.0f} s)"
        if gone.was_there
        else f"{gone.cluster}: was not there"
    )


def gone_json(gone: Gone) -> dict[str, object]:
    """Return what went for a program."""
    return {
        "cluster": gone.cluster,
        "was_there": gone.was_there,
        "removed": list(gone.removed.objects),
        "namespace_removed": gone.namespace_removed,
        "seconds": round(gone.seconds, 1),
    }

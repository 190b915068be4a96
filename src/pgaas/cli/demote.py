"""`pgaas demote`."""

from __future__ import annotations

import os
from pathlib import Path
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
    complete_dc,
    root_folder,
)
from pgaas.cli.output import out, out_json, say
from pgaas.cli.progress import progress_for
from pgaas.cli.steps import plain_steps
from pgaas.errors import UsageError

if TYPE_CHECKING:
    from pgaas.operations.demote import Demoted

NewPrimaryOption = Annotated[
    str,
    typer.Option(
        "--new-primary",
        help="The datacenter, or the cluster, that will be the primary.",
        metavar="DC",
        autocompletion=complete_dc,
    ),
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        help="Write the token to a new file (mode 0600) and not to stdout.",
        metavar="FILE",
        show_default=False,
    ),
]


def demote(
    ins: InsOption,
    env: EnvOption,
    new_primary: NewPrimaryOption,
    dc: DcOption = None,
    token_file: TokenFileOption = None,
    timeout: TimeoutOption = "5m",  # type: ignore[assignment]
    output: OutputOption = Output.text,
    root: RootOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Make a primary the replica of another datacenter's cluster, and print the token that promotes that one.

    Writes stop until the other side is promoted. Only this side's context is needed. stdout is the token and
    nothing else. Run again, it prints the same token. `switchover` does both halves and what follows.

    Examples:
      TOKEN=$(pgaas demote --ins ic1 --env prod --dc dc1 --new-primary prod-ic1-dc2)
      pgaas demote --ins ic1 --env prod --dc dc1 --new-primary dc2 --token-file token
    """
    from pgaas.operations import demote as operation
    from pgaas.operations.target import find_target

    folder = root_folder(root)
    check_new(token_file)
    target, progress = find_target(folder, ins, env, dc), progress_for(verbose=verbose)
    done = operation.demote(folder, ins, env, target.dc, new_primary, timeout=timeout, progress=progress)
    hand_over(done, token_file, output)
    say(f"now: pgaas promote --ins {ins} --env {env} --dc {done.new_datacenter} --demotion-token …")


def check_new(file: Path | None) -> None:
    """Raise UsageError if there is something where the token is to be written."""
    if file and (file.exists() or not file.parent.is_dir()):
        raise UsageError(
            f"{file} cannot be a new file", next_step="name one that does not exist, in a folder that does"
        )


def hand_over(done: Demoted, file: Path | None, output: Output) -> None:
    """Write the token to a file that only its owner can read, or print it."""
    if file:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as opened:
            opened.write(done.token.text + "\n")
    if output is Output.json:
        out_json(as_json(done, with_token=file is None))
    elif file is None:
        out(done.token.text)


def as_json(done: Demoted, *, with_token: bool) -> dict[str, object]:
    """Return what was done for a program."""
    token = {"token": done.token.text} if with_token else {}
    return {
        "cluster": done.cluster,
        "new_primary": done.new_primary,
        "already": done.already,
        "timeline": done.token.timeline,
        "system_id": done.token.system_id,
        **token,
        "steps": plain_steps(done.steps),
        "seconds": round(done.seconds, 1),
    }

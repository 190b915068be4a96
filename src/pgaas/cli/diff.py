"""`pgaas diff`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgaas.cli.options import (
    OptionalEnvOption,
    RootOption,
    VerboseOption,
    complete_dc,
    complete_ins,
    root_folder,
)
from pgaas.cli.output import out_json
from pgaas.cli.progress import progress_for

if TYPE_CHECKING:
    from pgaas.operations.diff_values import Diff


class DiffOutput(StrEnum):
    """How the review is printed."""

    text = "text"
    json = "json"
    markdown = "markdown"


class Limit(StrEnum):
    """From which mark on a CI job fails."""

    reload = "reload"
    restart = "restart"
    disruptive = "disruptive"
    forbidden = "forbidden"


ClientsOption = Annotated[
    list[str],
    typer.Option(
        "--ins",
        help="A client's code; repeatable, or several with commas.",
        metavar="INS",
        autocompletion=complete_ins,
        show_default=False,
    ),
]
DatacenterOption = Annotated[
    str | None,
    typer.Option(
        "--dc",
        help="The datacenter; by default all of them.",
        metavar="DC",
        autocompletion=complete_dc,
        show_default=False,
    ),
]
AllOption = Annotated[bool, typer.Option("--all", help="Every client, environment and datacenter.")]
AgainstOption = Annotated[
    str | None,
    typer.Option(
        "--against",
        help="Compare with confs of this Git revision, without a cluster.",
        metavar="REF",
        show_default=False,
    ),
]
BeforeOption = Annotated[
    Path | None,
    typer.Option(
        "--before",
        help="Compare two folders that `pgaas generate --all` wrote: this one …",
        metavar="FOLDER",
        show_default=False,
    ),
]
AfterOption = Annotated[
    Path | None,
    typer.Option("--after", help="… and this one.", metavar="FOLDER", show_default=False),
]
FailOnOption = Annotated[
    Limit | None,
    typer.Option(
        "--fail-on",
        help="Exit 8 if the change does this, or worse; what is unknown is as bad as disruptive.",
        show_default=False,
    ),
]
DiffOutputOption = Annotated[
    DiffOutput,
    typer.Option(
        "--output",
        "-o",
        help="How to print: text, json for a program, or markdown for a merge request.",
    ),
]


def diff(
    ins: ClientsOption = [],  # noqa: B006
    env: OptionalEnvOption = None,
    dc: DatacenterOption = None,
    everyone: AllOption = False,
    against: AgainstOption = None,
    before: BeforeOption = None,
    after: AfterOption = None,
    fail_on: FailOnOption = None,
    output: DiffOutputOption = DiffOutput.text,
    root: RootOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Review a change: what it does to each cluster, from nothing to forbidden. It changes nothing.

    By default confs are compared with what is live: the values of the deployed release, and the objects by a
    dry run of the API server. With --against, or --before and --after, no cluster is asked. Each changed
    value has a mark: nothing, reload, rolling restart, disruptive or forbidden; docs/diff.md has them all.

    Examples:
      pgaas diff --ins ic1 --env prod
      pgaas diff --all --against origin/main
      pgaas diff --ins ic1,is1 --against origin/main --fail-on disruptive
      pgaas diff --all --before base/confs/_generated --after confs/_generated -o markdown
    """
    from pgaas.operations import diff as operation
    from pgaas.operations.diff_select import selection
    from pgaas.render.marks import Mark

    chosen = selection(ins, env, dc, everyone=everyone)
    comparison = operation.Comparison(against, before, after)
    folder = None if before and after else root_folder(root)
    found = operation.diff(folder, chosen, comparison, progress_for(verbose=verbose))
    show(found, output)
    operation.refuse_from(found, Mark(fail_on.value) if fail_on else None)


def show(found: Diff, output: DiffOutput) -> None:
    """Print a review."""
    if output is DiffOutput.json:
        from pgaas.cli.diff_json import as_json

        out_json(as_json(found))
    elif output is DiffOutput.markdown:
        from pgaas.cli.diff_markdown import out_markdown

        out_markdown(found)
    else:
        from pgaas.cli.diff_text import out_text

        out_text(found)

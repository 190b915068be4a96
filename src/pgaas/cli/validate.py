"""`pgaas validate`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgaas.cli.options import RootOption, named_users, optional_root_folder
from pgaas.cli.output import out, out_json, say
from pgaas.cli.progress import progress_for
from pgaas.errors import ConfigError

if TYPE_CHECKING:
    from pgaas.errors import ConfigIssue
    from pgaas.operations.validate import Validated


class Report(StrEnum):
    """How the issues are printed."""

    text = "text"
    json = "json"
    gitlab = "gitlab"


FilesArgument = Annotated[
    list[Path],
    typer.Argument(
        help="Clients' files, or folders with some; by default all of them.",
        metavar="[FILE]...",
        show_default=False,
    ),
]
ReportOption = Annotated[
    Report,
    typer.Option("--output", "-o", help="How to print: text, json, or gitlab for its code quality report."),
]


def validate(
    files: FilesArgument = [],  # noqa: B006
    root: RootOption = None,
    output: ReportOption = Report.text,
) -> None:
    """Check clients' databases.yaml: every issue, with its file and line. Exit 3 if there is any.

    With the platform team's files (--root, or the nearest root upwards) a file is checked as a deployment
    does it. Without them, as in the clients' own repository, it is checked by itself, and what that leaves
    out is said. A file lies in INS/ENV/databases.yaml, or in INS/hp/ENV/databases.yaml.

    Examples:
      pgaas validate ic1/prod/databases.yaml
      pgaas validate . -o gitlab
      pgaas validate --root ../pgaas --users .
    """
    from pgaas.operations.validate import validate_files

    paths = files or named_users()
    done = validate_files(paths, optional_root_folder(root), progress_for(verbose=False))
    show(done, output)
    if done.issues:
        raise ConfigError(done.issues, next_step="mend them; `pgaas schema` makes an editor see most of them")


def show(done: Validated, output: Report) -> None:
    """Print what was checked; the issues of a text are left to the error."""
    if output is Report.gitlab:
        out_json([quality(issue) for issue in done.issues])
    elif output is Report.json:
        issues = [issue._asdict() for issue in done.issues]
        out_json({"files": done.files, "issues": issues, "unchecked": done.unchecked})
    elif not done.issues:
        out(f"{len(done.files)} {'file is' if len(done.files) == 1 else 'files are'} valid")
    if output is not Report.json and done.unchecked:
        say(f"note: not checked: {'; '.join(done.unchecked)}")


def quality(issue: ConfigIssue) -> dict[str, object]:
    """Return an issue as GitLab's code quality report takes it; its line moves no fingerprint."""
    from hashlib import sha256

    return {
        "description": f"{issue.path}: {issue.message}" if issue.path else issue.message,
        "check_name": "pgaas validate",
        "fingerprint": sha256("\0".join([issue.file, issue.path, issue.message]).encode()).hexdigest(),
        "severity": "major",
        "location": {"path": issue.file, "lines": {"begin": issue.line or 1}},
    }

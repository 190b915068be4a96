"""`pgaas generate`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pgaas.cli.options import (
    DcOption,
    OptionalEnvOption,
    OptionalInsOption,
    Output,
    OutputOption,
    RootOption,
    needed,
    root_folder,
)
from pgaas.cli.output import out, out_json, shown_path
from pgaas.errors import ConfigError, UsageError


def generate(
    ins: OptionalInsOption = None,
    env: OptionalEnvOption = None,
    dc: DcOption = None,
    everyone: Annotated[
        bool, typer.Option("--all", help="Every client, environment and datacenter, in one go.")
    ] = False,
    root: RootOption = None,
    output: OutputOption = Output.text,
) -> None:
    """Write a cluster's values file, and print its path. Needs neither a cluster nor helm.

    The file is confs/_generated/INS-ENV/DC/values.yaml. For the environment local, the files of the local
    infrastructure are written too. With --all, so are those of each real environment's collectors, and what
    is wrong with one client does not keep the others from being written: everything wrong is listed at the
    end, and the exit code is 3.

    Examples:
      pgaas generate --ins ic1 --env prod --dc dc2
      pgaas generate --ins ic1 --env dev1
      pgaas generate --all
      pgaas generate --all --env prod -o json
    """
    from pgaas.cli.progress import progress_for
    from pgaas.operations import generate as operation

    if everyone:
        _refuse_with_all(ins, dc)
        written = operation.generate_all(root_folder(root), env, progress_for(verbose=False))
    else:
        written = operation.generate(root_folder(root), needed("--ins", ins), needed("--env", env), dc)
    _print(written, output)
    if written.issues:
        raise ConfigError(written.issues, next_step="mend them; the other clients' files were written")


def _refuse_with_all(ins: str | None, dc: str | None) -> None:
    given = [flag for flag, value in (("--ins", ins), ("--dc", dc)) if value is not None]
    if given:
        raise UsageError(f"--all takes no {' and no '.join(given)}", next_step="leave one of them out")


def _print(written: Any, output: Output) -> None:
    if output is Output.text:
        for path in written.paths:
            out(shown_path(path))
        return
    targets = [
        {"ins": target.ins, "env": target.env, "dc": target.dc, "files": list(map(shown_path, files))}
        for target, files in written.files.items()
    ]
    issues = [
        {"file": issue.file, "line": issue.line, "path": issue.path, "message": issue.message}
        for issue in written.issues
    ]
    out_json(
        {
            "targets": targets,
            "localInfra": list(map(shown_path, written.infra_files)),
            "collectors": list(map(shown_path, written.collector_files)),
            "issues": issues,
            "usersRevision": written.users_revision,
        }
    )

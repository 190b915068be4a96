"""`pgaas package`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgaas.cli.options import Output, OutputOption, RootOption, VerboseOption, root_folder
from pgaas.cli.output import out as print_out
from pgaas.cli.output import out_json, shown_path
from pgaas.cli.progress import progress_for

if TYPE_CHECKING:
    from pgaas.operations.package import Package

OutOption = Annotated[
    Path, typer.Option("--out", help="The folder to write the package to; made if needed.", metavar="FOLDER")
]


def package(
    out: OutOption = Path("dist"),
    output: OutputOption = Output.text,
    root: RootOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Write pgaas-VERSION.zip from the commit that is checked out, and print its path and SHA-256.

    In it are the wheel with its locked requirements, charts/, local-infra/, manifests/, helmfile.yaml with
    its checks, confs/admin without local, a bill of materials (CycloneDX) and SHA256SUMS. Nothing that git
    does not track is in it; changes that are not committed are refused. The same commit gives the same
    bytes. Needs git and uv.

    Examples:
      pgaas package
      pgaas package --out /tmp/packages -o json
    """
    from pgaas.operations import package as operation

    done = operation.package(root_folder(root), out, progress_for(verbose=verbose))
    if output is Output.json:
        out_json(as_json(done))
    else:
        print_out(f"{shown_path(done.path)}\nsha256:{done.sha256}")


def as_json(done: Package) -> dict[str, object]:
    """Return what was written for a program."""
    return {
        "path": str(done.path),
        "version": done.version,
        "python_version": done.python_version,
        "release": done.is_release,
        "commit": done.commit,
        "tag": done.tag,
        "sha256": done.sha256,
        "size": done.size,
        "wheel": done.wheel,
        "files": [{"name": file.name, "sha256": file.sha256, "size": file.size} for file in done.files],
        "left_out": list(done.left_out),
    }

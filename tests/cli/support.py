"""What the tests of the command line share."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PARTS = ("confs/admin", "confs/users", "helmfile.yaml", "helmfile-checks", "charts/core", "local-infra")


@dataclass(frozen=True)
class Ran:
    """How a command line ended."""

    code: int
    out: str
    err: str


def run_process(
    *arguments: str, cwd: Path, env: Mapping[str, str] | None = None, stdin: str | None = None
) -> Ran:
    """Run pgaas as a user does, in a process of its own without a terminal."""
    done = subprocess.run(
        [sys.executable, "-m", "pgaas", *arguments],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def fake_tool(folder: Path, name: str, script: str) -> None:
    """Put a program of that name into a folder: a shell script."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def path_with_tools(folder: Path) -> str:
    """Return a PATH with helm and helmfile: this machine's, or else the lab's, built if need be."""
    for name in ("helm", "helmfile"):
        found = shutil.which(name)
        if found is None:
            from pgaas_lab.tools import ensure

            found = str(ensure(name))
        (folder / name).symlink_to(found)
    return f"{folder}:{os.environ['PATH']}"

"""A PostgreSQL of one's own for a moment: on a socket in a folder of its own, reachable by nobody else."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

# PostgreSQL does not run as root.
UNPRIVILEGED = "nobody"
PORT = "5432"


def installed() -> dict[int, Path]:
    """Return the servers of this machine, by major version: the folder of its programs."""
    patterns = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin")
    folders = [folder for pattern in patterns for folder in Path("/").glob(pattern)]
    return {version(folder)[0]: folder for folder in sorted(folders) if (folder / "postgres").is_file()}


def version(programs: Path) -> tuple[int, str]:
    """Return a server's major version, and its whole one."""
    said = subprocess.run([programs / "postgres", "--version"], check=True, capture_output=True, text=True)
    found = re.search(r"\(PostgreSQL\) ((\d+)[.\w]*)", said.stdout)
    assert found, said.stdout
    return int(found[2]), found[1]


@contextmanager
def running(programs: Path, libraries: Iterable[str] = ()) -> Iterator[psycopg.Connection[tuple[str, str]]]:
    """Give a connection as superuser to a server that is made for it, and gone afterwards.

    It preloads those of the libraries that it has.
    """
    user = UNPRIVILEGED if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="settings-"))
    try:
        if user:
            os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
        data, log = folder / "data", folder / "log"
        _call(programs, "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-N", user=user)
        there = [name for name in libraries if next((programs.parent / "lib").rglob(f"{name}.so"), None)]
        options = (
            f"-c listen_addresses= -c port={PORT} -c unix_socket_directories={folder} -c fsync=off"
            f" -c shared_preload_libraries={','.join(there)}"
        )
        _call(programs, "pg_ctl", "-D", data, "-l", log, "-o", options, "-w", "start", user=user)
        try:
            with psycopg.connect(
                host=str(folder), port=PORT, user="postgres", dbname="postgres", autocommit=True
            ) as connection:
                yield connection
        finally:
            _call(programs, "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop", user=user)
    finally:
        shutil.rmtree(folder)


def _call(programs: Path, name: str, *arguments: object, user: str | None) -> None:
    # Not captured: the server would keep the pipe of pg_ctl open.
    command = [str(programs / name), *map(str, arguments)]
    with tempfile.TemporaryFile() as said:
        done = subprocess.run(command, cwd="/", user=user, stdout=said, stderr=said, check=False)
        if done.returncode:
            said.seek(0)
            raise RuntimeError(f"{name}: {said.read().decode(errors='replace')}")

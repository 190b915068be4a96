"""A real PostgreSQL on an address of this machine, port 5432, that lets in by certificate only."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pgaas_lab import packages

PORT = 5432
OWNER = "postgres"
SETTINGS = """
listen_addresses = '{address}'
port = {port}
unix_socket_directories = '{folder}'
ssl = on
ssl_cert_file = '{folder}/server.crt'
ssl_key_file = '{folder}/server.key'
ssl_ca_file = '{folder}/clients.crt'
fsync = off
"""


@dataclass
class Postgres:
    """A running server."""

    folder: Path
    address: str
    programs: Path

    def sql(self, *statements: str, database: str = "postgres") -> str:
        """Run SQL as the superuser, over the socket."""
        argv = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", str(self.folder), "-U", OWNER, "-d", database]
        commands = [word for statement in statements for word in ("-c", statement)]
        return subprocess.run([*argv, *commands], check=True, capture_output=True, text=True).stdout.strip()

    def control(self, *arguments: str) -> None:
        """Run pg_ctl."""
        argv = [str(self.programs / "pg_ctl"), "-D", str(self.folder / "data"), "-w", "-s", *arguments]
        done = subprocess.run(as_owner(argv), capture_output=True, text=True, check=False, cwd="/")
        log = self.folder / "log"
        assert done.returncode == 0, done.stderr + (log.read_text() if log.exists() else "")


@contextmanager
def running(
    *, certificate: str, key: str, clients: str, hba: Sequence[str], ident: Sequence[str]
) -> Iterator[Postgres]:
    """Run a server with a certificate, that trusts whom `clients` signed, by these rules."""
    programs = bin_folder()
    # Not below pytest's: only its own user may enter that, and PostgreSQL is never root.
    folder = Path(tempfile.mkdtemp(prefix="pgaas-postgres-"))
    server = Postgres(folder, free_address(), programs)
    try:
        files = {"server.crt": certificate, "server.key": key, "clients.crt": clients}
        for name, content in files.items():
            (folder / name).write_text(content)
            (folder / name).chmod(0o600)
        own(folder)
        data = folder / "data"
        initdb = [str(programs / "initdb"), "-D", str(data), "-U", OWNER, "-A", "trust", "-N"]
        subprocess.run(as_owner(initdb), check=True, capture_output=True, cwd="/")
        (data / "pg_hba.conf").write_text("\n".join(["local all all trust", *hba]) + "\n")
        (data / "pg_ident.conf").write_text("\n".join(ident) + "\n")
        settings = SETTINGS.format(address=server.address, port=PORT, folder=folder)
        with (data / "postgresql.conf").open("a") as file:
            file.write(settings)
        server.control("-l", str(folder / "log"), "start")
        yield server
    finally:
        with suppress(AssertionError):
            server.control("-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def bin_folder() -> Path:
    """Return where PostgreSQL's programs are; where they are missing, root installs them."""
    found = _found()
    if found is None and os.geteuid() == 0:
        packages.install(["postgresql", "postgresql-client"])
        found = _found()
    assert found is not None, "these tests need PostgreSQL: install the package postgresql"
    return found


def _found() -> Path | None:
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if installed:
        return installed[-1].parent
    return Path(on_path).resolve().parent if on_path else None


def own(folder: Path) -> None:
    """Give a folder to whom the server runs as."""
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, OWNER, OWNER)


def as_owner(argv: list[str]) -> list[str]:
    """Return the command that runs another as the server's user: it refuses to be root."""
    return ["runuser", "-u", OWNER, "--", *argv] if os.geteuid() == 0 else argv


def free_address() -> str:
    """Return a loopback address on which nobody has taken the port."""
    for number in range(1, 250):
        address = f"127.54.{os.getpid() % 250}.{number}"
        with socket.socket() as probe, suppress(OSError):
            probe.bind((address, PORT))
            return address
    raise AssertionError(f"no loopback address is free at port {PORT}")

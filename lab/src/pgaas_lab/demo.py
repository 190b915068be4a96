"""The README's first command: bring the lab up, create a client, and ask its database something over TLS."""

import base64
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console

from pgaas_lab import balancer, paths
from pgaas_lab.api import Api
from pgaas_lab.command import environment, shown
from pgaas_lab.datacenters import ALL
from pgaas_lab.errors import TimedOut, ToolFailed
from pgaas_lab.steps import Steps, wait_until

TARGET = ("--ins", "ic1", "--env", "local", "--dc", "local1")
NAMESPACE = "ic1-local"
CLUSTER = "local-ic1-local1"
ROLE = "app_user"
DATABASE = "app_db"
CLIENT_SECRET = f"{CLUSTER}-client-app-user"
SERVER_SECRET = f"{CLUSTER}-server"
BALANCER = f"{CLUSTER}-rw-lb"
QUESTION = """
select current_user, current_database(), split_part(version(), ' on ', 1),
       ssl.version, ssl.cipher, ssl.client_dn
from pg_stat_ssl ssl where ssl.pid = pg_backend_pid()
"""


def hand_environment() -> dict[str, str]:
    """Return the variables with which the lab is used by hand."""
    here = str(Path(sys.executable).parent)
    return {
        "PATH": f"{paths.tool_path()}:{here}:{os.environ.get('PATH', '/usr/bin:/bin')}",
        "KUBECONFIG": str(paths.kubeconfig()),
    }


def pgaas(console: Console, *words: str) -> None:
    """Run pgaas as a user would. Raise ToolFailed if it refuses."""
    argv = [sys.executable, "-m", "pgaas", *words]
    console.print(f"\n[bold]$ pgaas {' '.join(words)}[/]")
    code = subprocess.run(argv, env=environment(hand_environment()), cwd=paths.REPOSITORY).returncode
    if code:
        raise ToolFailed(f"`{shown(['pgaas', *words])}` ended with code {code}; its own message is above")


def run(steps: Steps) -> None:
    """Create the client ic1 in the first datacenter, show its status, and query it with its certificate."""
    pgaas(steps.console, "create", *TARGET)
    pgaas(steps.console, "status", *TARGET)
    steps.console.print()
    with steps.step("Query over TLS with the client certificate of app_user") as step, Api(ALL[0]) as api:
        address = ""

        def missing() -> str:
            nonlocal address
            service = api.find(f"/api/v1/namespaces/{NAMESPACE}/services/{BALANCER}")
            address = balancer.address_of(service) if service else ""
            secrets = [name for name in (CLIENT_SECRET, SERVER_SECRET) if not secret(api, name)]
            return ", ".join([*secrets, *([] if address else [BALANCER])])

        wait_until(
            missing,
            timeout=60,
            step=step,
            on_timeout=lambda what: TimedOut(f"not there within 60 s in namespace {NAMESPACE}: {what}"),
        )
        step.note = f"{address}:5432"
        row = ask(address, secret(api, CLIENT_SECRET), secret(api, SERVER_SECRET))
    titles = ("role", "database", "server", "TLS", "cipher", "client certificate")
    for title, value in zip(titles, row, strict=True):
        steps.console.print(f"  {title:<18} [bold]{value}[/]")


def secret(api: Api, name: str) -> dict[str, bytes]:
    """Return what a Secret of the client holds, nothing if it is not there yet."""
    found = api.find(f"/api/v1/namespaces/{NAMESPACE}/secrets/{name}") or {}
    return {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}


def ask(address: str, client: dict[str, bytes], server: dict[str, bytes]) -> tuple[Any, ...]:
    """Return what the database says of the connection. Raise ToolFailed if it refuses it."""
    with tempfile.TemporaryDirectory() as folder:
        files = {"tls.crt": client["tls.crt"], "tls.key": client["tls.key"], "root.crt": server["ca.crt"]}
        for name, content in files.items():
            file = Path(folder) / name
            file.touch(mode=0o600)
            file.write_bytes(content)
        try:
            with psycopg.connect(
                # The name is checked against the certificate, the address is where to go: no DNS needed.
                host=f"{CLUSTER}-rw",
                hostaddr=address,
                dbname=DATABASE,
                user=ROLE,
                sslmode="verify-full",
                sslcert=f"{folder}/tls.crt",
                sslkey=f"{folder}/tls.key",
                sslrootcert=f"{folder}/root.crt",
                connect_timeout=10,
            ) as connection:
                return connection.execute(QUESTION).fetchone() or ()
        except psycopg.Error as error:
            raise ToolFailed(f"{DATABASE} at {address}:5432 refused {ROLE}: {error}") from error

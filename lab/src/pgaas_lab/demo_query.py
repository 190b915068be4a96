"""What the demo asks a client's database, connected as an application would be."""

import base64
import tempfile
from pathlib import Path
from typing import Any

import psycopg

from pgaas_lab.api import Api
from pgaas_lab.errors import ToolFailed

ROLE = "app_user"
DATABASE = "app_db"
QUESTION = """
select current_user, current_database(), split_part(version(), ' on ', 1),
       ssl.version, ssl.cipher, ssl.client_dn, case when pg_is_in_recovery() then 'no' else 'yes' end
from pg_stat_ssl ssl where ssl.pid = pg_backend_pid()
"""


def secret(api: Api, namespace: str, name: str) -> dict[str, bytes]:
    """Return what a Secret of the client holds, nothing if it is not there yet."""
    found = api.find(f"/api/v1/namespaces/{namespace}/secrets/{name}") or {}
    return {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}


def bundle(api: Api, namespace: str, name: str) -> bytes:
    """Return the roots of both datacenters' servers, nothing if there is no such bundle yet."""
    found = api.find(f"/api/v1/namespaces/{namespace}/configmaps/{name}") or {}
    return str((found.get("data") or {}).get("ca.crt", "")).encode()


def ask(name: str, address: str, client: dict[str, bytes], roots: bytes) -> tuple[Any, ...]:
    """Return what the database says of the connection. Raise ToolFailed if it refuses it.

    The name is checked against the server's certificate, the address is where to go: no DNS is needed.
    """
    files = {"tls.crt": client["tls.crt"], "tls.key": client["tls.key"], "root.crt": roots}
    with tempfile.TemporaryDirectory() as folder:
        for file, content in files.items():
            path = Path(folder) / file
            path.touch(mode=0o600)
            path.write_bytes(content)
        try:
            with psycopg.connect(
                host=name,
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

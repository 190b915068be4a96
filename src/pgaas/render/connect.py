"""How a role connects to its databases, in the words of each driver: pure text, the paths given."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from pgaas.config.models.merged import MergedConfig
from pgaas.config.naming import Target, client_certificate_name, connection_service_name, service_fqdn
from pgaas.config.resolved import ResolvedClient
from pgaas.render.access import Login
from pgaas.render.pgadmin import MAINTENANCE_DB, POSTGRESQL_PORT
from pgaas.render.values import GeneratedValues

PORT = POSTGRESQL_PORT
ALL = "all"
CERTIFICATE, KEY, AUTHORITIES = "tls.crt", "tls.key", "ca.crt"
KEY_DER, KEY_STORE = "tls.pk8", "tls.p12"
SERVICE_FILE, JDBC_FILE, GUIDE = "pg_service.conf", "jdbc.properties", "README.md"
# The folder may be made within a checkout: nothing of it is ever to be committed.
IGNORE_FILE, IGNORE = ".gitignore", "*\n"
# Where the manifest's files are expected to be mounted.
MOUNT = "/etc/pgaas"


class Hosts(NamedTuple):
    """The names to connect to; both are in the server's certificate.

    `primary` is where the primary is, in whichever datacenter. `read_only` leads to this datacenter's
    standbys.
    """

    primary: str
    read_only: str


class Way(NamedTuple):
    """A database that a role may connect to, by one of the names; `address` is empty where DNS knows it."""

    database: str
    access: str
    host: str
    address: str = ""

    @property
    def service(self) -> str:
        """Return the way's name in pg_service.conf."""
        return connection_service_name(self.database, self.access)


def hosts(resolved: ResolvedClient, values: GeneratedValues) -> Hosts:
    """Return the names by which applications reach a client's databases.

    Without a second datacenter no alias is needed: the Service's own name never moves.
    """
    dns, target = values.dns, resolved.target
    suffix = resolved.datacenters.datacenters[target.dc].dns_suffix
    replicated = values.replication.enabled
    return Hosts(
        primary=dns.primary_fqdn if replicated else service_fqdn(target, "rw", suffix),
        read_only=dns.ro_fqdn if dns.endpoint else dns.ro_target,
    )


def databases_of(login: Login, merged: MergedConfig) -> list[str]:
    """Return the databases that a login may connect to, by name."""
    if ALL not in login.databases:
        return list(login.databases)
    return [*(database.name for database in merged.databases), MAINTENANCE_DB]


def settings(way: Way, role: str, folder: str) -> dict[str, str]:
    """Return libpq's parameters for a way, with the files in a folder.

    What is to be the primary is checked to take writes: a name that DNS has not moved yet leads to a replica.
    """
    found = {"host": way.host, "port": str(PORT), "dbname": way.database, "user": role}
    if way.address:
        found["hostaddr"] = way.address
    found |= {
        "sslmode": "verify-full",
        "sslcert": f"{folder}/{CERTIFICATE}",
        "sslkey": f"{folder}/{KEY}",
        "sslrootcert": f"{folder}/{AUTHORITIES}",
    }
    if way.access == "rw":
        found["target_session_attrs"] = "read-write"
    return found


def service_file(ways: Sequence[Way], role: str, folder: str) -> str:
    """Return a pg_service.conf with a section for each way."""
    parts = ["# Use it as PGSERVICEFILE; each section is a service, such as `psql service=NAME`.\n"]
    for way in ways:
        lines = [f"{key}={value}" for key, value in settings(way, role, folder).items()]
        parts.append("\n".join([f"[{way.service}]", *lines]) + "\n")
    return "\n".join(parts)


def jdbc_url(way: Way, role: str, folder: str) -> str:
    """Return pgJDBC's URL for a way: it takes the key as PKCS#8 in DER, and knows no `hostaddr`."""
    pairs = {
        "user": role,
        "sslmode": "verify-full",
        "sslcert": f"{folder}/{CERTIFICATE}",
        "sslkey": f"{folder}/{KEY_DER}",
        "sslrootcert": f"{folder}/{AUTHORITIES}",
        "targetServerType": "primary" if way.access == "rw" else "preferSecondary",
    }
    query = "&".join(f"{key}={quote(value, safe='/')}" for key, value in pairs.items())
    return f"jdbc:postgresql://{way.host}:{PORT}/{quote(way.database)}?{query}"


def jdbc_file(ways: Sequence[Way], role: str, folder: str) -> str:
    """Return a Java properties file with a URL for each way."""
    return "".join(f"{way.service}.url={jdbc_url(way, role, folder)}\n" for way in ways)


def psql_command(way: Way, folder: str) -> str:
    """Return the shell command that opens psql by the service file."""
    return f"PGSERVICEFILE={shlex.quote(f'{folder}/{SERVICE_FILE}')} psql service={way.service}"


def psycopg_code(way: Way, role: str, folder: str) -> str:
    """Return Python that connects with psycopg, and needs no environment."""
    lines = [f"    {key}={value!r}," for key, value in settings(way, role, folder).items()]
    return "\n".join(["import psycopg", "", "connection = psycopg.connect(", *lines, ")"])


def guide(ways: Sequence[Way], role: str, folder: str, facts: Mapping[str, str]) -> str:
    """Return the export's README: what is in it, and each way in each driver's words."""
    parts = [
        f"# {role}: how to connect",
        "",
        *(f"- {name}: {value}" for name, value in facts.items()),
        "",
        f"`{KEY}`, `{KEY_DER}` and `{KEY_STORE}` are the private key: whoever has one of them is `{role}`.",
        f"`{CERTIFICATE}` is its certificate, `{AUTHORITIES}` whom to trust as the server.",
        "Always use `sslmode=verify-full`: less than that does not check whom you talk to.",
        f"The password of `{KEY_STORE}` is `changeit`, its alias `user`; it protects nothing.",
    ]
    for way in ways:
        reads = "" if way.access == "rw" else ", for reading from a standby"
        parts += [
            "",
            f"## {way.database}{reads}",
            "",
            "psql:",
            "",
            f"    {psql_command(way, folder)}",
            "",
            "JDBC:",
            "",
            f"    {jdbc_url(way, role, folder)}",
            "",
            "Python:",
            "",
            *(f"    {line}".rstrip() for line in psycopg_code(way, role, folder).splitlines()),
        ]
    return "\n".join(parts) + "\n"


def secret_manifest(
    target: Target,
    role: str,
    namespace: str | None,
    annotations: Mapping[str, str],
    files: Mapping[str, bytes],
) -> dict[str, Any]:
    """Return a Secret for an application's namespace, or for whichever is current when it is applied."""
    metadata: dict[str, Any] = {"name": client_certificate_name(target, role)}
    metadata |= {"namespace": namespace} if namespace else {}
    metadata |= {
        "labels": {"pgaas.io/ins": target.ins, "pgaas.io/env": target.env},
        "annotations": {f"pgaas.io/{name}": value for name, value in annotations.items()},
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": metadata,
        "data": {name: base64.b64encode(content).decode() for name, content in files.items()},
    }

"""The values of the local charts for S3, LDAP and observability, made for the clients of `local`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pgaas.config.admin import ConfigCache
from pgaas.config.checks_stores import bind_user
from pgaas.config.environments import LOCAL
from pgaas.config.models.clients import Client
from pgaas.config.models.openldap import OpenldapFile
from pgaas.config.models.seaweedfs import SeaweedfsFile
from pgaas.render.dump import dump_plain
from pgaas.render.infra_observability import observability_values, write_local
from pgaas.render.write import GENERATED_FOLDER, write_text

INFRA_FOLDER = GENERATED_FOLDER / "local-infra"


def infra_values(root: Path, cache: ConfigCache | None = None) -> dict[str, dict[str, Any]]:
    """Return each chart's values, by its name. Raise ConfigError with every issue of the files."""
    cache = cache or ConfigCache()
    admin = cache.admin(root, LOCAL)
    clients = admin.clients.clients
    return {
        "seaweedfs": {
            **_plain(admin.file(SeaweedfsFile))["seaweedfs"],
            "clients": [s3_client(ins, client) for ins, client in clients.items()],
        },
        "openldap": {
            **_plain(admin.file(OpenldapFile))["openldap"],
            "users": [ldap_user(ins) for ins in clients],
            "services": [found for ins, client in clients.items() if (found := ldap_service(ins, client))],
        },
        "observability": observability_values(root, cache, next(iter(admin.datacenters.datacenters))),
    }


def s3_client(ins: str, client: Client) -> dict[str, str]:
    """Return whose bucket it is, and the keys to it unless they are in a Secret."""
    keys = client.s3_credentials
    found = {"name": ins, "bucket": client.s3_bucket}
    if keys.access_key is not None and keys.secret_key is not None:
        found |= {"accessKey": keys.access_key, "secretKey": keys.secret_key}
    return found


def ldap_service(ins: str, client: Client) -> dict[str, str] | None:
    """Return the user by whom a client's pgAdmin searches, or None if its password is in a Secret."""
    credentials = client.ldap_credentials
    if credentials is None or credentials.bind_password is None:
        return None
    return {"cn": bind_user(ins), "password": credentials.bind_password}


def ldap_user(ins: str) -> dict[str, str]:
    """Return a client's only user in the local directory, whose password is its name."""
    return {"cn": ins, "uid": ins, "sn": ins, "mail": f"mail@{ins}.local", "password": ins}


def write_infra(root: Path, cache: ConfigCache | None = None) -> list[Path]:
    """Write the values files of the local infrastructure and return their paths.

    Raise ConfigError with every issue of the environment's files, UsageError if the file system refuses.
    """
    cache = cache or ConfigCache()
    written = []
    for name, values in infra_values(root, cache).items():
        path = root / INFRA_FOLDER / f"{name}-values.yaml"
        made_from = f"confs/admin/{LOCAL}/{name}.yaml and confs/admin/{LOCAL}/clients.yaml"
        header = f"# Made by `pgaas generate`: edits will be lost.\n# From {made_from}\n"
        # Each of them holds a password.
        write_text(path, header + dump_plain(values), secret=True)
        written.append(path)
    return [*written, *write_local(root, cache)]


def _plain(model: Any) -> dict[str, Any]:
    found: dict[str, Any] = model.model_dump(by_alias=True, exclude_none=True)
    return found

"""Who may log in to a client's pgAdmin: where they are looked up, and by which filter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pgaas.config.environments import CLIENT_CODE
from pgaas.config.models.clients import Client
from pgaas.config.models.postgresql import Pgadmin
from pgaas.config.resolved import Directory

if TYPE_CHECKING:
    from pgaas.config.admin import AdminEnvironment


def directory_of(
    admin: AdminEnvironment, ins: str, client: Client, pgadmin: Pgadmin | None
) -> Directory | None:
    """Return the directory for a client's pgAdmin, or None if it has none: it is off, or can't bind."""
    if pgadmin is None or not pgadmin.enabled or client.ldap_credentials is None:
        return None
    # Only one of the two files is there, and only its model is loaded.
    found: Any = admin.models.get("ldap")
    if found is not None:
        ldap = found.ldap
        return Directory(
            server_uri=ldap.server_uri,
            base_dn=ldap.base_dn,
            search_filter=ldap.search_filter.replace(CLIENT_CODE, ins),
            ca_config_map=ldap.ca_config_map or "",
        )
    local: Any = admin.models["openldap"]
    service = local.openldap.service
    return Directory(
        server_uri=f"ldap://{service.name}.{service.namespace}.svc.cluster.local:{service.port}",
        base_dn=f"ou=people,{local.openldap.base_dn}",
        search_filter=f"(uid={ins})",
        namespace=service.namespace,
    )

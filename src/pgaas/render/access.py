"""Who may log in to what: roles, pg_hba, pg_ident and client certificates, all from the same logins."""

from __future__ import annotations

from typing import NamedTuple

from pgaas.config.environments import known, nearest
from pgaas.config.models.merged import MergedConfig
from pgaas.config.naming import Target, client_certificate_name, common_name
from pgaas.errors import UsageError
from pgaas.render.values import ClientCertificate, Role

# CloudNativePG ends pg_hba.conf with `host all all all scram-sha-256`: before that, no password will do.
REJECT_ALL = "host all all all reject"
IDENT_MAP = "pgaas"


class Login(NamedTuple):
    """A role that logs in with a certificate of this common name to these databases ("all" is a keyword)."""

    role: str
    common_name: str
    databases: tuple[str, ...]


def logins(merged: MergedConfig, target: Target) -> list[Login]:
    """Return who may log in to which databases: owners, then roles that were given some, then pgAdmin's role.

    A role that is absent, or may not log in, is not there; nor is one that has no database.
    """
    able = {role.name for role in merged.roles if role.ensure == "present" and role.login}
    databases: dict[str, list[str]] = {}
    names: dict[str, str] = {}
    for database in merged.databases:
        databases.setdefault(database.owner, []).append(database.name)
        if database.cn_pattern:
            names.setdefault(database.owner, database.cn_pattern)
    for role in merged.roles:
        for name in role.databases:
            granted = databases.setdefault(role.name, [])
            if name not in granted:
                granted.append(name)
    pgadmin = merged.pgadmin_user.name
    found = [
        Login(role, names.get(role) or common_name(role, target), tuple(granted))
        for role, granted in databases.items()
        if role in able
    ]
    return [*found, Login(pgadmin, common_name(pgadmin, target), ("all",))]


def login_of(merged: MergedConfig, target: Target, role: str) -> Login:
    """Return a role's login. Raise UsageError if there is no such role, or it cannot log in anywhere."""
    found = {login.role: login for login in logins(merged, target)}
    if role in found:
        return found[role]
    where = f"databases.yaml of {target.ins} in {target.env}"
    own = next((each for each in merged.roles if each.name == role), None)
    if own is None:
        names = list(found)
        raise UsageError(
            f"{target.ins} has no role {role!r} in {target.env}{nearest(role, names)}",
            where=where,
            next_step=f"name one that logs in ({known(names)})",
        )
    why = (
        "is to be absent"
        if own.ensure != "present"
        else "may not log in (login: false)"
        if not own.login
        else "owns no database and lists none"
    )
    raise UsageError(f"role {role} {why}", where=where, next_step="change that there, or name another role")


def hba_rules(found: list[Login]) -> list[str]:
    """Return pg_hba's rules: a certificate over TLS for each login, and nothing for anybody else.

    Address `all` is IPv4 and IPv6, and `host` is with and without TLS, so the last rule leaves nothing out.
    """
    allowed = [
        f"hostssl {database} {login.role} all cert map={IDENT_MAP}"
        for login in found
        for database in login.databases
    ]
    return [*allowed, REJECT_ALL]


def ident_rules(found: list[Login]) -> list[str]:
    """Return pg_ident's map from a certificate's common name to its role."""
    return [f"{IDENT_MAP} {login.common_name} {login.role}" for login in found]


def client_certificates(found: list[Login], target: Target) -> list[ClientCertificate]:
    """Return a certificate for each login."""
    return [
        ClientCertificate(
            name=client_certificate_name(target, login.role), common_name=login.common_name, role=login.role
        )
        for login in found
    ]


def roles(merged: MergedConfig) -> list[Role]:
    """Return the roles that the operator keeps: the client's, and the one that pgAdmin logs in as."""
    clients = [
        Role(
            name=role.name,
            ensure=role.ensure,
            login=role.login,
            superuser=role.superuser,
            createdb=role.createdb,
            createrole=role.createrole,
            replication=role.replication,
            bypassrls=role.bypassrls,
            inherit=role.inherit,
            connection_limit=role.connection_limit,
            in_roles=role.in_roles,
        )
        for role in merged.roles
    ]
    pgadmin = Role(name=merged.pgadmin_user.name, in_roles=merged.pgadmin_user.roles)
    return [*clients, pgadmin]

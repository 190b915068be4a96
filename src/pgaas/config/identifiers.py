"""What a role, a database or a common name may be called.

These names are written unquoted into pg_hba.conf and pg_ident.conf, and become parts of Kubernetes names and
of certificates. So what may pass is listed; nothing is escaped.
"""

from __future__ import annotations

import re

IDENTIFIER_LIMIT = 63
IDENTIFIER = re.compile(r"[a-z]([a-z0-9_-]*[a-z0-9])?")
COMMON_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")

HBA_KEYWORDS = frozenset({"all", "replication", "sameuser", "samerole", "samegroup", "samehost", "samenet"})
RESERVED_ROLES = frozenset(
    {"postgres", "streaming_replica", "pgaas", "pgaas_owner", "pgadmin_readonly"}
    | {"cnpg_pooler_pgbouncer", "cnpg_metrics_exporter"}
    | {"public", "none", "user", "current_role", "current_user", "session_user"}
)
# A role's certificate lies in the Secret CLUSTER-client-ROLE, the certificate authority in CLUSTER-client-ca.
CERTIFICATE_AUTHORITY_ROLE = "ca"
RESERVED_DATABASES = frozenset({"postgres", "pgaas", "template0", "template1"})
RESERVED_PREFIXES = ("pg_", "pg-", "cnpg_", "cnpg-")

# Predefined roles that open no way to the server's files, programs or connections, and since which version.
SAFE_PARENT_ROLES = {
    "pg_checkpoint": 15,
    "pg_maintain": 17,
    "pg_monitor": 10,
    "pg_read_all_data": 14,
    "pg_read_all_settings": 10,
    "pg_read_all_stats": 10,
    "pg_signal_autovacuum_worker": 18,
    "pg_signal_backend": 9,
    "pg_stat_scan_tables": 10,
    "pg_write_all_data": 14,
}
# What a client gets only if the platform team's `allow` names it.
DANGEROUS_PARENT_ROLES = {
    "pg_create_subscription": 16,
    "pg_execute_server_program": 11,
    "pg_read_server_files": 11,
    "pg_use_reserved_connections": 16,
    "pg_write_server_files": 11,
}
PREDEFINED_ROLES = SAFE_PARENT_ROLES | DANGEROUS_PARENT_ROLES


def identifier_problem(name: str) -> str:
    """Say why a name can't be a role or a database, or return an empty text."""
    if len(name.encode()) > IDENTIFIER_LIMIT:
        return f"has {len(name.encode())} bytes, and PostgreSQL cuts names after {IDENTIFIER_LIMIT}"
    if not IDENTIFIER.fullmatch(name):
        return (
            f"{name!r} is not a name: it takes lower-case letters, digits, '_' and '-',"
            " begins with a letter and ends in a letter or digit"
        )
    if name in HBA_KEYWORDS:
        return f"{name!r} is a keyword of pg_hba.conf"
    return ""


def role_problem(name: str) -> str:
    """Say why a client's role can't have this name, or return an empty text."""
    if name.startswith(RESERVED_PREFIXES):
        return (
            f"{name!r} is reserved: names that begin with pg_ or cnpg_ belong to PostgreSQL and the operator"
        )
    if name in RESERVED_ROLES:
        return f"{name!r} is reserved: PostgreSQL or the platform has a role of this name"
    if name == CERTIFICATE_AUTHORITY_ROLE:
        return f"{name!r} is reserved: its certificate would be stored where the certificate authority's is"
    return identifier_problem(name)


def database_problem(name: str) -> str:
    """Say why a client's database can't have this name, or return an empty text."""
    if name.startswith(RESERVED_PREFIXES):
        return (
            f"{name!r} is reserved: names that begin with pg_ or cnpg_ belong to PostgreSQL and the operator"
        )
    if name in RESERVED_DATABASES:
        return f"{name!r} is reserved: PostgreSQL or the platform has a database of this name"
    return identifier_problem(name)


def common_name_problem(name: str, suffix: str, limit: int) -> str:
    """Say why a certificate's common name can't be used, or return an empty text."""
    if name.startswith("/"):
        return f"{name!r} begins with '/', which pg_ident.conf takes as a regular expression"
    if not COMMON_NAME.fullmatch(name):
        return f"{name!r} is not a common name: it takes letters, digits, '.', '_' and '-' (and no pattern)"
    if not name.endswith(suffix):
        return f"{name!r} must end in {suffix}"
    if len(name) > limit:
        return f"has {len(name)} characters, and a certificate's common name holds {limit}"
    return ""

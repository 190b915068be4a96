"""Check that what pgAdmin needs and the chart does not make is there: without it, its pod never starts."""

from __future__ import annotations

from collections.abc import Iterator

from pgaas.kube.client import Api
from pgaas.kube.resources import CONFIG_MAP, SECRET, Kind
from pgaas.operations.rows import Row
from pgaas.operations.subject import Subject


def given(subject: Subject, api: Api) -> Iterator[Row]:
    """Warn of Secrets and ConfigMaps that others should have made; PostgreSQL itself runs without them."""
    pgadmin = subject.values.pgadmin4
    if not pgadmin.enabled:
        return
    needed: list[tuple[Kind, str]] = [
        (SECRET, each.secret_name)
        for each in (pgadmin.ldap.bind_password, pgadmin.default_password)
        if not each.create
    ]
    if pgadmin.ldap.ca_config_map:
        needed.append((CONFIG_MAP, pgadmin.ldap.ca_config_map))
    missing = [
        f"{kind.kind} {name}" for kind, name in needed if api.get(kind, name, subject.namespace) is None
    ]
    if missing:
        yield Row(
            "pgadmin",
            "warning",
            f"not in namespace {subject.namespace} yet: {', '.join(missing)}; pgAdmin starts when they are",
            "docs/pgadmin.md says what each of them holds",
        )
    elif needed:
        yield Row("pgadmin", "ok", ", ".join(name for _, name in needed))

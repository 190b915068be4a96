"""What a person must still see to for a new client: exactly the names that the configuration now expects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pgaas.config.environments import LOCAL
from pgaas.config.resolved import ResolvedClient
from pgaas.render.pgadmin_values import Pgadmin
from pgaas.render.values import GeneratedValues


@dataclass(frozen=True)
class Todo:
    """One thing: what it is, how it is called, where it belongs, and what there is to know."""

    what: str
    name: str
    where: str
    detail: str


Rendered = tuple[ResolvedClient, GeneratedValues]


def todo_of(rendered: Iterable[Rendered]) -> list[Todo]:
    """Return what must be there before `create`, and what a person may want to widen; each is said once."""
    found: dict[Todo, None] = {}
    for resolved, values in rendered:
        parts = _local(resolved, values) if resolved.team_env == LOCAL else _real(resolved, values)
        found.update(dict.fromkeys(parts))
    return list(found)


def _local(resolved: ResolvedClient, values: GeneratedValues) -> Iterator[Todo]:
    makes = "`pgaas infra install` makes it, from clients.yaml"
    yield Todo("S3 bucket", values.s3.bucket, values.s3.endpoint, f"{makes}, with the client's own keys")
    if isinstance(values.pgadmin4, Pgadmin):
        ldap = values.pgadmin4.ldap
        yield Todo("LDAP entry", ldap.bind_dn, ldap.server_uri, makes)
        yield Todo("LDAP person", f"uid={resolved.target.ins},{ldap.base_dn}", ldap.server_uri, makes)


def _real(resolved: ResolvedClient, values: GeneratedValues) -> Iterator[Todo]:
    yield from _secrets(resolved, values)
    prefixes = sorted({store.destination_path for store in values.object_stores})
    yield Todo(
        "S3 bucket",
        values.s3.bucket,
        values.s3.endpoint,
        f"for the keys in {values.s3.secret_name} alone; archives go to {', '.join(prefixes)}",
    )
    if isinstance(values.pgadmin4, Pgadmin):
        ldap = values.pgadmin4.ldap
        password = f"its password is that of Secret {ldap.bind_password.secret_name}"
        yield Todo("LDAP entry", ldap.bind_dn, ldap.server_uri, f"searches {ldap.base_dn}; {password}")
        yield Todo("LDAP people", ldap.search_filter, ldap.server_uri, "whom it finds may log in to pgAdmin")
    if values.rbac.client_group:
        yield Todo("Kubernetes group", values.rbac.client_group, _place(resolved), "the client's own people")
    yield from _names(resolved, values)
    if resolved.collector:
        account = f"{resolved.collector.namespace}/{resolved.collector.account}"
        detail = "`pgaas generate --all`, then helm upgrade of the collector: docs/observability.md"
        yield Todo("metrics", account, _place(resolved), detail)
    if not resolved.client.network_policy.allowed_cidrs:
        yield Todo(
            "networks",
            "networkPolicy.allowedCIDRs",
            f"confs/admin/{resolved.team_env}/clients.yaml",
            "none yet: nobody outside Kubernetes reaches the cluster",
        )


def _secrets(resolved: ResolvedClient, values: GeneratedValues) -> Iterator[Todo]:
    space, where = values.cluster.namespace, _place(resolved)
    yield Todo("namespace", space, where, "the Secrets below go into it before `pgaas create`")
    if not values.s3.create_secret:
        name = f"{space}/{values.s3.secret_name}"
        yield Todo("Secret", name, where, "keys accessKey and secretKey, from Vault")
    pgadmin = values.pgadmin4
    if not isinstance(pgadmin, Pgadmin):
        return
    for password, whose in (
        (pgadmin.ldap.bind_password, f"of {pgadmin.ldap.bind_dn}"),
        (pgadmin.default_password, f"of {pgadmin.email}, which nobody uses"),
    ):
        if not password.create:
            detail = f"key password, {whose}, from Vault"
            yield Todo("Secret", f"{space}/{password.secret_name}", where, detail)
    if pgadmin.ldap.ca_config_map:
        detail = "key ca.crt: the directory's root"
        yield Todo("ConfigMap", f"{space}/{pgadmin.ldap.ca_config_map}", where, detail)


def _names(resolved: ResolvedClient, values: GeneratedValues) -> Iterator[Todo]:
    dns = resolved.datacenters.dns
    if resolved.client.replication.enabled:
        how = f"`pgaas create` sets it, and moves of the primary change it ({dns.provider})"
    else:
        how = f"`pgaas update-dns` sets it ({dns.provider})"
    yield Todo("DNS name", values.dns.primary_fqdn, f"zone {dns.zone}", how)
    who = "external-dns sets it" if values.dns.endpoint else f"a CNAME of {values.dns.ro_target}, by hand"
    yield Todo("DNS name", values.dns.ro_fqdn, f"zone {dns.zone}", who)


def _place(resolved: ResolvedClient) -> str:
    dc = resolved.target.dc
    context = resolved.datacenters.datacenters[dc].kube_context
    return f"{dc}, context {context}" if context else dc

"""The shape of the values of pgAdmin's chart, which lies inside the other: its key there is pgadmin4."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pgaas.render.shapes import (
    AllowedNetwork,
    DnsName,
    Duration,
    Identifier,
    Label,
    ObjectName,
    Resources,
    TargetValues,
    Values,
)

Port = Annotated[int, Field(ge=1, le=65535)]


class PgadminPassword(Values):
    """A Secret with the key `password`: one that exists, or, in local only, one that the chart makes."""

    secret_name: DnsName
    create: bool
    value: str = ""


class PgadminLdap(Values):
    """The directory, how pgAdmin binds to it, and who is found: the filter is ANDed with (uid=LOGIN).

    `ca_config_map` is empty where the directory's certificate is from a public authority, or where it has
    none.
    """

    server_uri: str
    base_dn: str
    search_filter: Annotated[str, Field(min_length=3)]
    bind_dn: Annotated[str, Field(min_length=1)]
    bind_password: PgadminPassword
    ca_config_map: str


class PgadminConnection(Values):
    """One entry of pg_service.conf, and of servers.json: `service` names both."""

    service: Label
    title: str
    host: DnsName
    port: Port


class PgadminDatabase(Values):
    """How pgAdmin logs in to PostgreSQL; the root is the ca.crt of a ConfigMap or of a Secret."""

    role: Identifier
    group: str
    maintenance_db: Identifier
    client_secret: ObjectName
    root_config_map: str
    root_secret: str
    connections: Annotated[list[PgadminConnection], Field(min_length=1)]


class PgadminCertificate(Values):
    """The certificate of pgAdmin's own HTTPS, from the datacenter's ClusterIssuer."""

    name: ObjectName
    cluster_issuer: DnsName
    duration: Duration
    renew_before: Duration
    dns_names: list[DnsName]


class PgadminService(Values):
    """The Service, of the same kind as PostgreSQL's own."""

    type: Literal["LoadBalancer", "NodePort", "ClusterIP"]
    external_traffic_policy: Literal["", "Local"]
    annotations: dict[str, str]


class PgadminNetworkPolicy(Values, spelt={"allowed_cidrs": "allowedCIDRs"}):
    """Who reaches pgAdmin, besides the namespace's pods, and what it reaches.

    `ldap_namespace` is empty where the directory is outside Kubernetes; without `other_side` pgAdmin reaches
    the PostgreSQL of `cluster` alone.
    """

    enabled: bool
    cluster: ObjectName
    ldap_port: Port
    ldap_namespace: str
    other_side: bool
    allowed_namespaces: list[Label]
    allowed_cidrs: list[AllowedNetwork]


class Pgadmin(Values):
    """pgAdmin for one cluster; `email` is the account that owns the shared servers."""

    enabled: Literal[True]
    target: TargetValues
    name: ObjectName
    namespace: Label
    image: str
    resources: Resources
    email: str
    default_password: PgadminPassword
    ldap: PgadminLdap
    database: PgadminDatabase
    certificate: PgadminCertificate
    service: PgadminService
    network_policy: PgadminNetworkPolicy


class NoPgadmin(Values):
    """A cluster without pgAdmin."""

    enabled: Literal[False]

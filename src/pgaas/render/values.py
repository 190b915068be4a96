"""The shape of the generated values file: what the chart prints, and values.schema.json is made from.

Everything is decided here and in `build`: the chart has no defaults to fall back on and derives no names.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pgaas.render.pgadmin_values import NoPgadmin, Pgadmin
from pgaas.render.shapes import (
    AllowedNetwork,
    ClusterName,
    CommonName,
    Count,
    DnsName,
    Duration,
    HbaRule,
    Identifier,
    IdentRule,
    Label,
    ObjectName,
    Quantity,
    Resources,
    Revision,
    TargetValues,
    Values,
)


class Storage(Values):
    """A volume for each instance."""

    size: Quantity
    storage_class: DnsName


class CatalogImage(Values):
    """One major version and the image that runs it."""

    major: Count
    image: str


class ImageCatalog(Values):
    """The versions that a platform team offers, and the one this cluster runs."""

    name: DnsName
    images: list[CatalogImage]
    major: Count


class Plugin(Values, spelt={"is_wal_archiver": "isWALArchiver"}):
    """One entry of the Cluster's spec.plugins."""

    name: str
    is_wal_archiver: bool = False
    parameters: dict[str, str]


class Role(Values):
    """One entry of the Cluster's spec.managed.roles: the chart adds disablePassword to each.

    What stands here as a default is a role that may log in and nothing else.
    """

    name: Identifier
    ensure: Literal["present", "absent"] = "present"
    login: bool = True
    superuser: bool = False
    createdb: bool = False
    createrole: bool = False
    replication: bool = False
    bypassrls: bool = False
    inherit: bool = True
    connection_limit: Annotated[int, Field(ge=-1)] = -1
    in_roles: list[Identifier]


class Service(Values):
    """A Service that exists outside the Kubernetes cluster.

    `external_traffic_policy` Local lets PostgreSQL, and a NetworkPolicy's CIDRs, see the client's own
    address; it is empty where Kubernetes' default will do.
    """

    name: Label
    selector_type: Literal["rw", "ro", "r"]
    type: Literal["LoadBalancer", "NodePort", "ClusterIP"]
    external_traffic_policy: Literal["", "Local"]
    annotations: dict[str, str]


class Bootstrap(Values):
    """How the cluster was born, which never changes afterwards.

    `source` is set for `recovery` only, `data_checksums` for `initdb` only.
    """

    method: Literal["initdb", "recovery"]
    database: Identifier
    owner: Identifier
    source: str = ""
    data_checksums: bool = False


class ExternalCluster(Values):
    """One datacenter's archive, as every datacenter of the client names it."""

    name: ClusterName
    barman_object_name: ObjectName
    server_name: ObjectName


class Restore(Values, spelt={"backup_id": "backupID", "target_tli": "targetTLI"}):
    """How a cluster was restored beside its source; without `enabled` it is a client's own, and all is empty.

    `restored_from` is the cluster whose archive is read, from the folder `server_name`. `target` is what was
    asked for as a label takes it, `request` in full. At most one of the targets is set; without any, recovery
    goes on to the newest WAL.
    """

    enabled: bool = False
    restored_from: str = ""
    target: str = ""
    request: str = ""
    server_name: str = ""
    backup_id: str = ""
    target_time: str = ""
    target_immediate: bool = False
    target_tli: str = ""


class Replication(Values, spelt={"self_name": "self"}):
    """The symmetric topology of a client in several datacenters; empty when they do not replicate."""

    enabled: bool
    self_name: str
    primary: str
    source: str
    external_clusters: list[ExternalCluster]


class Cluster(Values, spelt={"enable_pdb": "enablePDB"}):
    """The Cluster object."""

    name: ClusterName
    namespace: Label
    instances: Count
    enable_pdb: bool
    storage: Storage
    resources: Resources
    parameters: dict[str, str]
    pg_hba: list[HbaRule]
    pg_ident: list[IdentRule]
    roles: list[Role]
    plugins: list[Plugin]
    services: list[Service]
    bootstrap: Bootstrap
    primary_update_strategy: Literal["unsupervised", "supervised"]
    primary_update_method: Literal["switchover", "restart"]
    max_start_delay: Count
    max_stop_delay: Count
    smart_shutdown_timeout: Count
    users_revision: Revision


class Database(Values):
    """A Database object: `resource` is its Kubernetes name, `name` PostgreSQL's."""

    resource: ObjectName
    name: Identifier
    owner: Identifier


class EnvironmentVariable(Values):
    """One variable of the sidecar that archives and restores."""

    name: str
    value: str


class ObjectStore(Values, spelt={"endpoint_url": "endpointURL"}):
    """An ObjectStore object.

    `retention_policy` is empty for another datacenter's archive, which is only read. `sidecar_env` is too:
    the plugin gives the sidecar the variables of every ObjectStore that the Cluster refers to, and they would
    be there twice.
    """

    name: ObjectName
    destination_path: Annotated[str, Field(pattern="^s3://[^\\s]+/$")]
    endpoint_url: str
    region: str
    retention_policy: str
    wal_compression: str
    wal_max_parallel: Count
    data_compression: str
    sidecar_resources: Resources
    sidecar_env: list[EnvironmentVariable]


class ScheduledBackup(Values):
    """A ScheduledBackup object; the schedule has six fields, seconds first. A restored cluster has none."""

    enabled: bool = True
    schedule: str
    target: Literal["primary", "prefer-standby"]
    immediate: bool


class S3(Values):
    """Where the credentials are: a Secret that exists, or, in local only, keys that the chart makes it of."""

    bucket: str
    endpoint: str
    region: str
    secret_name: DnsName
    create_secret: bool
    access_key: str = ""
    secret_key: str = ""


class ServerCertificate(Values):
    """The certificate of PostgreSQL's server side, from the datacenter's ClusterIssuer."""

    name: ObjectName
    dns_names: list[DnsName]


class ClientCertificate(Values):
    """A role's certificate, from the client namespace's own CA."""

    name: ObjectName
    common_name: CommonName
    role: Identifier


class Certificates(Values, spelt={"client_ca": "clientCA", "client_ca_secret": "clientCASecret"}):
    """All certificates; durations are Go durations, as cert-manager takes them.

    `client_ca` is the client CA's Certificate, Secret and Issuer; `client_ca_secret` is the Secret whose
    ca.crt PostgreSQL trusts: one that does not hold the CA's key.
    """

    cluster_issuer: DnsName
    duration: Duration
    renew_before: Duration
    ca_duration: Duration
    self_signed: ObjectName
    client_ca: ObjectName
    client_ca_secret: ObjectName
    replication: ObjectName
    server: ServerCertificate
    clients: list[ClientCertificate]


class Monitoring(Values):
    """The metrics endpoint of the instances, and whom they are found by; an empty account finds none."""

    enabled: bool
    tls: bool
    custom_queries: bool
    disable_default_queries: bool
    config_map: ObjectName
    collector_namespace: str
    collector_account: str


class Dns(Values):
    """Names by which applications connect; `ro_target` is what the static read-only alias points to."""

    zone: DnsName
    primary_fqdn: DnsName
    ro_fqdn: DnsName
    ro_target: DnsName
    endpoint: bool
    ttl: Count


class NetworkPolicy(Values, spelt={"allowed_cidrs": "allowedCIDRs"}):
    """Who may reach the instances besides the operator, the instances themselves and the namespace's pods."""

    enabled: bool
    operator_namespace: Label
    monitoring_namespaces: list[Label]
    allowed_namespaces: list[Label]
    allowed_cidrs: list[AllowedNetwork]


class Rbac(Values):
    """Which groups may do what; an empty `client_group` has no binding."""

    enabled: bool
    admin_group: str
    client_group: str


class GeneratedValues(Values):
    """Everything that one chart needs for one cluster."""

    target: TargetValues
    cluster: Cluster
    image_catalog: ImageCatalog
    replication: Replication
    restore: Restore
    databases: list[Database]
    object_stores: list[ObjectStore]
    scheduled_backup: ScheduledBackup
    s3: S3
    certificates: Certificates
    monitoring: Monitoring
    dns: Dns
    network_policy: NetworkPolicy
    rbac: Rbac
    pgadmin4: Pgadmin | NoPgadmin

"""Every derived name, made here and nowhere else: the chart prints, it never computes."""

from __future__ import annotations

import re
from typing import NamedTuple

CLUSTER_NAME_LIMIT = 50
# X.520's upper bound for a common name (RFC 5280, appendix A: ub-common-name).
COMMON_NAME_LIMIT = 64
# What this domain means is up to each cluster: a name in it says nothing in another one.
INSIDE = "svc.cluster.local"

PLATFORM_ARTIFACT = "pgaas"
USERS_ARTIFACT = "pgaas-users"

DNS_1035_LABEL = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")


class Target(NamedTuple):
    """Name what a command acts on: a client (INS), an environment and a datacenter."""

    ins: str
    env: str
    dc: str

    def __str__(self) -> str:
        return f"{self.ins}/{self.env}/{self.dc}"


def cluster_name(target: Target) -> str:
    """Return the name of the Cluster, of its Helm release and of its archive's first generation."""
    return f"{target.env}-{target.ins}-{target.dc}"


def namespace(target: Target) -> str:
    """Return the namespace that holds all of a client's objects in one environment."""
    return f"{target.ins}-{target.env}"


def archive_server_name(target: Target, generation: int) -> str:
    """Return the folder that one life of a cluster archives to; generation 1 is bare."""
    name = cluster_name(target)
    return name if generation == 1 else f"{name}-g{generation}"


def object_store_name(target: Target) -> str:
    """Return the name of the ObjectStore that holds a datacenter's archive."""
    return f"{target.ins}-{target.env}-{target.dc}"


def backup_path(bucket: str, target: Target) -> str:
    """Return the S3 URL that a datacenter's cluster writes its archive below."""
    return f"s3://{bucket}/{target.ins}-{target.env}-{target.dc}-backup/"


def replica_path(bucket: str, target: Target) -> str:
    """Return the S3 URL where storage that copies prefixes puts a datacenter's archive for the others."""
    return f"s3://{bucket}/{target.ins}-{target.env}-{target.dc}-replica/"


def common_name(role: str, target: Target) -> str:
    """Return the common name of a role's client certificate when the user's file gives no cnPattern."""
    return f"{role}{common_name_suffix(target)}"


def common_name_suffix(target: Target) -> str:
    """Return what every common name of this client in this environment must end in."""
    return f".{target.ins}.{target.env}"


def kubernetes_name(identifier: str) -> str:
    """Return a PostgreSQL identifier as part of a Kubernetes name."""
    return identifier.replace("_", "-")


def client_certificate_name(target: Target, role: str) -> str:
    """Return the name of a role's client Certificate and of its Secret."""
    return f"{cluster_name(target)}-client-{kubernetes_name(role)}"


def connection_service_name(database: str, access: str = "rw") -> str:
    """Return the name of a database's section in a role's pg_service.conf; access is rw or ro.

    No database has a dot in its name, and one may be called app-ro.
    """
    return database if access == "rw" else f"{database}.{access}"


def database_resource_name(target: Target, database: str) -> str:
    """Return the name of a Database object."""
    return f"{cluster_name(target)}-{kubernetes_name(database)}"


def server_certificate_name(target: Target) -> str:
    """Return the name of the server's Certificate and of its Secret."""
    return f"{cluster_name(target)}-server"


def replication_certificate_name(target: Target) -> str:
    """Return the name of the Certificate by which standbys log in, and of its Secret."""
    return f"{cluster_name(target)}-replication"


def client_ca_name(target: Target) -> str:
    """Return the name of the client CA: its Certificate, its Secret, and the Issuer that signs with it."""
    return f"{cluster_name(target)}-client-ca"


def client_ca_bundle_name(target: Target) -> str:
    """Return the name of the Secret with the client CAs of all datacenters that replicate."""
    return f"{cluster_name(target)}-client-ca-bundle"


def server_ca_bundle_name(target: Target) -> str:
    """Return the name of the ConfigMap with the roots of the servers of all datacenters that replicate."""
    return f"{cluster_name(target)}-server-ca-bundle"


def self_signed_issuer_name(target: Target) -> str:
    """Return the name of the Issuer that the client CA itself comes from."""
    return f"{cluster_name(target)}-selfsigned"


def s3_secret_name(target: Target) -> str:
    """Return the name of the Secret that the chart makes from S3 keys that stand in the configuration."""
    return f"{cluster_name(target)}-s3"


def bucket_name(ins: str, team_env: str) -> str:
    """Return what a new client's bucket is called, unless the platform team names it otherwise."""
    return f"{ins}-backups" if team_env == "local" else f"{ins}-{team_env}-backups"


def s3_credentials_name(ins: str) -> str:
    """Return the name of the Secret that a new client's S3 keys are put into, outside local."""
    return f"{ins}-s3-credentials"


def bind_password_name(ins: str) -> str:
    """Return the name of the Secret with the password by which a new client's pgAdmin binds."""
    return f"{ins}-ldap-bind-password"


def monitoring_queries_name(target: Target) -> str:
    """Return the name of the ConfigMap that holds pgaas's own metrics queries."""
    return f"{cluster_name(target)}-monitoring-queries"


def pgadmin_name(target: Target) -> str:
    """Return the name of pgAdmin's Deployment and Service, and of what else it has one of."""
    return f"{cluster_name(target)}-pgadmin"


def client_group(ins: str) -> str:
    """Return the name of the group that a client's own people are in."""
    return f"pgaas-{ins}"


def users_package_name(version: str) -> str:
    """Return the file name of a published version of the users' repository."""
    return f"{USERS_ARTIFACT}-{version}.zip"


def artifact_path(artifact: str, version: str, file: str) -> str:
    """Return where a published file is in the artifacts' repository."""
    return f"{artifact}/{version}/{file}"


def load_balancer_name(target: Target, access: str) -> str:
    """Return the name of the Service that is reached from outside Kubernetes; access is rw or ro."""
    return f"{cluster_name(target)}-{access}-lb"


def service_names(target: Target) -> list[str]:
    """Return the names of the Services that CloudNativePG makes, and of the two LoadBalancers beside them."""
    name = cluster_name(target)
    own = [f"{name}-rw", f"{name}-ro", f"{name}-r"]
    return own + [load_balancer_name(target, access) for access in ("rw", "ro")]


def service_fqdn(target: Target, access: str, dns_suffix: str) -> str:
    """Return the name by which clients outside Kubernetes reach a Service; access is rw, ro or pgadmin."""
    return f"{cluster_name(target)}-{access}.{namespace(target)}.{dns_suffix}"


def alias_fqdn(prefix: str, target: Target, zone: str) -> str:
    """Return a DNS alias of a client in one environment, such as primary.ic1-prod.example.com."""
    return f"{prefix}.{namespace(target)}.{zone}"


def side_fqdn(target: Target, zone: str) -> str:
    """Return the name of one side, which never moves, such as local2.ic1-local.pgaas.local."""
    return alias_fqdn(target.dc, target, zone)


def alias_record(target: Target) -> str:
    """Return what the objects of the primary's alias in CoreDNS are labelled with."""
    return namespace(target)


def side_record(target: Target) -> str:
    """Return the same of one side's name; no namespace has a second hyphen, so that it is nobody's alias."""
    return f"{namespace(target)}-{target.dc}"


def record_service(record: str) -> str:
    """Return the Service, and the EndpointSlice, whose addresses CoreDNS answers with."""
    return f"pgaas-{record}"


def package_name(version: str) -> str:
    """Return the file name of pgaas's own package."""
    return f"pgaas-{version}.zip"


class RestoredNames(NamedTuple):
    """The names of what belongs to a cluster that was restored beside its source: all begin with its own."""

    cluster: str
    server_certificate: str
    replication_certificate: str
    client_ca: str
    client_ca_bundle: str
    self_signed_issuer: str
    s3_secret: str
    monitoring_queries: str
    services: tuple[str, ...]

    def client_certificate(self, role: str) -> str:
        """Return the name of a role's client Certificate and of its Secret, where the source's are gone."""
        return f"{self.cluster}-client-{kubernetes_name(role)}"


def restored_names(name: str) -> RestoredNames:
    """Return the names for a restored cluster; its ObjectStore and its ImageCatalog are called as it is."""
    return RestoredNames(
        cluster=name,
        server_certificate=f"{name}-server",
        replication_certificate=f"{name}-replication",
        client_ca=f"{name}-client-ca",
        client_ca_bundle=f"{name}-client-ca-bundle",
        self_signed_issuer=f"{name}-selfsigned",
        s3_secret=f"{name}-s3",
        monitoring_queries=f"{name}-monitoring-queries",
        services=(f"{name}-rw", f"{name}-ro", f"{name}-r"),
    )

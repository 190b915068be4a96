"""confs/admin/ENV/datacenters.yaml: the Kubernetes clusters, their S3 and DNS."""

import re
from typing import Annotated, Literal

from pydantic import Field

from pgaas.config.models.base import Check, FileModel, unset
from pgaas.config.models.types import (
    AnnotationName,
    Cidr,
    DnsLabel,
    DnsName,
    DnsSuffix,
    HttpUrl,
    Line,
    Port,
    Region,
    Text,
    check_dns_name,
)

TimeToLive = Annotated[int, Field(ge=1, le=86400)]
Seconds = Annotated[int, Field(ge=1, le=600)]
ENVIRONMENT_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
# An IPv6 address with a port stands in brackets.
ADDRESS_AND_PORT = re.compile(
    r"\[(?P<six>[^\]]*)\](:(?P<six_port>[0-9]{1,5}))?|(?P<four>[^:]*):(?P<port>[0-9]{1,5})"
)


def check_environment_variable(value: str) -> str:
    """Return the name of an environment variable. Raise ValueError if it is none."""
    if not ENVIRONMENT_VARIABLE.fullmatch(value):
        raise ValueError("is not the name of an environment variable, such as PGAAS_TSIG_SECRET")
    return value


def check_nameserver(value: str) -> str:
    """Return the address of a DNS server, with its port if it is not 53. Raise ValueError if it is none."""
    found = ADDRESS_AND_PORT.fullmatch(value)
    address = value if found is None else found["six"] or found["four"] or ""
    port = int(found["six_port"] or found["port"] or 53) if found else 53
    if not _is_address(address) or not 1 <= port <= 65535:
        raise ValueError(
            f"{value!r} is not an address such as 192.0.2.53, 192.0.2.53:5353 or [2001:db8::53]:5353"
        )
    return value


def check_host(value: str) -> str:
    """Return a machine's name or address. Raise ValueError if it is neither."""
    return value if _is_address(value) else check_dns_name(value)


def _is_address(value: str) -> bool:
    import ipaddress

    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return "%" not in value


class Coredns(FileModel):
    """Where each datacenter's CoreDNS has its configuration; pgaas keeps its records beside it."""

    namespace: DnsLabel = "kube-system"
    """The namespace of CoreDNS."""
    config_map: DnsName = "coredns"
    """The ConfigMap with its Corefile."""


class TsigSecret(FileModel):
    """Where the key's secret, in base64, is on the machine that runs pgaas: it never stands in this file."""

    environment: Annotated[str, Check(check_environment_variable)] | None = None
    """The environment variable that holds it."""
    file: Line | None = None
    """The file that holds it."""


class Rfc2136(FileModel):
    """A DNS server that takes updates signed with TSIG; `zone` is its own, if that is not the aliases'."""

    server: Annotated[str, Check(check_host)]
    """The name or address of the DNS server."""
    port: Port = 53
    """Its port."""
    zone: DnsSuffix | None = None
    """Its zone, if that is not the one of the aliases."""
    tsig_name: DnsName
    """The name of the TSIG key."""
    tsig_algorithm: Literal["hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"] = "hmac-sha256"
    """The algorithm of the TSIG key."""
    tsig_secret: TsigSecret
    """Where the key's secret is."""
    timeout: Seconds = 5
    """How many seconds an answer is waited for."""


class Hook(FileModel):
    """A program that moves the alias: on PATH, or a path below the root. `timeout` is in seconds."""

    program: Line
    """The program: a name on PATH, or a path below the root."""
    timeout: Seconds = 30
    """How many seconds it may take."""


class Dns(FileModel):
    """The zone of the aliases, and how the primary's is moved.

    `endpoint` makes external-dns publish the static ones. `ttl` is in seconds. Of `coredns`, `rfc2136` and
    `hook` only the provider's own is read.
    """

    zone: DnsSuffix
    """The zone of the aliases."""
    primary_prefix: DnsLabel = "primary"
    """What the primary's alias begins with: PREFIX.INS-ENV.ZONE."""
    endpoint: bool = False
    """Whether external-dns publishes the static aliases."""
    ttl: TimeToLive = 60
    """How many seconds resolvers may keep an alias."""
    provider: Literal["coredns", "rfc2136", "hook"]
    """What moves the primary's alias."""
    coredns: Coredns | None = None
    """Settings of the provider coredns."""
    rfc2136: Rfc2136 | None = None
    """Settings of the provider rfc2136."""
    hook: Hook | None = None
    """Settings of the provider hook."""


class DatacenterDns(FileModel):
    """The prefix of a datacenter's read-only alias, and the DNS server that its clients ask.

    Where no datacenter has a `resolver`, the one of the machine that runs pgaas is asked.
    """

    ro_prefix: DnsLabel
    """What the read-only alias begins with: PREFIX.INS-ENV.ZONE."""
    resolver: Annotated[str, Check(check_nameserver)] | None = None
    """The DNS server that the datacenter's clients ask, such as 192.0.2.53:5353."""


class S3(FileModel):
    """A datacenter's own S3 endpoint, which serves the buckets of all datacenters."""

    endpoint: HttpUrl
    """The URL of the S3 service; it ends after the host and port."""
    region: Region
    """The region that requests are signed for."""


class ServiceSettings(FileModel):
    """How a Service becomes reachable from outside Kubernetes."""

    type: Literal["LoadBalancer", "NodePort", "ClusterIP"] = "LoadBalancer"
    """The type of the Service."""
    annotations: dict[AnnotationName, Text] = Field(default={})
    """Annotations of the Service, such as those of a load balancer."""


class Services(FileModel):
    """The read-write and the read-only Service."""

    rw: ServiceSettings = unset(ServiceSettings)
    """The Service of the primary."""
    ro: ServiceSettings = unset(ServiceSettings)
    """The Service of the standbys."""


class Datacenter(FileModel):
    """One Kubernetes cluster; without `kube_context` the current context is used.

    `pod_cidrs` are the networks of its pods: a client's `allowedCIDRs` never opens them.
    """

    kube_context: Line | None = None
    """The kubeconfig context; without it, the current one."""
    dns_suffix: DnsSuffix
    """What the names of its Services end in."""
    dns: DatacenterDns
    """Its read-only alias and its DNS server."""
    s3: S3
    """Its S3 endpoint."""
    cluster_issuer: DnsName = "pgaas-ca-issuer"
    """The ClusterIssuer of server certificates."""
    operator_namespace: DnsLabel = "cnpg-system"
    """The namespace of the operator and of the Barman Cloud plugin."""
    monitoring_namespaces: list[DnsLabel] = Field(default=[])
    """Namespaces that may read metrics."""
    pod_cidrs: list[Cidr] = Field(default=[], alias="podCIDRs")
    """The networks of its pods: a client's allowedCIDRs never opens them."""
    services: Services = unset(Services)
    """How clients outside Kubernetes reach the instances."""


class DatacentersFile(FileModel):
    """The whole file."""

    dns: Dns
    """The aliases of all datacenters."""
    datacenters: Annotated[dict[str, Datacenter], Field(min_length=1)]
    """The datacenters by their names."""

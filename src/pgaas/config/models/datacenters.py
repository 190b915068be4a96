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
    config_map: DnsName = "coredns"


class TsigSecret(FileModel):
    """Where the key's secret, in base64, is on the machine that runs pgaas: it never stands in this file."""

    environment: Annotated[str, Check(check_environment_variable)] | None = None
    file: Line | None = None


class Rfc2136(FileModel):
    """A DNS server that takes updates signed with TSIG; `zone` is its own, if that is not the aliases'."""

    server: Annotated[str, Check(check_host)]
    port: Port = 53
    zone: DnsSuffix | None = None
    tsig_name: DnsName
    tsig_algorithm: Literal["hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"] = "hmac-sha256"
    tsig_secret: TsigSecret
    timeout: Seconds = 5


class Hook(FileModel):
    """A program that moves the alias: on PATH, or a path below the root. `timeout` is in seconds."""

    program: Line
    timeout: Seconds = 30


class Dns(FileModel):
    """The zone of the aliases, and how the primary's is moved.

    `endpoint` makes external-dns publish the static ones. `ttl` is in seconds. Of `coredns`, `rfc2136` and
    `hook` only the provider's own is read.
    """

    zone: DnsSuffix
    primary_prefix: DnsLabel = "primary"
    endpoint: bool = False
    ttl: TimeToLive = 60
    provider: Literal["coredns", "rfc2136", "hook"]
    coredns: Coredns | None = None
    rfc2136: Rfc2136 | None = None
    hook: Hook | None = None


class DatacenterDns(FileModel):
    """The prefix of a datacenter's read-only alias, and the DNS server that its clients ask.

    Where no datacenter has a `resolver`, the one of the machine that runs pgaas is asked.
    """

    ro_prefix: DnsLabel
    resolver: Annotated[str, Check(check_nameserver)] | None = None


class S3(FileModel):
    """A datacenter's own S3 endpoint, which serves the buckets of all datacenters."""

    endpoint: HttpUrl
    region: Region


class ServiceSettings(FileModel):
    """How a Service becomes reachable from outside Kubernetes."""

    type: Literal["LoadBalancer", "NodePort", "ClusterIP"] = "LoadBalancer"
    annotations: dict[AnnotationName, Text] = Field(default={})


class Services(FileModel):
    """The read-write and the read-only Service."""

    rw: ServiceSettings = unset(ServiceSettings)
    ro: ServiceSettings = unset(ServiceSettings)


class Datacenter(FileModel):
    """One Kubernetes cluster; without `kube_context` the current context is used.

    `pod_cidrs` are the networks of its pods: a client's `allowedCIDRs` never opens them.
    """

    kube_context: Line | None = None
    dns_suffix: DnsSuffix
    dns: DatacenterDns
    s3: S3
    cluster_issuer: DnsName = "pgaas-ca-issuer"
    operator_namespace: DnsLabel = "cnpg-system"
    monitoring_namespaces: list[DnsLabel] = Field(default=[])
    pod_cidrs: list[Cidr] = Field(default=[], alias="podCIDRs")
    services: Services = unset(Services)


class DatacentersFile(FileModel):
    """The whole file."""

    dns: Dns
    datacenters: Annotated[dict[str, Datacenter], Field(min_length=1)]

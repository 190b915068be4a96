"""confs/admin/ENV/datacenters.yaml: the Kubernetes clusters, their S3 and DNS."""

from typing import Annotated, Literal

from pydantic import Field

from pgaas.config.models.base import FileModel, unset
from pgaas.config.models.types import (
    AnnotationName,
    Cidr,
    DnsLabel,
    DnsName,
    DnsSuffix,
    HttpUrl,
    Line,
    Region,
    Text,
)

TimeToLive = Annotated[int, Field(ge=1, le=86400)]


class Dns(FileModel):
    """The zone of the aliases; `endpoint` makes external-dns publish the static ones. `ttl` is in seconds."""

    zone: DnsSuffix
    primary_prefix: DnsLabel = "primary"
    endpoint: bool = False
    ttl: TimeToLive = 60


class DatacenterDns(FileModel):
    """The prefix of a datacenter's read-only alias."""

    ro_prefix: DnsLabel


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

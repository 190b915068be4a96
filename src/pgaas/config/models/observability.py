"""confs/admin/ENV/observability.yaml: the collector in each datacenter; in local, Prometheus, Grafana too."""

import re
from typing import Annotated

from pydantic import Field

from pgaas.config.models.base import Check, FileModel, unset
from pgaas.config.models.types import DnsLabel, DnsName, Line, PrometheusDuration, Size, check_dns_name

HOST_AND_PORT = re.compile(r"(?P<host>\[[0-9a-fA-F:]+\]|[^:]+):(?P<port>[0-9]{1,5})")
# What may stand in a URL; a $ would be read by the collector as the name of a variable.
WRITE_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-zA-Z0-9.:\[\]-]+)(?P<path>/[A-Za-z0-9/._~%+=&?,:-]*)?"
)


def check_host_and_port(value: str) -> str:
    """Return a machine's name or address with its port. Raise ValueError if it is none."""
    found = HOST_AND_PORT.fullmatch(value)
    if not found or not 1 <= int(found["port"]) <= 65535:
        raise ValueError(f"{value!r} is not a host and a port such as 192.0.2.10:9188")
    if not found["host"].startswith("["):
        check_dns_name(found["host"])
    return value


def check_write_url(value: str) -> str:
    """Return the URL of a remote-write endpoint. Raise ValueError if it is none."""
    if not WRITE_URL.fullmatch(value):
        raise ValueError(f"{value!r} is not a URL such as https://metrics.example.com/api/v1/write")
    return value


HostAndPort = Annotated[str, Check(check_host_and_port)]
WriteUrl = Annotated[str, Check(check_write_url)]


class VolumeClaim(FileModel):
    """A volume, and the class it comes from."""

    size: Size
    """The size of the volume."""
    storage_class: DnsName
    """The StorageClass of the volume."""


class Prometheus(FileModel):
    """How long metrics are kept, where, and who is told of alerts."""

    retention: PrometheusDuration
    """How long samples are kept, such as 15d."""
    storage: VolumeClaim
    """The volume that holds them."""
    alertmanagers: list[HostAndPort] = Field(default=[])
    """Who is told of alerts, as host:port."""


class Ingress(FileModel):
    """Whether Grafana has a host name of its own."""

    enabled: bool = False
    """Whether there is an Ingress."""
    host: DnsName | None = None
    """The host name of the Ingress."""


class Grafana(FileModel):
    """The dashboards."""

    admin_password: Line
    """The password of the user admin."""
    ingress: Ingress = unset(Ingress)
    """The host name of Grafana."""


class Scrape(FileModel):
    """How the instances are asked for metrics; `tls` must match monitoring.tls of postgresql.yaml."""

    interval: PrometheusDuration = "30s"
    """How often instances are asked."""
    tls: bool = False
    """Whether they are asked over TLS; it must match monitoring.tls of postgresql.yaml."""


class ServiceAccount(FileModel):
    """What the collector runs as; without `namespace`, in the first of a datacenter's monitoringNamespaces.

    Clients' namespaces let it see their pods, by which it finds the instances.
    """

    namespace: DnsLabel | None = None
    """The namespace of the account; by default the first of a datacenter's monitoringNamespaces."""
    name: DnsName = "otel-collector"
    """The name of the account."""


class RemoteWrite(FileModel):
    """Where samples go; in local, the Prometheus of the first datacenter if there is no endpoint.

    `authorization_secret` names a Secret whose key `authorization` is sent as that header, `ca_config_map` a
    ConfigMap whose key `ca.crt` vouches for the endpoint. Both are in the collector's namespace.
    """

    endpoint: WriteUrl | None = None
    """The URL of the remote-write endpoint; in local, by default the first datacenter's Prometheus."""
    authorization_secret: DnsName | None = None
    """A Secret in the collector's namespace whose key authorization is sent as that header."""
    ca_config_map: DnsName | None = None
    """A ConfigMap in the collector's namespace whose ca.crt vouches for the endpoint."""


class OtelCollector(FileModel):
    """What is between instances, operator and Prometheus; the operator's pods are discovered."""

    service_account: ServiceAccount = unset(ServiceAccount)
    """What the collector runs as: clients' namespaces let it see their pods."""
    scrape: Scrape = unset(Scrape)
    """How instances are asked."""
    operator_tls: bool = False
    """Whether the operator is asked over TLS."""
    extra_targets: list[HostAndPort] = Field(default=[])
    """Further endpoints to ask, as host:port."""
    remote_write: RemoteWrite = unset(RemoteWrite)
    """Where samples go."""


class Observability(FileModel):
    """A collector in each datacenter; in local, Prometheus and Grafana in the first."""

    prometheus: Prometheus | None = None
    """Prometheus; in local only."""
    grafana: Grafana | None = None
    """Grafana; in local only."""
    otel_collector: OtelCollector = unset(OtelCollector)
    """The collector in each datacenter."""


class ObservabilityFile(FileModel):
    """The whole file."""

    observability: Observability
    """What measures the clusters."""

"""confs/admin/local/observability.yaml: Prometheus, Grafana and the collector of the local environment."""

from pgaas.config.models.base import FileModel, unset
from pgaas.config.models.types import DnsName, Line, PrometheusDuration, Size


class VolumeClaim(FileModel):
    """A volume, and the class it comes from."""

    size: Size
    storage_class: DnsName


class Prometheus(FileModel):
    """How long metrics are kept, and where."""

    retention: PrometheusDuration
    storage: VolumeClaim


class Ingress(FileModel):
    """Whether Grafana has a host name of its own."""

    enabled: bool = False
    host: DnsName | None = None


class Grafana(FileModel):
    """The dashboards."""

    admin_password: Line
    ingress: Ingress = unset(Ingress)


class Scrape(FileModel):
    """How the instances are asked for metrics; `tls` must match monitoring.tls of postgresql.yaml."""

    interval: PrometheusDuration = "30s"
    tls: bool = False


class OtelCollector(FileModel):
    """The collector between instances, operator and Prometheus; the operator's pods are discovered."""

    scrape: Scrape = unset(Scrape)
    operator_tls: bool = False


class Observability(FileModel):
    """One stack, in the first local datacenter."""

    prometheus: Prometheus
    grafana: Grafana
    otel_collector: OtelCollector = unset(OtelCollector)


class ObservabilityFile(FileModel):
    """The whole file."""

    observability: Observability

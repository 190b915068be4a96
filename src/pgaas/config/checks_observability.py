"""What observability.yaml must and must not hold, by the environment."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from pgaas.config.environments import LOCAL, LOCAL_NAMESPACE
from pgaas.config.models.datacenters import DatacentersFile
from pgaas.config.models.observability import ObservabilityFile

Finding = tuple[tuple[str | int, ...], str]


def check_observability(file: BaseModel, team_env: str, datacenters: BaseModel | None) -> Iterator[Finding]:
    """Return what does not belong to this kind of environment, or is missing in it."""
    assert isinstance(file, ObservabilityFile)
    yield from _check_account(file, team_env, datacenters)
    found = file.observability
    for name, part in (("prometheus", found.prometheus), ("grafana", found.grafana)):
        if team_env == LOCAL and part is None:
            yield ("observability",), f"needs {name} in local"
        elif team_env != LOCAL and part is not None:
            yield ("observability", name), "is of local only: elsewhere, metrics go to remoteWrite.endpoint"
    place = ("observability", "otelCollector", "remoteWrite")
    endpoint = found.otel_collector.remote_write.endpoint
    if team_env != LOCAL and endpoint is None:
        yield place, "needs endpoint: only local has a Prometheus of its own"
    if team_env != LOCAL and endpoint is not None and not endpoint.startswith("https://"):
        yield (*place, "endpoint"), "must begin with https:// outside of local"


def _check_account(
    file: ObservabilityFile, team_env: str, datacenters: BaseModel | None
) -> Iterator[Finding]:
    """Find a namespace in which the collector is not, or from which it would not reach an instance."""
    account = file.observability.otel_collector.service_account
    place = ("observability", "otelCollector", "serviceAccount", "namespace")
    if account.namespace is None:
        return
    if team_env == LOCAL:
        if account.namespace != LOCAL_NAMESPACE:
            yield place, f"must be {LOCAL_NAMESPACE} in local, where helmfile.yaml installs it"
        return
    if not isinstance(datacenters, DatacentersFile):
        return
    let_in = {name: each.monitoring_namespaces for name, each in datacenters.datacenters.items()}
    # Where nobody may ask for metrics, there is no collector.
    shut = [name for name, namespaces in let_in.items() if namespaces and account.namespace not in namespaces]
    if shut:
        yield (
            place,
            f"{account.namespace!r} is not one of monitoringNamespaces of {', '.join(shut)} in "
            "datacenters.yaml: NetworkPolicies would keep it from the instances",
        )

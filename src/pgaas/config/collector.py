"""Which ServiceAccount a datacenter's metrics collector runs as: clients' namespaces show it their pods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pgaas.config.environments import LOCAL, LOCAL_NAMESPACE
from pgaas.config.resolved import Collector

if TYPE_CHECKING:
    from pgaas.config.admin import AdminEnvironment


def collector_of(admin: AdminEnvironment, dc: str) -> Collector | None:
    """Return a datacenter's collector, or None if no namespace there is let near the instances' metrics."""
    found: Any = admin.models["observability"]
    account = found.observability.otel_collector.service_account
    namespace = account.namespace or next(
        iter(
            [LOCAL_NAMESPACE]
            if admin.team_env == LOCAL
            else admin.datacenters.datacenters[dc].monitoring_namespaces
        ),
        None,
    )
    return Collector(namespace, account.name) if namespace else None

"""What observability.yaml must and must not hold, by the environment."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from pgaas.config.models.observability import ObservabilityFile

LOCAL = "local"
Finding = tuple[tuple[str | int, ...], str]


def check_observability(file: BaseModel, team_env: str) -> Iterator[Finding]:
    """Return what does not belong to this kind of environment, or is missing in it."""
    assert isinstance(file, ObservabilityFile)
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

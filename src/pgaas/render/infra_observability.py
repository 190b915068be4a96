"""The values of local-infra/observability: for a local datacenter all of it, elsewhere only the collector."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pgaas.config.admin import AdminEnvironment, ConfigCache
from pgaas.config.collector import collector_of
from pgaas.config.environments import LOCAL
from pgaas.config.models.datacenters import DatacentersFile
from pgaas.config.models.observability import ObservabilityFile
from pgaas.config.naming import Target, cluster_name, namespace
from pgaas.render.dump import dump_plain
from pgaas.render.write import GENERATED_FOLDER, write_text

# Where collectors of other datacenters reach the first one's Prometheus.
PROMETHEUS_NODE_PORT = 30090
WRITE_PATH = "/api/v1/write"


def observability_values(root: Path, cache: ConfigCache, dc: str) -> dict[str, Any]:
    """Return the values for a local datacenter; the first one has Prometheus and Grafana too.

    Raise ConfigError with every issue of the environment's files.
    """
    admin = cache.admin(root, LOCAL)
    clients = admin.clients.clients
    targets = [Target(ins, LOCAL, dc) for ins, client in clients.items() if dc in client.datacenters]
    first = dc == next(iter(admin.datacenters.datacenters))
    settings = _settings(admin.file(ObservabilityFile))
    return {
        "prometheus": {
            "enabled": first,
            "nodePort": PROMETHEUS_NODE_PORT,
            **(settings["prometheus"] if first else {}),
        },
        "grafana": {"enabled": first, **(settings["grafana"] if first else {})},
        "otelCollector": _collector(
            settings, admin, dc, targets, "" if first else _first_endpoint(admin.datacenters)
        ),
        "clients": list(clients) if first else [],
    }


def collector_values(
    root: Path, cache: ConfigCache, team_env: str, dc: str, targets: Iterable[Target]
) -> dict[str, Any]:
    """Return the values for a datacenter of another environment: the same collector, and nothing else.

    `targets` are all clusters of the environment, those of other datacenters are left out. Raise ConfigError.
    """
    admin = cache.admin(root, team_env)
    own = [target for target in targets if target.dc == dc]
    settings = _settings(admin.file(ObservabilityFile))
    return {
        "prometheus": {"enabled": False},
        "grafana": {"enabled": False},
        "otelCollector": _collector(settings, admin, dc, own, ""),
        "clients": [],
    }


def write_local(root: Path, cache: ConfigCache) -> list[Path]:
    """Write the values of each local datacenter but the first, whose file has no folder; return the paths.

    Raise as `write_collectors`.
    """
    written = []
    for dc in list(cache.admin(root, LOCAL).datacenters.datacenters)[1:]:
        path = root / GENERATED_FOLDER / "local-infra" / dc / "observability-values.yaml"
        write_text(path, _header(LOCAL) + dump_plain(observability_values(root, cache, dc)), secret=True)
        written.append(path)
    return written


def write_collectors(root: Path, cache: ConfigCache, team_env: str, targets: Iterable[Target]) -> list[Path]:
    """Write each datacenter's values for a real environment and return the files' paths.

    Raise ConfigError with every issue of the environment's files, UsageError if the file system refuses.
    """
    written, known = [], list(targets)
    for dc in cache.admin(root, team_env).datacenters.datacenters:
        path = root / GENERATED_FOLDER / "observability" / team_env / dc / "values.yaml"
        values = collector_values(root, cache, team_env, dc, known)
        write_text(path, _header(team_env) + dump_plain(values), secret=False)
        written.append(path)
    return written


def _header(team_env: str) -> str:
    """Return the first lines of a values file."""
    made_from = ", ".join(f"{name}.yaml" for name in ("observability", "clients", "datacenters"))
    return f"# Made by `pgaas generate`: edits will be lost.\n# From confs/admin/{team_env}/: {made_from}\n"


def _settings(file: ObservabilityFile) -> dict[str, Any]:
    found: dict[str, Any] = file.model_dump(by_alias=True, exclude_none=True)["observability"]
    return found


def _collector(
    settings: dict[str, Any], admin: AdminEnvironment, dc: str, targets: list[Target], endpoint: str
) -> dict[str, Any]:
    datacenter, collector = admin.datacenters.datacenters[dc], settings["otelCollector"]
    scrape, account = collector["scrape"], collector_of(admin, dc)
    # Without TLS one job finds all instances in the clients' namespaces, whatever they are called.
    places = {
        "namespaces": sorted({namespace(target) for target in targets}),
        "clusters": [_cluster(target) for target in targets] if scrape["tls"] else [],
    }
    return {
        **collector,
        "datacenter": dc,
        "serviceAccount": {**collector["serviceAccount"], "namespace": account.namespace if account else ""},
        "scrape": {**scrape, "clusterIssuer": datacenter.cluster_issuer, **places},
        "operatorNamespace": datacenter.operator_namespace,
        "remoteWrite": {"endpoint": endpoint, **collector["remoteWrite"]},
    }


def _cluster(target: Target) -> dict[str, str]:
    name = cluster_name(target)
    return {"name": name, "namespace": namespace(target), "serverName": f"{name}-rw"}


def _first_endpoint(datacenters: DatacentersFile) -> str:
    """Return where the first datacenter's Prometheus takes samples: on the machine whose S3 is used."""
    first = next(iter(datacenters.datacenters.values()))
    host = urlsplit(first.s3.endpoint).hostname or ""
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{PROMETHEUS_NODE_PORT}{WRITE_PATH}"

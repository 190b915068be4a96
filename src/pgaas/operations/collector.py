"""Whether a datacenter's metrics collector looks for instances in a client's namespace."""

from __future__ import annotations

from typing import Any

from pgaas.config.environments import LOCAL
from pgaas.config.load import parse_document
from pgaas.errors import KubernetesError
from pgaas.kube.client import Api
from pgaas.kube.resources import CONFIG_MAP, Object, dig
from pgaas.operations.subject import Subject

# As local-infra/observability calls it.
CONFIGURATION, KEY = "otel-collector", "config.yaml"


def unseen_by_collector(subject: Subject, api: Api) -> str:
    """Return what to tell if the live collector is not told of the client's namespace.

    Return an empty text if it is, and where there is none, or its configuration can't be read.
    """
    collector, team_env = subject.resolved.collector, subject.resolved.team_env
    if collector is None:
        return ""
    try:
        found = api.get(CONFIG_MAP, CONFIGURATION, collector.namespace)
    except KubernetesError:
        return ""
    text = dig(found, "data", KEY)
    live = parse_document(KEY, text.encode(errors="replace")).data if isinstance(text, str) else None
    jobs = dig(live, "receivers", "prometheus", "config", "scrape_configs")
    if not isinstance(jobs, list) or any(_looks_into(job, subject.namespace) for job in jobs):
        return ""
    again = (
        "pgaas infra install"
        if team_env == LOCAL
        else f"pgaas generate --all --env {subject.target.env}, then helm upgrade (docs/observability.md)"
    )
    return f"no metrics yet: the collector does not look into the namespace {subject.namespace}; {again}"


def _looks_into(job: Object, namespace: str) -> bool:
    """Say whether a job discovers in a namespace; one that names none discovers in all."""
    discoveries = _list(dig(job, "kubernetes_sd_configs"))
    named = [_list(dig(discovery, "namespaces", "names")) for discovery in discoveries]
    return any(not names or namespace in names for names in named)


def _list(found: Any) -> list[Any]:
    return found if isinstance(found, list) else []

"""Answer for a name in a cluster's CoreDNS.

The Corefile is changed once for each client: it then takes the name's addresses from a headless Service,
which CoreDNS watches. A move changes only that Service's EndpointSlice, and is answered within milliseconds.
A changed Corefile takes seconds: the kubelet, once nudged, brings the file, and CoreDNS reads it every few.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pgaas.errors import KubernetesConflict, KubernetesError, PgaasError
from pgaas.kube.client import Api
from pgaas.kube.corefile import LABEL, Alias, CorefileNotUnderstood, with_alias, without_alias
from pgaas.kube.resources import CONFIG_MAP, POD, SERVICE, Kind, Object, dig, name_of

KEY = "Corefile"
PODS = {"k8s-app": "kube-dns"}
DATACENTER = "pgaas.io/primary-datacenter"
KNOWN = "pgaas.io/known-addresses"
COREFILE_HASH = "pgaas.io/corefile"
PORT = {"name": "postgres", "port": 5432, "protocol": "TCP"}
ENDPOINT_SLICE = Kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices")
ATTEMPTS = 5


@dataclass(frozen=True)
class Pointed:
    """What a cluster's CoreDNS answers for an alias: the addresses, and the datacenter whose they are.

    `known` are the addresses that each datacenter had when the alias was last pointed somewhere.
    """

    addresses: tuple[str, ...] = ()
    datacenter: str = ""
    known: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def install(api: Api, config_map: str, aliases: Sequence[Alias], *, dry_run: bool = False) -> bool:
    """Let the Corefile answer for some aliases; return whether it had to be changed, which is done once.

    `dry_run` asks the API server whether it would take the change. Raise KubernetesError.
    """
    return bool(aliases) and _change(api, config_map, aliases, add=True, dry_run=dry_run)


def uninstall(api: Api, config_map: str, aliases: Sequence[Alias]) -> bool:
    """Take aliases and their addresses away; return whether there was any of it. Raise KubernetesError."""
    changed = False
    if aliases and api.get(CONFIG_MAP, config_map, aliases[0].namespace) is not None:
        changed = _change(api, config_map, aliases, add=False)
    gone = [
        api.delete(kind, alias.service, alias.namespace)
        for alias in aliases
        for kind in (ENDPOINT_SLICE, SERVICE)
    ]
    return changed or any(gone)


def point(api: Api, alias: Alias, to: Pointed, *, dry_run: bool = False) -> None:
    """Point an alias to addresses; `dry_run` only asks whether it may. Raise KubernetesError."""
    metadata = {"name": alias.service, "namespace": alias.namespace}
    labels = {LABEL: alias.label, "app.kubernetes.io/part-of": "pgaas"}
    service: Object = {
        "apiVersion": SERVICE.api_version,
        "kind": SERVICE.kind,
        "metadata": metadata | {"labels": labels},
        "spec": {"clusterIP": "None", "ports": [PORT]},
    }
    entry: Object = {
        "apiVersion": ENDPOINT_SLICE.api_version,
        "kind": ENDPOINT_SLICE.kind,
        "metadata": metadata
        | {
            "labels": labels
            | {
                "kubernetes.io/service-name": alias.service,
                "endpointslice.kubernetes.io/managed-by": "pgaas",
            },
            "annotations": {DATACENTER: to.datacenter, KNOWN: json.dumps(to.known, sort_keys=True)},
        },
        "addressType": "IPv4",
        "ports": [PORT],
        "endpoints": [{"addresses": list(to.addresses), "conditions": {"ready": True}}],
    }
    for obj in (service, entry):
        api.apply(obj, force=True, dry_run=dry_run)


def pointed(api: Api, alias: Alias) -> Pointed:
    """Return what an alias points to here, or nothing if it never was pointed. Raise KubernetesError."""
    found = api.get(ENDPOINT_SLICE, alias.service, alias.namespace)
    addresses = dig(found, "endpoints", 0, "addresses", default=[])
    annotations = dig(found, "metadata", "annotations", default={})
    return Pointed(tuple(addresses), str(annotations.get(DATACENTER, "")), _known(annotations.get(KNOWN)))


def balancer_addresses(api: Api, service: str, namespace: str) -> tuple[str, ...]:
    """Return the IPv4 addresses of a LoadBalancer Service; raise KubernetesError if there is none.

    A balancer that is known by a name only cannot be pointed to by addresses, and raises too.
    """
    where = f'Service {namespace}/{service}, context "{api.context}"'
    found = api.get(SERVICE, service, namespace)
    if found is None:
        raise KubernetesError(
            "the primary's LoadBalancer Service is not there", where=where, next_step="run pgaas create there"
        )
    entries = dig(found, "status", "loadBalancer", "ingress", default=[])
    addresses = tuple(str(entry["ip"]) for entry in entries if "." in entry.get("ip", ""))
    if not addresses and entries:
        given = ", ".join(str(entry.get("hostname") or entry.get("ip")) for entry in entries)
        raise KubernetesError(
            f"the balancer has no IPv4 address, which CoreDNS would need, but {given}",
            where=where,
            next_step="use dns.provider rfc2136 or hook: they point to names",
        )
    if not addresses:
        raise KubernetesError(
            "the Service has no address yet",
            where=where,
            next_step="look at what gives LoadBalancer Services their addresses (kubectl describe service)",
        )
    return addresses


def _known(text: str | None) -> dict[str, tuple[str, ...]]:
    """Return what an annotation says about the datacenters' addresses; nothing if it makes no sense."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    entries = found.items() if isinstance(found, dict) else ()
    return {dc: tuple(map(str, each)) for dc, each in entries if isinstance(each, list)}


def _change(api: Api, config_map: str, aliases: Sequence[Alias], *, add: bool, dry_run: bool = False) -> bool:
    # They all stand beside the one ConfigMap.
    namespace = aliases[0].namespace
    for attempt in range(ATTEMPTS):
        found = _config_map(api, config_map, namespace)
        before = found["data"][KEY]
        text = _edited(api, found, aliases, namespace, add=add)
        if text == before:
            return False
        wanted: Object = {
            "apiVersion": CONFIG_MAP.api_version,
            "kind": CONFIG_MAP.kind,
            # With the version that was read, so that nobody else's change is lost.
            "metadata": {
                "name": config_map,
                "namespace": namespace,
                "resourceVersion": found["metadata"]["resourceVersion"],
            },
            "data": {KEY: text},
        }
        try:
            api.apply(wanted, force=True, dry_run=dry_run)
        except KubernetesConflict:
            if attempt == ATTEMPTS - 1:
                raise
            continue
        if not dry_run:
            _nudge(api, namespace, text)
        return True
    raise AssertionError("unreachable")


def _config_map(api: Api, config_map: str, namespace: str) -> Object:
    found = api.get(CONFIG_MAP, config_map, namespace)
    if found is None or not isinstance(dig(found, "data", KEY), str):
        raise KubernetesError(
            "CoreDNS's configuration is not there" if found is None else f"it has no {KEY}",
            where=f'ConfigMap {namespace}/{config_map}, context "{api.context}"',
            next_step="name the right one as dns.coredns in datacenters.yaml",
        )
    return found


def _edited(api: Api, found: Object, aliases: Sequence[Alias], namespace: str, *, add: bool) -> str:
    text: str = found["data"][KEY]
    try:
        for alias in aliases:
            text = with_alias(text, alias) if add else without_alias(text, alias.fqdn)
    except CorefileNotUnderstood as error:
        raise KubernetesError(
            f"the Corefile is left alone: {error}",
            where=f'ConfigMap {namespace}/{name_of(found)}, context "{api.context}"',
            next_step="mend it by hand, or use dns.provider rfc2136 or hook",
        ) from error
    return text


def _nudge(api: Api, namespace: str, text: str) -> None:
    """Change an annotation of CoreDNS's pods: their kubelets then bring them the new file at once."""
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    try:
        for pod in api.find(POD, namespace, labels=PODS):
            metadata = {"name": name_of(pod), "namespace": namespace, "annotations": {COREFILE_HASH: digest}}
            api.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata}, force=True)
    except PgaasError:
        # Without it the file comes by itself, in about a minute.
        return

"""Say how the local infrastructure is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pgaas.config.environments import LOCAL
from pgaas.errors import PgaasError
from pgaas.kube.client import Api
from pgaas.kube.difference import parse_manifest
from pgaas.kube.release import latest_release
from pgaas.kube.resources import CLUSTER_ISSUER, condition, is_true
from pgaas.kube.wait import Item
from pgaas.kube.workloads import look_at_all
from pgaas.operations.infra import (
    SEAWEEDFS,
    Everywhere,
    Infra,
    Release,
    Site,
    dns_service,
    load_infra,
    missing_classes,
    node_address,
    storage_classes,
)
from pgaas.operations.infra_install import s3_endpoint
from pgaas.operations.infra_ours import foreign
from pgaas.operations.infra_release import DEPLOYED
from pgaas.operations.progress import Silent

INSTALL = "pgaas infra install"


@dataclass(frozen=True)
class Part:
    """One thing of the local infrastructure: whether it is as it should be, and what was seen."""

    datacenter: str
    name: str
    ok: bool
    detail: str


def status(root: Path, env: str = LOCAL, dc: str | None = None) -> list[Part]:
    """Return how each part is, by datacenter. Raise ConfigError or UsageError.

    A datacenter that cannot be asked is a part that is not as it should be.
    """
    infra = load_infra(root, env, dc)
    found = Everywhere(Silent())(infra.sites, lambda site, _: _site(infra, site))
    return [part for parts in found.values() for part in parts]


def _site(infra: Infra, site: Site) -> list[Part]:
    parts: list[Part] = []
    try:
        # One by one, so that what was seen before an API server went away is told.
        parts += _parts(infra, site)
    except PgaasError as error:
        parts.append(Part(site.dc, "API server", False, error.what))
    return parts


def _parts(infra: Infra, site: Site) -> Iterator[Part]:
    api = site.api()
    missing = missing_classes(infra, api)
    named = ", ".join(missing or storage_classes(infra))
    yield Part(site.dc, "storage class", not missing, f"{named}{' missing' if missing else ''}")
    for release in site.releases():
        yield _release(site, release, api)
    issuer = site.settings.cluster_issuer
    found = api.get(CLUSTER_ISSUER, issuer)
    ready = is_true(found, "Ready")
    said = condition(found, "Ready").get("message", "not looked at yet") if found else "not there"
    yield Part(site.dc, "certificate authority", ready, f"{issuer}{'' if ready else f': {said}'}")
    if infra.admin.datacenters.dns.provider == "coredns":
        yield _dns(infra, site, api)
    if site.first and latest_release(api, SEAWEEDFS.name, SEAWEEDFS.namespace):
        yield _compared(site, "S3 endpoint", s3_endpoint(infra, site), site.settings.s3.endpoint)


def _release(site: Site, release: Release, api: Api) -> Part:
    if theirs := foreign(api, release):
        looked = look_at_all(api, theirs.workloads, release.namespace)
        said = _said(looked)
        ok = all(item.ok for item in looked)
        return Part(site.dc, release.title, ok, f"{said or 'there'}, not from pgaas ({theirs.place})")
    record = latest_release(api, release.name, release.namespace)
    if record is None:
        return Part(site.dc, release.title, False, f"not installed: {INSTALL}")
    if record.status != DEPLOYED:
        detail = f"revision {record.revision} is {record.status}: {INSTALL}"
        return Part(site.dc, release.title, False, detail)
    looked = look_at_all(api, parse_manifest(record.manifest), release.namespace)
    return Part(site.dc, release.title, all(item.ok for item in looked), _said(looked))


def _said(looked: list[Item]) -> str:
    """Return what workloads lack, or else their images."""
    lacking = [f"{item.name}: {item.detail}" for item in looked if not item.ok]
    return "; ".join(lacking) or ", ".join(dict.fromkeys(item.detail for item in looked if item.detail))


def _dns(infra: Infra, site: Site, api: Api) -> Part:
    _, port = dns_service(api, infra.dns_namespace)
    if not port:
        return Part(site.dc, "DNS", False, f"CoreDNS does not answer outside its cluster: {INSTALL}")
    return _compared(site, "DNS", f"{node_address(api)}:{port}", site.settings.dns.resolver or "")


def _compared(site: Site, name: str, live: str, written: str) -> Part:
    if live == written:
        return Part(site.dc, name, True, live)
    return Part(site.dc, name, False, f"{live}, but datacenters.yaml says {written or 'nothing'}: {INSTALL}")

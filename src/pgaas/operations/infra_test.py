"""Try the local infrastructure as its clients use it: S3, LDAP, certificates, metrics."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pgaas.config.models.clients import Client
from pgaas.errors import PgaasError
from pgaas.operations.infra import Everywhere, Infra, Say, Site, load_infra
from pgaas.operations.infra_probes import (
    anonymous_reads_nothing,
    certificate_is_issued,
    metrics_arrive,
    objects_come_and_go,
    others_are_out_of_reach,
    people_log_in,
    scratch_bucket,
)
from pgaas.operations.progress import Progress, step

DEFAULT_TIMEOUT = 60.0
Probe = Callable[[], str]


@dataclass(frozen=True)
class Tested:
    """One thing that was tried: whether it works, how long it took, and what was seen or why it does not."""

    what: str
    datacenter: str
    ok: bool
    seconds: float
    why: str


def try_out(
    root: Path, env: str, dc: str | None, progress: Progress, *, timeout: float = DEFAULT_TIMEOUT
) -> list[Tested]:
    """Try everything in each datacenter, and return what came of it; `timeout` is for a single wait.

    Raise ConfigError or UsageError. Nothing that is tried leaves anything behind.
    """
    infra = load_infra(root, env, dc)
    everywhere = Everywhere(progress)
    with step(progress, "trying S3, LDAP, certificates and metrics") as outcome:
        with scratch_bucket(infra):
            found = everywhere(infra.sites, lambda site, say: list(_try_all(infra, site, say, timeout)))
        rows = [row for rows in found.values() for row in rows]
        failed = sum(not row.ok for row in rows)
        outcome.text = f"{len(rows)} things work"
        outcome.problem = f"{failed} of {len(rows)} things do not work" if failed else ""
    return rows


def _try_all(infra: Infra, site: Site, say: Say, timeout: float) -> Iterator[Tested]:
    for what, probe in _probes(infra, site, timeout):
        say(what)
        start = time.monotonic()
        try:
            why, ok = probe(), True
        except PgaasError as error:
            why, ok = f"{error.what}{f', at {error.where}' if error.where else ''}", False
        yield Tested(what, site.dc, ok, time.monotonic() - start, why)


def _probes(infra: Infra, site: Site, timeout: float) -> Iterator[tuple[str, Probe]]:
    mine = {ins: client for ins, client in infra.clients.items() if site.dc in client.datacenters}
    for ins, client in mine.items():
        yield (
            f"S3: {ins} writes, reads, lists and deletes",
            _bound(objects_come_and_go, infra, site, ins, client),
        )
        yield (
            f"S3: {ins} reaches nobody else's bucket",
            _bound(others_are_out_of_reach, infra, site, ins, client),
        )
    yield "LDAP: nobody reads without a name", lambda: anonymous_reads_nothing(infra, site)
    for ins, client in mine.items():
        yield f"LDAP: {ins} is found and logs in", _bound(people_log_in, infra, site, ins, client)
    yield "certificate: issued, and chained to the root", lambda: certificate_is_issued(site, timeout)
    yield "metrics: Prometheus has this datacenter's", lambda: metrics_arrive(infra, site, timeout)


def _bound(
    probe: Callable[[Infra, Site, str, Client], str], infra: Infra, site: Site, ins: str, client: Client
) -> Probe:
    return lambda: probe(infra, site, ins, client)

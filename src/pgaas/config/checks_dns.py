"""What has to fit together in datacenters.yaml's dns section."""

from __future__ import annotations

from collections.abc import Iterator

from pgaas.config.models.datacenters import Dns

# A path within the file, and what is wrong there.
Finding = tuple[tuple[str | int, ...], str]
# What CoreDNS needs can be left out.
NEEDED = ("rfc2136", "hook")


def check_dns(dns: Dns) -> Iterator[Finding]:
    """Find a provider without its settings, and settings without their provider."""
    for name in ("coredns", *NEEDED):
        given = getattr(dns, name) is not None
        if given and name != dns.provider:
            yield ("dns", name), f"is read with provider {name} only, and the provider is {dns.provider}"
        elif not given and name == dns.provider and name in NEEDED:
            yield ("dns", "provider"), f"{name} needs its settings: add the map {name} beside it"
    if dns.rfc2136 is None:
        return
    zone, place = dns.rfc2136.zone, ("dns", "rfc2136")
    if zone is not None and zone != dns.zone and not dns.zone.endswith(f".{zone}"):
        yield (*place, "zone"), f"{zone!r} does not hold the zone of the aliases, {dns.zone}"
    secret = dns.rfc2136.tsig_secret
    if secret.environment is None and secret.file is None:
        yield (*place, "tsigSecret"), "needs environment (the name of a variable) or file (a path)"
    elif secret.environment is not None and secret.file is not None:
        yield (*place, "tsigSecret"), "takes environment or file, not both"

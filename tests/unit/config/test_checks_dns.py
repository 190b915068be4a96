"""One change of a shipped dns section at a time, and the issue that it must cause."""

# ruff: noqa: E501 - in a table, one row a line reads better than short lines

from __future__ import annotations

import pytest
from tests.unit.config.support import LOCAL, PROD, Confs

from pgaas.config.models.datacenters import check_nameserver
from pgaas.config.resolve import resolve_client

FILE = "confs/admin/{}/datacenters.yaml"


@pytest.mark.parametrize(
    ("old", "new", "path", "message"),
    [
        ("provider: rfc2136", "provider: rfc2163", "dns.provider", "must be 'coredns', 'rfc2136' or 'hook', not 'rfc2163'"),
        ("  provider: rfc2136", "  provders: rfc2136", "dns.provider", "is required"),
        ("provider: rfc2136", "provider: hook", "dns.provider", "hook needs its settings: add the map hook beside it"),
        ("provider: rfc2136", "provider: coredns", "dns.rfc2136", "is read with provider rfc2136 only, and the provider is coredns"),
        ("ttl: 60", "ttl: 60\n  hook: {program: move}", "dns.hook", "is read with provider hook only"),
        ("ttl: 60", "ttl: 60\n  coredns: {}", "dns.coredns", "is read with provider coredns only"),
        ("server: ns1.example.com", "server: ns1_a", "dns.rfc2136.server", "is not a DNS name"),
        ("server: ns1.example.com", "server: 10.0.0.1:53", "dns.rfc2136.server", "is not a DNS name"),
        ("port: 53", "port: 0", "dns.rfc2136.port", "greater than or equal to 1"),
        ("port: 53", "timeout: 0", "dns.rfc2136.timeout", "greater than or equal to 1"),
        ("port: 53", "zone: ample.com", "dns.rfc2136.zone", "'ample.com' does not hold the zone of the aliases, example.com"),
        ("hmac-sha256", "hmac-md5", "dns.rfc2136.tsigAlgorithm", "must be 'hmac-sha224'"),
        ("environment: PGAAS_TSIG_SECRET", "environment: 1A", "dns.rfc2136.tsigSecret.environment", "is not the name of an environment variable"),
        ("environment: PGAAS_TSIG_SECRET", "{}", "dns.rfc2136.tsigSecret", "needs environment (the name of a variable) or file (a path)"),
        ("environment: PGAAS_TSIG_SECRET", "environment: A\n      file: /b", "dns.rfc2136.tsigSecret", "not both"),
        ("environment: PGAAS_TSIG_SECRET", "value: c2VjcmV0", "dns.rfc2136.tsigSecret.value", "is not a key here (keys: environment, file)"),
        ("roPrefix: ro-dc1", "roPrefix: ro-dc1\n      resolver: ns1.example.com", "datacenters.dc1.dns.resolver", "is not an address such as"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line(confs: Confs, old: str, new: str, path: str, message: str) -> None:
    confs.replace(FILE.format("prod"), old, new)
    found = [issue for issue in confs.issues(PROD) if f": {path}: " in issue]
    assert len(found) == 1
    assert message in found[0]
    assert found[0].startswith(f"{FILE.format('prod')}:")
    assert not found[0].startswith(f"{FILE.format('prod')}:0")


def test_a_secret_in_the_wrong_place_is_not_repeated(confs: Confs) -> None:
    file = FILE.format("prod")
    confs.replace(file, "tsigSecret:\n", "tsigSecret: c2VjcmV0\n")
    line = next(line for line in confs.read(file).splitlines() if "environment:" in line)
    confs.replace(file, f"{line}\n", "")
    (issue,) = confs.issues(PROD)
    assert issue.endswith("dns.rfc2136.tsigSecret: must be a map (key: value)")


def test_coredns_needs_no_settings_and_the_others_are_read(confs: Confs) -> None:
    local = resolve_client(confs.root, LOCAL).datacenters
    assert (local.dns.provider, local.dns.coredns) == ("coredns", None)
    assert local.datacenters["local2"].dns.resolver == "192.168.49.3:30053"
    prod = resolve_client(confs.root, PROD).datacenters.dns
    assert prod.rfc2136
    assert (prod.rfc2136.server, prod.rfc2136.tsig_secret.environment) == (
        "ns1.example.com", "PGAAS_TSIG_SECRET",
    )  # fmt: skip
    confs.replace(FILE.format("prod"), "provider: rfc2136", "provider: hook\n  hook: {program: bin/dns}")
    text = confs.read(FILE.format("prod"))
    start, end = text.index("  rfc2136:\n"), text.index("datacenters:\n")
    confs.write(FILE.format("prod"), text[:start] + text[end:])
    hook = resolve_client(confs.root, PROD).datacenters.dns.hook
    assert hook
    assert (hook.program, hook.timeout) == ("bin/dns", 30)


@pytest.mark.parametrize(
    "value", ["192.0.2.53", "192.0.2.53:5353", "2001:db8::53", "[2001:db8::53]:53", "[::1]"]
)
def test_these_are_nameservers(value: str) -> None:
    assert check_nameserver(value) == value


@pytest.mark.parametrize(
    "value",
    ["", "ns1", "192.0.2.53:0", "192.0.2.53:65536", "192.0.2:53", "[]:53", "[::1]:", "fe80::1%eth0", ":53"],
)
def test_these_are_none(value: str) -> None:
    with pytest.raises(ValueError, match="is not an address such as"):
        check_nameserver(value)


def test_a_datacenter_that_is_called_as_another_name_begins_is_refused_where_its_name_is_written(
    confs: Confs,
) -> None:
    confs.replace(FILE.format("local"), "roPrefix: ro-local1", "roPrefix: local2")
    (issue,) = confs.issues(LOCAL)
    assert issue.endswith(
        "datacenters.local2: 'local2' begins a name of its own, and is datacenters.local1.dns.roPrefix too"
    )
    # Elsewhere the name is nobody's.
    confs.replace(FILE.format("prod"), "roPrefix: ro-dc1", "roPrefix: dc2")
    assert confs.issues(PROD) == []

"""Export a role's certificate with all that an application needs to connect by it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pgaas.config.environments import LOCAL
from pgaas.config.naming import Target, client_certificate_name, load_balancer_name
from pgaas.errors import UsageError
from pgaas.kube.certificate import pkcs8_der, pkcs12
from pgaas.kube.resources import SERVICE, outside_addresses
from pgaas.operations.credential import Credential, read_credential
from pgaas.operations.route import found_here
from pgaas.operations.subject import Subject, load_subject
from pgaas.operations.trust import MISSING, SERVER, look_at_trust
from pgaas.operations.trust_sync import open_apis, sides_of
from pgaas.render import connect
from pgaas.render.access import login_of
from pgaas.render.connect import Hosts, Way
from pgaas.render.write_folder import check_folder, write_folder
from pgaas.tools.dns_read import addresses

if TYPE_CHECKING:
    from pgaas.kube.client import Api


@dataclass(frozen=True)
class Credentials:
    """What was exported: for whom, until when, where to; `ways` are the databases it opens.

    Either `folder` and `files` are set, or `manifest`, which holds the key.
    """

    cluster: str
    datacenter: str
    role: str
    subject: str
    common_name: str
    not_after: str
    days_left: int
    primary_host: str
    read_only_host: str
    port: int
    ways: tuple[Way, ...]
    warnings: tuple[str, ...]
    folder: str = ""
    files: dict[str, str] = field(default_factory=dict)
    manifest: dict[str, Any] = field(default_factory=dict, repr=False)


def export_folder(root: Path, target: Target, role: str, out: Path | None) -> Credentials:
    """Write a role's certificate, key and the forms of each driver into a folder; whole, or not at all.

    Raise UsageError if the role cannot log in, or the folder is somebody else's; NotHealthy if the
    certificate cannot be used.
    """
    subject = load_subject(root, target)
    folder = Path.cwd() / (out or client_certificate_name(target, role))
    if any(not character.isprintable() for character in str(folder)):
        raise UsageError(
            f"{str(folder)!r} is no path that drivers can read", next_step="name another with --out"
        )
    whose = {"made_by": "pgaas credentials", "ins": target.ins, "env": target.env, "role": role}
    # Before anything is asked: who cannot log in, and what cannot be written, need not be fetched.
    login_of(subject.resolved.merged, target, role)
    check_folder(folder, whose)
    api, now = subject.api(), datetime.now(UTC)
    credential = read_credential(subject, api, role, now)
    hosts = connect.hosts(subject.resolved, subject.values)
    near, warnings = _nearness(subject, api, hosts)
    ways = _ways(subject, credential, hosts, near)
    place = str(folder)
    facts = {
        "cluster": subject.cluster,
        "certificate": f"{credential.leaf.subject}, until {_iso(credential.leaf.not_after)}",
        "primary": f"{hosts.primary}, port {connect.PORT}",
        "standbys": f"{hosts.read_only}, port {connect.PORT}",
    }
    files = {
        # First: whatever is left of an export that was killed is ignored too.
        connect.IGNORE_FILE: connect.IGNORE.encode(),
        **_pem_files(credential),
        **_java_files(credential),
        connect.SERVICE_FILE: connect.service_file(ways, role, place).encode(),
        connect.JDBC_FILE: connect.jdbc_file(ways, role, place).encode(),
        connect.GUIDE: connect.guide(ways, role, place, facts).encode(),
    }
    write_folder(folder, files, whose, facts)
    paths = {name: f"{place}/{name}" for name in files}
    return _result(subject, credential, hosts, ways, now, warnings, folder=place, files=paths)


def export_manifest(root: Path, target: Target, role: str, namespace: str | None) -> Credentials:
    """Return a Secret for an application's namespace, with the same as a folder would hold."""
    subject = load_subject(root, target)
    login_of(subject.resolved.merged, target, role)
    if namespace == subject.namespace:
        raise UsageError(
            f"{namespace} has this Secret already: {client_certificate_name(target, role)}",
            where=f"namespace {namespace}, {target.dc}",
            next_step="mount that one there (cert-manager renews it), or name the application's namespace",
        )
    api, now = subject.api(), datetime.now(UTC)
    credential = read_credential(subject, api, role, now)
    hosts = connect.hosts(subject.resolved, subject.values)
    ways = _ways(subject, credential, hosts, Hosts("", ""))
    files = {
        **_pem_files(credential),
        connect.KEY_DER: pkcs8_der(credential.key, "the Secret"),
        connect.SERVICE_FILE: connect.service_file(ways, role, connect.MOUNT).encode(),
    }
    annotations = {"cluster": subject.cluster, "until": _iso(credential.leaf.not_after)}
    manifest = connect.secret_manifest(target, role, namespace, annotations, files)
    return _result(subject, credential, hosts, ways, now, (), manifest=manifest)


def _ways(subject: Subject, credential: Credential, hosts: Hosts, near: Hosts) -> tuple[Way, ...]:
    """Return each database by the primary's name, and by the standbys' where there are any."""
    ways = [Way(name, "rw", hosts.primary, near.primary) for name in credential.databases]
    if subject.values.cluster.instances > 1:
        ways += [Way(name, "ro", hosts.read_only, near.read_only) for name in credential.databases]
    return tuple(ways)


def _nearness(subject: Subject, api: Api, hosts: Hosts) -> tuple[Hosts, tuple[str, ...]]:
    """Return the addresses to write beside names that this machine does not know, and what to say of it.

    In local a name is CoreDNS's only. Elsewhere DNS must know it: an address would outlive a switchover.
    """
    if found_here(hosts.primary):
        return Hosts("", ""), ()
    datacenters = subject.resolved.datacenters.datacenters
    resolvers = [each.dns.resolver for each in datacenters.values() if each.dns.resolver]
    if subject.resolved.team_env != LOCAL:
        asked = ", ".join(resolvers) or "the environment's DNS"
        return Hosts("", ""), (f"{hosts.primary} is not known on this machine: {asked} must be asked for it",)
    own = {
        access: next(iter(outside_addresses(api.get(SERVICE, name, subject.namespace))), "")
        for access in ("rw", "ro")
        for name in [load_balancer_name(subject.target, access)]
    }
    # Wherever the primary is; the Service's own name leads to an address inside the cluster.
    moved = addresses(resolvers, hosts.primary) if subject.values.replication.enabled else []
    near = Hosts(moved[0] if moved else own["rw"], own["ro"])
    if not near.primary:
        return near, (f"{hosts.primary} is known inside the cluster only, and has no address outside yet",)
    return near, (
        f"{hosts.primary} is known to CoreDNS only: hostaddr={near.primary} is written beside it, "
        "which is wrong after a switchover: then export again. JDBC takes no such address: "
        f"put '{near.primary} {hosts.primary}' into /etc/hosts",
    )


def _pem_files(credential: Credential) -> dict[str, bytes]:
    return {
        connect.CERTIFICATE: credential.certificate,
        connect.KEY: credential.key,
        connect.AUTHORITIES: credential.authorities,
    }


def _java_files(credential: Credential) -> dict[str, bytes]:
    return {
        connect.KEY_DER: pkcs8_der(credential.key, "the Secret"),
        connect.KEY_STORE: pkcs12(credential.certificate, credential.key, "the Secret"),
    }


def _result(
    subject: Subject,
    credential: Credential,
    hosts: Hosts,
    ways: tuple[Way, ...],
    now: datetime,
    warnings: tuple[str, ...],
    **where: Any,
) -> Credentials:
    one = ("one instance: nobody answers at the read-only name",) * (subject.values.cluster.instances == 1)
    return Credentials(
        cluster=subject.cluster,
        datacenter=subject.target.dc,
        role=credential.login.role,
        subject=credential.leaf.subject,
        common_name=credential.leaf.common_name,
        not_after=_iso(credential.leaf.not_after),
        days_left=credential.days_left(now),
        primary_host=hosts.primary,
        read_only_host=hosts.read_only,
        port=connect.PORT,
        ways=ways,
        warnings=tuple(filter(None, (credential.late, _untrusted(subject), *warnings, *one))),
        **where,
    )


def _untrusted(subject: Subject) -> str:
    """Return which datacenter's servers will not be believed, as far as both can be asked."""
    if not subject.values.replication.enabled:
        return ""
    sides = sides_of(subject)
    state = look_at_trust(sides, open_apis(sides))[subject.target.dc]
    missing = [
        entry.datacenter
        for bundle in state.bundles
        if bundle.purpose == SERVER
        for entry in bundle.entries
        if entry.state == MISSING
    ]
    if not missing:
        return ""
    ins, env, _ = subject.target
    return (
        f"the CA of {', '.join(missing)} is not in {connect.AUTHORITIES}: a primary there will not be "
        f"believed; pgaas trust sync --ins {ins} --env {env}, then export again"
    )


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"

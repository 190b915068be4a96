"""A role's certificate, fetched and judged: what everything that connects as the role begins with."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pgaas.config.models.types import duration_seconds
from pgaas.config.naming import client_certificate_name, server_ca_bundle_name
from pgaas.errors import NotHealthy
from pgaas.kube.certificate import read_leaf
from pgaas.kube.resources import (
    CERTIFICATE,
    CONFIG_MAP,
    SECRET,
    Object,
    condition,
    dig,
    is_true,
    secret_value,
)
from pgaas.kube.trust import pem_of, read_authorities
from pgaas.operations.trust import KEY
from pgaas.render.access import Login, login_of
from pgaas.render.connect import databases_of

if TYPE_CHECKING:
    from pgaas.kube.certificate import Leaf
    from pgaas.kube.client import Api
    from pgaas.operations.subject import Subject

# The share of renewBefore that is left when renewal has plainly failed: 20 days of 30.
LATE = 2 / 3


@dataclass(frozen=True)
class Credential:
    """What a role logs in with, PEM each: its certificate and key, and whom to trust as the server.

    `late` says that it has not been renewed in time.
    """

    login: Login
    databases: tuple[str, ...]
    leaf: Leaf
    certificate: bytes
    key: bytes = field(repr=False)
    authorities: bytes
    late: str = ""

    def days_left(self, now: datetime) -> int:
        """Return the whole days until the certificate ends."""
        return (self.leaf.not_after - now).days


def read_credential(subject: Subject, api: Api, role: str, now: datetime) -> Credential:
    """Return a role's credential of one datacenter.

    Raise UsageError if the role cannot log in by configuration, NotHealthy if its certificate is not there,
    not ready, expired, or somebody else's.
    """
    login = login_of(subject.resolved.merged, subject.target, role)
    name = client_certificate_name(subject.target, role)
    place = f"Secret {subject.namespace}/{name}"
    _check_ready(subject, api.get(CERTIFICATE, name, subject.namespace), name)
    secret = api.get(SECRET, name, subject.namespace)
    certificate, key = secret_value(secret, "tls.crt"), secret_value(secret, "tls.key")
    if not certificate or not key:
        raise _not_yet(subject, f"{place} holds no certificate", name)
    leaf = read_leaf(certificate, key, place)
    _check_leaf(subject, leaf, login, place, now)
    authorities = _authorities(subject, api)
    late = ""
    patience = duration_seconds(subject.values.certificates.renew_before) * LATE
    if leaf.not_after - now < timedelta(seconds=patience):
        late = (
            f"the certificate ends in {(leaf.not_after - now).days} days, and should have been renewed: "
            f"kubectl -n {subject.namespace} describe certificate {name}"
        )
    databases = tuple(databases_of(login, subject.resolved.merged))
    return Credential(login, databases, leaf, certificate, key, authorities, late)


def _check_ready(subject: Subject, certificate: Object | None, name: str) -> None:
    if certificate is None:
        raise _not_yet(subject, f"there is no certificate {name}", name)
    if not is_true(certificate, "Ready"):
        entry = condition(certificate, "Ready")
        why = entry.get("message") or entry.get("reason") or "it has not been issued yet"
        raise _not_yet(subject, f"certificate {name} is not ready: {why}", name)


def _check_leaf(subject: Subject, leaf: Leaf, login: Login, place: str, now: datetime) -> None:
    renew = f"kubectl -n {subject.namespace} delete secret {place.rpartition('/')[2]} has it issued anew"
    if leaf.not_after <= now:
        raise NotHealthy(
            f"the certificate of {login.role} expired on {leaf.not_after:%Y-%m-%d %H:%M} UTC",
            where=place,
            next_step=f"cert-manager should have renewed it: see why, then {renew}",
        )
    if leaf.not_before > now:
        raise NotHealthy(
            f"the certificate of {login.role} is not valid before {leaf.not_before:%Y-%m-%d %H:%M} UTC",
            where=place,
            next_step="set this machine's clock",
        )
    if leaf.common_name != login.common_name:
        raise NotHealthy(
            f"the certificate is for {leaf.common_name or 'nobody'}, and {login.role} logs in as "
            f"{login.common_name}",
            where=place,
            next_step=f"{subject.command('create')} brings the cluster up to what confs/ say",
        )


def _authorities(subject: Subject, api: Api) -> bytes:
    """Return the servers' CAs that clients trust, in PEM."""
    if not subject.values.replication.enabled:
        name = subject.values.certificates.server.name
        text = secret_value(api.get(SECRET, name, subject.namespace), KEY).decode(errors="replace")
        found = read_authorities(text, f"{KEY} of Secret {subject.namespace}/{name}")
        if not found:
            raise _not_yet(subject, f"Secret {name} holds no CA", name)
        return pem_of(found).encode()
    name = server_ca_bundle_name(subject.target)
    sync = f"pgaas trust sync --ins {subject.target.ins} --env {subject.target.env}"
    live = api.get(CONFIG_MAP, name, subject.namespace)
    found = read_authorities(
        str(dig(live, "data", KEY, default="")), f"{KEY} of ConfigMap {subject.namespace}/{name}"
    )
    if not found:
        raise NotHealthy(
            f"there is no bundle of the servers' CAs ({name})",
            where=f"namespace {subject.namespace}, {subject.target.dc}",
            next_step=sync,
        )
    return pem_of(found).encode()


def _not_yet(subject: Subject, what: str, name: str) -> NotHealthy:
    return NotHealthy(
        what,
        where=f"namespace {subject.namespace}, {subject.target.dc}",
        next_step=f"{subject.command('create')} makes it; if it has: "
        f"kubectl -n {subject.namespace} describe certificate {name}",
    )

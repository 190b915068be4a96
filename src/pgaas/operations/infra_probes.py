"""The single trials of `infra test`: each returns what it saw, or raises what is wrong."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from urllib.parse import urlencode

from pgaas.config.environments import LOCAL, LOCAL_NAMESPACE
from pgaas.config.models.clients import Client
from pgaas.errors import KubernetesError, NotHealthy, PgaasError, ToolFailed
from pgaas.kube.client import Api
from pgaas.kube.resources import CERTIFICATE, POD, SECRET, SERVICE, Object, condition, dig, is_true, name_of
from pgaas.kube.wait import Ending, Item, Seen, wait_for
from pgaas.operations.infra import Infra, Site, client_keys, load_infra
from pgaas.render.infra import ldap_user
from pgaas.tools.ldap import Directory
from pgaas.tools.s3 import Bucket

SCRATCH_BUCKET, SCRATCH_KEY = "pgaas-infra-test", "somebody-elses"
CONTENT_BYTES = 65_536
READ_LIMIT = 1_048_576
DENIED = ("(AccessDenied)", "(403)", "(Forbidden)")
CERTIFICATE_NAME = "pgaas-infra-test"
PROMETHEUS, PROMETHEUS_PORT = "prometheus", 9090
# The job that each datacenter has; three times the interval of its looks.
OPERATOR_JOB, FRESH_SECONDS = "cnpg-operator", 90
LOOK_EVERY = 0.3


@contextmanager
def scratch_bucket(infra: Infra) -> Iterator[None]:
    """Have a bucket that is no client's while the block lasts; without an S3 there is none, and no harm."""
    site = infra.sites[0]
    bucket = infra.bucket(site, SCRATCH_BUCKET, infra.admin_keys)
    with suppress(ToolFailed):
        bucket.create()
        bucket.write(SCRATCH_KEY, b"nobody's")
    try:
        yield
    finally:
        with suppress(ToolFailed):
            bucket.remove(SCRATCH_KEY)
            bucket.drop()


def objects_come_and_go(infra: Infra, site: Site, ins: str, client: Client) -> str:
    """Write, read, list and delete an object in the datacenter's path of the client's bucket."""
    bucket = infra.bucket(site, client.s3_bucket, client_keys(client))
    prefix = f"{ins}-{LOCAL}-{site.dc}-backup/.infra-test-"
    key, content = f"{prefix}{os.urandom(6).hex()}", os.urandom(CONTENT_BYTES)
    bucket.write(key, content)
    try:
        _expect(bucket.read(key, READ_LIMIT) == content, bucket, "other bytes came back than were written")
        _expect(_is_listed(bucket, prefix, key), bucket, "what was written is not listed")
    finally:
        bucket.remove(key)
    _expect(bucket.read(key, READ_LIMIT) is None, bucket, "what was deleted is still there")
    _expect(not _is_listed(bucket, prefix, key), bucket, "what was deleted is still listed")
    return f"{CONTENT_BYTES} bytes, the same"


def others_are_out_of_reach(infra: Infra, site: Site, ins: str, client: Client) -> str:
    """Try what is not this client's with its keys: each must be refused."""
    others = sorted({each.s3_bucket for each in infra.clients.values()} - {client.s3_bucket})
    for name in (SCRATCH_BUCKET, *others):
        bucket = infra.bucket(site, name, client_keys(client))
        written = f".{SCRATCH_KEY}-{os.urandom(6).hex()}"
        tries: dict[str, Callable[[], object]] = {
            "list": lambda here=bucket: here.listing(""),  # type: ignore[misc]
            "read": lambda here=bucket: here.read(SCRATCH_KEY, READ_LIMIT),  # type: ignore[misc]
            "write": lambda here=bucket, key=written: here.write(key, b"by a stranger"),  # type: ignore[misc]
        }
        try:
            allowed = [verb for verb, attempt in tries.items() if not _is_refused(attempt)]
        finally:
            # Whatever came of it: what was written must not stay in somebody else's bucket.
            with suppress(ToolFailed):
                infra.bucket(site, name, infra.admin_keys).remove(written)
        if allowed:
            raise NotHealthy(f"{ins}'s keys may {' and '.join(allowed)} in {name}", where=str(bucket.place))
    return f"refused: {', '.join((SCRATCH_BUCKET, *others))}"


def _is_refused(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except ToolFailed as error:
        if any(code in error.what for code in DENIED):
            return True
        raise
    return False


def anonymous_reads_nothing(infra: Infra, site: Site) -> str:
    """Search the directory without a name: it must give nothing."""
    with directory(infra, site) as found:
        try:
            entries = found.search("", "", infra.openldap.openldap.base_dn, "(objectClass=*)")
        except ToolFailed as error:
            if "refuses" in error.what:
                return "refused"
            raise
    if any(entries):
        raise NotHealthy(f"anybody may read {len(entries)} entries of the directory")
    return "nothing is given"


def people_log_in(infra: Infra, site: Site, ins: str, client: Client) -> str:
    """Find a client's user with the client's own bind user, and log in as that user."""
    credentials = client.ldap_credentials
    if credentials is None:
        raise NotHealthy(f"{ins} has no ldapCredentials in clients.yaml")
    people = f"ou=people,{infra.openldap.openldap.base_dn}"
    user = ldap_user(ins)
    with directory(infra, site) as found:
        entries = found.search(
            credentials.bind_dn, credentials.bind_password or "", people, f"(uid={user['uid']})"
        )
        if len(entries) != 1:
            raise NotHealthy(f"{credentials.bind_dn} finds {len(entries)} users called {user['uid']}")
        if "userPassword" in entries[0]:
            raise NotHealthy(f"{credentials.bind_dn} may read passwords")
        name = f"uid={user['uid']},{people}"
        if not found.accepts(name, user["password"]):
            raise NotHealthy(f"{name} cannot log in")
        if found.accepts(name, f"not-{user['password']}"):
            raise NotHealthy(f"{name} can log in with a wrong password")
    return name


@contextmanager
def directory(infra: Infra, site: Site) -> Iterator[Directory]:
    """Reach the datacenter's directory through its API server while the block lasts."""
    service, api = infra.openldap.openldap.service, site.api()
    pod, port = _behind(api, service.name, service.namespace, service.port)
    with api.forward(name_of(pod), service.namespace, port) as near:
        yield Directory("127.0.0.1", near, shown=f"{site.dc}: {service.namespace}/{name_of(pod)}:{port}")


def certificate_is_issued(site: Site, timeout: float) -> str:
    """Have a certificate issued, check that its issuer's root signed it, and take it away again."""
    api = site.api()
    wanted = {
        "apiVersion": CERTIFICATE.api_version,
        "kind": CERTIFICATE.kind,
        "metadata": {"name": CERTIFICATE_NAME, "namespace": LOCAL_NAMESPACE},
        "spec": {
            "secretName": CERTIFICATE_NAME,
            "commonName": CERTIFICATE_NAME,
            "dnsNames": [f"{CERTIFICATE_NAME}.{site.settings.dns_suffix}"],
            "duration": "1h",
            "renewBefore": "30m",
            "privateKey": {"algorithm": "ECDSA", "size": 256},
            "issuerRef": {"kind": "ClusterIssuer", "name": site.settings.cluster_issuer},
        },
    }
    try:
        api.apply(wanted)
        _wait_issued(api, timeout)
        secret = api.get(SECRET, CERTIFICATE_NAME, LOCAL_NAMESPACE)
        return _chained(secret)
    finally:
        with suppress(PgaasError):
            api.delete(CERTIFICATE, CERTIFICATE_NAME, LOCAL_NAMESPACE)
            api.delete(SECRET, CERTIFICATE_NAME, LOCAL_NAMESPACE)


def metrics_arrive(infra: Infra, site: Site, timeout: float) -> str:
    """Ask Prometheus, in the first datacenter, for what is up in this one, until the operator is.

    What a collector that was killed sent last counts for minutes, and that it is up itself says nothing.
    """
    first = next(each for each in load_infra(infra.root).sites if each.first)
    service = f"http:{PROMETHEUS}:{PROMETHEUS_PORT}"
    up = f'up{{dc="{site.dc}"}}'
    query = urlencode({"query": f"count by (job) ({up} == 1 and time() - timestamp({up}) < {FRESH_SECONDS})"})
    path = f"/api/v1/namespaces/{LOCAL_NAMESPACE}/services/{service}/proxy/api/v1/query?{query}"

    def probe() -> Seen:
        answer = first.api().raw(path)
        if answer is None:
            raise NotHealthy(f"{first.dc} has no Service {LOCAL_NAMESPACE}/{PROMETHEUS}")
        found = dig(answer, "data", "result", default=[])
        jobs = {str(dig(each, "metric", "job")): str(dig(each, "value", 1)) for each in found}
        seen = ", ".join(f"{job} {count}" for job, count in sorted(jobs.items()))
        return Seen((Item("metrics", OPERATOR_JOB in jobs, seen),))

    waited = wait_for(probe, timeout=timeout, interval=LOOK_EVERY, on_change=lambda _: None)
    if waited.ending is not Ending.SUCCEEDED:
        seen = waited.seen.items[0].detail
        raise NotHealthy(
            f"Prometheus has no fresh {OPERATOR_JOB} that is up in {site.dc}, after {waited.seconds:.0f} s"
            + (f", only {seen}" if seen else "")
        )
    return waited.seen.items[0].detail


def _expect(holds: bool, bucket: Bucket, otherwise: str) -> None:
    if not holds:
        raise NotHealthy(otherwise, where=str(bucket.place))


def _is_listed(bucket: Bucket, prefix: str, key: str) -> bool:
    return any(entry.key == key for entry in bucket.listing(prefix).entries)


def _behind(api: Api, name: str, namespace: str, port: int) -> tuple[Object, int]:
    """Return a ready pod behind a Service, and the pod's port that a port of the Service leads to."""
    service = api.get(SERVICE, name, namespace)
    if service is None:
        raise KubernetesError(f"there is no Service {namespace}/{name}", next_step="pgaas infra install")
    pods = api.find(POD, namespace, labels=dig(service, "spec", "selector", default={}))
    ready = [pod for pod in pods if is_true(pod, "Ready")]
    if not ready:
        raise KubernetesError(f"no pod behind {namespace}/{name} is ready", next_step="pgaas infra status")
    entries = dig(service, "spec", "ports", default=[])
    target = next((each.get("targetPort", port) for each in entries if each.get("port") == port), port)
    named = {
        each.get("name"): each["containerPort"]
        for container in dig(ready[0], "spec", "containers", default=[])
        for each in container.get("ports", [])
    }
    return ready[0], int(named.get(target, target))


def _wait_issued(api: Api, timeout: float) -> None:
    def probe() -> Seen:
        found = api.get(CERTIFICATE, CERTIFICATE_NAME, LOCAL_NAMESPACE)
        detail = condition(found, "Ready").get("message", "not looked at yet")
        return Seen((Item("certificate", is_true(found, "Ready"), detail),))

    waited = wait_for(probe, timeout=timeout, interval=LOOK_EVERY, on_change=lambda _: None)
    if waited.ending is not Ending.SUCCEEDED:
        raise NotHealthy(f"not issued within {waited.seconds:.0f} s: {waited.seen.items[0].detail}")


def _chained(secret: Object | None) -> str:
    """Return who signed a Secret's certificate. Raise NotHealthy if it was not the root beside it."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    def part(key: str) -> bytes:
        return base64.b64decode(dig(secret, "data", key, default=""))

    try:
        leaf = x509.load_pem_x509_certificate(part("tls.crt"))
        root = x509.load_pem_x509_certificate(part("ca.crt"))
        leaf.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise NotHealthy(f"the certificate is not signed by the root beside it: {error}") from error
    if not leaf.not_valid_before_utc <= datetime.now(UTC) <= leaf.not_valid_after_utc:
        raise NotHealthy("the certificate is not valid now")
    return f"by {root.subject.rfc4514_string()}"

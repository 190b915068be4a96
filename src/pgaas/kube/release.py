"""Read Helm's own records of a release, which are Secrets, and drop the record of a run that was killed."""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

from pgaas.errors import KubernetesError
from pgaas.kube.client import Api
from pgaas.kube.resources import SECRET, Object, dig, name_of

DEPLOYED, SUPERSEDED = "deployed", "superseded"
# What went through: the newest such record is what is deployed.
WENT_THROUGH = (DEPLOYED, SUPERSEDED)
PENDING = ("pending-install", "pending-upgrade", "pending-rollback")
# A helm that is still at work gets this long before its record counts as left behind.
SETTLE_SECONDS = 20.0


@dataclass(frozen=True)
class Release:
    """One revision of a release, as Helm recorded it; `manifest` is what it applied, `age` in seconds.

    `values` are those that it was given, secrets included.
    """

    name: str
    revision: int
    status: str
    secret: str
    age: float
    manifest: str = field(repr=False)
    values: Object = field(default_factory=dict, repr=False)


def release_records(api: Api, name: str, namespace: str) -> list[Release]:
    """Return Helm's records of a release, oldest first."""
    secrets = api.find(SECRET, namespace, labels={"owner": "helm", "name": name})
    records = [_record(secret) for secret in secrets]
    return sorted(records, key=lambda record: record.revision)


def latest_release(api: Api, name: str, namespace: str) -> Release | None:
    """Return the newest record, or None if Helm knows no such release."""
    records = release_records(api, name, namespace)
    return records[-1] if records else None


def current_releases(api: Api, wanted: Collection[tuple[str, str]]) -> dict[tuple[str, str], Release | None]:
    """Return the newest record of each wanted release, by namespace and name, with one request for all.

    None stands for a record that cannot be read; of those that can, the manifest is left out, for together
    they are large.
    """
    from lightkube.operators import not_equal

    found: dict[tuple[str, str], Release | None] = {}
    for secret in api.find(SECRET, labels={"owner": "helm", "status": not_equal(SUPERSEDED)}):
        key = (
            str(dig(secret, "metadata", "namespace", default="")),
            str(dig(secret, "metadata", "labels", "name", default="")),
        )
        if key not in wanted:
            continue
        try:
            record = replace(_record(secret), manifest="")
        except KubernetesError:
            found.setdefault(key, None)
            continue
        known = found.get(key)
        if known is None or known.revision < record.revision:
            found[key] = record
    return found


def drop_stuck_release(
    api: Api,
    name: str,
    namespace: str,
    *,
    on_wait: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Remove the record that a killed helm left pending, and return what was done, or an empty string.

    Only Helm's record goes: no object of the cluster is touched, and the next sync takes them over as they
    are. A record younger than SETTLE_SECONDS may belong to a helm at work, which gets that long to end.
    """
    record = latest_release(api, name, namespace)
    while record and record.status in PENDING and record.age < SETTLE_SECONDS:
        on_wait(f"revision {record.revision} is {record.status}: another helm may be at work")
        sleep(2.0)
        record = latest_release(api, name, namespace)
    if record is None or record.status not in PENDING:
        return ""
    api.delete(SECRET, record.secret, namespace)
    return (
        f"removed Helm's record of revision {record.revision}, left {record.status} by a helm "
        "that was killed; no object of the cluster was touched"
    )


def _record(secret: Object) -> Release:
    labels = dig(secret, "metadata", "labels", default={})
    try:
        outer = base64.b64decode(dig(secret, "data", "release", default=""), validate=True)
        packed = base64.b64decode(outer, validate=True)
        content = json.loads(gzip.decompress(packed) if packed[:2] == b"\x1f\x8b" else packed or b"{}")
    except (binascii.Error, OSError, ValueError, EOFError) as error:
        raise KubernetesError(
            f"Helm's record of the release cannot be read: {error}",
            where=f"Secret {dig(secret, 'metadata', 'namespace')}/{name_of(secret)}",
            next_step="look at it with helm history; helm rollback to the last good revision repairs it",
        ) from error
    touched = labels.get("modifiedAt") or labels.get("createdAt") or "0"
    return Release(
        name=labels.get("name", ""),
        revision=int(labels.get("version", "0")),
        status=labels.get("status", dig(content, "info", "status", default="")),
        secret=name_of(secret),
        age=max(time.time() - float(touched), 0.0) if touched.isdigit() else float("inf"),
        manifest=dig(content, "manifest", default=""),
        values=dig(content, "config", default={}),
    )

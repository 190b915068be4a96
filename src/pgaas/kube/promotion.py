"""The fields of a Cluster by which a primary moves: who applies them, the token, and what they answer."""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass, field

from pgaas.errors import KubernetesError, RefusedAsUnsafe
from pgaas.kube.client import FIELD_MANAGER, Api
from pgaas.kube.resources import CLUSTER, Object, condition, dig, name_of
from pgaas.kube.snapshot import HEALTHY, UNRECOVERABLE
from pgaas.tools.wal import parse_lsn

HELM = "helm"
# A field manager of its own: what it sets stays when pgaas gives up the fields of a move.
MARKER = "pgaas-mark"
SWITCHED = "ReplicaClusterSwitch"
# The instance manager looks at a promotion token again after 10 s, or as soon as its Cluster changes.
NUDGE = "pgaas.io/nudge"
LOST_SIDE = "pgaas.io/lost-datacenters"
HIBERNATION = "cnpg.io/hibernation"
# The webhook repeats the value that it refuses.
TOKEN_LIKE = re.compile(r"[A-Za-z0-9+/]{80,}={0,2}")


@dataclass(frozen=True)
class Token:
    """What a demoted cluster says of its last moment as primary; the token itself never shows in a repr."""

    text: str = field(repr=False)
    timeline: int
    lsn: int
    system_id: str
    wal: str
    at: str


@dataclass(frozen=True)
class Topology:
    """The replica stanza of one Cluster, without a token."""

    self_name: str
    primary: str
    source: str


def parse_token(text: str) -> Token:
    """Return what a demotion token holds; raise RefusedAsUnsafe if it is none.

    It is base64 of JSON: ParsePgControldataToken in CloudNativePG's pkg/utils.
    """
    try:
        content = json.loads(base64.b64decode(text.strip(), validate=True))
        return Token(
            text=text.strip(),
            timeline=int(content["latestCheckpointTimelineID"]),
            lsn=parse_lsn(str(content["latestCheckpointREDOLocation"])),
            system_id=str(content["databaseSystemIdentifier"]),
            wal=str(content["redoWalFile"]),
            at=str(content["timeOfLatestCheckpoint"]),
        )
    except (binascii.Error, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise RefusedAsUnsafe(
            "this is no demotion token: it may have been cut off or quoted on its way",
            next_step="take it again from the demoted side: pgaas demote prints it",
        ) from error


def apply_topology(
    api: Api, name: str, namespace: str, topology: Topology, *, token: str = "", nudge: str = ""
) -> Object:
    """Take the replica stanza, and nothing else, from whoever owns it; without a token, drop one of ours.

    No error repeats the token.
    """
    return _apply(api, name, namespace, topology, token or None, nudge)


def _apply(
    api: Api, name: str, namespace: str, topology: Topology, token: str | None, nudge: str = ""
) -> Object:
    stanza = {"self": topology.self_name, "primary": topology.primary, "source": topology.source}
    if token is not None:
        stanza["promotionToken"] = token
    metadata: Object = {"name": name, "namespace": namespace}
    if nudge:
        metadata["annotations"] = {NUDGE: nudge}
    wanted = {
        "apiVersion": CLUSTER.api_version,
        "kind": CLUSTER.kind,
        "metadata": metadata,
        "spec": {"replica": stanza},
    }
    try:
        return api.apply(wanted, force=True)
    except KubernetesError as error:
        what = TOKEN_LIKE.sub("…", error.what)
        raise type(error)(what, where=error.where, next_step=error.next_step) from None


def drop_foreign_token(api: Api, name: str, namespace: str, topology: Topology, live: Object) -> None:
    """Remove a promotion token from a Cluster's spec, whoever put it there: no demotion is taken with it.

    Taking the field over and then leaving it out is the way that leaves no second owner behind; with the same
    value it would be shared, not taken.
    """
    if dig(live, "spec", "replica", "promotionToken", default=""):
        _apply(api, name, namespace, topology, "")
        _apply(api, name, namespace, topology, None)


def owners_of_primary(cluster: Object) -> set[str]:
    """Return the field managers that have applied spec.replica.primary."""
    found = set()
    for entry in dig(cluster, "metadata", "managedFields", default=[]):
        if dig(entry, "fieldsV1", "f:spec", "f:replica", "f:primary") is not None:
            found.add(str(entry.get("manager", "")))
    return found


def release_topology(api: Api, cluster: Object) -> bool:
    """Give up pgaas's own fields of a Cluster once helm owns them too; return whether there was any.

    The promotion token, which only pgaas owns, goes with it: a primary does not need it any more.
    """
    owners = owners_of_primary(cluster)
    if FIELD_MANAGER not in owners or HELM not in owners:
        return False
    metadata: Object = {"name": name_of(cluster), "namespace": dig(cluster, "metadata", "namespace")}
    api.apply({"apiVersion": CLUSTER.api_version, "kind": CLUSTER.kind, "metadata": metadata})
    return True


def mark(api: Api, cluster: Object, annotations: dict[str, str]) -> None:
    """Set annotations that stay whoever moves the primary; no annotations take all of ours away."""
    metadata: Object = {"name": name_of(cluster), "namespace": dig(cluster, "metadata", "namespace")}
    if annotations:
        metadata["annotations"] = annotations
    wanted = {"apiVersion": CLUSTER.api_version, "kind": CLUSTER.kind, "metadata": metadata}
    api.apply(wanted, manager=MARKER, force=True)


def demotion_token(cluster: Object | None) -> str:
    """Return the token of a demotion that is complete, or an empty string.

    The condition of an earlier round is there for half a second after the patch: the token is cleared then.
    """
    if not cluster or dig(cluster, "metadata", "annotations", "cnpg.io/fencedInstances"):
        return ""
    if condition(cluster, SWITCHED).get("status") != "True":
        return ""
    return str(dig(cluster, "status", "demotionToken", default=""))


def promotion_failed(cluster: Object | None) -> str:
    """Say why a promotion will never succeed, or return an empty string."""
    if dig(cluster, "status", "phase") == UNRECOVERABLE:
        return f"{UNRECOVERABLE}: {dig(cluster, 'status', 'phaseReason', default='no reason given')}"
    return ""


def promoted(cluster: Object | None) -> bool:
    """Return whether a Cluster has taken the token in its spec, if there is one left, and is healthy."""
    token = dig(cluster, "spec", "replica", "promotionToken", default="")
    taken = not token or dig(cluster, "status", "lastPromotionToken") == token
    ready = condition(cluster or {}, "Ready").get("status") == "True"
    return taken and ready and dig(cluster, "status", "phase") == HEALTHY

"""What a change of a live object does: its fields are led back to the values that they are printed from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pgaas.render.effects import effect_of
from pgaas.render.effects_cluster import METRICS
from pgaas.render.effects_pgadmin import ANEW, REACHED
from pgaas.render.leaves import Leaf, Path, changed_leaves
from pgaas.render.marks import Effect, Mark, disruptive, forbidden, nothing, reload, unknown
from pgaas.render.sides import Sides

LABEL = nothing("labels and annotations that nobody waits for")
POLICY = disruptive("who may connect changes")
RIGHTS = disruptive("who may do what changes")
TRUST = reload("PostgreSQL reads its certificates from another Secret")
CERTIFICATE = reload("a new certificate is issued, and taken up by a reload")
# By kind: the beginning of a field's path, and the path of the values that it stands for, {name} being the
# object's; what is left of the field's path goes behind a +. Or what a change of it does. The first decides.
FIELDS: Mapping[str, Mapping[str, str | Effect]] = {
    "Cluster": {
        "spec.instances": "cluster.instances",
        "spec.enablePDB": "cluster.enablePDB",
        "spec.primaryUpdateStrategy": "cluster.primaryUpdateStrategy",
        "spec.primaryUpdateMethod": "cluster.primaryUpdateMethod",
        "spec.startDelay": "cluster.maxStartDelay",
        "spec.stopDelay": "cluster.maxStopDelay",
        "spec.smartShutdownTimeout": "cluster.smartShutdownTimeout",
        "spec.storage": "cluster.storage+",
        "spec.resources": "cluster.resources+",
        "spec.imageCatalogRef.major": "imageCatalog.major",
        "spec.imageCatalogRef.name": "imageCatalog.name",
        "spec.certificates": TRUST,
        "spec.postgresql.parameters": "cluster.parameters+",
        "spec.postgresql.pg_hba": "cluster.pgHba",
        "spec.postgresql.pg_ident": "cluster.pgIdent",
        "spec.managed.roles": "cluster.roles+",
        "spec.managed.services": "cluster.services.x.type",
        "spec.plugins": "cluster.plugins+",
        "spec.monitoring.tls": "monitoring.tls",
        "spec.monitoring": METRICS,
        "spec.bootstrap": "cluster.bootstrap.method",
        "spec.replica.promotionToken": forbidden("a token is handed over by pgaas promote alone"),
        "spec.replica": "replication+",
        "spec.externalClusters": "replication.externalClusters+",
        "spec.inheritedMetadata": LABEL,
    },
    "ImageCatalog": {"spec.images": "imageCatalog.images+"},
    "Database": {"spec.owner": "databases.{name}.owner"},
    "ScheduledBackup": {
        "spec.schedule": "scheduledBackup.schedule",
        "spec.target": "scheduledBackup.target",
        "spec.immediate": "scheduledBackup.immediate",
    },
    "ObjectStore": {
        "spec.retentionPolicy": "objectStores.{name}.retentionPolicy",
        "spec.configuration.destinationPath": "objectStores.{name}.destinationPath",
        "spec.configuration.endpointURL": "objectStores.{name}.endpointURL",
        "spec.configuration.s3Credentials": "s3.secretName",
        "spec.configuration.wal": "objectStores.{name}.walCompression",
        "spec.configuration.data": "objectStores.{name}.dataCompression",
        "spec.instanceSidecarConfiguration.resources": "objectStores.{name}.sidecarResources+",
        "spec.instanceSidecarConfiguration.env": "objectStores.{name}.sidecarEnv+",
    },
    "Certificate": {
        "spec.dnsNames": "certificates.server.dnsNames",
        "spec.commonName": "certificates.clients.{name}.commonName",
        "spec.issuerRef": "certificates.clusterIssuer",
        "spec": CERTIFICATE,
    },
    "Issuer": {"spec": "certificates.clientCA"},
    "NetworkPolicy": {"spec": POLICY},
    "Role": {"rules": RIGHTS},
    "RoleBinding": {"subjects": RIGHTS, "roleRef": RIGHTS},
    "DNSEndpoint": {"spec": "dns.roTarget"},
    "Secret": {
        part: reload("whoever reads this Secret takes it up") for part in ("data", "stringData", "type")
    },
    "ConfigMap": {"data": reload("whoever reads this ConfigMap takes it up")},
    "Deployment": {"spec": ANEW},
    "Service": {"spec": REACHED, "metadata.annotations": REACHED},
    "ServiceAccount": {"automountServiceAccountToken": LABEL},
}
NEW: Mapping[str, Effect] = {"NetworkPolicy": POLICY}
REMOVED: Mapping[str, Effect] = {
    "Cluster": forbidden("the cluster would be deleted: that is pgaas delete's, which takes a final backup"),
    "ScheduledBackup": disruptive("no backup is taken any more"),
    "ServiceAccount": nothing("nothing runs as it any more"),
}
# What the operator acts on wherever it finds it.
OPERATORS_OWN = "cnpg.io/"


class FieldEffect(NamedTuple):
    """A field of an object that changes, and what that does; an empty path is the object itself."""

    field: str
    effect: Effect


def object_effects(
    kind: str, name: str, action: str, before: Any, after: Any, sides: Sides
) -> list[FieldEffect]:
    """Return what a new, removed or changed object does, field by field."""
    if action == "new":
        return [FieldEffect("", NEW.get(kind, nothing("it is new")))]
    if action == "removed":
        return [FieldEffect("", REMOVED.get(kind) or _removed(kind, name, sides))]
    return [
        FieldEffect(".".join(leaf.path), _field(kind, name, leaf, sides))
        for leaf in changed_leaves(before, after)
    ]


def _removed(kind: str, name: str, sides: Sides) -> Effect:
    path = {"Database": ("databases", name), "ObjectStore": ("objectStores", name)}.get(kind)
    return effect_of(Leaf(path, {}, None), sides) if path else disruptive("it would be gone")


def _field(kind: str, name: str, leaf: Leaf, sides: Sides) -> Effect:
    for pattern, target in FIELDS.get(kind, {}).items():
        start = tuple(pattern.split("."))
        if leaf.path[: len(start)] == start:
            if isinstance(target, Effect):
                return target
            return effect_of(_translated(leaf, start, target, name), sides)
    if leaf.path[:2] in (("metadata", "labels"), ("metadata", "annotations")):
        owned = leaf.path[2:] and OPERATORS_OWN in leaf.path[2]
        return unknown(f"the operator may act on {leaf.path[2]}") if owned else LABEL
    return unknown(f"pgaas does not know what {'.'.join(leaf.path)} does")


def _translated(leaf: Leaf, start: Path, target: str, name: str) -> Leaf:
    rest = leaf.path[len(start) :] if target.endswith("+") else ()
    path = tuple(name if part == "{name}" else part for part in target.rstrip("+").split("."))
    if path[:2] == ("replication", "externalClusters"):
        # The chart prints one entry's values deeper than they are.
        rest = rest[:1]
    return Leaf((*path, *rest), leaf.before, leaf.after)


def why_of(effects: list[FieldEffect], mark: Mark) -> str:
    """Return why an object has its mark: the reasons of its worst fields, each once."""
    return "; ".join(dict.fromkeys(each.effect.why for each in effects if each.effect.mark is mark))


def marks_of(effects: list[FieldEffect]) -> Iterator[Mark]:
    """Return the marks of an object's fields."""
    return (each.effect.mark for each in effects)

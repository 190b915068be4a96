"""What changes of archive and backups do: plugins, stores, schedules, credentials."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pgaas.config.models.plugins import BARMAN_PLUGIN
from pgaas.render.effects_rules import Rule, applied, more_or_less, on_or_off, rolling
from pgaas.render.leaves import Leaf
from pgaas.render.marks import Effect, disruptive, forbidden, nothing, reload
from pgaas.render.sides import Sides

IDENTITY = ("serverName", "barmanObjectName")
NEXT_SEGMENT = nothing("counts for what is archived from now on; what is there stays readable")
KEYS = reload("the sidecar takes them at its next segment; with wrong ones it archives nothing")
SPLIT = forbidden(
    "the archive would be split: no point in time before this could be restored from the new one"
)
PGAAS = nothing("pgaas's own knowledge of the bucket; what the cluster does is said by its object store")
DAYS = {"d": 1, "w": 7, "m": 30}


def _plugin(leaf: Leaf, sides: Sides) -> Effect:
    if leaf.path[2] == BARMAN_PLUGIN:
        return forbidden("without the Barman Cloud plugin, or with it later, WAL is not archived")
    return applied(rolling("a plugin may change every instance's pod"), leaf, sides)


def _plugin_parameter(leaf: Leaf, sides: Sides) -> Effect:
    if leaf.path[-1] in IDENTITY:
        return forbidden(
            "the archive would be split: only a new life of the cluster (rebuild, create --next-generation) "
            "has an archive of its own"
        )
    return applied(rolling("a plugin's parameter may change every instance's pod"), leaf, sides)


def _store(leaf: Leaf, sides: Sides) -> Effect:
    if leaf.added:
        return nothing("an archive more is known")
    if leaf.path[1] in (sides.own_store, sides.read_store):
        return forbidden("the archive that this cluster writes, or follows, would be gone")
    return nothing("an archive that nothing reads is no longer known")


def _of_store(own: Rule, read: Rule) -> Callable[[Leaf, Sides], Effect]:
    """Return a rule that tells the cluster's own archive from the one that it follows, and from others."""

    def rule(leaf: Leaf, sides: Sides) -> Effect:
        if leaf.path[1] == sides.own_store:
            return applied(own, leaf, sides)
        if leaf.path[1] == sides.read_store:
            return applied(read, leaf, sides)
        return nothing("used only when this cluster is to follow that one")

    return rule


def _retention(value: Any) -> float | None:
    text = str(value)
    if not text[:-1].isdecimal() or text[-1:] not in DAYS:
        return None
    return int(text[:-1]) * DAYS[text[-1]]


SIDECAR = _of_store(
    rolling("the sidecar is part of every instance's pod"),
    nothing("the sidecar goes by the cluster's own store"),
)
ENVIRONMENT = rolling("the sidecar is part of every instance's pod")
ARCHIVE: dict[str, Rule] = {
    "cluster.plugins": nothing("only their order changes"),
    "cluster.plugins.*": _plugin,
    "cluster.plugins.*.isWALArchiver": forbidden("WAL would be archived elsewhere, or not at all"),
    "cluster.plugins.*.parameters.*": _plugin_parameter,
    "objectStores": nothing("only their order changes"),
    "objectStores.*": _store,
    "objectStores.*.destinationPath": _of_store(
        SPLIT, disruptive("the replica follows only if the primary's archive is there too")
    ),
    "objectStores.*.endpointURL": _of_store(
        disruptive("WAL goes to another S3 server from now on: the whole archive must be there too"),
        disruptive("the replica follows only if the primary's archive is there too"),
    ),
    "objectStores.*.region": PGAAS,
    "objectStores.*.retentionPolicy": _of_store(
        more_or_less(
            nothing("backups are kept for longer from now on"),
            disruptive("older backups, and the points in time in them, are deleted for good"),
            _retention,
        ),
        nothing("each datacenter prunes its own archive"),
    ),
    "objectStores.*.walCompression": NEXT_SEGMENT,
    "objectStores.*.walMaxParallel": NEXT_SEGMENT,
    "objectStores.*.dataCompression": NEXT_SEGMENT,
    "objectStores.*.sidecarResources.requests.*": SIDECAR,
    "objectStores.*.sidecarResources.limits.*": SIDECAR,
    "objectStores.*.sidecarEnv": nothing("only their order changes"),
    "objectStores.*.sidecarEnv.*": ENVIRONMENT,
    "objectStores.*.sidecarEnv.*.value": ENVIRONMENT,
    "scheduledBackup.enabled": on_or_off(
        nothing("base backups are taken by a schedule"),
        disruptive("no base backup is taken by itself any more"),
    ),
    "scheduledBackup.schedule": nothing("counts for the next backup"),
    "scheduledBackup.target": nothing("counts for the next backup"),
    "scheduledBackup.immediate": nothing("counts when a schedule is made"),
    "s3.bucket": PGAAS,
    "s3.endpoint": PGAAS,
    "s3.region": PGAAS,
    "s3.secretName": KEYS,
    "s3.createSecret": KEYS,
    "s3.accessKey": KEYS,
    "s3.secretKey": KEYS,
}

"""What changes of the cluster itself do: instances, storage, parameters, images, topology."""

from __future__ import annotations

from pgaas.render.effects_parameters import parameter
from pgaas.render.effects_rules import (
    Rule,
    bytes_of,
    comes_or_goes,
    count_of,
    identity,
    more_or_less,
    on_or_off,
    rolling,
)
from pgaas.render.leaves import Leaf
from pgaas.render.marks import Effect, disruptive, forbidden, nothing, reload, restart
from pgaas.render.sides import Sides, at

BORN = nothing("ignored: a cluster is born once; only a rebuild would go by it")
NEXT_TIME = nothing("counts at the next restart")
METRICS = reload("the exporter takes it up; PostgreSQL is not touched")
SERVED = "clients of this Service are disconnected, and may find it at another address"


def _collector(leaf: Leaf, _: Sides) -> Effect:
    if leaf.before in (None, ""):
        return nothing("the metrics collector may find the instances")
    return disruptive("a collector that runs as another no longer finds the instances")


def _image(leaf: Leaf, sides: Sides) -> Effect:
    if leaf.path[-2 if leaf.path[-1] == "image" else -1] != str(sides.major):
        return nothing("this cluster runs another major version")
    if leaf.removed:
        return forbidden("the image that this cluster runs would be gone from the catalog")
    return restart(f"another image; {sides.how_restarted}; pgaas upgrade follows it")


def _replication(leaf: Leaf, sides: Sides) -> Effect:
    if leaf.after is True:
        if sides.follows:
            return forbidden("this cluster would follow another's data: delete it, and create it anew")
        return nothing("this cluster stays the primary; the other datacenter's can be created now")
    primary = at(sides.before, "replication", "primary")
    if primary == sides.cluster:
        return nothing("this cluster stays what it is; its replica is no longer one")
    return forbidden("a replica without its primary would be promoted, without a token")


def _primary(leaf: Leaf, sides: Sides) -> Effect:
    here = (None, "", sides.cluster)
    if leaf.before in here and leaf.after in here:
        return nothing("this cluster is the primary before and after")
    return forbidden("a primary moves with pgaas switchover, never by a change of confs")


def _followed(leaf: Leaf, sides: Sides) -> Effect:
    name = leaf.path[2]
    if not sides.follows or name != sides.source:
        return nothing("used only when this cluster is to follow that one")
    if leaf.removed:
        return forbidden("the archive that this replica follows would be gone")
    return disruptive("the replica reads another archive, and follows only if that is the primary's own")


def _source(_: Leaf, sides: Sides) -> Effect:
    if sides.follows:
        return disruptive("the replica follows another datacenter's archive")
    return nothing("whom this primary would follow if it were demoted")


CLUSTER: dict[str, Rule] = {
    "target.*": identity("whose cluster it is"),
    "cluster.name": identity("the name"),
    "cluster.namespace": identity("the namespace"),
    "cluster.instances": more_or_less(
        nothing("a standby is cloned; nobody is interrupted"),
        disruptive("an instance goes, with its volume and the connections to it"),
        count_of,
    ),
    "cluster.enablePDB": nothing("counts when a node is drained"),
    "cluster.storage.size": more_or_less(
        nothing("volumes grow online, if the StorageClass lets them (allowVolumeExpansion)"),
        forbidden("a volume never shrinks: the operator refuses it"),
        bytes_of,
    ),
    "cluster.storage.storageClass": forbidden("live volumes keep their class: only new ones would have it"),
    "cluster.resources.requests.*": rolling("part of every instance's pod"),
    "cluster.resources.limits.*": rolling("part of every instance's pod"),
    "cluster.parameters.*": parameter,
    "cluster.primaryUpdateStrategy": nothing("counts at the next restart, also one that waits for a person"),
    "cluster.primaryUpdateMethod": NEXT_TIME,
    "cluster.maxStartDelay": rolling("the startup probe of every instance's pod"),
    "cluster.maxStopDelay": rolling("the grace period of every instance's pod"),
    "cluster.smartShutdownTimeout": NEXT_TIME,
    "cluster.usersRevision": nothing("a record of where the clients' files came from; no pod is touched"),
    "cluster.bootstrap.*": BORN,
    "cluster.services": nothing("only their order changes"),
    "cluster.services.*": comes_or_goes(nothing("a Service more"), disruptive(SERVED)),
    "cluster.services.*.selectorType": disruptive("this Service leads to other instances"),
    "cluster.services.*.type": disruptive(SERVED),
    "cluster.services.*.externalTrafficPolicy": disruptive(
        "clients' own addresses show or do not: NetworkPolicies that name them fit or do not"
    ),
    "cluster.services.*.annotations.*": disruptive(
        "the load balancer, or external-dns, may give it another address or name"
    ),
    "imageCatalog.name": nothing("the same images under another name"),
    "imageCatalog.images": nothing("only their order changes"),
    "imageCatalog.images.*": _image,
    "imageCatalog.images.*.image": _image,
    "imageCatalog.major": forbidden(
        "another major version is an offline upgrade: create, and upgrade without --major, refuse it"
    ),
    # A release of an older pgaas has none of these: that they come changes nothing.
    "restore.*": comes_or_goes(
        nothing("says that it was not restored beside another cluster"),
        nothing("says that it was not restored beside another cluster"),
        forbidden("no client's own cluster is restored in place: pgaas restore makes another one beside it"),
    ),
    "replication.enabled": _replication,
    "replication.self": comes_or_goes(
        nothing("the cluster's own name in its topology"),
        nothing("the cluster's own name in its topology"),
        identity("the cluster's own name in its topology"),
    ),
    "replication.primary": _primary,
    "replication.source": _source,
    "replication.externalClusters": nothing("only their order changes"),
    "replication.externalClusters.*": _followed,
    "replication.externalClusters.*.barmanObjectName": _followed,
    "replication.externalClusters.*.serverName": _followed,
    "monitoring.enabled": METRICS,
    "monitoring.tls": rolling("an argument of every instance's pod; whoever scrapes must change with it"),
    "monitoring.customQueries": METRICS,
    "monitoring.disableDefaultQueries": METRICS,
    "monitoring.configMap": METRICS,
    "monitoring.collectorNamespace": _collector,
    "monitoring.collectorAccount": _collector,
    "dns.zone": disruptive("applications look for another name"),
    "dns.primaryFqdn": disruptive("applications look for another name"),
    "dns.roFqdn": disruptive("applications look for another name"),
    "dns.roTarget": disruptive("the read-only name leads elsewhere"),
    "dns.endpoint": on_or_off(
        nothing("external-dns publishes the read-only name"),
        disruptive("external-dns takes the read-only name away"),
    ),
    "dns.ttl": nothing("counts when resolvers ask again"),
}

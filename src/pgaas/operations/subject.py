"""What a verb acts on: one target's configuration, its values, and the API server of its datacenter."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pgaas.config.naming import Target
from pgaas.config.resolve import ConfigCache, resolve_client
from pgaas.config.resolved import ResolvedClient
from pgaas.config.users import users_option
from pgaas.kube.client import Api, api_for
from pgaas.render.build import build_values
from pgaas.render.values import GeneratedValues
from pgaas.tools.s3 import Keys, Place, split_url

RESTORED_AS = "pgaas.io/restored-as"
RESTORED_IN = "pgaas.io/restored-in"
RESTORED_FROM = "pgaas.io/restored-from"


@dataclass(frozen=True)
class Subject:
    """One target and everything that the configuration says about it.

    With the values of a restored cluster it is that one, beside the target's own.
    """

    root: Path
    target: Target
    resolved: ResolvedClient
    values: GeneratedValues

    @property
    def cluster(self) -> str:
        """Return the name of the Cluster and of its Helm release."""
        return self.values.cluster.name

    @property
    def namespace(self) -> str:
        """Return the client's namespace."""
        return self.values.cluster.namespace

    @property
    def context(self) -> str | None:
        """Return the kubeconfig context that `api` speaks to, or None in a pod without a kubeconfig."""
        return self.api().kubeconfig_context

    @property
    def operator_namespace(self) -> str:
        """Return the namespace of the operator and of the Barman Cloud plugin."""
        return self.values.network_policy.operator_namespace

    @property
    def restored(self) -> bool:
        """Whether this is a cluster that was restored beside the target's own."""
        return self.values.restore.enabled

    @property
    def labels(self) -> dict[str, str]:
        """Return the labels that every object of this cluster carries, and none of another's."""
        target = self.target
        if self.restored:
            return {"pgaas.io/ins": target.ins, "pgaas.io/env": target.env, RESTORED_AS: self.cluster}
        return {"pgaas.io/ins": target.ins, "pgaas.io/env": target.env, "pgaas.io/dc": target.dc}

    @property
    def server_name(self) -> str:
        """Return the folder of the archive that the rendered cluster writes to."""
        archiver = next((plugin for plugin in self.values.cluster.plugins if plugin.is_wal_archiver), None)
        return archiver.parameters.get("serverName", self.cluster) if archiver else ""

    @property
    def archive_prefix(self) -> str:
        """Return the key prefix of the datacenter's archives in the bucket, all generations of it."""
        archiver = next((plugin for plugin in self.values.cluster.plugins if plugin.is_wal_archiver), None)
        name = archiver.parameters.get("barmanObjectName", "") if archiver else ""
        store = next((store for store in self.values.object_stores if store.name == name), None)
        return split_url(store.destination_path)[1] if store else ""

    @property
    def place(self) -> Place:
        """Return where the bucket is."""
        s3 = self.values.s3
        return Place(s3.endpoint, s3.region, s3.bucket)

    @property
    def inline_keys(self) -> Keys | None:
        """Return the S3 keys that the configuration itself holds, which only a local one does."""
        s3 = self.values.s3
        return Keys(s3.access_key, s3.secret_key) if s3.create_secret else None

    @property
    def image(self) -> str:
        """Return the image that the catalog gives for the wanted major version."""
        catalog = self.values.image_catalog
        return next(entry.image for entry in catalog.images if entry.major == catalog.major)

    @property
    def follows(self) -> bool:
        """Whether the rendered cluster is the replica of another datacenter's."""
        replication = self.values.replication
        return replication.enabled and replication.primary != replication.self_name

    def api(self) -> Api:
        """Return the API server of the datacenter: of its context, or the one that was current at first."""
        return api_for(self.resolved.datacenters.datacenters[self.target.dc].kube_context)

    def command(self, verb: str) -> str:
        """Return the command line of another verb for the same target; a restored cluster has two verbs."""
        if self.restored:
            end = f"--as {self.cluster}{' --remove' if verb == 'delete' else ''}"
            return (
                f"pgaas restore --ins {self.target.ins} --env {self.target.env} --dc {self.target.dc} {end}"
            )
        target = f"--ins {self.target.ins} --env {self.target.env} --dc {self.target.dc}"
        return f"pgaas {verb} {target}{users_option(self.root)}"


def load_subject(root: Path, target: Target, cache: ConfigCache | None = None) -> Subject:
    """Read and check a target's configuration, and build its values; raise ConfigError for what is wrong."""
    resolved = resolve_client(root, target, cache)
    return Subject(root, target, resolved, build_values(resolved))

"""The local infrastructure: which releases it has, in which datacenters, and what they are told of."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pgaas.config.admin import AdminEnvironment, ConfigCache
from pgaas.config.environments import LOCAL, LOCAL_NAMESPACE, known, nearest
from pgaas.config.models.clients import Client
from pgaas.config.models.datacenters import Datacenter
from pgaas.config.models.openldap import OpenldapFile
from pgaas.config.models.seaweedfs import SeaweedfsFile
from pgaas.errors import KubernetesError, PgaasError, UsageError
from pgaas.kube.client import Api, api_for
from pgaas.kube.resources import NODE, SERVICE, STORAGE_CLASS, Object, dig, name_of
from pgaas.operations.progress import Progress
from pgaas.tools.s3 import Bucket, Keys, Place

PART_OF = "app.kubernetes.io/part-of"
MADE = {PART_OF: "pgaas", "pgaas.io/made-by": "infra-install"}
ISSUER_FILE = Path("manifests/cert-manager-ca.yaml")
CLASS_FILE = Path("manifests/local-storage-class.yaml")
DNS_SERVICE, DNS_PORT = "pgaas-dns", 30053
COREDNS_PODS = {"k8s-app": "kube-dns"}

Result = TypeVar("Result")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Release:
    """One Helm release of helmfile.yaml; `image` tells somebody else's installation of the same thing."""

    name: str
    namespace: str
    title: str
    first_only: bool = False
    image: str = ""

    @property
    def upstream(self) -> bool:
        """Whether its chart is not one of pgaas's own."""
        return bool(self.image)


CERT_MANAGER = Release("cert-manager", "cert-manager", "cert-manager", image="cert-manager-controller")
OPERATOR = Release("cnpg", "cnpg-system", "CloudNativePG", image="cloudnative-pg")
PLUGIN = Release("plugin-barman-cloud", "cnpg-system", "Barman Cloud plugin", image="plugin-barman-cloud")
SEAWEEDFS = Release("seaweedfs", LOCAL_NAMESPACE, "SeaweedFS", first_only=True)
OPENLDAP = Release("openldap", LOCAL_NAMESPACE, "OpenLDAP")
OBSERVABILITY = Release("pgaas-observability", LOCAL_NAMESPACE, "observability")
# In the order in which each can be installed.
RELEASES = (CERT_MANAGER, OPERATOR, PLUGIN, SEAWEEDFS, OPENLDAP, OBSERVABILITY)


@dataclass(frozen=True)
class Site:
    """One local datacenter; `first` has what there is once for all of them."""

    root: Path
    dc: str
    first: bool
    settings: Datacenter

    def api(self) -> Api:
        """Return the datacenter's API server."""
        return api_for(self.settings.kube_context)

    def releases(self, without: Iterable[str] = ()) -> list[Release]:
        """Return the releases that this datacenter has, but for those left out."""
        return [
            release
            for release in RELEASES
            if (self.first or not release.first_only) and release.name not in without
        ]


@dataclass(frozen=True)
class Infra:
    """The local environment's configuration, and those of its datacenters that are meant."""

    root: Path
    admin: AdminEnvironment
    sites: tuple[Site, ...]

    @property
    def clients(self) -> Mapping[str, Client]:
        """Return the clients of the local environment."""
        return self.admin.clients.clients

    @property
    def first(self) -> Site | None:
        """Return the first datacenter, if it is meant."""
        return next((site for site in self.sites if site.first), None)

    @property
    def seaweedfs(self) -> SeaweedfsFile:
        """Return seaweedfs.yaml."""
        found: SeaweedfsFile = self.admin.file(SeaweedfsFile)
        return found

    @property
    def openldap(self) -> OpenldapFile:
        """Return openldap.yaml."""
        found: OpenldapFile = self.admin.file(OpenldapFile)
        return found

    @property
    def admin_keys(self) -> Keys:
        """Return the keys that may do everything in the local S3."""
        s3 = self.seaweedfs.seaweedfs.s3
        return Keys(s3.access_key, s3.secret_key)

    @property
    def dns_namespace(self) -> str:
        """Return where CoreDNS is."""
        coredns = self.admin.datacenters.dns.coredns
        return coredns.namespace if coredns else "kube-system"

    def bucket(self, site: Site, name: str, keys: Keys) -> Bucket:
        """Return a bucket as a datacenter reaches it."""
        return Bucket(Place(site.settings.s3.endpoint, site.settings.s3.region, name), keys)


def require_local(env: str) -> None:
    """Raise UsageError for an environment that has no local infrastructure."""
    if env != LOCAL:
        raise UsageError(
            f"the environment {env} has no local infrastructure: S3, LDAP and observability are given there",
            next_step=f"leave --env out, or say --env {LOCAL}",
        )


def client_keys(client: Client) -> Keys:
    """Return a local client's own keys."""
    credentials = client.s3_credentials
    return Keys(credentials.access_key or "", credentials.secret_key or "")


def load_infra(root: Path, env: str = LOCAL, dc: str | None = None) -> Infra:
    """Read the local environment's files; `dc` narrows it to one datacenter.

    Raise ConfigError for the files, UsageError for an environment or a datacenter that has none of it.
    """
    require_local(env)
    admin = ConfigCache().admin(root, LOCAL)
    settings = admin.datacenters.datacenters
    names = list(settings)
    if dc is not None and dc not in names:
        raise UsageError(
            f"{LOCAL} has no datacenter {dc!r}{nearest(dc, names)}",
            where=f"{admin.folder}/datacenters.yaml",
            next_step=f"name one of its datacenters ({known(names)})",
        )
    sites = [Site(root, name, name == names[0], settings[name]) for name in names if dc in (None, name)]
    return Infra(root, admin, tuple(sites))


def node_address(api: Api) -> str:
    """Return the address of a cluster's first node. Raise KubernetesError if it has none."""
    nodes = sorted(api.find(NODE), key=lambda node: str(dig(node, "metadata", "creationTimestamp")))
    for node in nodes:
        for entry in dig(node, "status", "addresses", default=[]):
            if entry.get("type") == "InternalIP":
                return str(entry["address"])
    raise KubernetesError(
        "no node has an address", where=f'context "{api.context}"', next_step="look at kubectl get nodes"
    )


def node_port(service: Object | None, protocol: str, port: int) -> int:
    """Return the port of the nodes at which a Service's port answers, 0 if there is none."""
    for entry in dig(service, "spec", "ports", default=[]):
        if entry.get("port") == port and entry.get("protocol", "TCP") == protocol:
            return int(entry.get("nodePort") or 0)
    return 0


def dns_service(api: Api, namespace: str) -> tuple[str, int]:
    """Return the Service by which CoreDNS answers outside its cluster, and its port: empty and 0 if none."""
    for service in sorted(api.find(SERVICE, namespace), key=name_of):
        if dig(service, "spec", "selector") == COREDNS_PODS and (port := node_port(service, "UDP", 53)):
            return name_of(service), port
    return "", 0


def storage_classes(infra: Infra) -> list[str]:
    """Return the storage classes that the configuration names."""
    tree = infra.admin.merged_tree
    named = [
        dig(tree, "postgresql", "storage", "storageClass"),
        infra.admin.part("observability", "observability", "prometheus", "storage", "storageClass"),
    ]
    return sorted({str(name) for name in named if name})


def missing_classes(infra: Infra, api: Api) -> list[str]:
    """Return the storage classes that the configuration names and a cluster does not have."""
    return [name for name in storage_classes(infra) if api.get(STORAGE_CLASS, name) is None]


@dataclass
class Everywhere:
    """Do the same in several datacenters at once, and tell as one step what each is at."""

    progress: Progress
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def stopped(self) -> str:
        """Return why a wait has no hope any more, if it was interrupted."""
        return "interrupted" if self.stop.is_set() else ""

    def __call__(self, sites: Iterable[Site], act: Callable[[Site, Say], Result]) -> dict[str, Result]:
        """Return what came out of it, by datacenter. Raise the error of the first that failed, all named."""
        places = list(sites)
        said: dict[str, str] = {}
        lock = threading.Lock()

        def say_for(dc: str) -> Say:
            def say(text: str) -> None:
                with lock:
                    said[dc] = text
                    if told := "; ".join(f"{name}: {what}" for name, what in said.items() if what):
                        self.progress.detail(told)

            return say

        with ThreadPoolExecutor(max(len(places), 1)) as pool:
            try:
                running = {site.dc: pool.submit(act, site, say_for(site.dc)) for site in places}
                errors = {dc: future.exception() for dc, future in running.items()}
            except KeyboardInterrupt:
                # What runs in the threads ends at its next look; helm ends the release it is at.
                self.stop.set()
                raise
        _raise_all({dc: error for dc, error in errors.items() if error})
        return {dc: future.result() for dc, future in running.items()}


def summed(results: Mapping[str, str]) -> str:
    """Return what came out of a step, once if it is the same everywhere."""
    if len(set(results.values())) == 1:
        return next(iter(results.values()))
    return ", ".join(f"{dc}: {text}" for dc, text in results.items())


def _raise_all(errors: Mapping[str, BaseException]) -> None:
    """Raise one error for what went wrong in the datacenters, none if nothing did."""
    if not errors:
        return
    for error in errors.values():
        if not isinstance(error, PgaasError):
            raise error
    leading = next(iter(errors.values()))
    assert isinstance(leading, PgaasError)
    if len(errors) == 1:
        raise leading
    what = "".join(f"\n  {dc}: {error}" for dc, error in errors.items())
    raise type(leading)(
        f"failed in {len(errors)} datacenters:{what}", where=leading.where, next_step=leading.next_step
    )

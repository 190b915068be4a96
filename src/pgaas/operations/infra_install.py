"""Install what a local datacenter needs before `create`, or find that it is there."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from pgaas.config.endpoints import ENDPOINT, RESOLVER, Key, Written, write_endpoints
from pgaas.config.environments import LOCAL
from pgaas.errors import KubernetesError, TimedOut, ToolFailed, UsageError
from pgaas.kube.difference import parse_manifest
from pgaas.kube.resources import (
    CLUSTER,
    CLUSTER_ISSUER,
    SERVICE,
    STORAGE_CLASS,
    Object,
    condition,
    dig,
    is_true,
    name_of,
)
from pgaas.kube.wait import Ending, Item, Seen, wait_for
from pgaas.operations.check_tools import check_tools, require_tools
from pgaas.operations.infra import (
    CERT_MANAGER,
    CLASS_FILE,
    COREDNS_PODS,
    DNS_PORT,
    DNS_SERVICE,
    MADE,
    RELEASES,
    SEAWEEDFS,
    Everywhere,
    Infra,
    Say,
    Site,
    client_keys,
    dns_service,
    load_infra,
    missing_classes,
    node_address,
    node_port,
    summed,
)
from pgaas.operations.infra_ours import authority_objects, foreign
from pgaas.operations.infra_release import Installer
from pgaas.operations.preflight_cluster import server_version
from pgaas.operations.progress import Progress
from pgaas.operations.steps import Steps, Taken
from pgaas.render.infra import write_infra
from pgaas.tools import helmfile
from pgaas.tools.command import run

DEFAULT_TIMEOUT = 600.0
REPOSITORY_SECONDS = 120.0
BUCKET_SECONDS = 60.0
LOOK_EVERY = 0.5
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
AGAIN = "pgaas infra install"


@dataclass(frozen=True)
class Choices:
    """What the user asked for; `charts` is a folder that replaces upstream's, `timeout` is for each wait."""

    env: str = LOCAL
    dc: str | None = None
    charts: Path | None = None
    without: tuple[str, ...] = ()
    timeout: float = DEFAULT_TIMEOUT


@dataclass(frozen=True)
class Installed:
    """What was done: the steps, what was written to datacenters.yaml, and where S3 is, if that is known."""

    steps: tuple[Taken, ...]
    written: tuple[Written, ...]
    endpoint: str
    seconds: float


def install(root: Path, choices: Choices, progress: Progress) -> Installed:
    """Bring the local datacenters to what `create` needs. A second run changes nothing.

    Raise ConfigError or UsageError for what was asked, ToolMissing, ToolFailed or KubernetesError for what
    does not work, TimedOut for what does not come. Interrupted anywhere, it can be run again.
    """
    start = time.monotonic()
    try:
        infra, charts = load_infra(root, choices.env, choices.dc), check_choices(choices)
        write_infra(root)
        return _install(infra, charts, choices, Steps(progress), start)
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(
            f"the local infrastructure may be installed in part; {AGAIN} takes up from there"
        ) from interrupt


def check_choices(choices: Choices) -> str:
    """Return the charts folder as helmfile reads it. Raise UsageError for what cannot be asked for."""
    names = [release.name for release in RELEASES]
    unknown = [name for name in choices.without if name not in names]
    if unknown:
        raise UsageError(
            f"no release {', '.join(map(repr, unknown))} that may be left out",
            next_step=f"these are installed: {', '.join(names)}",
        )
    if choices.charts is None:
        return ""
    folder = choices.charts.absolute()
    lacking = [
        name for name in ("cert-manager", "cloudnative-pg", "plugin-barman-cloud")
        if not (folder / name / "Chart.yaml").is_file()
    ]  # fmt: skip
    if lacking:
        raise UsageError(
            f"the charts folder holds no chart {', '.join(lacking)}",
            where=str(folder),
            next_step="put each there, unpacked: FOLDER/NAME/Chart.yaml",
        )
    return str(folder)


def _install(infra: Infra, charts: str, choices: Choices, steps: Steps, start: float) -> Installed:
    everywhere = Everywhere(steps.progress)
    secrets = (infra.admin_keys, *map(client_keys, infra.clients.values()))
    installer = Installer(charts, choices.timeout, everywhere, secrets)
    with steps("preflight") as outcome:
        require_tools(check_tools(("helm", "helmfile")))
        outcome.text = summed(everywhere(infra.sites, lambda site, _: _look(site)))
        forgotten = everywhere(infra.sites, lambda site, _: _forgotten(infra, site))
    for dc, cluster in forgotten.items():
        if cluster:
            steps.progress.note(
                f"{dc}: {cluster} lives, and clients.yaml does not know its client: S3 and the directory "
                "will not either, and it archives no more"
            )
    with steps("storage class") as outcome:
        outcome.text = summed(everywhere(infra.sites, lambda site, _: _storage_class(infra, site)))
    if not charts and _needs_repositories(infra, choices):
        with steps("chart repositories"):
            run(
                helmfile.repositories_argv(),
                env=helmfile.infra_environment(infra.sites[0].dc),
                cwd=infra.root,
                timeout=REPOSITORY_SECONDS,
                echo=steps.progress.command,
            )
    written: list[Written] = []
    endpoint = ""
    for release in RELEASES:
        sites = [site for site in infra.sites if release in site.releases(choices.without)]
        if sites:
            with steps(release.title) as outcome:
                outcome.text = summed(
                    everywhere(sites, lambda site, say, what=release: installer.bring(site, what, say))  # type: ignore[misc]
                )
        if release is CERT_MANAGER:
            with steps("certificate authority") as outcome:
                outcome.text = summed(
                    everywhere(infra.sites, lambda site, say: _issuer(site, choices.timeout, everywhere, say))
                )
        if release is SEAWEEDFS:
            written, endpoint = _addresses(infra, choices, everywhere, steps)
    return Installed(tuple(steps.taken), tuple(written), endpoint, time.monotonic() - start)


def _addresses(
    infra: Infra, choices: Choices, everywhere: Everywhere, steps: Steps
) -> tuple[list[Written], str]:
    """Find out where DNS and S3 answer, write it to datacenters.yaml, and make the buckets.

    Return what was written, and the endpoint of S3, if it is here.
    """
    wanted: dict[str, dict[Key, str]] = {site.dc: {} for site in infra.sites}
    if infra.admin.datacenters.dns.provider == "coredns":
        with steps("DNS") as outcome:
            resolvers = everywhere(infra.sites, lambda site, _: _resolver(infra, site))
            for dc, address in resolvers.items():
                wanted[dc][RESOLVER] = address
            outcome.text = summed(resolvers)
    endpoint = ""
    if infra.first and SEAWEEDFS.name not in choices.without:
        endpoint = s3_endpoint(infra, infra.first)
        # One server for all: what another datacenter is told of it is true there too.
        for dc in infra.admin.datacenters.datacenters:
            wanted.setdefault(dc, {})[ENDPOINT] = endpoint
    with steps("addresses") as outcome:
        written = write_endpoints(infra.root, choices.env, wanted)
        outcome.text = ", ".join(f"{each.datacenter}.{each.key}: {each.after}" for each in written)
        outcome.text = f"wrote {outcome.text}" if written else "as datacenters.yaml has them"
    if written:
        # What comes next is told these addresses.
        write_infra(infra.root)
    if endpoint:
        # Read again: the endpoint may be another now.
        known = load_infra(infra.root, choices.env, choices.dc)
        with steps("buckets") as outcome:
            outcome.text = make_buckets(known, everywhere)
    return written, endpoint


def _look(site: Site) -> str:
    return f"Kubernetes {server_version(site.api()).detail}"


def _forgotten(infra: Infra, site: Site) -> str:
    """Return the live clusters of clients that are not in clients.yaml, of which S3's keys are made."""
    found = site.api().find(CLUSTER, labels={"pgaas.io/env": infra.admin.team_env})
    labels = {name_of(each): dig(each, "metadata", "labels", "pgaas.io/ins") for each in found}
    return ", ".join(name for name, ins in labels.items() if ins not in infra.clients)


def _storage_class(infra: Infra, site: Site) -> str:
    api = site.api()
    missing = missing_classes(infra, api)
    (manifest,) = parse_manifest((infra.root / CLASS_FILE).read_text())
    has_default = any(_is_default(each) for each in api.find(STORAGE_CLASS))
    for name in missing:
        metadata = {**manifest["metadata"], "name": name, "labels": MADE}
        if has_default:
            # Of two, nobody would know which one a claim that names none gets.
            metadata["annotations"] = {}
        api.apply({**manifest, "metadata": metadata})
        has_default = True
    return f"made {', '.join(missing)}" if missing else "there"


def _is_default(storage_class: Object) -> bool:
    return bool(dig(storage_class, "metadata", "annotations", DEFAULT_CLASS) == "true")


def _needs_repositories(infra: Infra, choices: Choices) -> bool:
    """Return whether any chart comes from a repository: not where somebody else installed the thing."""
    return any(
        release.upstream and foreign(site.api(), release) is None
        for site in infra.sites
        for release in site.releases(choices.without)
    )


def _issuer(site: Site, timeout: float, everywhere: Everywhere, say: Say) -> str:
    """Make the datacenter's certificate authority, once cert-manager's webhook takes it, and wait for it."""
    api, name = site.api(), site.settings.cluster_issuer
    wanted = authority_objects(api, site)
    if name not in [name_of(obj) for obj in wanted]:
        wanted = []
    was_there = api.get(CLUSTER_ISSUER, name) is not None

    def probe() -> Seen:
        try:
            for obj in wanted:
                api.apply(obj)
        except KubernetesError as error:
            return Seen((Item(name, False, error.what),), hopeless=everywhere.stopped)
        found = api.get(CLUSTER_ISSUER, name)
        detail = condition(found, "Ready").get("message") or ("not looked at yet" if found else "not there")
        return Seen((Item(name, is_true(found, "Ready"), detail),), hopeless=everywhere.stopped)

    def tell(items: list[Item]) -> None:
        say("; ".join(f"{item.name}: {item.detail}" for item in items if not item.ok))

    waited = wait_for(probe, timeout=timeout, interval=LOOK_EVERY, on_change=tell)
    if waited.ending is Ending.TIMED_OUT:
        raise TimedOut(
            f"the ClusterIssuer {name} is not ready after {waited.seconds:.0f} s: "
            + "; ".join(item.detail for item in waited.seen.missing),
            where=f'context "{api.context}"',
            next_step="look at cert-manager's pods and log, then run this again",
        )
    return f"{name} is ready" if was_there else f"made {name}"


def _resolver(infra: Infra, site: Site) -> str:
    """Return the address at which a datacenter's CoreDNS answers outside it; make it answer, if need be."""
    api = site.api()
    namespace = infra.dns_namespace
    _, port = dns_service(api, namespace)
    if not port:
        ports = [
            {"name": name, "port": 53, "nodePort": DNS_PORT, "protocol": protocol}
            for name, protocol in (("dns", "UDP"), ("dns-tcp", "TCP"))
        ]
        api.apply(
            {
                "apiVersion": SERVICE.api_version,
                "kind": SERVICE.kind,
                "metadata": {"name": DNS_SERVICE, "namespace": namespace, "labels": MADE},
                "spec": {"type": "NodePort", "selector": COREDNS_PODS, "ports": ports},
            }
        )
        port = DNS_PORT
    return f"{node_address(api)}:{port}"


def s3_endpoint(infra: Infra, site: Site) -> str:
    """Return where S3 answers for all datacenters. Raise KubernetesError if its Service has no such port."""
    api, confs = site.api(), infra.seaweedfs.seaweedfs
    service = api.get(SERVICE, confs.service.name, confs.service.namespace)
    port = node_port(service, "TCP", confs.s3.port)
    if not port:
        raise KubernetesError(
            f"the Service {confs.service.namespace}/{confs.service.name} has no port on the nodes",
            where=f'context "{api.context}"',
            next_step=f"{AGAIN}; it installs SeaweedFS with one",
        )
    return f"http://{node_address(api)}:{port}"


def make_buckets(infra: Infra, everywhere: Everywhere) -> str:
    """Make the buckets of all local clients that are missing, and return what was done."""
    first = infra.first
    assert first is not None
    names = sorted({client.s3_bucket for client in infra.clients.values()})
    api = first.api()
    made = []

    def probe() -> Seen:
        for name in names:
            bucket = infra.bucket(first, name, infra.admin_keys)
            try:
                if not bucket.exists():
                    bucket.create()
                    made.append(name)
            except ToolFailed as error:
                # Its port is open some moments before it serves.
                return Seen((Item(name, False, error.what),), hopeless=everywhere.stopped)
        return Seen(tuple(Item(name, True) for name in names))

    waited = wait_for(
        probe,
        timeout=BUCKET_SECONDS,
        interval=LOOK_EVERY,
        on_change=lambda items: everywhere.progress.detail("; ".join(item.detail for item in items)),
    )
    if waited.ending is not Ending.SUCCEEDED:
        item = waited.seen.missing[0]
        raise ToolFailed(
            f"the bucket {item.name} cannot be made: {item.detail}",
            where=first.settings.s3.endpoint,
            next_step=f'see that this machine reaches that address, a node of context "{api.context}"',
        )
    return f"made {', '.join(made)}" if made else f"there: {', '.join(names)}"

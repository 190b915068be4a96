"""Take the local infrastructure away, with all that it holds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from pgaas.config.environments import LOCAL, LOCAL_NAMESPACE
from pgaas.errors import PgaasError, RefusedAsUnsafe, TimedOut, UsageError
from pgaas.kube.client import Api
from pgaas.kube.difference import parse_manifest
from pgaas.kube.namespace import made_by_pgaas
from pgaas.kube.release import latest_release
from pgaas.kube.resources import (
    CERTIFICATE,
    CLUSTER,
    CNPG_GROUP,
    DAEMON_SET,
    DEFINITION,
    DEPLOYMENT,
    LEASE,
    NAMESPACE,
    SECRET,
    SERVICE,
    STATEFUL_SET,
    STORAGE_CLASS,
    VOLUME,
    VOLUME_CLAIM,
    Object,
    dig,
    name_of,
)
from pgaas.kube.wait import Ending, Item, Seen, wait_for
from pgaas.kube.workloads import namespace_of
from pgaas.operations.infra import (
    CERT_MANAGER,
    MADE,
    OPERATOR,
    RELEASES,
    Everywhere,
    Infra,
    Release,
    Say,
    Site,
    load_infra,
    summed,
)
from pgaas.operations.infra_ours import authority_objects, foreign, our_kinds, unmark
from pgaas.operations.infra_release import uninstall
from pgaas.operations.progress import Progress
from pgaas.operations.steps import Steps, Taken

DEFAULT_TIMEOUT = 300.0
LOOK_EVERY = 0.5
RECLAIM_POLICY = ("spec", "persistentVolumeReclaimPolicy")
# cert-manager elects its leaders there, and leaves what it did it with.
ELECTIONS = (
    "cert-manager-controller",
    "cert-manager-cainjector-leader-election",
    "cert-manager-cainjector-leader-election-core",
)
# cert-manager writes there whose Secret it is.
CERTIFICATE_NAME = "cert-manager.io/certificate-name"
ELECTION_NAMESPACE = "kube-system"


@dataclass(frozen=True)
class Plan:
    """What a deletion will remove, and what else to know before; `name` is to be retyped."""

    infra: Infra
    name: str
    goes: tuple[str, ...]
    doubts: tuple[str, ...]

    @property
    def cluster(self) -> str:
        """Return the name to retype."""
        return self.name


@dataclass(frozen=True)
class Gone:
    """What was done: the steps, and the volumes and namespaces that stay, each with why."""

    name: str
    steps: tuple[Taken, ...]
    kept: tuple[str, ...]
    seconds: float


def plan_deletion(root: Path, env: str = LOCAL, dc: str | None = None) -> Plan:
    """Look at what a deletion would remove, and change nothing.

    Raise RefusedAsUnsafe while there are clusters that need it, KubernetesError if that cannot be known.
    """
    infra = load_infra(root, env, dc)
    _refuse_living(infra)
    goes, doubts = [], []
    for site in infra.sites:
        api = site.api()
        for release in reversed(site.releases()):
            record = latest_release(api, release.name, release.namespace)
            if record and (theirs := foreign(api, release)):
                doubts.append(f"{site.dc}: {theirs.place} is not from pgaas: it stays")
            elif record:
                goes.append(f"{site.dc}: {release.title} (revision {record.revision}, {record.status})")
        for claim in api.find(VOLUME_CLAIM, LOCAL_NAMESPACE):
            size = dig(claim, "spec", "resources", "requests", "storage", default="")
            goes.append(f"{site.dc}: volume {name_of(claim)} ({size})")
        if CERT_MANAGER not in our_kinds(api).values():
            continue
        ours = [release.namespace for release in RELEASES]
        found = {dig(each, "metadata", "namespace") for each in api.find(CERTIFICATE)}
        if others := sorted(str(space) for space in found if space not in ours):
            doubts.append(
                f"{site.dc}: the certificates in {', '.join(others)} go too; with --keep-crds they stay, "
                "and nobody renews them"
            )
    if infra.first and any("SeaweedFS" in line for line in goes):
        # What stands in clients.yaml is what is wanted today: a client of before may have left its backups.
        try:
            for name in infra.bucket(infra.first, "", infra.admin_keys).names():
                usage = infra.bucket(infra.first, name, infra.admin_keys).usage("")
                goes.append(f"bucket {name}: {usage.objects} objects, {usage.bytes} bytes")
        except PgaasError as error:
            doubts.append(f"S3 could not be looked at, so there may be more buckets in it: {error.what}")
    return Plan(infra, dc or env, tuple(goes), tuple(doubts))


def check_confirmation(plan: Plan, typed: str | None) -> None:
    """Raise UsageError unless the name was retyped."""
    if typed is None:
        raise UsageError(
            "deleting the local infrastructure asks for a name, and there is no terminal to ask at",
            next_step=f"add --confirm {plan.name}",
        )
    if typed.strip() != plan.name:
        raise UsageError(
            f'"{typed.strip()}" is not what is to be deleted: nothing was',
            next_step=f"retype it exactly: {plan.name}",
        )


def delete(plan: Plan, *, keep_crds: bool, timeout: float, progress: Progress) -> Gone:
    """Carry a plan out. Interrupted anywhere, it can be run again and takes up from there.

    Raise ToolFailed or KubernetesError if something cannot be removed, TimedOut if it does not go.
    """
    start = time.monotonic()
    infra, steps = plan.infra, Steps(progress)
    everywhere = Everywhere(progress)
    kept: list[str] = []
    try:
        for release in reversed(RELEASES):
            if release is CERT_MANAGER:
                with steps("certificate authority") as outcome:
                    outcome.text = summed(everywhere(infra.sites, lambda site, _: _authority(site)))
            sites = [site for site in infra.sites if release in site.releases()]
            if sites:
                with steps(release.title) as outcome:
                    outcome.text = summed(
                        everywhere(sites, lambda site, _, what=release: _uninstall(site, what, progress))  # type: ignore[misc]
                    )
        with steps("volumes") as outcome:
            retained = {site.dc: _retained(site.api()) for site in infra.sites}
            kept += [f"{dc}: {reason}" for dc, reasons in retained.items() for reason in reasons]
            outcome.text = summed(
                everywhere(infra.sites, lambda site, say: _volumes(site, timeout, everywhere, say))
            )
        with steps("kinds") as outcome:
            if keep_crds:
                outcome.text = "kept, as asked"
            else:
                outcome.text = summed(
                    everywhere(infra.sites, lambda site, say: _kinds(site, timeout, everywhere, say))
                )
        with steps("what pgaas made beside them") as outcome:
            outcome.text = summed(everywhere(infra.sites, lambda site, _: _rest(infra, site)))
        with steps("namespaces") as outcome:
            stay = everywhere(infra.sites, lambda site, say: _namespaces(site, timeout, everywhere, say))
            spaces = [f"{dc}: {reason}" for dc, reasons in stay.items() for reason in reasons]
            kept += spaces
            outcome.text = "; ".join(spaces) or "gone"
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(
            "the local infrastructure may be deleted in part; pgaas infra delete takes up from there"
        ) from interrupt
    return Gone(plan.name, tuple(steps.taken), tuple(kept), time.monotonic() - start)


def _refuse_living(infra: Infra) -> None:
    """Raise RefusedAsUnsafe while clusters live where the infrastructure is, or anywhere if their S3 goes."""
    sites = load_infra(infra.root).sites if infra.first else infra.sites
    living = [
        f"{site.dc}: {dig(cluster, 'metadata', 'namespace')}/{name_of(cluster)}"
        for site in sites
        for cluster in site.api().find(CLUSTER)
    ]
    if living:
        raise RefusedAsUnsafe(
            f"clusters live on it: {', '.join(living)}",
            next_step="delete them first: pgaas delete --ins … --env local --dc …",
        )
    left = [f"{site.dc}: {text}" for site in infra.sites for text in _left_over(site.api())]
    if left:
        raise RefusedAsUnsafe(
            f"only the operator can let go of these, and it would be gone: {', '.join(left)}",
            next_step="kubectl delete them while it runs; without it, take their metadata.finalizers away",
        )


def _left_over(api: Api) -> list[str]:
    """Return the objects that would keep their kinds, and their namespaces, once pgaas's operator is gone."""
    if OPERATOR not in our_kinds(api).values():
        return []
    return [
        f"{kind.kind} {dig(obj, 'metadata', 'namespace')}/{name_of(obj)}"
        for kind in api.served(CNPG_GROUP, CLUSTER.version).values()
        for obj in api.find(kind)
        if dig(obj, "metadata", "finalizers", default=[])
    ]


def _authority(site: Site) -> str:
    """Remove the datacenter's own root; clients' certificates were never its."""
    api = site.api()
    objects = list(reversed(authority_objects(api, site)))
    there = [obj for obj in objects if api.served(*str(obj["apiVersion"]).split("/")).get(str(obj["kind"]))]
    gone = [name_of(obj) for obj in there if _remove_ours(api, obj)]
    for obj in objects:
        if obj["kind"] == CERTIFICATE.kind:
            secret = api.get(SECRET, dig(obj, "spec", "secretName"), namespace_of(obj, ""))
            # An earlier deletion may have ended between the two.
            if secret and (name_of(obj) in gone or is_made(secret)):
                _remove_secret(api, obj, namespace_of(obj, ""))
    return f"removed {', '.join(gone)}" if gone else "was not there"


def _remove_secret(api: Api, certificate: Object, namespace: str) -> None:
    """Remove the Secret of a Certificate that is gone: cert-manager leaves it, with its key."""
    name = str(dig(certificate, "spec", "secretName"))
    secret = api.get(SECRET, name, namespace)
    if dig(secret, "metadata", "annotations", CERTIFICATE_NAME) == name_of(certificate):
        api.delete(SECRET, name, namespace)


def _remove_ours(api: Api, wanted: Object) -> bool:
    kind, space = api.kind_of(wanted), dig(wanted, "metadata", "namespace")
    live = api.get(kind, name_of(wanted), space)
    return live is not None and is_made(live) and api.delete(kind, name_of(wanted), space)


def is_made(obj: Object) -> bool:
    """Return whether `infra install` made an object by itself."""
    return bool(MADE.items() <= dict(dig(obj, "metadata", "labels", default={})).items())


def _uninstall(site: Site, release: Release, progress: Progress) -> str:
    api = site.api()
    record = latest_release(api, release.name, release.namespace)
    if record is None:
        return "was not there"
    if foreign(api, release):
        return "is not from pgaas: left as it is"
    uninstall(api, release, progress)
    for obj in parse_manifest(record.manifest):
        if obj["kind"] == CERTIFICATE.kind:
            _remove_secret(api, obj, namespace_of(obj, release.namespace))
    return "removed"


def _volumes(site: Site, timeout: float, everywhere: Everywhere, say: Say) -> str:
    api = site.api()
    claims = [name_of(claim) for claim in api.find(VOLUME_CLAIM, LOCAL_NAMESPACE)]
    for name in claims:
        api.delete(VOLUME_CLAIM, name, LOCAL_NAMESPACE)

    def left() -> list[str]:
        held = [name_of(volume) for volume in _our_volumes(api) if dig(volume, *RECLAIM_POLICY) == "Delete"]
        return [name_of(claim) for claim in api.find(VOLUME_CLAIM, LOCAL_NAMESPACE)] + held

    _wait_gone(api, "volumes", left, timeout, everywhere, say)
    return f"removed {', '.join(claims)}" if claims else "none"


def _our_volumes(api: Api) -> list[Object]:
    return [
        volume
        for volume in api.find(VOLUME)
        if dig(volume, "spec", "claimRef", "namespace") == LOCAL_NAMESPACE
    ]


def _retained(api: Api) -> list[str]:
    """Return the volumes that Kubernetes keeps with their data when their claims go."""
    return [
        f"volume {name_of(volume)} of claim {dig(volume, 'spec', 'claimRef', 'name')} stays, with its data: "
        f"its reclaim policy is {policy}"
        for volume in _our_volumes(api)
        if (policy := dig(volume, *RECLAIM_POLICY)) != "Delete"
    ]


def _kinds(site: Site, timeout: float, everywhere: Everywhere, say: Say) -> str:
    """Remove the kinds that our releases brought and left, with all that there is of them."""
    api = site.api()
    found = our_kinds(api)
    for name in found:
        api.delete(DEFINITION, name)
    # Whose they are was found out above: that takes a look at all Deployments for each release.
    _wait_gone(
        api, "kinds", lambda: [name for name in found if api.get(DEFINITION, name)], timeout, everywhere, say
    )
    return f"removed {len(found)}" if found else "none"


def _rest(infra: Infra, site: Site) -> str:
    api = site.api()
    gone = []
    for release in RELEASES:
        if latest_release(api, release.name, release.namespace) is None:
            unmark(api, release)
    for kind, space in ((SERVICE, infra.dns_namespace), (STORAGE_CLASS, None)):
        for obj in api.find(kind, space, labels=MADE):
            if api.delete(kind, name_of(obj), space):
                gone.append(f"{kind.kind} {name_of(obj)}")
    if not api.find(DEPLOYMENT, CERT_MANAGER.namespace):
        for name in ELECTIONS:
            if api.delete(LEASE, name, ELECTION_NAMESPACE):
                gone.append(f"Lease {name}")
    return f"removed {', '.join(gone)}" if gone else "nothing"


def _namespaces(site: Site, timeout: float, everywhere: Everywhere, say: Say) -> list[str]:
    """Remove the namespaces that pgaas made and nothing runs in; return which stay, and why."""
    api = site.api()
    names = list(dict.fromkeys(release.namespace for release in RELEASES))
    stay = []
    for name in names:
        found = api.get(NAMESPACE, name)
        if found is None:
            continue
        running = [
            f"{kind.kind} {name_of(obj)}"
            for kind in (DEPLOYMENT, STATEFUL_SET, DAEMON_SET)
            for obj in api.find(kind, name)
        ]
        if running or not made_by_pgaas(found):
            stay.append(f"{name} stays: {', '.join(running) or 'pgaas did not make it'}")
        else:
            api.delete(NAMESPACE, name)
    kept = [line.partition(" ")[0] for line in stay]
    _wait_gone(
        api,
        "namespaces",
        lambda: [name for name in names if name not in kept and api.get(NAMESPACE, name)],
        timeout,
        everywhere,
        say,
    )
    return stay


def _wait_gone(
    api: Api,
    what: str,
    left: Callable[[], Iterable[str]],
    timeout: float,
    everywhere: Everywhere,
    say: Say,
) -> None:
    def probe() -> Seen:
        names = list(left())
        return Seen((Item(what, not names, ", ".join(names)),), hopeless=everywhere.stopped)

    waited = wait_for(
        probe,
        timeout=timeout,
        interval=LOOK_EVERY,
        on_change=lambda items: say("; ".join(item.detail for item in items if not item.ok)),
    )
    if waited.ending is Ending.TIMED_OUT:
        raise TimedOut(
            f"these {what} do not go: {waited.seen.items[0].detail}",
            where=f'context "{api.context}"',
            next_step="look at their finalizers and at what uses them, then run this again",
        )

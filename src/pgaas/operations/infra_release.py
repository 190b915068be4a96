"""Bring one release of the local infrastructure to what helmfile.yaml says, and wait until it runs."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pgaas.errors import KubernetesConflict, TimedOut, ToolFailed
from pgaas.kube.client import Api
from pgaas.kube.difference import parse_manifest
from pgaas.kube.namespace import ensure_namespace
from pgaas.kube.release import PENDING, drop_stuck_release, latest_release
from pgaas.kube.resources import Object, dig, name_of
from pgaas.kube.wait import Ending, Item, Seen, wait_for
from pgaas.kube.workloads import WORKLOADS, look_at_all, namespace_of, workloads_of
from pgaas.operations.infra import PART_OF, Everywhere, Release, Say, Site
from pgaas.operations.infra_ours import Foreign, foreign, mark
from pgaas.operations.progress import Progress
from pgaas.tools import helm, helmfile
from pgaas.tools.command import run
from pgaas.tools.s3 import Keys

SYNC_SECONDS = 300.0
TEMPLATE_SECONDS = 120.0
LOOK_EVERY = 0.5
WORKERS = 8
DEPLOYED, UNINSTALLING = "deployed", "uninstalling"
SCALE_TRIES = 3
HOOK = "helm.sh/hook"
FOREIGN = "is there already, not from pgaas: left as it is"


@dataclass(frozen=True)
class Installer:
    """How releases are installed: with which charts, how long they are waited for, and what is not echoed."""

    charts: str
    timeout: float
    everywhere: Everywhere
    secrets: tuple[Keys, ...] = ()

    def bring(self, site: Site, release: Release, say: Say) -> str:
        """Install a release in a datacenter, or find it there, and wait for its workloads.

        Return what was done. Raise ToolFailed if helm fails, TimedOut with what the pods say.
        """
        api = site.api()
        if theirs := foreign(api, release):
            return self._leave(release, theirs, api, say)
        say("comparing")
        ensure_namespace(api, release.namespace, {PART_OF: "pgaas"})
        mark(api, release)
        text = self.render(site, release)
        objects = parse_manifest(text)
        done = self._sync(site, release, text, objects, api, say)
        self._wait(release, objects, api, say)
        return done

    def _leave(self, release: Release, theirs: Foreign, api: Api, say: Say) -> str:
        """Wait until somebody else's runs: nothing that comes after it works without."""
        items = self._wait(release, theirs.workloads, api, say)
        images = ", ".join(dict.fromkeys(item.detail for item in items))
        return f"{FOREIGN} ({theirs.place}{f': {images}' if images else ''})"

    def render(self, site: Site, release: Release) -> str:
        """Return a release's objects as helmfile renders them."""
        return self._helmfile(
            site, helmfile.template_release_argv(release.name, context=site.api().kubeconfig_context)
        )

    def _sync(
        self, site: Site, release: Release, text: str, objects: list[Object], api: Api, say: Say
    ) -> str:
        record = latest_release(api, release.name, release.namespace)
        if record and record.status in PENDING:
            drop_stuck_release(api, release.name, release.namespace, on_wait=say)
            record = latest_release(api, release.name, release.namespace)
        if record and record.status == UNINSTALLING:
            # Helm upgrades no release that somebody began to remove, and takes it for there.
            say("ending its removal")
            uninstall(api, release, self.everywhere.progress)
            record = None
        stopped = scaled_to_none(api, objects, release.namespace)
        as_recorded = record and record.status == DEPLOYED and same(record.manifest, text)
        if as_recorded and not stopped and not missing(api, objects, release.namespace):
            return "unchanged"
        for obj in stopped:
            # Helm takes no field from whoever scaled it, unless the value is the one that it wants.
            start_again(api, obj, release.namespace)
        say("helm")
        argv = helmfile.sync_release_argv(release.name, context=api.kubeconfig_context)
        self._helmfile(site, argv, echo=True)
        return "updated" if record else "installed"

    def _helmfile(self, site: Site, argv: list[str], *, echo: bool = False) -> str:
        try:
            return run(
                argv,
                env=helmfile.infra_environment(site.dc, self.charts),
                cwd=site.root,
                timeout=SYNC_SECONDS if echo else TEMPLATE_SECONDS,
                masked=[part for keys in self.secrets for part in (keys.access, keys.secret)],
                echo=self.everywhere.progress.command if echo else None,
            ).stdout
        except ToolFailed as error:
            raise ToolFailed(
                error.what,
                where=error.where,
                next_step="mend what is named above; `pgaas infra install` takes up from there",
            ) from error

    def _wait(self, release: Release, objects: Iterable[Object], api: Api, say: Say) -> tuple[Item, ...]:
        def probe() -> Seen:
            items = look_at_all(api, objects, release.namespace)
            return Seen(tuple(items), hopeless=self.everywhere.stopped)

        def tell(items: list[Item]) -> None:
            waiting = [f"{item.name}: {item.detail}" for item in items if not item.ok]
            if waiting:
                say("; ".join(waiting))

        waited = wait_for(probe, timeout=self.timeout, interval=LOOK_EVERY, on_change=tell)
        if waited.ending is Ending.TIMED_OUT:
            missing_items = "".join(f"\n  {item.name}: {item.detail}" for item in waited.seen.missing)
            raise TimedOut(
                f"{release.title} does not run after {waited.seconds:.0f} s:{missing_items}",
                where=f'namespace {release.namespace}, context "{api.context}"',
                next_step="mend what is named above; `pgaas infra install` takes up from there",
            )
        return waited.seen.items


def same(recorded: str, rendered: str) -> bool:
    """Return whether what Helm recorded is what is rendered now; Helm records no hooks."""
    return _documents(recorded) == _documents(rendered)


def uninstall(api: Api, release: Release, progress: Progress) -> None:
    """Remove a release, or what an earlier removal left of it."""
    argv = helm.uninstall_argv(release.name, release.namespace, context=api.kubeconfig_context)
    run(argv, env=helmfile.environment(), echo=progress.command)


def scaled_to_none(api: Api, objects: list[Object], namespace: str) -> list[Object]:
    """Return the rendered workloads that somebody stopped by scaling them."""

    def is_stopped(obj: Object) -> bool:
        live = api.get(WORKLOADS[obj["kind"]], name_of(obj), namespace_of(obj, namespace))
        return bool(dig(live, "spec", "replicas") == 0 and dig(obj, "spec", "replicas", default=1) > 0)

    return [obj for obj in workloads_of(objects) if is_stopped(obj)]


def start_again(api: Api, obj: Object, namespace: str) -> None:
    """Give a workload the replicas it is rendered with. Raise KubernetesConflict if it keeps changing."""
    kind = WORKLOADS[obj["kind"]]
    for again in reversed(range(SCALE_TRIES)):
        live = api.get(kind, name_of(obj), namespace_of(obj, namespace))
        if live is None:
            return
        spec = {**live["spec"], "replicas": dig(obj, "spec", "replicas", default=1)}
        try:
            api.replace(kind, {**live, "spec": spec})
        except KubernetesConflict:
            if not again:
                raise
        else:
            return


def missing(api: Api, objects: list[Object], namespace: str) -> list[str]:
    """Return which objects are not there, as "Kind/name"."""

    def look(obj: Object) -> str:
        if HOOK in dig(obj, "metadata", "annotations", default={}):
            return ""
        found = api.get(api.kind_of(obj), name_of(obj), namespace_of(obj, namespace))
        return "" if found else f"{obj['kind']}/{name_of(obj)}"

    with ThreadPoolExecutor(WORKERS) as pool:
        return [name for name in pool.map(look, objects) if name]


def _documents(text: str) -> set[str]:
    parts = f"\n{text}\n".split("\n---\n")
    return {part.strip() for part in parts if part.strip() and f"{HOOK}:" not in part}

"""Roll a new image out within a major version, and follow it instance by instance."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pgaas.config.naming import Target
from pgaas.errors import NotHealthy, RefusedAsUnsafe
from pgaas.kube.client import Api
from pgaas.kube.resources import Object, dig, is_true, name_of
from pgaas.kube.snapshot import Snapshot, take_snapshot
from pgaas.operations.deploy import deploy
from pgaas.operations.exclusive import Exclusive, exclusive
from pgaas.operations.health import expected_of, judge
from pgaas.operations.preflight import Preflight, preflight, refuse
from pgaas.operations.progress import Progress
from pgaas.operations.rollout import all_run, instance_images, instance_pods
from pgaas.operations.subject import Subject, load_subject
from pgaas.operations.unstick import Unstick
from pgaas.operations.wait import SETTLE_SECONDS, follow_until_healthy
from pgaas.render.write import write_values

DEFAULT_TIMEOUT = 1800.0
# An upgrade needs neither S3 nor anything else that only a first deployment asks for.
NOT_NEEDED = ("s3", "archive", "storage class", "issuer", "kinds")
# What happens to an instance is told to this precision.
LOOK_SECONDS = 3.0


@dataclass(frozen=True)
class Happening:
    """Something that happened during an upgrade, `seconds` after its start."""

    seconds: float
    text: str


@dataclass(frozen=True)
class Upgraded:
    """What an upgrade did: no happenings and `changed` false if every instance ran the image already."""

    cluster: str
    image: str
    before: dict[str, str]
    changed: bool
    happenings: tuple[Happening, ...]
    seconds: float


def upgrade(
    root: Path, target: Target, *, force: bool, timeout: float = DEFAULT_TIMEOUT, progress: Progress
) -> Upgraded:
    """Update the image of every instance, replicas first, and wait until all run it and are healthy.

    Raise RefusedAsUnsafe for a change of major version and, unless `force`, for a cluster that is not healthy
    to begin with; NotHealthy if there is none or it cannot become healthy; TimedOut after `timeout` seconds.
    """
    subject = load_subject(root, target)
    with exclusive([subject], "upgrade", progress) as held:
        return _upgrade(subject, held, force=force, timeout=timeout, progress=progress)


def _upgrade(
    subject: Subject, held: Exclusive, *, force: bool, timeout: float, progress: Progress
) -> Upgraded:
    start = time.monotonic()
    api = subject.api()
    write_values(subject.root, subject.target, subject.values)
    checked = preflight(subject, api, progress, skipped=NOT_NEEDED)
    refuse(checked, subject, api)
    _refuse_missing(checked, subject, api)
    snapshot = take_snapshot(api, subject.cluster, subject.namespace)
    pods = instance_pods(api, subject)
    before, wanted = instance_images(pods), subject.image
    if all_run(pods, wanted) and dig(snapshot.cluster, "status", "image") == wanted:
        return Upgraded(subject.cluster, wanted, before, False, (), time.monotonic() - start)
    if not force:
        _refuse_unhealthy(subject, snapshot)
    follower = Follower(subject, api, progress, before, start)
    held.check()
    deploy(subject, api, progress, namespace=checked.namespace)
    follow_until_healthy(
        subject,
        api,
        timeout=timeout,
        progress=progress,
        on_snapshot=(Unstick(api, subject, progress), follower),
        done=follower.rolled_out,
        settle=SETTLE_SECONDS,
        whole=LOOK_SECONDS,
    )
    return Upgraded(
        subject.cluster, wanted, before, True, tuple(follower.happenings), time.monotonic() - start
    )


class Follower:
    """Watch the instances during an upgrade and note what happens to each."""

    def __init__(
        self,
        subject: Subject,
        api: Api,
        progress: Progress,
        before: dict[str, str],
        start: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._subject = subject
        self._api = api
        self._progress = progress
        self._images = dict(before)
        self._ready: dict[str, bool] = {}
        self._start = start
        self._clock = clock
        self._primary = ""
        self.happenings: list[Happening] = []
        self._pods: list[Object] = []

    def __call__(self, snapshot: Snapshot) -> None:
        """Look at the instances once."""
        self._pods = instance_pods(self._api, self._subject)
        primary = dig(snapshot.cluster, "status", "currentPrimary", default="")
        if self._primary and primary and primary != self._primary:
            self._note(f"switchover: {primary} is the primary now, {self._primary} was")
        self._primary = primary or self._primary
        images = instance_images(self._pods)
        for name, image in images.items():
            if name in self._images and self._images[name] != image:
                self._note(f"{name}: restarted with {_tag(image)}, had {_tag(self._images[name])}")
                self._ready[name] = False
            elif name not in self._images:
                self._note(f"{name}: new, with {_tag(image)}")
                self._ready[name] = False
            self._images[name] = image
        for pod in self._pods:
            name = name_of(pod)
            if self._ready.get(name) is False and is_true(pod, "Ready"):
                self._ready[name] = True
                self._note(f"{name}: ready")

    def rolled_out(self) -> bool:
        """Return whether every instance runs the new image, as of the last look."""
        return all_run(self._pods, self._subject.image)

    def _note(self, text: str) -> None:
        happening = Happening(self._clock() - self._start, text)
        self.happenings.append(happening)
        self._progress.note(f"{happening.seconds:.0f} s: {text}")


def _refuse_missing(checked: Preflight, subject: Subject, api: Api) -> None:
    if checked.live is None:
        raise NotHealthy(
            f"{subject.cluster} is not created",
            where=f'namespace {subject.namespace}, context "{api.context}"',
            next_step=subject.command("create"),
        )


def _refuse_unhealthy(subject: Subject, snapshot: Snapshot) -> None:
    """Judge the cluster as it is, not as the new configuration wants it: only what runs may be rolled."""
    seen = judge(snapshot, expected_of(subject))
    names = ("cluster", "instances", "WAL archive")
    wrong = [item for item in seen.missing if item.name in names]
    if wrong:
        raise RefusedAsUnsafe(
            f"{subject.cluster} is not healthy: {'; '.join(f'{item.name}: {item.detail}' for item in wrong)}",
            where=f"namespace {subject.namespace}",
            next_step=f"mend it first ({subject.command('status')}), or add --force to upgrade it as it is",
        )


def _tag(image: str) -> str:
    return image.rpartition("/")[2]

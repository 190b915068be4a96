"""Go on where the operator waits for ever: for an image that nobody wants, for a promotion that was."""

from __future__ import annotations

from collections.abc import Iterator

from pgaas.errors import KubernetesError
from pgaas.kube.client import Api
from pgaas.kube.databases import LOOKS_BETWEEN, have_looked_at, is_left_waiting
from pgaas.kube.resources import JOB, POD, Kind, Object, dig, is_true, name_of
from pgaas.kube.snapshot import CLUSTER_LABEL, HEALTHY, Snapshot
from pgaas.operations.progress import Progress
from pgaas.operations.subject import Subject

CANNOT_PULL = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")


class Unstick:
    """Delete such pods, and the Jobs of such bootstraps, once each; the operator makes them anew.

    Nothing is lost: a container that waits for its image has never run, and the volume stays. The Databases
    of a primary that still wait for its promotion, which was done by hand then, are looked at again.
    """

    def __init__(self, api: Api, subject: Subject, progress: Progress) -> None:
        self._api = api
        self._subject = subject
        self._progress = progress
        self._tried: set[str] = set()
        self._looks = 0

    def __call__(self, snapshot: Snapshot) -> None:
        """Look once."""
        if snapshot.cluster is None:
            return
        if snapshot.phase == HEALTHY:
            if not self._subject.follows:
                self._databases(snapshot.databases)
            return
        labels = {CLUSTER_LABEL: self._subject.cluster}
        for pod in self._api.find(POD, self._subject.namespace, labels=labels):
            for image in stale_images(pod, self._subject.image):
                self._replace(pod, image)

    def _databases(self, databases: list[Object]) -> None:
        waiting = [each for each in databases if is_left_waiting(each)]
        if not waiting:
            return
        if self._looks % LOOKS_BETWEEN == 0:
            for database in waiting:
                try:
                    have_looked_at(self._api, database, self._subject.namespace)
                except KubernetesError as error:
                    if name_of(database) not in self._tried:
                        self._progress.note(f"{name_of(database)} still waits for a promotion: {error.what}")
                    self._tried.add(name_of(database))
        self._looks += 1

    def _replace(self, pod: Object, image: str) -> None:
        uid = str(dig(pod, "metadata", "uid", default=name_of(pod)))
        if uid in self._tried:
            return
        self._tried.add(uid)
        kind, name = owner(pod)
        try:
            self._api.delete(kind, name, self._subject.namespace)
        except KubernetesError as error:
            self._progress.note(
                f"{kind.kind} {name} waits for {image} and could not be removed: {error.what}"
            )
            return
        self._progress.note(
            f"removed {kind.kind} {name}, which waited for {image}: the operator makes it anew"
        )


def stale_images(pod: Object, wanted: str) -> Iterator[str]:
    """Return the PostgreSQL image that a pod cannot pull, if it is another one than is wanted now."""
    if is_true(pod, "Ready") or dig(pod, "metadata", "deletionTimestamp"):
        return
    images = {part["name"]: part["image"] for part in dig(pod, "spec", "containers", default=[])}
    for status in dig(pod, "status", "containerStatuses", default=[]):
        image = str(images.get(status.get("name"), ""))
        ours = status.get("name") == "postgres" or dig(pod, "metadata", "labels", "cnpg.io/jobRole")
        waiting = dig(status, "state", "waiting", "reason") in CANNOT_PULL
        if ours and waiting and image and image != wanted:
            yield image


def owner(pod: Object) -> tuple[Kind, str]:
    """Return what has to be deleted for a pod to be made anew with another image: its Job, or itself."""
    for reference in dig(pod, "metadata", "ownerReferences", default=[]):
        if reference.get("kind") == JOB.kind:
            return JOB, str(reference["name"])
    return POD, name_of(pod)

"""Which image each instance runs."""

from __future__ import annotations

from pgaas.kube.client import Api
from pgaas.kube.resources import POD, Object, dig, name_of
from pgaas.kube.snapshot import CLUSTER_LABEL
from pgaas.operations.subject import Subject


def instance_pods(api: Api, subject: Subject) -> list[Object]:
    """Return the pods of the cluster, those of its Jobs too."""
    return api.find(POD, subject.namespace, labels={CLUSTER_LABEL: subject.cluster})


def instance_images(pods: list[Object]) -> dict[str, str]:
    """Return each instance's PostgreSQL image."""
    images = {}
    for pod in pods:
        for container in dig(pod, "spec", "containers", default=[]):
            if container["name"] == "postgres" and dig(pod, "metadata", "labels", "cnpg.io/jobRole") is None:
                images[name_of(pod)] = str(container["image"])
    return images


def all_run(pods: list[Object], image: str) -> bool:
    """Return whether there are instances, and all of them run an image."""
    images = instance_images(pods)
    return bool(images) and all(running == image for running in images.values())

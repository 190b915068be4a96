"""Database objects that the operator does not look at again by itself."""

from __future__ import annotations

from pgaas.kube.client import Api
from pgaas.kube.resources import DATABASE, Object, dig, name_of

# So many looks at one that waits for each time that the operator is asked.
LOOKS_BETWEEN = 10
WAITING = "waiting for the cluster to become primary"


def is_left_waiting(database: Object) -> bool:
    """Return whether a Database says that it waits for a promotion: right for a replica's only.

    Measured with CloudNativePG 1.30: one that was applied before its cluster was demoted stays so after the
    promotion, until its status no longer says that this generation was seen.
    """
    return str(dig(database, "status", "message", default="")) == WAITING


def have_looked_at(api: Api, database: Object, namespace: str) -> None:
    """Have the operator look at a Database again. Raise KubernetesError if it cannot be asked."""
    api.patch_status(DATABASE, name_of(database), namespace, {"observedGeneration": 0})

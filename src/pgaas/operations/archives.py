"""Find and read a client's archives, all datacenters' and all lives', as one side's S3 has them."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pgaas.config.naming import Target, archive_server_name, cluster_name
from pgaas.errors import KubernetesError, PgaasError
from pgaas.operations.preflight_s3 import s3_keys
from pgaas.operations.subject import Subject
from pgaas.render.restored import archive_path
from pgaas.tools.archive import other_generations
from pgaas.tools.catalog import Catalog, read_catalog
from pgaas.tools.s3 import Bucket, Keys, split_url

READ_AT_ONCE = 4
# What every S3 client reads: for when the Secret went with its namespace.
ACCESS_VARIABLE, SECRET_VARIABLE = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"


@dataclass(frozen=True)
class Place:
    """One archive: of which target, in which of its lives, and where. `current` is the life that archives."""

    target: Target
    server_name: str
    generation: int
    current: bool
    prefix: str

    @property
    def cluster(self) -> str:
        """Return the cluster that wrote it."""
        return cluster_name(self.target)


@dataclass(frozen=True)
class Found:
    """One archive and what is in it; with an `error` it could not be read, and `catalog` is None."""

    place: Place
    catalog: Catalog | None
    error: str = ""


def open_bucket(subject: Subject, *, environment: bool = False) -> Bucket:
    """Open the client's bucket at its datacenter's endpoint.

    With `environment`, keys that Kubernetes does not give are taken from AWS_ACCESS_KEY_ID and
    AWS_SECRET_ACCESS_KEY. Raise KubernetesError or ToolFailed if there are none.
    """
    return Bucket(subject.place, _keys(subject, environment=environment))


def places_of(subject: Subject, bucket: Bucket) -> list[Place]:
    """Return the archives that hold anything: this datacenter's first, and of each the newest life first.

    Raise ToolFailed if S3 cannot be read.
    """
    own, resolved = subject.target, subject.resolved
    targets = [own, *(own._replace(dc=dc) for dc in resolved.client.datacenters if dc != own.dc)]
    found: list[Place] = []
    for target in targets:
        cluster = cluster_name(target)
        prefix = split_url(archive_path(resolved, target))[1]
        current = archive_server_name(target, resolved.client.generation(cluster))
        for name in reversed(other_generations(bucket, prefix, cluster)):
            generation = int((re.search(r"-g([0-9]+)$", name.removeprefix(cluster)) or [0, 1])[1])
            found.append(Place(target, name, generation, name == current, prefix))
    return found


def read_places(bucket: Bucket, places: list[Place]) -> list[Found]:
    """Read archives, several at once; one that cannot be read says why."""
    with ThreadPoolExecutor(READ_AT_ONCE) as pool:
        return list(pool.map(lambda place: _read(bucket, place), places))


def _read(bucket: Bucket, place: Place) -> Found:
    try:
        return Found(place, read_catalog(bucket, place.prefix, place.server_name))
    except PgaasError as error:
        return Found(place, None, error.what)


def _keys(subject: Subject, *, environment: bool) -> Keys:
    if subject.inline_keys:
        return subject.inline_keys
    try:
        return s3_keys(subject, subject.api())
    except KubernetesError as error:
        access, secret = os.environ.get(ACCESS_VARIABLE), os.environ.get(SECRET_VARIABLE)
        if environment and access and secret:
            return Keys(access, secret)
        if not environment:
            raise
        raise type(error)(
            error.what,
            where=error.where,
            next_step=f"{error.next_step or 'mend that'}; or set {ACCESS_VARIABLE} and {SECRET_VARIABLE}, "
            "which this command takes instead",
        ) from error

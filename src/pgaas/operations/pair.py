"""Look at a client's clusters in all its datacenters; a side that cannot be seen is a value, no error."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from pgaas.config.naming import Target, cluster_name
from pgaas.errors import KubernetesError, PgaasError, UsageError
from pgaas.kube.client import Api
from pgaas.kube.postgres import Position, position
from pgaas.kube.promotion import HIBERNATION
from pgaas.kube.resources import CLUSTER, Object, dig
from pgaas.kube.snapshot import Snapshot, is_following, take_snapshot
from pgaas.operations.subject import Subject, load_subject
from pgaas.render.topology import datacenter_targets

Subjects = Mapping[str, Subject]


@dataclass(frozen=True)
class Side:
    """One datacenter's cluster at one moment.

    `error` says why nothing could be seen of it; `position_error` why its PostgreSQL could not be asked.
    """

    subject: Subject
    api: Api | None = None
    error: str = ""
    # Not shown: it holds tokens.
    snapshot: Snapshot | None = field(default=None, repr=False)
    position: Position | None = None
    position_error: str = ""

    @property
    def dc(self) -> str:
        """Return the datacenter."""
        return self.subject.target.dc

    @property
    def name(self) -> str:
        """Return the Cluster's name."""
        return self.subject.cluster

    @property
    def cluster(self) -> Object | None:
        """Return the live Cluster, or None if there is none or it cannot be seen."""
        return self.snapshot.cluster if self.snapshot else None

    @property
    def reachable(self) -> bool:
        """Whether the side could be looked at."""
        return not self.error

    @property
    def fenced(self) -> bool:
        """Whether the Cluster is told to have no instances, and has none: then it takes no writes."""
        pods = self.snapshot.pods if self.snapshot else []
        return dig(self.cluster, "metadata", "annotations", HIBERNATION) == "on" and not pods

    @property
    def is_primary(self) -> bool:
        """Whether the Cluster is meant to take writes, and nobody has fenced it."""
        return self.cluster is not None and not is_following(self.cluster) and not self.fenced

    @property
    def writable(self) -> bool:
        """Whether its PostgreSQL takes writes now, as far as it could be asked."""
        return self.position is not None and not self.position.in_recovery

    @property
    def instance(self) -> str:
        """Return the instance that leads the cluster, the designated primary of a replica cluster."""
        return str(dig(self.cluster, "status", "currentPrimary", default=""))

    @property
    def named_primary(self) -> str:
        """Return the cluster that the live spec names as the primary; itself if it names none."""
        return str(dig(self.cluster, "spec", "replica", "primary", default="")) or self.name

    @property
    def role(self) -> str:
        """Return primary, replica, absent or unreachable."""
        if self.error:
            return "unreachable"
        if self.cluster is None:
            return "absent"
        return "primary" if self.is_primary else "replica"

    def reached(self) -> Api:
        """Return the API server; raise KubernetesError if the side could not be looked at."""
        if self.api is None or self.error:
            raise KubernetesError(
                f"{self.dc} cannot be reached: {self.error}",
                where=f"cluster {self.name}",
                next_step="mend the way to this datacenter's API server, or the context in datacenters.yaml",
            )
        return self.api


@dataclass(frozen=True)
class Pair:
    """All sides of a client, in the order of its datacenters."""

    sides: Mapping[str, Side]

    def __getitem__(self, dc: str) -> Side:
        return self.sides[dc]

    @property
    def primaries(self) -> list[Side]:
        """Return the sides whose Cluster is meant to take writes."""
        return [side for side in self.sides.values() if side.is_primary]

    @property
    def split(self) -> bool:
        """Whether more than one side is, or is to be, a primary."""
        writers = {side.dc for side in self.sides.values() if side.is_primary or side.writable}
        return len(writers) > 1 and len(self.primaries) > 1

    def others(self, dc: str) -> list[Side]:
        """Return the sides besides one."""
        return [side for side in self.sides.values() if side.dc != dc]

    def by_name(self, cluster: str) -> Side | None:
        """Return the side whose Cluster has this name."""
        return next((side for side in self.sides.values() if side.name == cluster), None)


def load_pair(root: Path, ins: str, env: str) -> dict[str, Subject]:
    """Read the configuration of a client's clusters in all its datacenters, by datacenter.

    Raise UsageError if they do not replicate with one another, ConfigError for what is wrong in the files.
    """
    from pgaas.config.targets import default_datacenter

    first = load_subject(root, Target(ins, env, default_datacenter(root, ins, env)))
    targets = datacenter_targets(first.resolved)
    if len(targets) < 2:
        raise UsageError(
            f"{ins} in {env} does not replicate between datacenters",
            where=f"clients.yaml of {first.resolved.team_env}",
            next_step=f"set replication: {{enabled: true}} and two datacenters for {ins} there",
        )
    return {target.dc: first if target == first.target else load_subject(root, target) for target in targets}


def look(subjects: Subjects) -> Pair:
    """Look at all sides at the same time."""
    with ThreadPoolExecutor(max(len(subjects), 1)) as pool:
        return Pair({side.dc: side for side in pool.map(look_at, subjects.values())})


def look_at(subject: Subject) -> Side:
    """Look at one side."""
    try:
        api = subject.api()
        snapshot = take_snapshot(api, subject.cluster, subject.namespace, everything=True)
    except PgaasError as error:
        return Side(subject, error=error.what)
    side = Side(subject, api, snapshot=snapshot)
    if not side.instance:
        return side
    try:
        return Side(subject, api, snapshot=snapshot, position=position(api, side.instance, subject.namespace))
    except PgaasError as error:
        # A demotion takes PostgreSQL down once the Cluster says so: it may not have said so a moment ago.
        with suppress(PgaasError):
            snapshot = replace(snapshot, cluster=api.get(CLUSTER, subject.cluster, subject.namespace))
        return Side(subject, api, snapshot=snapshot, position_error=error.what)


def datacenter_named(subjects: Subjects, named: str) -> str:
    """Return the datacenter that a user means by its own name or by its cluster's; raise UsageError."""
    for dc, subject in subjects.items():
        if named in (dc, subject.cluster):
            return dc
    some = next(iter(subjects.values())).target
    known = ", ".join(f"{dc} ({cluster_name(Target(some.ins, some.env, dc))})" for dc in subjects)
    raise UsageError(f"no datacenter or cluster {named!r} of {some.ins} in {some.env}", next_step=known)

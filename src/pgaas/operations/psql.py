"""Open psql as a role, by its certificate, wherever the primary is."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pgaas.config.environments import known, nearest
from pgaas.config.naming import Target, load_balancer_name, service_fqdn
from pgaas.config.targets import default_datacenter
from pgaas.errors import KubernetesError, NotHealthy, PgaasError, RefusedAsUnsafe, ToolMissing, UsageError
from pgaas.kube.client import Api
from pgaas.kube.promotion import HIBERNATION
from pgaas.kube.resources import CLUSTER, POD, SERVICE, Object, dig, is_true, name_of, outside_addresses
from pgaas.kube.snapshot import CLUSTER_LABEL, is_following
from pgaas.operations.credential import Credential, read_credential
from pgaas.operations.progress import Progress, step
from pgaas.operations.route import Door, Route, open_route
from pgaas.operations.subject import Subject, load_subject
from pgaas.operations.trust_sync import sides_of
from pgaas.render.access import login_of
from pgaas.render.connect import AUTHORITIES, CERTIFICATE, KEY, databases_of, hosts
from pgaas.tools.command import find_program, inherited_environment, run_in_foreground
from pgaas.tools.private_folder import private_folder

PSQL = "psql"
# What a user's own environment may say: how things look. Where to connect to, and as whom, is said here.
KEPT = ("PGCLIENTENCODING", "PGDATESTYLE", "PGTZ", "PGOPTIONS", "PGCONNECT_TIMEOUT", "PGAPPNAME", "PGGEQO")
CONNECT_SECONDS = "10"


@dataclass(frozen=True)
class Choices:
    """As whom to connect, to which database, and how: `arguments` are psql's own."""

    role: str
    database: str | None = None
    replica: bool = False
    read_only: bool = False
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Side:
    """One datacenter's cluster, or why it cannot be seen."""

    subject: Subject
    api: Api | None = None
    cluster: Object | None = None
    error: str = ""

    @property
    def leads(self) -> bool:
        """Whether the cluster is meant to take writes, and is not fenced."""
        hibernated = dig(self.cluster, "metadata", "annotations", HIBERNATION) == "on"
        return self.cluster is not None and not is_following(self.cluster) and not hibernated


def psql(root: Path, ins: str, env: str, dc: str | None, choices: Choices, progress: Progress) -> int:
    """Run psql in the foreground and return its exit code.

    Without a datacenter it is the primary's, wherever that is. Raise ToolMissing without psql, UsageError if
    the role may not log in there, NotHealthy or KubernetesError if there is no way, RefusedAsUnsafe if there
    are two primaries.
    """
    _require_psql()
    first = load_subject(root, Target(ins, env, dc or default_datacenter(root, ins, env)))
    database = _database(first, choices)
    several = dc is None and first.values.replication.enabled
    with ExitStack() as stack:
        with step(progress, "find the way") as outcome:
            sides = _look(sides_of(first) if several else {first.target.dc: first})
            side = _primary(sides) if several else _only(next(iter(sides.values())))
            reader = _reader(sides, side) if choices.replica else side
            credential = read_credential(side.subject, _api(side), choices.role, datetime.now(UTC))
            door = _door(reader, sides, choices, moving=several)
            route = stack.enter_context(open_route(door, progress.note))
            cluster = reader.subject.cluster
            outcome.text = f"{database} of {cluster} as {choices.role}, {route.how}"
        if credential.late:
            progress.note(credential.late)
        folder = stack.enter_context(private_folder(_files(credential)))
        there = environment(route, choices, database, folder, primary=several and not choices.replica)
        return run_in_foreground([PSQL, *choices.arguments], env=there, echo=progress.command)


def environment(
    route: Route, choices: Choices, database: str, folder: Path, *, primary: bool
) -> dict[str, str]:
    """Return psql's environment: all that says where to and as whom, and nothing of that from outside.

    With `primary`, libpq leaves a server that takes no writes: DNS may not have been moved yet.
    """
    kept = {
        name: value
        for name, value in inherited_environment().items()
        if name in KEPT or not name.startswith("PG") or name.startswith("PGAAS_")
    }
    wanted = {
        "PGHOST": route.host,
        "PGPORT": str(route.port),
        "PGUSER": choices.role,
        "PGDATABASE": database,
        "PGSSLMODE": "verify-full",
        "PGSSLCERT": str(folder / CERTIFICATE),
        "PGSSLKEY": str(folder / KEY),
        "PGSSLROOTCERT": str(folder / AUTHORITIES),
        "PGGSSENCMODE": "disable",
        "PGCONNECT_TIMEOUT": kept.get("PGCONNECT_TIMEOUT", CONNECT_SECONDS),
        # No password of another server's helps here, and none is to be sent.
        "PGPASSFILE": str(folder / "no-passwords"),
    }
    if route.address:
        wanted["PGHOSTADDR"] = route.address
    if primary:
        # A session that is to be read-only would not count as read-write; older psqls know no "primary".
        wanted["PGTARGETSESSIONATTRS"] = "primary" if choices.read_only else "read-write"
    if choices.read_only:
        options = kept.get("PGOPTIONS", "")
        wanted["PGOPTIONS"] = f"{options} -c default_transaction_read_only=on".strip()
    return kept | wanted


def _require_psql() -> None:
    try:
        find_program(PSQL, inherited_environment())
    except ToolMissing as error:
        raise ToolMissing(
            "psql is not installed",
            where=error.where,
            next_step="install PostgreSQL's client (apt install postgresql-client, dnf install postgresql, "
            "brew install libpq), or use `pgaas credentials` and another client",
        ) from error


def _database(subject: Subject, choices: Choices) -> str:
    """Return the database wanted, or the role's first. Raise UsageError if the role may not connect to it."""
    merged = subject.resolved.merged
    names = databases_of(login_of(merged, subject.target, choices.role), merged)
    if choices.database is None:
        return names[0]
    if choices.database not in names:
        raise UsageError(
            f"{choices.role} may not connect to {choices.database!r}{nearest(choices.database, names)}",
            where=f"databases.yaml of {subject.target.ins} in {subject.target.env}",
            next_step=f"name one that it may ({known(names)}), or list it under the role's databases there",
        )
    return choices.database


def _look(subjects: Mapping[str, Subject]) -> dict[str, Side]:
    def look(subject: Subject) -> Side:
        try:
            api = subject.api()
            return Side(subject, api, api.get(CLUSTER, subject.cluster, subject.namespace))
        except PgaasError as error:
            if len(subjects) == 1:
                raise
            return Side(subject, error=error.what)

    with ThreadPoolExecutor(max(len(subjects), 1)) as pool:
        return dict(zip(subjects, pool.map(look, subjects.values()), strict=True))


def _only(side: Side) -> Side:
    if side.cluster is None:
        subject = side.subject
        raise NotHealthy(
            f"{subject.cluster} is not created",
            where=f"namespace {subject.namespace}",
            next_step=subject.command("create"),
        )
    return side


def _primary(sides: Mapping[str, Side]) -> Side:
    """Return the one side that is the primary; raise if there is none to be seen, or more than one."""
    leaders = [side for side in sides.values() if side.leads]
    if len(leaders) == 1:
        return leaders[0]
    some = next(iter(sides.values())).subject.target
    status = f"pgaas status --ins {some.ins} --env {some.env}"
    if leaders:
        names = " and ".join(side.subject.cluster for side in leaders)
        raise RefusedAsUnsafe(
            f"TWO PRIMARIES: {names} are both meant to take writes",
            next_step=f"{status}; to look into one of them, name it with --dc",
        )
    seen = "".join(
        f"\n  {dc}: {side.error or ('a replica, or fenced' if side.cluster else 'not created')}"
        for dc, side in sides.items()
    )
    kind = KubernetesError if any(side.error for side in sides.values()) else NotHealthy
    raise kind(
        f"no primary can be seen:{seen}", next_step=f"{status}; to look into a replica, name it with --dc"
    )


def _reader(sides: Mapping[str, Side], side: Side) -> Side:
    """Return where a standby is: beside the primary, or else the cluster of another datacenter."""
    others = [other for other in sides.values() if other is not side and other.cluster is not None]
    standbys = dig(side.cluster, "status", "readyInstances", default=0) > 1
    if standbys or is_following(side.cluster):
        return side
    if others:
        return others[0]
    raise NotHealthy(
        f"{side.subject.cluster} has no standby that is ready",
        where=f"namespace {side.subject.namespace}",
        next_step="leave out --replica; --read-only keeps the session from writing on the primary",
    )


def _door(side: Side, sides: Mapping[str, Side], choices: Choices, *, moving: bool) -> Door:
    """Return where to go on a side: the primary's own name if it moves with the primary, else the side's."""
    subject, api = side.subject, _api(side)
    leader = str(dig(side.cluster, "status", "currentPrimary", default=""))
    ready = dig(side.cluster, "status", "readyInstances", default=0)
    # A replica cluster's leader is a standby too.
    access = "ro" if choices.replica and ready > 1 else "rw"
    names = hosts(subject.resolved, subject.values)
    suffix = subject.resolved.datacenters.datacenters[subject.target.dc].dns_suffix
    own = service_fqdn(subject.target, access, suffix)
    host = names.primary if moving and not choices.replica else own
    pods = [pod for pod in _ready_pods(api, subject) if (pod == leader) == (access == "rw")]
    others = [other for other in sides.values() if other.subject is not subject]
    elsewhere = {address for other in others if host == names.primary for address in _balancer(other)}
    elsewhere -= set(_balancer(side))
    service = load_balancer_name(subject.target, access)
    return Door(api, subject.namespace, host, service, tuple(pods), tuple(elsewhere))


def _ready_pods(api: Api, subject: Subject) -> list[str]:
    pods = api.find(POD, subject.namespace, labels={CLUSTER_LABEL: subject.cluster})
    return [name_of(pod) for pod in pods if is_true(pod, "Ready")]


def _balancer(side: Side) -> list[str]:
    if side.api is None:
        return []
    try:
        name = load_balancer_name(side.subject.target, "rw")
        return outside_addresses(side.api.get(SERVICE, name, side.subject.namespace))
    except KubernetesError:
        return []


def _api(side: Side) -> Api:
    if side.api is None:
        raise KubernetesError(f"{side.subject.target.dc} cannot be reached: {side.error}")
    return side.api


def _files(credential: Credential) -> dict[str, bytes]:
    return {
        CERTIFICATE: credential.certificate,
        KEY: credential.key,
        AUTHORITIES: credential.authorities,
    }

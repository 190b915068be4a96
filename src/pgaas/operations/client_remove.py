"""Take a client out of an environment's files, once nothing of it lives in any datacenter."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pgaas.config.admin import AdminEnvironment, ConfigCache
from pgaas.config.changes import FileChange, change_files
from pgaas.config.environments import (
    SHARED_ENVIRONMENT,
    Environment,
    code_problem,
    known,
    nearest,
    resolve_environment,
)
from pgaas.config.files import read_to_change
from pgaas.config.load import USER_FILE_LIMIT, Document, read_bytes
from pgaas.config.models.clients import Client
from pgaas.config.models.datacenters import DatacentersFile
from pgaas.config.naming import Target, alias_fqdn, cluster_name, namespace
from pgaas.config.onboarding import CLIENTS, without_client
from pgaas.config.targets import user_environments
from pgaas.config.users import leads_out, user_file_name, user_file_path, users_of, users_option
from pgaas.config.validate import validate_part
from pgaas.errors import ConfigError, ConfigIssue, PgaasError, RefusedAsUnsafe, UsageError
from pgaas.kube.client import Api, api_for
from pgaas.kube.resources import CLUSTER, SECRET, VOLUME_CLAIM, dig, name_of
from pgaas.kube.snapshot import CLUSTER_LABEL
from pgaas.operations.client_add import diff_of
from pgaas.operations.progress import Progress, step
from pgaas.operations.trust_sync import Background

# Longer than a connection may take to be made.
LOOK_SECONDS = 20.0
INS_LABEL, ENV_LABEL = "pgaas.io/ins", "pgaas.io/env"


@dataclass(frozen=True)
class Seen:
    """What one datacenter has of the client, or, with an `error`, why nobody can tell."""

    datacenter: str
    context: str
    alive: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Plan:
    """What a removal changes: `diff` shows it, without secrets. `left` is what stays, for a person to judge.

    `unseen` are the datacenters that could not be looked at, and that the user answers for.
    """

    root: Path
    ins: str
    env: str
    folder: str
    files: list[str]
    diff: list[str]
    seen: list[Seen]
    unseen: list[str]
    left: list[str]

    @property
    def cluster(self) -> str:
        """Return the name to retype: the client's namespace."""
        return namespace(Target(self.ins, self.env, ""))


def plan_removal(root: Path, ins: str, env: str, progress: Progress, *, accepted: Sequence[str] = ()) -> Plan:
    """Look whether a client can go, and what goes with it; change nothing.

    `accepted` are datacenters without a look at which it may go. Raise UsageError if there is no such client,
    RefusedAsUnsafe while something of it lives, or may live where nobody can look.
    """
    if problem := code_problem(ins):
        raise UsageError(f"INS: {problem}")
    environment = resolve_environment(env)
    admin = ConfigCache().admin(root, environment.team_env)
    datacenters = admin.models.get("datacenters")
    if not isinstance(datacenters, DatacentersFile):
        raise ConfigError(list(admin.issues), next_step="mend datacenters.yaml: it says where to look")
    contexts = {dc: each.kube_context for dc, each in datacenters.datacenters.items()}
    if strange := [dc for dc in accepted if dc not in contexts]:
        raise UsageError(
            f"--accept-unseen: no datacenter {strange[0]!r}{nearest(strange[0], list(contexts))}",
            next_step=f"name one of them ({known(list(contexts))})",
        )
    with read_to_change(root, f"{admin.folder}/clients.yaml") as (path, content, old):
        changes = _changes(root, environment, ins, (path, content, old))
        _check_result(root, admin, changes)
    whole = any(change.name == old.file for change in changes)
    seen = _look(ins, env, contexts, progress, whole=whole and environment.team_env == SHARED_ENVIRONMENT)
    _refuse(root, ins, env, seen, accepted)
    return Plan(
        root=root,
        ins=ins,
        env=env,
        folder=admin.folder,
        files=[change.name for change in changes],
        diff=diff_of(changes),
        seen=seen,
        unseen=[each.datacenter for each in seen if each.error],
        left=_left(admin, environment, ins, whole=whole),
    )


def check_confirmation(plan: Plan, typed: str | None) -> None:
    """Raise UsageError unless the client's namespace was retyped."""
    if typed is None:
        raise UsageError(
            f"removing a client asks for its namespace ({plan.cluster}), and there is no terminal to ask at",
            next_step=f"add --confirm {plan.cluster}",
        )
    if typed.strip() != plan.cluster:
        raise UsageError(
            f'"{typed.strip()}" is not {plan.cluster}: nothing was removed',
            next_step=f"retype it exactly: {plan.cluster}",
        )


def remove(plan: Plan) -> Plan:
    """Carry a plan out: all of its files, or none. Raise UsageError if the file system refuses."""
    environment = resolve_environment(plan.env)
    with read_to_change(plan.root, f"{plan.folder}/clients.yaml") as read:
        changes = _changes(plan.root, environment, plan.ins, read)
        if diff_of(changes) != plan.diff:
            raise UsageError(
                "the files have changed while you were asked: nothing was removed",
                next_step=f"look again: pgaas client remove {plan.ins} --env {plan.env} --dry-run",
            )
        by_hand = f"remove {' and '.join(plan.files)}, as --dry-run shows"
        change_files(changes, by_hand, keep=Path(users_of(plan.root).real))
    return plan


def _changes(
    root: Path, environment: Environment, ins: str, read: tuple[Path, bytes, Document]
) -> list[FileChange]:
    """Return the files as they are to be, clients.yaml first. Raise UsageError if there is no such client.

    It is first, so that a process that is killed between them leaves what a second run ends.
    """
    path, content, old = read
    clients = (old.data or {}).get(CLIENTS)
    registered = isinstance(clients, dict) and ins in clients
    file, place = user_file_name(root, ins, environment), user_file_path(root, ins, environment)
    there = os.path.lexists(place)
    others = _other_environments(root, environment, ins)
    if not there and (not registered or others):
        names = list(clients) if isinstance(clients, dict) else []
        raise UsageError(
            f"unknown client {ins!r} in {environment.env}{'' if ins in names else nearest(ins, names)}",
            where=f"{old.file} and {file}",
            next_step=f"{ins} is in {', '.join(others)}" if others else f"name a client ({known(names)})",
        )
    changes = []
    if registered and not others:
        changes.append(FileChange(path, old.file, content, without_client(old, content, ins)))
    if there:
        real, users = Path(os.path.realpath(place)), users_of(root)
        if leads_out(str(real), ins, users.real):
            raise ConfigError([ConfigIssue(file, 0, "", f"is a link that leads out of {users.called(ins)}")])
        written, problem = read_bytes(real, USER_FILE_LIMIT)
        if problem:
            raise ConfigError([ConfigIssue(file, 0, "", problem)])
        changes.append(FileChange(real, file, written, None))
    return changes


def _other_environments(root: Path, environment: Environment, ins: str) -> list[str]:
    """Return the client's other environments that the same clients.yaml is for."""
    return [
        env
        for env in user_environments(root, ins)
        if env != environment.env and resolve_environment(env).team_env == environment.team_env
    ]


def _check_result(root: Path, admin: AdminEnvironment, changes: Sequence[FileChange]) -> None:
    """Raise ConfigError if the files would have issues that they have not now; lines may move."""
    drafts = {change.name: change.after for change in changes if change.after is not None}
    before = {(each.file, each.path, each.message) for each in admin.issues}
    after = ConfigCache(drafts).admin(root, admin.team_env).issues
    if new := [each for each in after if (each.file, each.path, each.message) not in before]:
        raise ConfigError(new, next_step="nothing was removed: these would come of it")


def _look(
    ins: str, env: str, contexts: dict[str, str | None], progress: Progress, *, whole: bool
) -> list[Seen]:
    """Look into each datacenter of the environment at the same time, the client's own or not."""
    nameless = [dc for dc, context in contexts.items() if context is None]
    works: dict[str, Background[Seen] | Seen] = {}
    with step(progress, f"looking for {ins} in {', '.join(contexts)}") as outcome:
        for dc, context in contexts.items():
            if context is None and len(nameless) > 1:
                why = f"{' and '.join(nameless)} name no kubeContext, and the current one is of one only"
                works[dc] = Seen(dc, "", error=why)
            else:
                works[dc] = Background(partial(_look_at, ins, env, dc, context, whole))
        seen = [_result(dc, work) for dc, work in works.items()]
        alive = [f"{each.datacenter}: {name}" for each in seen for name in each.alive]
        unseen = [each for each in seen if each.error]
        outcome.text = "nothing lives"
        if alive or unseen:
            outcome.problem = "; ".join([*alive, *(f"{each.datacenter}: not seen" for each in unseen)])
    return seen


def _result(dc: str, work: Background[Seen] | Seen) -> Seen:
    if isinstance(work, Seen):
        return work
    return work.result(LOOK_SECONDS) or Seen(dc, "", error=f"no answer within {LOOK_SECONDS:g} s")


def _look_at(ins: str, env: str, dc: str, context: str | None, whole: bool) -> Seen:
    """Look at one datacenter; `whole` asks for the client's clusters in every namespace too."""
    name = context or "the current one"
    try:
        api = api_for(context)
        name = api.context
        space = namespace(Target(ins, env, dc))
        alive = _alive(api, space)
        if whole:
            alive += [
                f"Cluster {dig(cluster, 'metadata', 'namespace')}/{name_of(cluster)}"
                for cluster in api.find(CLUSTER, labels={INS_LABEL: ins})
                if dig(cluster, "metadata", "namespace") != space and _is_shared(cluster)
            ]
    except PgaasError as error:
        return Seen(dc, name, error=error.what)
    return Seen(dc, name, tuple(alive))


def _is_shared(cluster: dict[str, object]) -> bool:
    env = str(dig(cluster, "metadata", "labels", ENV_LABEL, default=""))
    try:
        return resolve_environment(env).team_env == SHARED_ENVIRONMENT
    except UsageError:
        return False


def _alive(api: Api, space: str) -> list[str]:
    """Return what is in the client's namespace that `pgaas delete` removes, and needs the files to remove."""
    looks: dict[str, Callable[[], list[dict[str, object]]]] = {
        "Cluster": lambda: api.find(CLUSTER, space),
        "volume": lambda: [each for each in api.find(VOLUME_CLAIM, space) if _of_cluster(each)],
        "Helm release": lambda: api.find(SECRET, space, labels={"owner": "helm"}),
    }
    return [
        f"{what} {dig(obj, 'metadata', 'labels', 'name') if what == 'Helm release' else name_of(obj)}"
        for what, find in looks.items()
        for obj in _unique(find(), what)
    ]


def _unique(objects: list[dict[str, object]], what: str) -> list[dict[str, object]]:
    """Return each release once: Helm keeps a Secret for each revision."""
    if what != "Helm release":
        return objects
    return list({str(dig(obj, "metadata", "labels", "name")): obj for obj in objects}.values())


def _of_cluster(claim: dict[str, object]) -> bool:
    return dig(claim, "metadata", "labels", CLUSTER_LABEL) is not None


def _refuse(root: Path, ins: str, env: str, seen: Sequence[Seen], accepted: Sequence[str]) -> None:
    alive = [each for each in seen if each.alive]
    if alive:
        lines = "".join(
            f"\n  {each.datacenter} (context {each.context}): {', '.join(each.alive)}" for each in alive
        )
        commands = [
            f"pgaas delete --ins {ins} --env {env} --dc {each.datacenter}{users_option(root)}"
            for each in alive
        ]
        raise RefusedAsUnsafe(
            f"{ins} still lives in {env}, and could not be deleted without its files:{lines}",
            next_step="delete it first: " + "; ".join(commands),
        )
    unseen = [each for each in seen if each.error and each.datacenter not in accepted]
    if unseen:
        lines = "".join(f"\n  {each.datacenter}: {each.error}" for each in unseen)
        flags = " ".join(f"--accept-unseen {each.datacenter}" for each in unseen)
        raise RefusedAsUnsafe(
            f"nobody can tell whether {ins} still lives in {env}:{lines}",
            next_step=f"mend the way there; or, if you know that nothing of it lives there: {flags}",
        )


def _left(admin: AdminEnvironment, environment: Environment, ins: str, *, whole: bool) -> list[str]:
    """Return what stays outside the files, by its name."""
    client = validate_part(Client, admin.part("clients", CLIENTS, ins))
    if client is None:
        return []
    space = namespace(Target(ins, environment.env, ""))
    names = [cluster_name(Target(ins, environment.env, dc)) for dc in client.datacenters]
    left = [
        f"the archives of {', '.join(names)} in the bucket {client.s3_bucket}: if the client comes back, "
        "`pgaas create --next-generation` begins beside them"
    ]
    datacenters = admin.models.get("datacenters")
    if isinstance(datacenters, DatacentersFile):
        dns = datacenters.dns
        name = alias_fqdn(dns.primary_prefix, Target(ins, environment.env, ""), dns.zone)
        left.append(f"the DNS name {name}: it leads nowhere now, or to whoever gets the address next")
    if not whole:
        return [*left, f"{ins} itself in {admin.folder}/clients.yaml, for its other environments"]
    left.append(f"the bucket {client.s3_bucket} itself")
    if client.s3_credentials.secret_name:
        left.append(f"the keys of {space}/{client.s3_credentials.secret_name}, in S3 and in Vault")
    ldap = client.ldap_credentials
    if ldap is not None:
        vault = (
            f", and its password {ldap.bind_password_secret} in Vault" if ldap.bind_password_secret else ""
        )
        left.append(f"the LDAP entry {ldap.bind_dn}{vault}")
    return left

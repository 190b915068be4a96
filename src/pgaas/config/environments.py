"""Environments: what ENV stands for, and which names INS, ENV and DC can have."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import NamedTuple

from pgaas.config.naming import CLUSTER_NAME_LIMIT, Target, cluster_name, namespace
from pgaas.errors import UsageError

LOCAL = "local"
FIXED_ENVIRONMENTS = (LOCAL, "perf", "pprod", "prod")
SHARED_ENVIRONMENT = "hp"
TEAM_ENVIRONMENTS = (LOCAL, SHARED_ENVIRONMENT, "perf", "pprod", "prod")
ADMIN_FOLDER = PurePosixPath("confs/admin")
USERS_FOLDER = PurePosixPath("confs/users")
USER_FILE = "databases.yaml"
# Where helmfile.yaml installs what local needs.
LOCAL_NAMESPACE = "local-infra"
# Stands for the client's code in a directory's search filter.
CLIENT_CODE = "{ins}"

# No '-' in INS and ENV: a-b in c and a in b-c would share a namespace.
CODE = re.compile(r"[a-z][a-z0-9]*")
DATACENTER = re.compile(r"[a-z]([a-z0-9]|-(?=[a-z0-9]))*")
# PREFIX-gN is how the archive of a cluster's N-th life is called.
GENERATION_LIKE = re.compile(r".*-g[0-9]+")
# kube-… are Kubernetes' own namespaces, and pgaas-admins is the group of the platform team. A client that is
# called like an environment's folder could not be told from that folder.
RESERVED_CODES = frozenset({"kube", "admins", *TEAM_ENVIRONMENTS})
RESERVED = "is reserved: the platform has a namespace, a group or an environment of this name"
FOREIGN_NAMESPACES = frozenset({LOCAL_NAMESPACE, "cnpg-system", "cert-manager", "external-dns"})


class Environment(NamedTuple):
    """An ENV, the admin folder it belongs to, and its folder below confs/users/INS."""

    env: str
    team_env: str
    user_parts: tuple[str, ...]

    @property
    def admin_folder(self) -> PurePosixPath:
        """Return the folder of the platform team's files, relative to the root."""
        return ADMIN_FOLDER / self.team_env

    def user_place(self, ins: str) -> PurePosixPath:
        """Return a client's file, relative to the folder of all clients."""
        return PurePosixPath(ins, *self.user_parts, USER_FILE)

    def user_file(self, ins: str) -> PurePosixPath:
        """Return a client's file, relative to the root, where no other folder stands for confs/users."""
        return USERS_FOLDER / self.user_place(ins)


def resolve_environment(env: str) -> Environment:
    """Return what ENV stands for: one of the four fixed environments, or else a sub-environment of hp.

    Raise UsageError if it can't be an environment's name, or is hp itself.
    """
    if env in FIXED_ENVIRONMENTS:
        return Environment(env, env, (env,))
    if env == SHARED_ENVIRONMENT:
        raise UsageError(
            "hp is a group of environments, not one of them",
            next_step="name a sub-environment, such as --env dev1",
        )
    if problem := code_problem(env):
        raise UsageError(f"--env {env!r}: {problem}")
    return Environment(env, SHARED_ENVIRONMENT, (SHARED_ENVIRONMENT, env))


def code_problem(code: str) -> str:
    """Say why a text can't be an INS or ENV code, or return an empty text."""
    if CODE.fullmatch(code):
        return ""
    return f"{code!r} is not a code: it takes lower-case letters and digits, and begins with a letter"


def datacenter_problem(dc: str) -> str:
    """Say why a text can't be a datacenter's name, or return an empty text."""
    if not DATACENTER.fullmatch(dc):
        return f"{dc!r} is not a datacenter's name: it takes lower-case letters, digits and single '-'"
    if GENERATION_LIKE.fullmatch(dc):
        return f"{dc!r} is not a datacenter's name: -g and a number mark the generation of an archive"
    return ""


def target_problem(target: Target) -> str:
    """Say why valid codes can't be put together, or return an empty text."""
    name = cluster_name(target)
    if len(name) > CLUSTER_NAME_LIMIT:
        return f"the cluster's name {name} has {len(name)} characters, and may have {CLUSTER_NAME_LIMIT}"
    if namespace(target) in FOREIGN_NAMESPACES:
        return f"the namespace {namespace(target)} belongs to the platform"
    if target.ins in RESERVED_CODES:
        return f"{target.ins!r} {RESERVED}"
    return ""


def check_target(target: Target) -> Environment:
    """Return a target's environment. Raise UsageError if INS, ENV or DC can't be names, or not together."""
    if problem := code_problem(target.ins):
        raise UsageError(f"--ins {target.ins!r}: {problem}")
    environment = resolve_environment(target.env)
    if problem := datacenter_problem(target.dc):
        raise UsageError(f"--dc {target.dc!r}: {problem}")
    if problem := target_problem(target):
        raise UsageError(f"{target}: {problem}")
    return environment


def known(names: list[str] | tuple[str, ...]) -> str:
    """Return names for a message, or that there are none; long lists are cut."""
    shown = sorted(names)
    if not shown:
        return "there is none"
    return "known: " + ", ".join(shown[:20]) + (f" and {len(shown) - 20} more" if len(shown) > 20 else "")


def nearest(name: str, names: list[str] | tuple[str, ...]) -> str:
    """Return `; did you mean X?` if one name is near, or an empty text."""
    from difflib import get_close_matches

    found = get_close_matches(name, names, 1, 0.6)
    return f"; did you mean {found[0]}?" if found else ""

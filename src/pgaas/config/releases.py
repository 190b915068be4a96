"""What a published version is called, and the parameters of a deployment, as a job hands them in."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pgaas.config.environments import (
    FIXED_ENVIRONMENTS,
    SHARED_ENVIRONMENT,
    code_problem,
    datacenter_problem,
    target_problem,
)
from pgaas.config.naming import Target
from pgaas.errors import UsageError

# Semantic versioning, without the build's metadata: what a tag v1.2.3 or v1.2.3-rc.1 makes.
NUMBER = r"(?:0|[1-9][0-9]{0,9})"
VERSION = re.compile(rf"{NUMBER}\.{NUMBER}\.{NUMBER}(?:-[0-9A-Za-z]+(?:[.-][0-9A-Za-z]+)*)?")
# A branch's build is 0.0.0-BRANCH.COMMIT, and is never published.
SNAPSHOT = "0.0.0-"
VERSION_LIMIT = 64
CREDENTIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
ACTIONS = ("create", "upgrade")
JOB_ENVIRONMENTS = ("perf", "pprod", "prod")


@dataclass(frozen=True)
class Parameters:
    """What a deploy job was asked for, as it was typed; None is a parameter that this job has not."""

    pgaas_version: str | None = None
    users_version: str | None = None
    ins: str | None = None
    env: str | None = None
    env_override: str | None = None
    dc: str | None = None
    action: str | None = None
    kubeconfig_cred: str | None = None


@dataclass(frozen=True)
class Wanted:
    """What a deployment acts on; `dc` is None for each client's default."""

    clients: tuple[str, ...]
    env: str
    dc: str | None
    action: str


def version_problem(version: str) -> str:
    """Say why a text can't be a published version, or return an empty text."""
    if not VERSION.fullmatch(version) or len(version) > VERSION_LIMIT:
        return f"{version!r} is not a version such as 1.2.3"
    if version.startswith(SNAPSHOT):
        return f"{version} is a branch's build, and only tags are published"
    return ""


def tag_version(tag: str) -> str:
    """Return the version that a tag stands for. Raise UsageError if it is not one such as v1.2.3."""
    version = tag.removeprefix("v")
    if version == tag or version_problem(version):
        raise UsageError(
            f"the tag {tag!r} is not one of a version", next_step="tag it v1.2.3, and run it there"
        )
    return version


def check_parameters(given: Parameters) -> Wanted:
    """Return what a job's parameters ask for. Raise UsageError with everything that is wrong with them."""
    problems = {
        "PGAAS_VERSION": _required(given.pgaas_version, version_problem),
        "USERS_VERSION": _required(given.users_version, version_problem),
        "KUBECONFIG_CRED": "" if given.kubeconfig_cred is None else _credential(given.kubeconfig_cred),
        "ENV": "" if given.env_override and given.env in (None, "", SHARED_ENVIRONMENT) else _env(given.env),
        "ENV_OVERRIDE": _override(given.env_override) if given.env_override else "",
    }
    return _judged(given, problems)


def check_wanted(given: Parameters) -> Wanted:
    """Return what a deployment acts on, whatever versions it is made of, in any environment.

    Raise UsageError with everything that is wrong.
    """
    name = "ENV_OVERRIDE" if given.env_override else "ENV"
    return _judged(given, {name: _required(given.env_override or given.env, _any_env)})


def _judged(given: Parameters, problems: Mapping[str, str]) -> Wanted:
    clients = tuple(part.strip() for part in (given.ins or "").split(","))
    env = given.env_override or given.env or ""
    found = {
        **problems,
        "INS": _clients_problem(clients),
        "DC": datacenter_problem(given.dc) if given.dc else "",
        "ACTION": _required(given.action, _action),
    }
    if not any(found.values()):
        found["INS"] = _together(clients, env, given.dc)
    wrong = [f"\n  {name}: {problem}" for name, problem in found.items() if problem]
    if wrong:
        count = "1 parameter is" if len(wrong) == 1 else f"{len(wrong)} parameters are"
        raise UsageError(f"{count} wrong:{''.join(wrong)}", next_step="mend these, and start it again")
    return Wanted(clients, env, given.dc or None, given.action or "")


def _required(value: str | None, problem: Callable[[str], str]) -> str:
    return problem(value) if value else "is missing"


def _clients_problem(clients: tuple[str, ...]) -> str:
    if clients == ("",):
        return "is missing: name one client or more, such as ic1,is1"
    named = [ins for ins in clients if ins]
    problems = ["has a comma too many"] if len(named) < len(clients) else []
    problems += [problem for ins in dict.fromkeys(named) if (problem := code_problem(ins))]
    problems += [f"{ins!r} is in it twice" for ins in dict.fromkeys(named) if named.count(ins) > 1]
    return "; ".join(problems)


def _env(env: str | None) -> str:
    if not env:
        return f"is missing: name {', '.join(JOB_ENVIRONMENTS)}, or set ENV_OVERRIDE"
    if env == SHARED_ENVIRONMENT:
        return "hp is a group of environments: name one of them with ENV_OVERRIDE, such as dev1"
    if env not in JOB_ENVIRONMENTS:
        return f"{env!r} is not one of {', '.join(JOB_ENVIRONMENTS)}; hp's own go into ENV_OVERRIDE"
    return ""


def _any_env(env: str) -> str:
    if env == SHARED_ENVIRONMENT:
        return "hp is a group of environments: name one of them, such as dev1"
    return "" if env in FIXED_ENVIRONMENTS else code_problem(env)


def _override(env: str) -> str:
    if env in (*FIXED_ENVIRONMENTS, SHARED_ENVIRONMENT):
        return f"{env} is not a sub-environment of hp, such as dev1"
    return code_problem(env)


def _action(action: str) -> str:
    return "" if action in ACTIONS else f"{action!r} is neither create nor upgrade"


def _credential(name: str) -> str:
    if not name:
        return "is missing: name the credential that holds the kubeconfig"
    return "" if CREDENTIAL.fullmatch(name) else f"{name[:80]!r} is not a credential's ID"


def _together(clients: tuple[str, ...], env: str, dc: str | None) -> str:
    """Say which codes can't be put together; with no datacenter named, the shortest that there can be."""
    problems = [target_problem(Target(ins, env, dc or "a")) for ins in clients]
    return "; ".join(filter(None, problems))

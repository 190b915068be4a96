"""Look at all clients at once: what is configured, what is live, and where the two differ.

Each context is asked twice, whatever the number of clients: for all Clusters, and for Helm's records.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pgaas.config.admin import ConfigCache
from pgaas.config.environments import (
    ADMIN_FOLDER,
    SHARED_ENVIRONMENT,
    TEAM_ENVIRONMENTS,
    resolve_environment,
)
from pgaas.config.naming import Target, cluster_name, namespace
from pgaas.config.resolve import resolve_client
from pgaas.config.targets import find_targets
from pgaas.errors import ConfigError, ConfigIssue, PgaasError, UsageError
from pgaas.kube.client import api_for
from pgaas.kube.release import Release, current_releases
from pgaas.kube.resources import CLUSTER, Object, dig, name_of
from pgaas.operations.fleet_rows import (
    ENV_LABEL,
    Row,
    absent_row,
    add_two_primaries,
    broken_row,
    configured_row,
    fileless_row,
    hidden_row,
    unconfigured_row,
)
from pgaas.operations.progress import Patient, Progress, step
from pgaas.operations.subject import Subject
from pgaas.operations.trust_sync import Background
from pgaas.render.build import build_values

# One look may hang: longer than this nobody waits for it.
DEADLINE = 30.0
LOOK_EVERY = 0.1
CURRENT = "the current context"
Key = tuple[str, str]
Place = tuple[str, str]


@dataclass(frozen=True)
class Look:
    """What one context has, by namespace and name; `error` says why nothing is known of it.

    `releases` is None if Helm's records could not be read, for the reason in `releases_error`.
    """

    context: str
    clusters: Mapping[Key, Object] = field(default_factory=dict, repr=False)
    releases: Mapping[Key, Release | None] | None = field(default=None, repr=False)
    releases_error: str = ""
    error: str = ""


@dataclass(frozen=True)
class ContextState:
    """One context that was asked, for which datacenters, and what could not be had of it."""

    context: str
    datacenters: list[str]
    error: str
    releases_error: str


@dataclass(frozen=True)
class Fleet:
    """All clusters, those of one client together. `-o json` prints this shape: fields are added only.

    `hidden` counts what lives and is in no file, where that was not asked for. `issues` keep clients from
    being told at all.
    """

    rows: list[Row]
    contexts: list[ContextState]
    hidden: int
    issues: list[ConfigIssue]


@dataclass(frozen=True)
class _Scope:
    """Which targets there are, which contexts lead to their datacenters, and what is wrong in the files."""

    targets: list[Target]
    issues: list[ConfigIssue]
    contexts: dict[str | None, list[Place]]
    registered: list[tuple[str, str]]
    unknown: frozenset[str]


def fleet(root: Path, env: str | None, progress: Progress, *, everything: bool = False) -> Fleet:
    """Return all clusters of one environment, or of all; `everything` adds those that are in no file.

    A context that cannot be asked is told in the rows of its clusters. Raise UsageError if nobody is in the
    environment, ConfigError if the files of none can be read.
    """
    cache = ConfigCache()
    scope = _scope(root, env, cache)
    wanted = {(namespace(each), cluster_name(each)) for each in scope.targets}
    shown = Patient(progress)
    where = ", ".join(context or CURRENT for context in scope.contexts)
    with step(shown, f"looking at {len(scope.targets)} clusters in {where}") as outcome:
        works = {context: Background(partial(_look, context, wanted)) for context in scope.contexts}
        begun = time.monotonic()
        subjects: dict[Target, Subject | ConfigError] = {}
        for number, target in enumerate(scope.targets, start=1):
            subjects[target] = _subject(root, target, cache)
            shown.advanced(number, len(scope.targets))
        looks = _wait(works, begun, shown)
        if unseen := [look.context for look in looks.values() if look.error]:
            outcome.problem = f"not seen: {', '.join(unseen)}"
    by_place = {place: context for context, places in scope.contexts.items() for place in places}
    rows = [_row(target, subjects[target], by_place, scope, looks) for target in scope.targets]
    rows += [fileless_row(ins, team_env) for ins, team_env in scope.registered]
    strangers = list(_strangers(looks, wanted, env, scope.unknown))
    add_two_primaries(rows)
    if everything:
        rows += strangers
    states = [
        ContextState(look.context, _datacenters(scope.contexts[context]), look.error, look.releases_error)
        for context, look in looks.items()
    ]
    hidden = 0 if everything else len(strangers)
    return Fleet(sorted(rows, key=Row.place), states, hidden, scope.issues)


def _scope(root: Path, env: str | None, cache: ConfigCache) -> _Scope:
    targets, issues = find_targets(root, env, cache)
    names = [resolve_environment(env).team_env] if env else [
        name for name in TEAM_ENVIRONMENTS if (root / ADMIN_FOLDER / name).is_dir()
    ]  # fmt: skip
    contexts: dict[str | None, list[Place]] = {}
    registered, unknown = [], set()
    found: dict[ConfigIssue, None] = dict.fromkeys(issues)
    for name in names:
        admin = cache.admin(root, name)
        if admin.issues:
            found.update(dict.fromkeys(admin.issues))
            unknown.add(name)
            continue
        for dc, datacenter in admin.datacenters.datacenters.items():
            contexts.setdefault(datacenter.kube_context, []).append((name, dc))
        told = {each.ins for each in targets if resolve_environment(each.env).team_env == name}
        if not env or name != SHARED_ENVIRONMENT:
            registered += [(ins, name) for ins in admin.clients.clients if ins not in told]
    if found and not contexts:
        raise ConfigError(list(found))
    return _Scope(targets, list(found), contexts, registered, frozenset(unknown))


def _subject(root: Path, target: Target, cache: ConfigCache) -> Subject | ConfigError:
    try:
        resolved = resolve_client(root, target, cache)
    except ConfigError as error:
        return error
    except UsageError as error:
        return ConfigError([ConfigIssue(error.where, 0, "", error.what)])
    return Subject(root, target, resolved, build_values(resolved))


def _look(context: str | None, wanted: Iterable[Key]) -> Look:
    """Ask one context for everything; never raise what a context can cause."""
    name = context or CURRENT
    try:
        api = api_for(context)
        name = api.context
        clusters = {
            (str(dig(obj, "metadata", "namespace", default="")), name_of(obj)): obj
            for obj in api.find(CLUSTER)
        }
    except PgaasError as error:
        return Look(name, error=error.what)
    try:
        return Look(name, clusters, current_releases(api, set(wanted)))
    except PgaasError as error:
        return Look(name, clusters, releases_error=error.what)


def _wait(
    works: Mapping[str | None, Background[Look]], begun: float, progress: Progress
) -> dict[str | None, Look]:
    """Return each context's look; one that does not end is told as such."""
    looks: dict[str | None, Look] = {}
    while len(looks) < len(works):
        late = time.monotonic() - begun > DEADLINE
        for context, work in works.items():
            if context in looks:
                continue
            look = work.result(LOOK_EVERY)
            if look is None and late:
                look = Look(context or CURRENT, error=f"no answer within {DEADLINE:g} s")
            if look is not None:
                looks[context] = look
        waiting = [context or CURRENT for context in works if context not in looks]
        if waiting:
            progress.detail(f"waiting for {', '.join(waiting)}")
    return {context: looks[context] for context in works}


def _row(
    target: Target,
    subject: Subject | ConfigError,
    by_place: Mapping[Place, str | None],
    scope: _Scope,
    looks: Mapping[str | None, Look],
) -> Row:
    place = (resolve_environment(target.env).team_env, target.dc)
    context = by_place[place]
    look = looks[context]
    key = (namespace(target), cluster_name(target))
    live = look.clusters.get(key)
    if isinstance(subject, ConfigError):
        return broken_row(target, look.context, live, subject)
    if look.error:
        return hidden_row(subject, look.context, "unreachable", look.error)
    if live is None and context is None and len(scope.contexts[context]) > 1:
        why = f"datacenters.yaml names no kubeContext for {target.dc}: it is not in the current one"
        return hidden_row(subject, look.context, "not seen", why)
    if live is None:
        return absent_row(subject, look.context)
    return configured_row(subject, look.context, live, look.releases, key)


def _strangers(
    looks: Mapping[str | None, Look], wanted: Iterable[Key], env: str | None, unknown: frozenset[str]
) -> Iterable[Row]:
    """Return what lives and is in no file, each once: two contexts may lead to one API server."""
    seen: set[tuple[str, Key]] = set()
    for look in looks.values():
        for key, live in look.clusters.items():
            labelled = str(dig(live, "metadata", "labels", ENV_LABEL, default=""))
            if key in wanted or (look.context, key) in seen or (env and labelled != env):
                continue
            seen.add((look.context, key))
            try:
                told = not labelled or resolve_environment(labelled).team_env not in unknown
            except UsageError:
                told = True
            yield unconfigured_row(live, look.context, told=told)


def _datacenters(places: Iterable[Place]) -> list[str]:
    return list(dict.fromkeys(dc for _, dc in places))

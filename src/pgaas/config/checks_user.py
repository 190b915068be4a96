"""What has to fit together in a client's databases.yaml, and between it and the platform team's files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeVar

from pgaas.config.environments import known, nearest
from pgaas.config.identifiers import (
    DANGEROUS_PARENT_ROLES,
    PREDEFINED_ROLES,
    SAFE_PARENT_ROLES,
    common_name_problem,
)
from pgaas.config.load import Document
from pgaas.config.models.clients import Allow
from pgaas.config.models.plugins import BARMAN_PLUGIN
from pgaas.config.models.user import UserDatabase, UserFile, UserPlugin, UserRole
from pgaas.config.naming import COMMON_NAME_LIMIT, Target, common_name, common_name_suffix, kubernetes_name
from pgaas.config.parameters import parameter_problem, parameter_text
from pgaas.config.validate import validate_part
from pgaas.errors import ConfigIssue

# A path within the file, and what is wrong there.
Finding = tuple[tuple[str | int, ...], str]
Part = TypeVar("Part", UserPlugin, UserDatabase, UserRole)


class Offer(NamedTuple):
    """What the platform team offers a client; None where its own files can't say."""

    majors: list[int] | None
    plugins: list[str] | None
    parameters: list[str] | None
    pgadmin_user: str
    allow: Allow | None


class View(NamedTuple):
    """A client's file as far as it can be read: broken entries are left out, but not their names."""

    major: int | None
    parameters: dict[str, str]
    plugins: list[tuple[int, UserPlugin]]
    databases: list[tuple[int, UserDatabase]]
    roles: list[tuple[int, UserRole]]
    role_names: set[str]
    database_names: set[str]


def check_user(document: Document, file: UserFile | None, target: Target, offer: Offer) -> list[ConfigIssue]:
    """Return every issue of a client's file that a single field does not show."""
    view = _broken_view(document.data or {}) if file is None else _view_of(file)
    findings = [
        *_check_version(view, offer),
        *_check_names(view, offer),
        *_check_ownership(view),
        *_check_rights(view, offer.allow),
        *_check_parents(view, offer.allow),
        *_check_common_names(view, target, offer.pgadmin_user),
    ]
    return [document.issue(path, message) for path, message in findings]


def _view_of(file: UserFile) -> View:
    return View(
        file.postgresql.major_version,
        file.postgresql.parameters,
        list(enumerate(file.plugins)),
        list(enumerate(file.databases)),
        list(enumerate(file.roles)),
        {role.name for role in file.roles},
        {database.name for database in file.databases},
    )


def _broken_view(data: dict[str, Any]) -> View:
    raw = data.get("postgresql")
    postgresql = raw if isinstance(raw, dict) else {}
    major, given = postgresql.get("majorVersion"), postgresql.get("parameters")
    parameters = {
        name: parameter_text(value)
        for name, value in (given if isinstance(given, dict) else {}).items()
        if isinstance(value, str | int | float)
    }
    return View(
        major if type(major) is int else None,
        parameters,
        _parts(data, "plugins", UserPlugin),
        _parts(data, "databases", UserDatabase, named=True),
        _parts(data, "roles", UserRole, named=True),
        _names(data, "roles"),
        _names(data, "databases"),
    )


def _maps(data: dict[str, Any], key: str) -> list[tuple[int, dict[str, Any]]]:
    found = data.get(key)
    entries = enumerate(found if isinstance(found, list) else [])
    return [(index, entry) for index, entry in entries if isinstance(entry, dict)]


def _names(data: dict[str, Any], key: str) -> set[str]:
    return {name for _, entry in _maps(data, key) if isinstance(name := entry.get("name"), str)}


def _parts(data: dict[str, Any], key: str, model: type[Part], named: bool = False) -> list[tuple[int, Part]]:
    """Return the entries of a list without their broken keys; with `named`, a broken name is stood in for."""
    parts = []
    for index, entry in _maps(data, key):
        part = validate_part(model, entry)
        if part is None and named:
            part = validate_part(model, {**entry, "name": f"unnamed-{index}"})
        if part is not None:
            parts.append((index, part))
    return parts


def _check_version(view: View, offer: Offer) -> Iterator[Finding]:
    if view.major is not None and offer.majors is not None and view.major not in offer.majors:
        offered = ", ".join(str(major) for major in sorted(offer.majors))
        yield ("postgresql", "majorVersion"), f"{view.major} is not in the image catalog, which has {offered}"
    if offer.parameters is not None:
        for name in view.parameters:
            if name not in offer.parameters:
                more = nearest(name, offer.parameters) or f" ({known(offer.parameters)})"
                yield ("postgresql", "parameters", name), f"is not among the parameters left to clients{more}"
    for name, value in view.parameters.items():
        if problem := parameter_problem(name, value):
            yield ("postgresql", "parameters", name), problem
    seen: set[str] = set()
    for index, plugin in view.plugins:
        if plugin.name in seen:
            yield ("plugins", index, "name"), f"{plugin.name!r} is there twice"
        elif offer.plugins is not None and plugin.name not in {*offer.plugins, BARMAN_PLUGIN}:
            more = nearest(plugin.name, offer.plugins) or f" ({known(offer.plugins)})"
            yield ("plugins", index, "name"), f"{plugin.name!r} is not offered in plugins.yaml{more}"
        seen.add(plugin.name)


def _check_names(view: View, offer: Offer) -> Iterator[Finding]:
    for key, entries in (("databases", view.databases), ("roles", view.roles)):
        seen: dict[str, str] = {}
        for index, entry in entries:
            first = seen.get(kubernetes_name(entry.name))
            if first is None:
                seen[kubernetes_name(entry.name)] = entry.name
            elif first == entry.name:
                yield (key, index, "name"), f"{entry.name!r} is there twice"
            else:
                message = f"{entry.name!r} and {first!r} are one name in Kubernetes, which has no '_'"
                yield (key, index, "name"), message
    for index, role in view.roles:
        if kubernetes_name(role.name) == kubernetes_name(offer.pgadmin_user):
            yield (
                ("roles", index, "name"),
                f"{role.name!r} is reserved: pgAdmin logs in as {offer.pgadmin_user}",
            )


def _check_ownership(view: View) -> Iterator[Finding]:
    absent = {role.name for _, role in view.roles if role.ensure == "absent"}
    for index, database in view.databases:
        if database.owner not in view.role_names:
            names = sorted(view.role_names)
            yield (
                ("databases", index, "owner"),
                f"{database.owner!r} is not in roles ({known(names)}){nearest(database.owner, names)}",
            )
        elif database.owner in absent:
            yield (
                ("databases", index, "owner"),
                f"{database.owner!r} is declared absent, so it can't own a database",
            )
    for index, role in view.roles:
        for at, name in enumerate(role.databases):
            if name not in view.database_names:
                names = sorted(view.database_names)
                yield (
                    ("roles", index, "databases", at),
                    f"{name!r} is not in databases ({known(names)}){nearest(name, names)}",
                )
            elif name in role.databases[:at]:
                yield ("roles", index, "databases", at), f"{name!r} is there twice"
        if role.databases and not role.login:
            yield ("roles", index, "databases"), "is of no use to a role with login: false"


def _check_rights(view: View, allow: Allow | None) -> Iterator[Finding]:
    if allow is None:
        return
    for index, role in view.roles:
        for right in ("superuser", "replication", "bypassrls", "createrole"):
            if getattr(role, right) and not getattr(allow, right):
                yield (
                    ("roles", index, right),
                    f"is refused: the platform team's clients.yaml does not allow {right}",
                )


def _check_parents(view: View, allow: Allow | None) -> Iterator[Finding]:
    allowed = allow.in_roles if allow else []
    absent = {role.name for _, role in view.roles if role.ensure == "absent"}
    for index, role in view.roles:
        for at, parent in enumerate(role.in_roles):
            place = ("roles", index, "inRoles", at)
            if parent in role.in_roles[:at]:
                yield place, f"{parent!r} is there twice"
            elif parent in absent and role.ensure == "present":
                yield place, f"{parent!r} is declared absent, so it can't be a parent"
            elif parent in view.role_names:
                continue
            elif parent in SAFE_PARENT_ROLES or parent in allowed:
                since = PREDEFINED_ROLES.get(parent, 0)
                if view.major is not None and view.major < since:
                    yield (
                        place,
                        f"{parent} exists from PostgreSQL {since} on, and majorVersion is {view.major}",
                    )
            elif allow is None:
                continue
            elif parent in DANGEROUS_PARENT_ROLES:
                yield place, f"is refused: {parent} gives away the server, and clients.yaml does not allow it"
            else:
                names = [*view.role_names, *SAFE_PARENT_ROLES, *allowed]
                more = nearest(parent, names) or f" ({', '.join(SAFE_PARENT_ROLES)})"
                yield place, f"{parent!r} is no role of this file, and none that clients may join{more}"
    yield from _check_cycles(view)


def _check_cycles(view: View) -> Iterator[Finding]:
    """Report each role from which following inRoles leads back to itself, once for each ring."""
    parents = {role.name: role.in_roles for _, role in view.roles}
    done: set[str] = set()
    for index, role in view.roles:
        walk, on_walk = [(role.name, iter(parents[role.name]))], {role.name}
        if role.name in done:
            continue
        while walk:
            name, rest = walk[-1]
            parent = next((parent for parent in rest if parent in parents and parent not in done), None)
            if parent is None:
                done.add(name)
                on_walk.discard(name)
                walk.pop()
            elif parent in on_walk:
                ring = [step for step, _ in walk]
                ring = [*ring[ring.index(parent) :], parent]
                yield ("roles", index, "inRoles"), f"goes in a circle: {' -> '.join(ring)}"
            else:
                on_walk.add(parent)
                walk.append((parent, iter(parents[parent])))


def _check_common_names(view: View, target: Target, pgadmin_user: str) -> Iterator[Finding]:
    suffix = common_name_suffix(target)
    roles = {role.name: role for _, role in view.roles}
    chosen: dict[str, tuple[str, int]] = {}
    for index, database in view.databases:
        place, pattern = ("databases", index, "cnPattern"), database.cn_pattern
        if pattern is None:
            continue
        owner = roles.get(database.owner)
        if problem := common_name_problem(pattern, suffix, COMMON_NAME_LIMIT):
            yield place, problem
        elif owner is not None and not owner.login:
            yield place, f"is of no use: {owner.name} has login: false, so it gets no certificate"
        elif (before := chosen.setdefault(database.owner, (pattern, index)))[0] != pattern:
            yield (
                place,
                f"{database.owner} is {before[0]} in databases.{before[1]}: a role has one certificate",
            )
    taken = {common_name(pgadmin_user, target): pgadmin_user}
    for index, role in view.roles:
        if not has_certificate(role, [database for _, database in view.databases]):
            continue
        default = common_name(role.name, target)
        name, at = chosen.get(role.name, (default, -1))
        place = ("databases", at, "cnPattern") if at >= 0 else ("roles", index, "name")
        if len(name) > COMMON_NAME_LIMIT:
            yield (
                place,
                f"its common name {name} has {len(name)} characters, and a certificate's holds"
                f" {COMMON_NAME_LIMIT}: shorten the role's name, or set cnPattern where it owns a database",
            )
        if taken.setdefault(name, role.name) != role.name:
            yield (
                place,
                f"{name} is the common name of {taken[name]}: one certificate would log in as two roles",
            )


def has_certificate(role: UserRole, databases: list[UserDatabase]) -> bool:
    """Tell whether a role logs in to any database, and so gets a client certificate."""
    if role.ensure == "absent" or not role.login:
        return False
    return bool(role.databases) or any(database.owner == role.name for database in databases)

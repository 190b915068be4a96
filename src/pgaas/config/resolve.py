"""What people wrote about one target, read, checked and merged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from pgaas.config.admin import MERGED_FILES, AdminEnvironment, ConfigCache, check_known
from pgaas.config.checks_user import Offer, check_user
from pgaas.config.collector import collector_of
from pgaas.config.directory import directory_of
from pgaas.config.environments import Environment, check_target
from pgaas.config.load import Document
from pgaas.config.merge import Layer, merge, trace
from pgaas.config.models.clients import Allow, Client
from pgaas.config.models.merged import MergedConfig, MergedPostgresql
from pgaas.config.models.plugins import BARMAN_PLUGIN
from pgaas.config.models.user import UserFile, UserPlugin
from pgaas.config.naming import Target, namespace
from pgaas.config.resolved import Origin, ResolvedClient
from pgaas.config.targets import missing_user_file
from pgaas.config.users import read_user_document, user_file_name, users_of
from pgaas.config.validate import validate, validate_part
from pgaas.errors import ConfigError, UsageError

Value = TypeVar("Value")

__all__ = ["ConfigCache", "resolve_client"]


def resolve_client(root: Path, target: Target, cache: ConfigCache | None = None) -> ResolvedClient:
    """Return everything that the files say about a target.

    Raise UsageError if the client, its environment or its datacenter is not known, and ConfigError with every
    issue of every file.
    """
    cache = cache or ConfigCache()
    environment = check_target(target)
    admin = cache.admin(root, environment.team_env)
    check_known(admin, target.ins, target.dc)
    check_namespace(admin, target)
    try:
        document = read_user_file(root, target.ins, environment, cache)
    except UsageError:
        if admin.issues:
            raise ConfigError(list(admin.issues)) from None
        raise
    file, issues = validate(document, UserFile)
    issues = [*admin.issues, *issues]
    if document.data is not None:
        issues += check_user(document, file, target, offer_to(admin, target.ins))
    if issues or file is None:
        raise ConfigError(issues)
    merged = merged_config(file, document, admin)
    client = admin.clients.clients[target.ins]
    return ResolvedClient(
        root=root,
        target=target,
        team_env=environment.team_env,
        merged=merged,
        client=client,
        datacenters=admin.datacenters,
        origins=Origins(lambda: origins_of(document, admin, target)),
        directory=directory_of(admin, target.ins, client, merged.pgadmin),
        users_revision=users_of(root).revision,
        collector=collector_of(admin, target.dc),
    )


def merged_config(file: UserFile, document: Document, admin: AdminEnvironment) -> MergedConfig:
    """Return a client's file under the platform team's. Raise ConfigError if they do not fit together.

    All parts have been validated, so only what both sides have a say in is validated anew.
    """
    tree = merge(document.data or {}, admin.merged_tree)
    try:
        postgresql = MergedPostgresql.model_validate(tree["postgresql"])
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        path, message = ("postgresql", *detail["loc"]), detail["msg"]
        raise ConfigError([document.issue(path, f"does not fit the platform team's: {message}")]) from None
    plugins = file.plugins
    if all(plugin.name != BARMAN_PLUGIN for plugin in plugins):
        plugins = [*plugins, UserPlugin(name=BARMAN_PLUGIN)]
    own = {"postgresql": postgresql, "plugins": plugins, "databases": file.databases, "roles": file.roles}
    return MergedConfig.model_construct(**{**admin.merged_fields, **own})


def check_namespace(admin: AdminEnvironment, target: Target) -> None:
    """Raise UsageError if a target's namespace would be one that the datacenters use themselves."""
    if admin.issues:
        return
    for dc, datacenter in admin.datacenters.datacenters.items():
        if namespace(target) in (datacenter.operator_namespace, *datacenter.monitoring_namespaces):
            raise UsageError(
                f"{target}: the namespace {namespace(target)} belongs to the platform",
                where=f"{admin.folder}/datacenters.yaml: datacenters.{dc}",
                next_step="give the client another code",
            )


def read_user_file(root: Path, ins: str, environment: Environment, cache: ConfigCache) -> Document:
    """Read a client's file. Raise UsageError if the client has no folder for the environment."""
    draft = cache.drafts.get(user_file_name(root, ins, environment))
    document = read_user_document(users_of(root), ins, environment, cache.users_folder(root), draft)
    if document is None:
        raise missing_user_file(root, ins, environment)
    return document


def offer_to(admin: AdminEnvironment, ins: str) -> Offer:
    """Return what the platform team offers a client, as far as its files can be read."""
    images, plugins = (
        admin.part("postgresql", "imageCatalog", "images"),
        admin.part("plugins", "availablePlugins"),
    )
    majors, names = _each(images, "major", int), _each(plugins, "name", str)
    parameters = admin.part("postgresql", "userParameters")
    user = admin.part("postgresql", "pgadminUser", "name")
    client = (
        validate_part(Client, admin.part("clients", "clients", ins))
        if admin.issues
        else admin.clients.clients[ins]
    )
    allow = client.allow if client else validate_part(Allow, admin.part("clients", "clients", ins, "allow"))
    return Offer(
        majors=majors,
        plugins=names,
        parameters=_only(parameters, str) if parameters is not None or admin.issues else [],
        pgadmin_user=user if isinstance(user, str) else "pgadmin_readonly",
        allow=allow or Allow(),
    )


def _each(entries: Any, key: str, kind: type[Value]) -> list[Value] | None:
    """Return what each map of a list holds at a key, or None if it is no list."""
    maps = _only(entries, dict)
    return None if maps is None else _only([entry.get(key) for entry in maps], kind)


def _only(values: Any, kind: type[Value]) -> list[Value] | None:
    """Return the values of one type in a list, or None if it is no list."""
    return [value for value in values if isinstance(value, kind)] if isinstance(values, list) else None


class Origins(Mapping[str, Origin]):
    """Where each leaf came from, found out at the first question: most commands never ask."""

    def __init__(self, find: Callable[[], dict[str, Origin]]) -> None:
        self._find = find
        self._found: dict[str, Origin] | None = None

    def _all(self) -> dict[str, Origin]:
        if self._found is None:
            self._found = self._find()
        return self._found

    def __getitem__(self, path: str) -> Origin:
        return self._all()[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


def origins_of(document: Document, admin: AdminEnvironment, target: Target) -> dict[str, Origin]:
    """Return the origin of each leaf of the merged tree, of `client`, and of datacenters.yaml."""
    layers = [_layer(document), *(_layer(admin.documents[name]) for name in MERGED_FILES)]
    client = admin.documents["clients"]
    place = ("clients", target.ins)
    below = Layer(
        {"client": admin.part("clients", *place)}, client.file, lambda path: client.line((*place, *path[1:]))
    )
    origins = trace(layers) | trace([below]) | trace([_layer(admin.documents["datacenters"])])
    if "ldap" in admin.documents:
        origins |= trace([_layer(admin.documents["ldap"])])
    own = (document.data or {}).get("plugins", [])
    if all(plugin["name"] != BARMAN_PLUGIN for plugin in own):
        offered = admin.documents["plugins"]
        index = (_each(admin.part("plugins", "availablePlugins"), "name", str) or []).index(BARMAN_PLUGIN)
        line = offered.line(("availablePlugins", index, "name"))
        origins.pop("plugins", None)
        origins[f"plugins.{len(own)}.name"] = Origin(offered.file, line, BARMAN_PLUGIN)
    return origins


def _layer(document: Document) -> Layer:
    return Layer(document.data or {}, document.file, document.line)

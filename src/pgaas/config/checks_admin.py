"""What has to fit together within and between the platform team's files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from pgaas.config.checks_dns import check_dns
from pgaas.config.checks_stores import check_directory, check_stores
from pgaas.config.environments import (
    CLIENT_CODE,
    RESERVED,
    RESERVED_CODES,
    SHARED_ENVIRONMENT,
    code_problem,
    datacenter_problem,
    known,
    nearest,
    resolve_environment,
    target_problem,
)
from pgaas.config.identifiers import (
    PREDEFINED_ROLES,
    RESERVED_ROLES,
    SAFE_PARENT_ROLES,
    identifier_problem,
    role_problem,
)
from pgaas.config.load import Document
from pgaas.config.models.clients import Client, ClientsFile
from pgaas.config.models.datacenters import DatacentersFile
from pgaas.config.models.plugins import BARMAN_PLUGIN, PluginsFile
from pgaas.config.models.postgresql import PostgresqlFile, ResourceAmounts, Resources
from pgaas.config.models.types import duration_seconds, image_major, quantity_value
from pgaas.config.naming import Target, cluster_name
from pgaas.config.parameters import parameter_problem
from pgaas.config.validate import validate_part
from pgaas.errors import ConfigIssue, UsageError

# A path within a file, and what is wrong there.
Finding = tuple[tuple[str | int, ...], str]
PRIMARY_SERVICE = "primary"
# cert-manager takes no less.
SHORTEST_DURATION = 3600
SHORTEST_RENEWAL = 300


def check_admin(
    team_env: str, documents: Mapping[str, Document], models: Mapping[str, BaseModel]
) -> list[ConfigIssue]:
    """Return every issue that a single field does not show.

    A file that has issues of its own is checked as far as it can be read.
    """
    issues: list[ConfigIssue] = []

    def report(name: str, findings: Iterator[Finding]) -> None:
        issues.extend(documents[name].issue(path, message) for path, message in findings)

    postgresql, datacenters, plugins = (
        models.get("postgresql"),
        models.get("datacenters"),
        models.get("plugins"),
    )
    if isinstance(postgresql, PostgresqlFile):
        report("postgresql", _check_postgresql(postgresql, team_env))
    if isinstance(datacenters, DatacentersFile):
        report("datacenters", _check_datacenters(datacenters))
    if isinstance(plugins, PluginsFile):
        report("plugins", _check_plugins(plugins))
    if isinstance(ldap := models.get("ldap"), BaseModel):
        report("ldap", _check_ldap(ldap))
    if isinstance(postgresql, PostgresqlFile) and isinstance(
        observability := models.get("observability"), BaseModel
    ):
        report("observability", _check_observability(observability, postgresql))
    clients = models.get("clients")
    seaweedfs, openldap = models.get("seaweedfs"), models.get("openldap")
    if team_env == "local" and openldap is not None:
        report("openldap", check_directory(openldap))
    if team_env == "local" and isinstance(clients, ClientsFile):
        report("clients", check_stores(clients, seaweedfs, openldap))
    profiles = _keys(documents["postgresql"], "storageProfiles")
    places = _keys(documents["datacenters"], "datacenters")
    for ins, client in _clients(documents["clients"], clients):
        report("clients", _check_client(ins, client, team_env, profiles, places))
    return issues


def _keys(document: Document, key: str) -> list[str] | None:
    """Return the keys of a file's map, or None if there is none."""
    found = (document.data or {}).get(key)
    return list(found) if isinstance(found, dict) else None


def _clients(document: Document, model: BaseModel | None) -> Iterator[tuple[str, Client | None]]:
    if isinstance(model, ClientsFile):
        yield from model.clients.items()
        return
    raw = (document.data or {}).get("clients")
    for ins, value in (raw if isinstance(raw, dict) else {}).items():
        yield ins, validate_part(Client, value)


def _check_postgresql(file: PostgresqlFile, team_env: str) -> Iterator[Finding]:
    seen: set[int] = set()
    for index, entry in enumerate(file.image_catalog.images):
        place = ("imageCatalog", "images", index)
        if entry.major in seen:
            yield (*place, "major"), f"{entry.major} is there twice"
        seen.add(entry.major)
        if image_major(entry.image) != entry.major:
            yield (*place, "image"), f"its tag is of version {image_major(entry.image)}, not {entry.major}"
    for name, profile in file.storage_profiles.items():
        yield from _check_resources(("storageProfiles", name, "resources"), profile.resources)
        yield from _check_resources(
            ("storageProfiles", name, "sidecar", "resources"), profile.sidecar.resources
        )
    if file.pgadmin is not None:
        yield from _check_resources(("pgadmin", "resources"), file.pgadmin.resources)
    yield from _check_certificates(file)
    user = file.pgadmin_user
    if problem := identifier_problem(user.name) or (
        "" if user.name in RESERVED_ROLES else role_problem(user.name)
    ):
        yield ("pgadminUser", "name"), problem
    elif user.name in RESERVED_ROLES and user.name != "pgadmin_readonly":
        yield ("pgadminUser", "name"), role_problem(user.name)
    for index, role in enumerate(user.roles):
        if role not in SAFE_PARENT_ROLES:
            yield ("pgadminUser", "roles", index), f"{role!r} is not one of {', '.join(SAFE_PARENT_ROLES)}"
    if team_env != "local" and not file.monitoring.tls:
        yield ("monitoring", "tls"), "may be false in local only"
    for name, value in file.postgresql.parameters.items():
        if problem := parameter_problem(name, value):
            yield ("postgresql", "parameters", name), problem
    connections = file.postgresql.parameters.get("max_connections", "100")
    if not parameter_problem("max_connections", connections) and not 10 <= int(connections[:9]) <= 262143:
        yield (
            ("postgresql", "parameters", "max_connections"),
            f"{connections!r} is not a number from 10 to 262143",
        )
    yield from _duplicates(("userParameters",), file.user_parameters)


def _check_resources(place: tuple[str | int, ...], resources: Resources) -> Iterator[Finding]:
    for name in ResourceAmounts.model_fields:
        request, limit = getattr(resources.requests, name), getattr(resources.limits, name)
        if request and limit and quantity_value(request) > quantity_value(limit):
            yield (*place, "requests", name), f"{request} is more than the limit {limit}"


def _check_certificates(file: PostgresqlFile) -> Iterator[Finding]:
    times = file.certificates
    duration, renewal = duration_seconds(times.duration), duration_seconds(times.renew_before)
    if duration < SHORTEST_DURATION:
        yield ("certificates", "duration"), f"{times.duration} is less than the 1h that cert-manager takes"
    if renewal < SHORTEST_RENEWAL:
        yield (
            ("certificates", "renewBefore"),
            f"{times.renew_before} is less than the 5m that cert-manager takes",
        )
    if renewal >= duration:
        yield (
            ("certificates", "renewBefore"),
            f"{times.renew_before} must be shorter than duration {times.duration}",
        )
    if duration_seconds(times.ca_duration) < 2 * duration:
        yield (
            ("certificates", "caDuration"),
            f"{times.ca_duration} must be at least twice duration {times.duration}",
        )


def _check_datacenters(file: DatacentersFile) -> Iterator[Finding]:
    yield from check_dns(file.dns)
    prefixes = {file.dns.primary_prefix: "dns.primaryPrefix"}
    for name, datacenter in file.datacenters.items():
        if problem := datacenter_problem(name):
            yield ("datacenters", name), problem
        elif name == PRIMARY_SERVICE:
            yield ("datacenters", name), f"{name!r} is what pgAdmin calls the datacenter that takes writes"
        prefix = datacenter.dns.ro_prefix
        if prefix in prefixes:
            yield ("datacenters", name, "dns", "roPrefix"), f"{prefix!r} is taken by {prefixes[prefix]}"
        prefixes[prefix] = f"datacenters.{name}.dns.roPrefix"
    for name in file.datacenters if file.dns.provider == "coredns" else ():
        if name in prefixes:
            yield ("datacenters", name), f"{name!r} begins a name of its own, and is {prefixes[name]} too"


def _check_plugins(file: PluginsFile) -> Iterator[Finding]:
    names = [plugin.name for plugin in file.available_plugins]
    if BARMAN_PLUGIN not in names:
        yield ("availablePlugins",), f"must offer {BARMAN_PLUGIN}: every cluster archives through it"
    yield from _duplicates(("availablePlugins",), names, "name")


def _check_ldap(file: BaseModel) -> Iterator[Finding]:
    # Read by name, as below: local has no such file.
    ldap = file.model_dump()["ldap"]
    if not ldap["server_uri"].startswith("ldaps://"):
        yield (
            ("ldap", "serverUri"),
            "must begin with ldaps://: everybody's password would cross the network as it is, "
            "and caConfigMap would be of no use",
        )
    if CLIENT_CODE not in ldap["search_filter"] and not ldap["any_user"]:
        yield (
            ("ldap", "searchFilter"),
            f"must hold {CLIENT_CODE}, the client's code, or everybody in the directory could read every "
            "client's data; if that is what you want, say anyUser: true",
        )


def _check_observability(file: BaseModel, postgresql: PostgresqlFile) -> Iterator[Finding]:
    # Read by name, so that only local, which has this file, loads its model.
    tls = file.model_dump()["observability"]["otel_collector"]["scrape"]["tls"]
    if tls != postgresql.monitoring.tls:
        yield (
            ("observability", "otelCollector", "scrape", "tls"),
            "must be what monitoring.tls in postgresql.yaml is",
        )


def _check_client(
    ins: str, client: Client | None, team_env: str, profiles: list[str] | None, places: list[str] | None
) -> Iterator[Finding]:
    place = ("clients", ins)
    if problem := code_problem(ins):
        yield place, problem
    elif ins in RESERVED_CODES:
        yield place, f"{ins!r} {RESERVED}"
    if client is None:
        return
    for path, message in _check_places(ins, client, team_env, places):
        yield (*place, *path), message
    if profiles is not None and client.storage_profile not in profiles:
        name = client.storage_profile
        yield (
            (*place, "storageProfile"),
            f"{name!r} is not in postgresql.yaml ({known(profiles)}){nearest(name, profiles)}",
        )
    for path, message in _check_credentials(client, team_env):
        yield (*place, *path), message
    for index, role in enumerate(client.allow.in_roles):
        if role not in PREDEFINED_ROLES:
            names = list(PREDEFINED_ROLES)
            yield (
                (*place, "allow", "inRoles", index),
                f"{role!r} is not a predefined role ({known(names)}){nearest(role, names)}",
            )


def _check_places(ins: str, client: Client, team_env: str, places: list[str] | None) -> Iterator[Finding]:
    own = client.datacenters
    yield from _duplicates(("datacenters",), own)
    for index, name in enumerate(own):
        if places is not None and name not in places:
            yield (
                ("datacenters", index),
                f"{name!r} is not in datacenters.yaml ({known(places)}){nearest(name, places)}",
            )
        elif (
            team_env != SHARED_ENVIRONMENT
            and not code_problem(ins)
            and ins not in RESERVED_CODES
            and (problem := target_problem(Target(ins, team_env, name)))
        ):
            yield ("datacenters", index), problem
    for key, chosen in (
        ("primaryDatacenter", client.primary_datacenter), ("originDatacenter", client.origin_datacenter),
    ):  # fmt: skip
        if chosen is not None and chosen not in own:
            yield (key,), _not_own(chosen, own)
    if client.replication.enabled and len(set(own)) < 2:
        yield ("replication", "enabled"), "needs two datacenters, and the client has one"
    elif client.replication.enabled and team_env == SHARED_ENVIRONMENT:
        yield (
            ("replication", "enabled"),
            f"can't be true in {team_env}: its sub-environments share this entry, and each has a primary",
        )
    yield from _check_lives(ins, client, team_env)


def _check_lives(ins: str, client: Client, team_env: str) -> Iterator[Finding]:
    """Check what promotions and rebuilds write about each cluster's life."""
    own = client.datacenters
    for key, names in (
        ("archiveGenerations", client.archive_generations), ("recoveredFrom", client.recovered_from),
    ):  # fmt: skip
        for name in names:
            if not _is_cluster_of(name, ins, own, team_env):
                yield (key, name), f"is not a cluster of {ins}: they are called ENV-{ins}-DATACENTER"
    for name, source in client.recovered_from.items():
        if source not in own:
            yield ("recoveredFrom", name), _not_own(source, own)
        elif name == cluster_name(Target(ins, name.partition("-")[0], source)):
            yield (
                ("recoveredFrom", name),
                f"{source!r} is its own datacenter: no cluster is recovered from itself",
            )
    yield from _duplicates(("lostDatacenters",), client.lost_datacenters)
    for index, name in enumerate(client.lost_datacenters):
        if name not in own:
            yield ("lostDatacenters", index), _not_own(name, own)
        elif name == client.primary:
            yield ("lostDatacenters", index), f"{name!r} is the primary: a lost datacenter can't be"


def _not_own(name: str, own: list[str]) -> str:
    return f"{name!r} is not one of the client's datacenters ({known(own)}){nearest(name, own)}"


def _is_cluster_of(name: str, ins: str, own: list[str], team_env: str) -> bool:
    env = name.partition("-")[0]
    try:
        fits = resolve_environment(env).team_env == team_env
    except UsageError:
        return False
    return fits and any(name == cluster_name(Target(ins, env, dc)) for dc in own)


def _check_credentials(client: Client, team_env: str) -> Iterator[Finding]:
    s3, place = client.s3_credentials, "s3Credentials"
    inline = [
        key
        for key, value in (("accessKey", s3.access_key), ("secretKey", s3.secret_key))
        if value is not None
    ]
    if inline and team_env != "local":
        for key in inline:
            yield (
                (place, key),
                "may stand in a file of local only: put the keys into a Secret, and name it as secretName",
            )
    elif inline and s3.secret_name is not None:
        yield (place,), "takes secretName, or accessKey and secretKey, not both"
    elif len(inline) == 1:
        yield (place,), "needs both accessKey and secretKey"
    if not inline and s3.secret_name is None:
        yield (place,), "needs secretName" + (", or accessKey and secretKey" if team_env == "local" else "")
    ldap, place = client.ldap_credentials, "ldapCredentials"
    if ldap is None:
        return
    if ldap.bind_password is not None and team_env != "local":
        yield (
            (place, "bindPassword"),
            "may stand in a file of local only: put it into a Secret, and name it as bindPasswordSecret",
        )
    elif ldap.bind_password is not None and ldap.bind_password_secret is not None:
        yield (place,), "takes bindPasswordSecret or bindPassword, not both"
    if ldap.bind_password is None and ldap.bind_password_secret is None:
        yield (place,), "needs bindPasswordSecret" + (", or bindPassword" if team_env == "local" else "")


def _duplicates(place: tuple[str | int, ...], names: list[Any], key: str = "") -> Iterator[Finding]:
    for index, name in enumerate(names):
        if name in names[:index]:
            yield (*place, index, *([key] if key else [])), f"{name!r} is there twice"

"""What --ins, --env and --dc can be completed with: read from confs/, quickly, and never an error."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

FIXED = ("local", "perf", "pprod", "prod")


def clients(given: Mapping[str, Any], incomplete: str) -> list[str]:
    """Return the clients that have a folder below confs/users, for the environment if one is given."""
    users = _users(given)
    if users is None:
        return []
    env = given.get("env")
    return _matching(
        (ins for ins in _folders(users) if not env or env in _environments_of(users, ins)), incomplete
    )


def environments(given: Mapping[str, Any], incomplete: str) -> list[str]:
    """Return the environments of the client given, or of all clients."""
    users = _users(given)
    if users is None:
        return []
    names = _clients_given(given) or _folders(users)
    return _matching((env for ins in names for env in _environments_of(users, ins)), incomplete)


def datacenters(given: Mapping[str, Any], incomplete: str) -> list[str]:
    """Return the datacenters of the client given, or all of the environment's."""
    root = _root(given)
    env = given.get("env")
    if root is None or not env:
        return []
    folder = root / "confs" / "admin" / (env if env in FIXED else "hp")
    clients = _mapping(_yaml(folder / "clients.yaml"), "clients")
    lists = [_mapping(clients, ins).get("datacenters") for ins in _clients_given(given)]
    names = [name for each in lists if isinstance(each, list) for name in each]
    if not names:
        names = list(_mapping(_yaml(folder / "datacenters.yaml"), "datacenters"))
    return _matching((str(name) for name in names), incomplete)


def registered(given: Mapping[str, Any], incomplete: str) -> list[str]:
    """Return the clients of clients.yaml, for the environment if one is given, and those with a folder."""
    root = _root(given)
    if root is None:
        return []
    env = given.get("env")
    names = [_team(env)] if env else _folders(root / "confs" / "admin")
    files = [_yaml(root / "confs" / "admin" / name / "clients.yaml") for name in names]
    own = [str(ins) for file in files for ins in _mapping(file, "clients")]
    return sorted(set(_matching(own, incomplete)) | set(clients(given, incomplete)))


def profiles(given: Mapping[str, Any], incomplete: str) -> list[str]:
    """Return the sizes that an environment offers, or any does."""
    root = _root(given)
    if root is None:
        return []
    env = given.get("env")
    names = [_team(env)] if env else _folders(root / "confs" / "admin")
    files = [_yaml(root / "confs" / "admin" / name / "postgresql.yaml") for name in names]
    return _matching((str(name) for file in files for name in _mapping(file, "storageProfiles")), incomplete)


def places(given: Mapping[str, Any], incomplete: str) -> list[str]:
    """Return the environment's datacenters, whoever is in them."""
    return datacenters({**given, "ins": None, "dc": None}, incomplete)


def new_environments(given: Mapping[str, Any], incomplete: str) -> list[str]:
    """Return the fixed environments, and the sub-environments that any client has."""
    return _matching([*FIXED, *environments({**given, "ins": None}, "")], incomplete)


def _team(env: object) -> str:
    return str(env) if env in FIXED else "hp"


def _clients_given(given: Mapping[str, Any]) -> list[str]:
    """Return the clients named so far: one, or several where a command takes several."""
    ins = given.get("ins") or ()
    words = [ins] if isinstance(ins, str) else ins
    return [name for word in words for name in str(word).split(",") if name]


def roles(given: Mapping[str, Any], incomplete: str) -> list[str]:
    """Return the roles of the client given that may log in, and the one that reads everything."""
    found = [
        str(role["name"])
        for role in _entries(_user_file(given), "roles")
        if role.get("ensure", "present") == "present" and role.get("login", True) is True and "name" in role
    ]
    return _matching([*found, *_readers(given)], incomplete)


def databases(given: Mapping[str, Any], incomplete: str) -> list[str]:
    """Return the databases of the client given, or those that the role given may connect to."""
    content, role = _user_file(given), given.get("role")
    listed = {
        str(name)
        for each in _entries(content, "roles")
        if each.get("name") == role and isinstance(each.get("databases"), list)
        for name in each["databases"]
    }
    everything = not role or role in _readers(given)
    found = [
        str(database["name"])
        for database in _entries(content, "databases")
        if "name" in database
        and (everything or database.get("owner") == role or str(database["name"]) in listed)
    ]
    return _matching(found, incomplete)


def _user_file(given: Mapping[str, Any]) -> Any:
    users, ins, env = _users(given), given.get("ins"), given.get("env")
    if users is None or not ins or not env:
        return None
    folder = users / str(ins) / (env if env in FIXED else f"hp/{env}")
    return _yaml(folder / "databases.yaml")


def _readers(given: Mapping[str, Any]) -> list[str]:
    root, env = _root(given), given.get("env")
    if root is None or not env:
        return []
    file = root / "confs" / "admin" / _team(env) / "postgresql.yaml"
    name = _mapping(_yaml(file), "pgadminUser").get("name")
    return [name] if isinstance(name, str) else []


def _entries(content: Any, key: str) -> list[dict[str, Any]]:
    found = content.get(key) if isinstance(content, dict) else None
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _root(given: Mapping[str, Any]) -> Path | None:
    """Return the folder given, or the nearest one upwards that looks like a root."""
    named = given.get("root") or os.environ.get("PGAAS_ROOT")
    if named:
        return Path(named)
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / "confs" / "users").is_dir()), None)


def _users(given: Mapping[str, Any]) -> Path | None:
    """Return the folder of all clients: the one given, or the root's own."""
    named = given.get("users") or os.environ.get("PGAAS_USERS")
    if named:
        return Path(named)
    root = _root(given)
    return None if root is None else root / "confs" / "users"


def _environments_of(users: Path, ins: str) -> list[str]:
    folder = users / ins
    return [name for name in FIXED if (folder / name).is_dir()] + _folders(folder / "hp")


def _folders(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.name[0] != "." and entry.is_dir())
    except OSError:
        return []


def _yaml(path: Path) -> Any:
    """Return a file's content, or nothing: a broken file is the command's to complain about."""
    import yaml

    try:
        return yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, yaml.YAMLError, ValueError, RecursionError):
        return None


def _mapping(value: Any, key: str) -> dict[str, Any]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _matching(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in dict.fromkeys(names) if name.startswith(incomplete)]

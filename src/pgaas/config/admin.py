"""The platform team's files of one environment, read, checked, and kept for all of its clients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from pgaas.config.checks_admin import check_admin
from pgaas.config.environments import ADMIN_FOLDER, known, nearest
from pgaas.config.load import Document, parse_document, read_document
from pgaas.config.merge import merge
from pgaas.config.models.backup import BackupFile
from pgaas.config.models.clients import ClientsFile
from pgaas.config.models.datacenters import DatacentersFile
from pgaas.config.models.plugins import PluginsFile
from pgaas.config.models.postgresql import PostgresqlFile
from pgaas.config.users import users_of
from pgaas.config.validate import validate
from pgaas.errors import ConfigError, ConfigIssue, UsageError

MERGED_FILES = ("postgresql", "backup", "plugins")
LOCAL_FILES = ("seaweedfs", "openldap")


@dataclass(frozen=True)
class AdminEnvironment:
    """One environment's files: all of their issues, and a model of each file that has none."""

    folder: str
    team_env: str
    documents: dict[str, Document]
    models: dict[str, BaseModel]
    issues: tuple[ConfigIssue, ...]

    def file(self, model: type[Any]) -> Any:
        """Return a file's model, such as `file(ClientsFile)`. Raise ConfigError if any has an issue."""
        if self.issues:
            raise ConfigError(list(self.issues))
        return next(found for found in self.models.values() if type(found) is model)

    @property
    def clients(self) -> ClientsFile:
        """Return clients.yaml. Raise ConfigError if any file of the environment has an issue."""
        found: ClientsFile = self.file(ClientsFile)
        return found

    @property
    def datacenters(self) -> DatacentersFile:
        """Return datacenters.yaml. Raise ConfigError if any file of the environment has an issue."""
        found: DatacentersFile = self.file(DatacentersFile)
        return found

    @cached_property
    def merged_tree(self) -> dict[str, Any]:
        """Return the files that lie over a client's own, as one tree."""
        tree: dict[str, Any] = {}
        for name in MERGED_FILES:
            tree = merge(tree, self.documents[name].data or {})
        return tree

    @cached_property
    def merged_fields(self) -> dict[str, Any]:
        """Return the fields of the same files' models."""
        return {
            name: getattr(self.models[file], name)
            for file in MERGED_FILES
            for name in type(self.models[file]).model_fields
        }

    def part(self, name: str, *keys: str) -> Any:
        """Return what a file holds at some keys even if it has issues, or None."""
        value: Any = self.documents[name].data if name in self.documents else None
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return value


class ConfigCache:
    """Keep each environment's files, so that a thousand clients read them once.

    `drafts` are contents that files are to have, by their path below the root: they are read in the place of
    what is on the disk.
    """

    def __init__(self, drafts: Mapping[str, bytes] | None = None) -> None:
        self.drafts = dict(drafts or {})
        self._environments: dict[tuple[Path, str], AdminEnvironment] = {}
        self._users: dict[Path, str] = {}

    def admin(self, root: Path, team_env: str) -> AdminEnvironment:
        """Return an environment's files, read at the first call."""
        key = (root, team_env)
        if key not in self._environments:
            self._environments[key] = load_admin(root, team_env, self.drafts)
        return self._environments[key]

    def users_folder(self, root: Path) -> str:
        """Return the real path of confs/users, or of what stands for it."""
        users = users_of(root)
        if users.folder not in self._users:
            self._users[users.folder] = users.real
        return self._users[users.folder]


def file_models(team_env: str) -> dict[str, type[BaseModel]]:
    """Return the files that an environment has, and the model of each."""
    models: dict[str, type[BaseModel]] = {
        "postgresql": PostgresqlFile,
        "clients": ClientsFile,
        "datacenters": DatacentersFile,
        "backup": BackupFile,
        "plugins": PluginsFile,
    }
    # Imported where they are needed: each model costs every start of the program a little.
    from pgaas.config.models.observability import ObservabilityFile

    models["observability"] = ObservabilityFile
    if team_env == "local":
        from pgaas.config.models.openldap import OpenldapFile
        from pgaas.config.models.seaweedfs import SeaweedfsFile

        models |= {"seaweedfs": SeaweedfsFile, "openldap": OpenldapFile}
    else:
        from pgaas.config.models.ldap import LdapFile

        models["ldap"] = LdapFile
    return models


def load_admin(root: Path, team_env: str, drafts: Mapping[str, bytes] | None = None) -> AdminEnvironment:
    """Read and check all files of an environment, or their drafts.

    Raise ConfigError only if its folder is not there.
    """
    folder = (ADMIN_FOLDER / team_env).as_posix()
    models = file_models(team_env)
    issues = _unknown_files(root / folder, folder, sorted(models), team_env)
    documents: dict[str, Document] = {}
    validated: dict[str, BaseModel] = {}
    for name, model in models.items():
        file = f"{folder}/{name}.yaml"
        draft = (drafts or {}).get(file)
        document = documents[name] = (
            read_document(root / file, root) if draft is None else parse_document(file, draft)
        )
        found, problems = validate(document, model)
        issues += problems
        if found is not None:
            validated[name] = found
    issues += check_admin(team_env, documents, validated)
    if (observability := validated.get("observability")) is not None:
        from pgaas.config.checks_observability import check_observability

        findings = check_observability(observability, team_env, validated.get("datacenters"))
        issues += [documents["observability"].issue(path, message) for path, message in findings]
    return AdminEnvironment(folder, team_env, documents, validated, tuple(issues))


def _unknown_files(path: Path, folder: str, names: list[str], team_env: str) -> list[ConfigIssue]:
    try:
        entries = sorted(entry.name for entry in path.iterdir())
    except OSError as error:
        raise ConfigError(
            [ConfigIssue(folder, 0, "", f"can't be read: {error.strerror}")],
            next_step=f"the files of {team_env} belong there: {', '.join(f'{name}.yaml' for name in names)}",
        ) from None
    issues = []
    for entry in entries:
        stem, _, ending = entry.rpartition(".")
        if ending not in ("yaml", "yml") or entry.startswith(".") or (stem in names and ending == "yaml"):
            continue
        if stem in names:
            message = f"is not read: call it {stem}.yaml"
        elif stem in LOCAL_FILES or stem == "ldap":
            message = f"is not a file of {team_env}"
        else:
            message = (
                f"is not a file of the configuration{nearest(entry, [f'{name}.yaml' for name in names])}"
            )
        issues.append(ConfigIssue(f"{folder}/{entry}", 0, "", message))
    return issues


def check_known(admin: AdminEnvironment, ins: str, dc: str | None = None) -> None:
    """Raise UsageError if the environment has no such client, or the client no such datacenter.

    Files that have issues can't tell: then those are what to report.
    """
    if admin.issues:
        return
    clients = admin.clients.clients
    file = f"{admin.folder}/clients.yaml"
    if ins not in clients:
        raise UsageError(
            f"unknown client {ins!r} in {admin.team_env}{nearest(ins, list(clients))}",
            where=file,
            next_step=f"register it there, or name one of its clients ({known(list(clients))})",
        )
    names = clients[ins].datacenters
    if dc is None or dc in names:
        return
    raise UsageError(
        f"{ins} has no datacenter {dc!r} in {admin.team_env}{nearest(dc, names)}",
        where=f"{file}:{admin.documents['clients'].line(('clients', ins, 'datacenters'))}",
        next_step=f"name one of its datacenters ({known(names)})",
    )

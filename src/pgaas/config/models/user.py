"""confs/users/INS/ENV/databases.yaml: what a client decides for itself."""

from typing import Annotated, Literal

from pydantic import Field

from pgaas.config.identifiers import database_problem, role_problem
from pgaas.config.models.base import Check, FileModel
from pgaas.config.models.types import DnsName, Line
from pgaas.config.parameters import ParameterName, ParameterValue


def check_role_name(name: str) -> str:
    """Return a role's name. Raise ValueError if it is reserved, or can't be written wherever it must."""
    if problem := role_problem(name):
        raise ValueError(problem)
    return name


def check_database_name(name: str) -> str:
    """Return a database's name. Raise ValueError if it is reserved, or can't be written wherever it must."""
    if problem := database_problem(name):
        raise ValueError(problem)
    return name


RoleName = Annotated[str, Check(check_role_name)]
DatabaseName = Annotated[str, Check(check_database_name)]


class UserPostgresql(FileModel):
    """The version, and the parameters that the platform team leaves to clients."""

    major_version: int
    parameters: dict[ParameterName, ParameterValue] = Field(default={})


class UserPlugin(FileModel):
    """A plugin that plugins.yaml offers."""

    name: DnsName


class UserDatabase(FileModel):
    """A database; `cn_pattern` is the common name of its owner's certificate."""

    name: DatabaseName
    owner: Line
    cn_pattern: str | None = None


class UserRole(FileModel):
    """A role; `databases` are those it may log in to besides those it owns."""

    name: RoleName
    ensure: Literal["present", "absent"] = "present"
    login: bool = True
    superuser: bool = False
    createdb: bool = False
    createrole: bool = False
    replication: bool = False
    bypassrls: bool = False
    inherit: bool = True
    connection_limit: Annotated[int, Field(ge=-1, le=262143)] = -1
    in_roles: list[Line] = Field(default=[])
    databases: list[Line] = Field(default=[])


class UserFile(FileModel):
    """The whole file: only these four keys."""

    postgresql: UserPostgresql
    plugins: list[UserPlugin] = Field(default=[])
    databases: list[UserDatabase] = Field(default=[])
    roles: list[UserRole] = Field(default=[])

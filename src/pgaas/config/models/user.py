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
    """The PostgreSQL version, such as 17; the platform team's catalog says which there are."""
    parameters: dict[ParameterName, ParameterValue] = Field(default={})
    """PostgreSQL parameters, such as work_mem: 16MB. Only those that the platform team leaves to clients; a
    value that it sets itself wins.
    """


class UserPlugin(FileModel):
    """A plugin that plugins.yaml offers."""

    name: DnsName
    """The plugin's name, such as barman-cloud.cloudnative-pg.io, which every cluster has anyway."""


class UserDatabase(FileModel):
    """A database; `cn_pattern` is the common name of its owner's certificate."""

    name: DatabaseName
    """The database's name: lower-case letters, digits, _ and -."""
    owner: Line
    """The role that owns it, and may log in to it. It must be in roles."""
    cn_pattern: str | None = None
    """The common name of the owner's certificate. It must end in .INS.ENV; by default it is OWNER.INS.ENV."""


class UserRole(FileModel):
    """A role; `databases` are those it may log in to besides those it owns."""

    name: RoleName
    """The role's name: lower-case letters, digits, _ and -."""
    ensure: Literal["present", "absent"] = "present"
    """absent removes the role from the cluster."""
    login: bool = True
    """Whether the role may log in, with a certificate. There are no passwords."""
    superuser: bool = False
    """Whether the role passes by all checks. Only if the platform team allows it."""
    createdb: bool = False
    """Whether the role may make databases."""
    createrole: bool = False
    """Whether the role may make other roles. Only if the platform team allows it."""
    replication: bool = False
    """Whether the role may stream the WAL. Only if the platform team allows it."""
    bypassrls: bool = False
    """Whether the role passes by row level security. Only if the platform team allows it."""
    inherit: bool = True
    """Whether the role has the rights of the roles that it is a member of without SET ROLE."""
    connection_limit: Annotated[int, Field(ge=-1, le=262143)] = -1
    """How many connections the role may have at a time; -1 is any number."""
    in_roles: list[Line] = Field(default=[])
    """The roles that it is a member of: others of this file, or PostgreSQL's own such as pg_read_all_data."""
    databases: list[Line] = Field(default=[])
    """The databases it may log in to besides those that it owns."""


class UserFile(FileModel):
    """The whole file: only these four keys."""

    postgresql: UserPostgresql
    """The version, and parameters."""
    plugins: list[UserPlugin] = Field(default=[])
    """The CloudNativePG plugins that the cluster uses, of those that the platform team offers."""
    databases: list[UserDatabase] = Field(default=[])
    """The databases. One that is taken out of this list is kept in the cluster, and looked after no more."""
    roles: list[UserRole] = Field(default=[])
    """The roles."""

"""A client's databases.yaml under the platform team's postgresql.yaml, backup.yaml and plugins.yaml."""

from pydantic import Field

from pgaas.config.models.backup import BackupFile
from pgaas.config.models.plugins import PluginsFile
from pgaas.config.models.postgresql import PostgresqlFile, PostgresqlSettings
from pgaas.config.models.user import UserDatabase, UserPlugin, UserRole


class MergedPostgresql(PostgresqlSettings):
    """Both sides' settings; where both set a parameter, the platform team's value stands here."""

    major_version: int


class MergedConfig(PostgresqlFile, BackupFile, PluginsFile):
    """One tree; `plugins` always holds the Barman Cloud plugin."""

    postgresql: MergedPostgresql
    plugins: list[UserPlugin] = Field(default=[])
    databases: list[UserDatabase] = Field(default=[])
    roles: list[UserRole] = Field(default=[])

"""confs/admin/ENV/plugins.yaml: the CloudNativePG plugins that clients may choose."""

from pydantic import Field

from pgaas.config.models.base import FileModel
from pgaas.config.models.types import DnsName, Text

# Every cluster has it: backups and replication need it, and a live cluster is hard to add it to.
BARMAN_PLUGIN = "barman-cloud.cloudnative-pg.io"


class AvailablePlugin(FileModel):
    """A plugin that is installed in the environment's datacenters."""

    name: DnsName
    """The plugin's name, as CloudNativePG knows it."""
    description: Text = ""
    """What it is for."""


class PluginsFile(FileModel):
    """The whole file."""

    available_plugins: list[AvailablePlugin] = Field(default=[])
    """The plugins that clients may choose."""

"""What the configuration says about one target, once every file has been read, checked and merged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pgaas.config.models.clients import Client
from pgaas.config.models.datacenters import DatacentersFile
from pgaas.config.models.merged import MergedConfig
from pgaas.config.naming import Target


class Origin(NamedTuple):
    """Where a leaf of the configuration came from; `overrode` are the values that lost, lowest first."""

    file: str
    line: int
    value: Any
    overrode: tuple[Origin, ...] = ()


class Directory(NamedTuple):
    """Where pgAdmin looks people up: the filter is this client's; `namespace` is set for the local one."""

    server_uri: str
    base_dn: str
    search_filter: str
    ca_config_map: str = ""
    namespace: str = ""


class Collector(NamedTuple):
    """The ServiceAccount of a datacenter's metrics collector."""

    namespace: str
    account: str


class ResolvedClient(NamedTuple):
    """One target's configuration.

    `merged` is the user's file under the admin's; `client` and `datacenters` are the admin's alone.
    `origins` maps each dotted path of the merged tree (and, as `client.…`, `dns.…`, `datacenters.…`, of
    those two) to where its value came from. `team_env` is the admin folder's name. `directory` is None where
    the client has no pgAdmin, `collector` where nobody may ask for metrics. `users_revision` is the commit of
    the clients' repository, empty if not asked.
    """

    root: Path
    target: Target
    team_env: str
    merged: MergedConfig
    client: Client
    datacenters: DatacentersFile
    origins: Mapping[str, Origin]
    directory: Directory | None = None
    users_revision: str = ""
    collector: Collector | None = None

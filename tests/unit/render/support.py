"""A client made by hand, so that each test can say what is special about its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pgaas.config.merge import merge
from pgaas.config.models.clients import Client
from pgaas.config.models.datacenters import DatacentersFile
from pgaas.config.models.merged import MergedConfig
from pgaas.config.naming import Target
from pgaas.config.resolved import Directory, ResolvedClient
from pgaas.render.build import build_values
from pgaas.render.values import GeneratedValues

Tree = dict[str, Any]


def _resources(memory: str) -> Tree:
    return {"requests": {"cpu": "100m", "memory": memory}, "limits": {"memory": memory}}


MERGED: Tree = {
    "postgresql": {
        "instances": 2,
        "storage": {"storageClass": "ceph-rbd"},
        "parameters": {"max_connections": "200", "archive_timeout": "5min"},
        "majorVersion": 17,
    },
    "storageProfiles": {
        "S": {
            "storage": {"size": "5Gi"},
            "resources": _resources("256Mi"),
            "sidecar": {"resources": _resources("512Mi")},
        },
    },
    "imageCatalog": {
        "name": "pgaas-images",
        "images": [
            {"major": 16, "image": "ghcr.io/cloudnative-pg/postgresql:16.11-standard-trixie"},
            {"major": 17, "image": "ghcr.io/cloudnative-pg/postgresql:17.7-standard-trixie"},
        ],
    },
    "pgadmin": {"image": "docker.io/dpage/pgadmin4:9.18", "resources": _resources("256Mi")},
    "backup": {"schedule": "0 0 1 * * *", "retentionPolicy": "14d"},
    "plugins": [{"name": "barman-cloud.cloudnative-pg.io"}],
    "databases": [{"name": "app_db", "owner": "app_user"}],
    "roles": [{"name": "app_user"}],
}
CLIENT: Tree = {
    "datacenters": ["dc1", "dc2"],
    "s3Bucket": "ic1-backups",
    "storageProfile": "S",
    "s3Credentials": {"secretName": "ic1-s3-credentials"},
    "ldapCredentials": {"bindDn": "cn=pgadmin-ic1,dc=example,dc=com", "bindPasswordSecret": "ic1-ldap"},
}
DIRECTORY = Directory("ldaps://ldap.example.com", "ou=people,dc=example,dc=com", "(memberOf=cn=pgaas-ic1)")


def datacenters(*names: str) -> Tree:
    """Return a datacenters.yaml."""
    return {
        "dns": {"zone": "example.com", "endpoint": True, "provider": "coredns"},
        "datacenters": {
            name: {
                "dnsSuffix": f"{name}.example.com",
                "dns": {"roPrefix": f"ro-{name}"},
                "s3": {"endpoint": f"https://s3.{name}.example.com", "region": f"region-{name}"},
                "monitoringNamespaces": ["monitoring"],
            }
            for name in names
        },
    }


def resolved(
    *,
    env: str = "prod",
    team_env: str = "prod",
    dc: str = "dc1",
    merged: Tree | None = None,
    client: Tree | None = None,
    places: Tree | None = None,
    directory: Directory | None = DIRECTORY,
) -> ResolvedClient:
    """Return client ic1, with what a test wants otherwise laid over it."""
    return ResolvedClient(
        root=Path("/nowhere"),
        target=Target("ic1", env, dc),
        team_env=team_env,
        merged=MergedConfig.model_validate(merge(MERGED, merged or {})),
        client=Client.model_validate(merge(CLIENT, client or {})),
        datacenters=DatacentersFile.model_validate(merge(datacenters("dc1", "dc2", "dc3"), places or {})),
        origins={},
        directory=directory,
    )


def built(**special: Any) -> GeneratedValues:
    """Return the values of such a client."""
    return build_values(resolved(**special))

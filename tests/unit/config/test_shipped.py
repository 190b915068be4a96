from __future__ import annotations

import pytest
from tests.unit.config.support import REPOSITORY, Confs

from pgaas.config.admin import ConfigCache, file_models
from pgaas.config.environments import TEAM_ENVIRONMENTS
from pgaas.config.models.merged import MergedConfig
from pgaas.config.naming import Target
from pgaas.config.resolve import resolve_client
from pgaas.config.targets import list_targets

TARGETS = [
    "ic1/dev1/dc1", "ic1/dev2/dc1", "ic1/local/local1", "ic1/local/local2", "ic1/perf/dc1", "ic1/pprod/dc1",
    "ic1/pprod/dc2", "ic1/prod/dc1", "ic1/prod/dc2", "is1/pic/dc1", "is1/staging/dc1",
]  # fmt: skip
SCALING = {  # instances, max_connections, retention, datacenters, ic1 replicates
    "local": (1, "50", "7d", ["local1", "local2"], True),
    "hp": (2, "200", "14d", ["dc1"], False),
    "perf": (2, "200", "14d", ["dc1"], False),
    "pprod": (3, "300", "30d", ["dc1", "dc2"], True),
    "prod": (3, "500", "90d", ["dc1", "dc2"], True),
}


def test_every_client_that_the_seed_shows_is_there() -> None:
    assert [str(target) for target in list_targets(REPOSITORY)] == TARGETS


@pytest.mark.parametrize("target", TARGETS)
def test_every_shipped_target_resolves(target: str) -> None:
    resolved = resolve_client(REPOSITORY, Target(*target.split("/")))
    dumped = resolved.merged.model_dump(by_alias=True)
    assert MergedConfig.model_validate(dumped) == resolved.merged
    assert resolved.client.storage_profile in resolved.merged.storage_profiles
    assert resolved.target.dc in resolved.datacenters.datacenters
    assert [plugin.name for plugin in resolved.merged.plugins] == ["barman-cloud.cloudnative-pg.io"]


@pytest.mark.parametrize("team_env", TEAM_ENVIRONMENTS)
def test_the_scaling_table(team_env: str) -> None:
    admin = ConfigCache().admin(REPOSITORY, team_env)
    assert admin.issues == ()
    instances, connections, retention, datacenters, replicates = SCALING[team_env]
    tree = admin.merged_tree
    assert tree["postgresql"]["instances"] == instances
    assert tree["postgresql"]["parameters"]["max_connections"] == connections
    assert tree["backup"]["retentionPolicy"] == retention
    assert list(admin.datacenters.datacenters) == datacenters
    assert admin.clients.clients["ic1"].datacenters == datacenters
    assert admin.clients.clients["ic1"].replication.enabled is replicates
    assert list(tree["storageProfiles"]) == ["S", "M", "L", "XXL"]
    assert [image["major"] for image in tree["imageCatalog"]["images"]] == [15, 16, 17, 18]
    assert tree["monitoring"]["tls"] is (team_env != "local")


@pytest.mark.parametrize("team_env", TEAM_ENVIRONMENTS)
def test_each_environment_holds_its_files_and_no_others(team_env: str) -> None:
    found = {path.stem for path in (REPOSITORY / "confs" / "admin" / team_env).iterdir()}
    assert found == set(file_models(team_env))


def test_local_runs_the_image_that_the_lab_serves() -> None:
    images = ConfigCache().admin(REPOSITORY, "local").merged_tree["imageCatalog"]["images"]
    assert {"major": 17, "image": "ghcr.io/cloudnative-pg/postgresql:17-standard-trixie"} in images
    assert resolve_client(REPOSITORY, Target("ic1", "local", "local1")).merged.postgresql.major_version == 17


def test_no_secret_stands_outside_local() -> None:
    for team_env in TEAM_ENVIRONMENTS[1:]:
        for client in ConfigCache().admin(REPOSITORY, team_env).clients.clients.values():
            assert client.s3_credentials.access_key is None
            assert client.s3_credentials.secret_name
            assert client.ldap_credentials is not None
            assert client.ldap_credentials.bind_password is None


def test_a_parameter_that_both_set_is_the_platform_teams(confs: Confs) -> None:
    confs.replace("confs/users/ic1/hp/dev1/databases.yaml", "work_mem: 16MB", "max_connections: 300")
    resolved = resolve_client(confs.root, Target("ic1", "dev1", "dc1"))
    assert resolved.merged.postgresql.parameters["max_connections"] == "200"
    origin = resolved.origins["postgresql.parameters.max_connections"]
    assert (origin.file, origin.line) == ("confs/admin/hp/postgresql.yaml", 7)
    assert [(lost.file, lost.line, lost.value) for lost in origin.overrode] == [
        ("confs/users/ic1/hp/dev1/databases.yaml", 5, 300)
    ]

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest
import yaml

from pgaas.errors import ConfigError
from pgaas.render.infra import infra_values, write_infra

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    shutil.copytree(REPOSITORY / "confs/admin/local", tmp_path / "confs/admin/local")
    clients = tmp_path / "confs/admin/local/clients.yaml"
    first = yaml.safe_load(clients.read_text())["clients"]["ic1"]
    own = {"s3Bucket": "is1-backups", "s3Credentials": {"secretName": "is1-s3"}, "ldapCredentials": None}
    text = yaml.safe_dump({"clients": {"ic1": first, "is1": {**first, **own}}})
    clients.write_text(text)
    return tmp_path


def test_each_client_has_one_user_in_the_directory_a_bucket_and_a_folder_of_dashboards(root: Path) -> None:
    values = infra_values(root)
    assert values["openldap"]["users"] == [
        {"cn": ins, "uid": ins, "sn": ins, "mail": f"mail@{ins}.local", "password": ins}
        for ins in ("ic1", "is1")
    ]
    # Who keeps a key in a Secret gets no identity and no bind user from here.
    assert values["openldap"]["services"] == [{"cn": "pgadmin-ic1", "password": "pgadmin-ic1"}]
    keys = {"accessKey": "ic1", "secretKey": "ic1-local-secret"}
    assert values["seaweedfs"]["clients"] == [
        {"name": "ic1", "bucket": "ic1-backups", **keys},
        {"name": "is1", "bucket": "is1-backups"},
    ]
    assert values["observability"]["clients"] == ["ic1", "is1"]


def test_the_admins_settings_come_along(root: Path) -> None:
    values = infra_values(root)
    assert values["seaweedfs"]["s3"] == {"accessKey": "admin", "secretKey": "admin123", "port": 8333}
    assert values["openldap"]["baseDn"] == "dc=pgaas,dc=local"
    assert values["observability"]["prometheus"]["retention"] == "15d"


def test_the_files_are_where_helmfile_looks_and_only_their_owner_reads_them(root: Path) -> None:
    paths = write_infra(root)
    assert paths == [
        root / f"confs/_generated/local-infra/{name}-values.yaml"
        for name in ("seaweedfs", "openldap", "observability", "local2/observability")
    ]
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}
    assert yaml.safe_load(paths[0].read_text()) == infra_values(root)["seaweedfs"]


def test_a_bad_file_is_an_issue_with_its_line(root: Path) -> None:
    path = root / "confs/admin/local/seaweedfs.yaml"
    path.write_text(path.read_text() + "surprise: 1\n")
    with pytest.raises(ConfigError) as caught:
        write_infra(root)
    assert [issue.file for issue in caught.value.issues] == ["confs/admin/local/seaweedfs.yaml"]
    assert not (root / "confs/_generated").exists()

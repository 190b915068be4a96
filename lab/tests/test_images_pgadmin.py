"""The lab's pgAdmin takes what the chart gives to upstream's."""

import re
from pathlib import Path

import pytest

from pgaas_lab import images_pgadmin, rootfs

REPOSITORY = Path(__file__).resolve().parents[2]
DEPLOYMENT = REPOSITORY / "charts/core/charts/pgadmin4/templates/deployment.yaml"
# What Python and libpq read by themselves, and what only the mail server of upstream's image is told.
READ_BY_OTHERS = {"PGSERVICEFILE", "PYTHONDONTWRITEBYTECODE", "HOME"}
UPSTREAMS_OWN = {"PGADMIN_DISABLE_POSTFIX", "PGADMIN_CONFIG_ALLOW_SPECIAL_EMAIL_DOMAINS"}


def test_every_variable_of_the_chart_is_read() -> None:
    given = set(re.findall(r"- name: ([A-Z_]+)\n", DEPLOYMENT.read_text()))
    script = images_pgadmin.ENTRYPOINT.read_text()
    assert given
    assert {name for name in given if name not in script} == READ_BY_OTHERS | UPSTREAMS_OWN


@pytest.mark.parametrize("file", ["/certs/server.cert", "/certs/server.key"])
def test_the_certificate_is_where_the_chart_mounts_it(file: str) -> None:
    folder, _, name = file.rpartition("/")
    assert file in images_pgadmin.ENTRYPOINT.read_text()
    chart = DEPLOYMENT.read_text()
    assert f"mountPath: {folder}\n" in chart
    assert f"path: {name}\n" in chart


def test_the_image_is_the_one_that_is_configured_and_its_package_is_pinned() -> None:
    configured = (REPOSITORY / "confs/admin/local/postgresql.yaml").read_text()
    assert f"image: {images_pgadmin.PGADMIN_IMAGE}\n" in configured
    release = images_pgadmin.PGADMIN_IMAGE.rpartition(":")[2]
    lines = images_pgadmin.REQUIREMENTS.read_text().splitlines()
    assert f"pgadmin4=={release}" in lines
    assert all(re.fullmatch(r"#.*|[a-z0-9-]+==[0-9a-z.]+", line) for line in lines)


def test_a_change_of_what_is_put_in_is_another_image(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = rootfs.recipe(images_pgadmin.tree())
    changed = tmp_path / "entrypoint.sh"
    changed.write_text(images_pgadmin.ENTRYPOINT.read_text() + "\n")
    monkeypatch.setattr(images_pgadmin, "ENTRYPOINT", changed)
    assert rootfs.recipe(images_pgadmin.tree()) != before

"""`pgaas infra …`: what it prints, asks, and how it exits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from tests.unit.kube.fakes import use_kubeconfig
from tests.unit.operations.infra_worlds import CONFIG, InfraWorld, charts_folder, connect, make_infra_world
from tests.unit.tools.fake_s3 import running


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    use_kubeconfig(tmp_path, monkeypatch, yaml.safe_dump(CONFIG))
    monkeypatch.delenv("PGAAS_CHARTS", raising=False)
    with running() as s3:
        world = make_infra_world(tmp_path / "infra", s3)
        s3.buckets.clear()
        monkeypatch.chdir(world.root)
        connect(world, monkeypatch)
        yield world


def test_install_shows_its_steps_and_what_it_wrote(here: InfraWorld, pgaas, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("PGAAS_CHARTS", str(charts_folder(tmp_path / "charts")))
    ran = pgaas("infra", "install")
    assert ran.code == 0, ran.err
    assert "[ok] SeaweedFS (0 s): installed" in ran.err
    assert f"local1.s3.endpoint is {here.s3.url}, was http://192.168.49.2:30333" in ran.out
    assert here.environments[-1]["PGAAS_CHARTS"] == str(tmp_path / "charts")
    shown = json.loads(pgaas("infra", "install", "-o", "json").out)
    assert (shown["endpoint"], shown["written"]) == (here.s3.url, [])
    assert {"name": "SeaweedFS", "detail": "unchanged"}.items() <= shown["steps"][6].items()


def test_status_exits_9_with_what_to_do_and_0_when_all_is_there(here: InfraWorld, pgaas) -> None:
    ran = pgaas("infra", "status", "--dc", "local2")
    assert ran.code == 9
    assert "local2: cert-manager: not installed" in ran.err
    assert "next: pgaas infra install" in ran.err
    pgaas("infra", "install")
    ran = pgaas("infra", "status", "-o", "json")
    assert ran.code == 0, ran.err
    assert {part["ok"] for part in json.loads(ran.out)} == {True}


def test_test_exits_9_with_a_row_for_each_thing(here: InfraWorld, pgaas) -> None:
    ran = pgaas("infra", "test", "--dc", "local1", "--timeout", "1s", "-o", "json")
    rows = json.loads(ran.out)
    assert ran.code == 9
    assert {row["datacenter"] for row in rows} == {"local1"}
    assert set(rows[0]) == {"what", "datacenter", "ok", "seconds", "why"}
    assert "things are not as they should be" in ran.err


def test_delete_shows_what_goes_and_wants_the_name(here: InfraWorld, pgaas) -> None:
    pgaas("infra", "install")
    ran = pgaas("infra", "delete")
    assert (ran.code, ran.out) == (2, "")
    assert "local1: SeaweedFS (revision 1, deployed)" in ran.err
    assert "add --confirm local" in ran.err
    assert pgaas("infra", "status").code == 0
    ran = pgaas("infra", "delete", "--confirm", "local", "-o", "json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["kept"] == []
    assert pgaas("infra", "status").code == 9


@pytest.mark.parametrize("verb", ["install", "status", "test", "delete"])
def test_only_local_has_one(here: InfraWorld, pgaas, verb: str) -> None:
    ran = pgaas("infra", verb, "--env", "prod")
    assert ran.code == 2
    assert "has no local infrastructure" in ran.err

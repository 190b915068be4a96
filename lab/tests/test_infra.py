from pathlib import Path
from typing import ClassVar

import pytest
import yaml

from pgaas_lab import charts, demo_root, infra, paths, stack, status
from pgaas_lab.datacenters import ALL
from pgaas_lab.errors import ToolFailed

WORKLOADS = [("deployments", "cert-manager", "cert-manager"), ("statefulsets", "local-infra", "prometheus")]


class FakeApi:
    """What is there of the workloads."""

    there: ClassVar[list[stack.Workload]] = []

    def __init__(self, _=None):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def items(self, path):
        kind = path.rpartition("/")[2]
        return [
            {"metadata": {"name": name}}
            for what, space, name in self.there
            if (what, space) == (kind, path.split("/")[5])
        ]


@pytest.fixture
def api(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(infra, "Api", FakeApi)
    monkeypatch.setattr(FakeApi, "there", list(WORKLOADS))
    return FakeApi()


def test_what_is_remembered_is_installed_until_some_of_it_is_gone(api):
    assert not infra.is_installed(ALL[0], api)
    infra.remember(ALL)
    assert infra.is_installed(ALL[0], api)
    assert infra.installed(ALL[1]) == WORKLOADS
    api.there.pop()
    assert not infra.is_installed(ALL[0], api)


def test_something_else_to_install_is_not_what_was_installed(api, monkeypatch):
    infra.remember(ALL)
    monkeypatch.setattr(infra, "key", lambda: "another")
    assert not infra.is_installed(ALL[0], api)


def test_a_lab_that_runs_what_the_checkout_had_before_is_up(api, monkeypatch):
    monkeypatch.setattr(status.stack, "look_at", lambda _, workload: (None, ""))

    def trouble():
        return [row.trouble for row in status.look_at_deployments(ALL[0], api) if row.trouble]

    assert trouble() == ["not installed"]
    infra.remember(ALL)
    monkeypatch.setattr(infra, "key", lambda: "another")
    assert trouble() == []
    (row,) = [row for row in status.look_at_deployments(ALL[0], api) if row.kind == "infra"]
    assert row.detail.startswith("older than the checkout")


def test_the_key_follows_charts_confs_and_pins(monkeypatch, tmp_path):
    for source in infra.SOURCES:
        place = tmp_path / source
        place.parent.mkdir(parents=True, exist_ok=True)
        if (paths.REPOSITORY / source).is_dir():
            place.mkdir()
            (place / "file.yaml").write_text("a")
        else:
            place.write_text("a")
    keys = set()
    monkeypatch.setattr(charts, "key", lambda: "charts")
    monkeypatch.setattr(paths, "REPOSITORY", tmp_path)
    keys.add(infra.key())
    for file in [path for path in tmp_path.rglob("*") if path.is_file()]:
        file.write_text("b")
        keys.add(infra.key())
    assert len(keys) == 1 + len(infra.SOURCES)


def test_an_installation_that_fails_is_not_taken_for_one(api, monkeypatch, tmp_path):
    infra.remember(ALL)
    asked = []

    def fail(argv, *_, **options):
        asked.append((argv[-3:], options["env"]["PGAAS_ROOT"]))
        raise ToolFailed("no")

    monkeypatch.setattr(infra, "run_streamed", fail)
    monkeypatch.setattr(infra, "hand_environment", dict)
    with pytest.raises(ToolFailed):
        infra.install((ALL[1],), lambda _: None)
    assert asked == [(["install", "--dc", "local2"], str(tmp_path / "pgaas-lab" / "infra"))]
    assert infra.is_installed(ALL[0], api)
    assert not infra.is_installed(ALL[1], api)


def test_the_copy_is_the_checkout_s_and_what_was_generated_stays_behind(tmp_path):
    (tmp_path / "confs").mkdir()
    (tmp_path / "confs" / "stale.yaml").touch()
    demo_root.copy(tmp_path)
    assert (tmp_path / "confs/admin/local/clients.yaml").is_file()
    assert (tmp_path / "local-infra/seaweedfs/Chart.yaml").is_file()
    assert not (tmp_path / "confs/stale.yaml").exists()
    assert not (tmp_path / "confs/_generated").exists()


def test_a_wrapped_chart_keeps_kinds_and_leaves_the_namespace_to_the_release(tmp_path):
    documents = [
        {"kind": "Namespace", "metadata": {"name": "n"}},
        {"kind": "CustomResourceDefinition", "metadata": {"name": "k", "annotations": {"a": "b"}}},
        {"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"template": "{{ not helm's }}"}},
    ]
    charts.wrap(tmp_path / "thing", "v1.2.3", documents)
    chart = yaml.safe_load((tmp_path / "thing/Chart.yaml").read_text())
    assert (chart["name"], chart["version"]) == ("thing", "1.2.3")
    objects = list(yaml.safe_load_all((tmp_path / "thing/objects.yaml").read_text()))
    assert [each["kind"] for each in objects] == ["CustomResourceDefinition", "ConfigMap"]
    assert objects[0]["metadata"]["annotations"] == {"a": "b", **charts.KEEP}
    # Helm evaluates this file, and what it holds is none of its business.
    assert (tmp_path / "thing/templates/objects.yaml").read_text() == charts.TEMPLATE
    assert "{{ not" in (tmp_path / "thing/objects.yaml").read_text()


def test_each_release_of_the_charts_has_the_name_that_helmfile_gives_it():
    releases = yaml.safe_load((paths.REPOSITORY / "helmfile.yaml").read_text().split("releases:")[0] or "{}")
    assert set(releases) == {"repositories", "helmDefaults"}
    text = (paths.REPOSITORY / "helmfile.yaml").read_text()
    assert {name for name in charts.values() if f"- name: {name}\n" not in text} == set()


def test_a_workload_s_path():
    assert stack.workload_path(WORKLOADS[1]) == "/apis/apps/v1/namespaces/local-infra/statefulsets/prometheus"
    assert Path(stack.COREDNS_FILE).is_file()

from __future__ import annotations

import pytest

from pgaas.tools import helm, helmfile
from pgaas.tools.versions import parse


def test_helmfile_is_asked_for_one_component_in_one_context():
    assert helmfile.sync_argv("cluster", context="east") == [
        "helmfile", "--file", "helmfile.yaml", "--no-color", "--skip-deps",
        "--kube-context", "east", "--selector", "component=cluster", "sync",
    ]  # fmt: skip
    assert helmfile.template_argv("cluster")[-3:] == ["--selector", "component=cluster", "template"]
    assert "--kube-context" not in helmfile.template_argv("cluster")


def test_a_release_is_one_of_the_local_infrastructure_and_fetches_nothing():
    argv = helmfile.sync_release_argv("cnpg", context="east")
    assert argv[-3:] == ["--selector", "component=local-infra,name=cnpg", "sync"]
    assert {"--skip-deps", "--kube-context", "east"} <= set(argv)
    assert helmfile.template_release_argv("cnpg")[-2:] == ["component=local-infra,name=cnpg", "template"]
    assert helmfile.own_charts_argv()[-2:] == ["component=local-infra,origin=pgaas", "template"]
    assert "--skip-deps" not in helmfile.repositories_argv()


def test_the_infrastructures_environment_names_the_datacenter_and_hides_a_charts_folder_not_asked_for(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("PGAAS_CHARTS", "/elsewhere")
    env = helmfile.infra_environment("local2")
    assert (env["DC"], env["PGAAS_CHARTS"]) == ("local2", "")
    assert helmfile.infra_environment("local2", "/here")["PGAAS_CHARTS"] == "/here"


def test_the_clusters_environment_is_what_helmfile_yaml_reads():
    env = helmfile.cluster_environment(ins="ic1", env="prod", dc="dc1", namespace="n", cluster_name="c")
    wanted = {"INS": "ic1", "ENV": "prod", "DC": "dc1", "NAMESPACE": "n", "CLUSTER_NAME": "c"}
    assert {name: env[name] for name in wanted} == wanted


def test_only_a_restored_clusters_environment_names_its_own_values(monkeypatch):
    monkeypatch.setenv("RESTORED", "left-over")
    codes = {"ins": "ic1", "env": "prod", "dc": "dc1", "namespace": "n", "cluster_name": "c"}
    assert helmfile.cluster_environment(**codes)["RESTORED"] == ""
    assert helmfile.cluster_environment(**codes, restored=True)["RESTORED"] == "c"


@pytest.mark.parametrize("wait", [True, False])
@pytest.mark.parametrize("context", [None, "east"])
def test_an_uninstall_names_its_place_and_waits_if_asked(context: str | None, wait: bool):
    argv = helm.uninstall_argv("release", "space", context=context, wait=wait)
    assert argv[:5] == ["helm", "uninstall", "release", "--namespace", "space"]
    assert ("--kube-context" in argv) == (context is not None)
    assert ("--wait" in argv) == wait
    assert "--ignore-not-found" in argv


ANSWERS = [
    ("v4.3.1", (4, 3, 1)),
    ("v4.3", (4, 3, 0)),
    ("v3.19.0+g7c1a7c3", (3, 19, 0)),
    ("1.8.0\n", (1, 8, 0)),
    ('{"clientVersion": {"major": "1", "gitVersion": "v1.36.3", "goVersion": "go1.26"}}', (1, 36, 3)),
    ("0.0.0-dev", None),
    ("(devel)", None),
    ("", None),
]


@pytest.mark.parametrize(("answer", "version"), ANSWERS)
def test_a_version_is_found_in_what_a_tool_says(answer: str, version: tuple[int, int, int] | None):
    assert parse(answer) == version

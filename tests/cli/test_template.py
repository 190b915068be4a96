"""`template`, `template-infra`, `check-tools`, `clean`; helm and helmfile are real unless a test says so."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml
from tests.cli.support import fake_tool, path_with_tools, run_process

from pgaas.tools.helmfile import cluster_environment, environment, sync_argv, template_argv


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a PATH that begins with helm and helmfile."""
    return path_with_tools(tmp_path_factory.mktemp("tools"))


def objects(text: str) -> list[dict]:
    return [each for each in yaml.safe_load_all(text) if each]


def test_template_prints_the_objects_and_nothing_else(root, pgaas, monkeypatch, tools):
    monkeypatch.setenv("PATH", tools)
    ran = pgaas("template", "--ins", "ic1", "--env", "local", "--dc", "local2")
    assert ran.code == 0, ran.err
    (cluster,) = [each for each in objects(ran.out) if each["kind"] == "Cluster"]
    assert (cluster["metadata"]["name"], cluster["metadata"]["namespace"]) == (
        "local-ic1-local2",
        "ic1-local",
    )
    assert "+ helmfile" not in ran.err


def test_template_shows_the_command_when_asked(root, pgaas, monkeypatch, tools):
    monkeypatch.setenv("PATH", tools)
    ran = pgaas("template", "--ins", "ic1", "--env", "prod", "--verbose")
    assert "+ helmfile --file helmfile.yaml" in ran.err
    assert "+ helmfile" not in ran.out


def test_template_infra_needs_nothing_of_a_cluster(root, pgaas, monkeypatch, tools):
    monkeypatch.setenv("PATH", tools)
    for name in ("INS", "ENV", "DC", "NAMESPACE", "CLUSTER_NAME"):
        monkeypatch.delenv(name, raising=False)
    ran = pgaas("template-infra")
    assert ran.code == 0, ran.err
    found = {(each["kind"], each["metadata"]["name"]) for each in objects(ran.out)}
    assert {
        ("Deployment", "seaweedfs-s3"),
        ("Deployment", "openldap-openldap"),
        ("StatefulSet", "prometheus"),
    } <= found
    assert not [each for each in objects(ran.out) if each["kind"] == "Cluster"]


def test_template_infra_takes_a_client_and_renders_the_same(root, pgaas, monkeypatch, tools):
    monkeypatch.setenv("PATH", tools)
    assert pgaas("template-infra", "--ins", "ic1", "--env", "local").out == pgaas("template-infra").out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--ins", "nobody"], "nobody"),
        (["--env", "prod"], "the environment prod has no local infrastructure"),
    ],
)
def test_template_infra_overlooks_no_slip_of_the_pen(root, pgaas, arguments, says):
    ran = pgaas("template-infra", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err


@pytest.mark.parametrize("dc", ["", "local1", "local2"])
def test_helmfile_by_hand_takes_the_metrics_values_of_the_datacenter(root, pgaas, tools, dc: str):
    pgaas("generate", "--ins", "ic1", "--env", "local")
    # What an older pgaas has left is not what this one wrote.
    left = root / "confs/_generated/local-infra/local1/observability-values.yaml"
    left.parent.mkdir()
    left.write_text("otelCollector: {datacenter: stale}\n")
    argv = ["helmfile", "--skip-deps", "--selector", "name=pgaas-observability", "template"]
    ran = run_tool(argv, root, environment({"PATH": tools, "DC": dc}))
    assert ran.returncode == 0, ran.stderr
    assert f'- {{target_label: dc, replacement: "{dc or "local1"}"}}' in ran.stdout
    assert ("kind: StatefulSet" in ran.stdout) == (dc != "local2")


def test_what_the_user_has_set_for_helmfile_does_not_change_the_outcome(root, pgaas, monkeypatch, tools):
    monkeypatch.setenv("PATH", tools)
    monkeypatch.setenv("HELMFILE_ENVIRONMENT", "nowhere")
    monkeypatch.setenv("HELMFILE_FILE_PATH", "/nowhere/helmfile.yaml")
    monkeypatch.setenv("INS", "other")
    assert pgaas("template", "--ins", "ic1", "--env", "prod").code == 0


def test_a_chart_that_does_not_render_is_a_failed_tool_with_helms_words(root, pgaas, monkeypatch, tools):
    monkeypatch.setenv("PATH", tools)
    (root / "charts/core/templates/broken.yaml").write_text('{{ fail "the chart is broken" }}')
    ran = pgaas("template", "--ins", "ic1", "--env", "prod")
    assert (ran.code, ran.out) == (5, "")
    assert "the chart is broken" in ran.err
    assert "where: helmfile" in ran.err


CLUSTER = {"ins": "ic1", "env": "prod", "dc": "dc1", "namespace": "ic1-prod", "cluster_name": "prod-ic1-dc1"}


@pytest.mark.parametrize("missing", ["INS", "ENV", "DC", "NAMESPACE", "CLUSTER_NAME"])
def test_helmfile_by_hand_names_a_variable_that_is_not_set(root, pgaas, tools, missing: str):
    pgaas("generate", "--ins", "ic1", "--env", "prod")
    env = {**cluster_environment(**CLUSTER), "PATH": tools}
    del env[missing]
    ran = run_tool(template_argv("cluster"), root, env)
    assert ran.returncode != 0
    assert f"`{missing}` is not set" in ran.stderr


@pytest.mark.parametrize(("name", "value"), [("CLUSTER_NAME", "prod-ic1-dc2"), ("NAMESPACE", "default")])
def test_helmfile_by_hand_refuses_names_that_are_not_the_values(root, pgaas, tools, name: str, value: str):
    pgaas("generate", "--ins", "ic1", "--env", "prod")
    ran = run_tool(
        template_argv("cluster"), root, {**cluster_environment(**CLUSTER), "PATH": tools, name: value}
    )
    assert ran.returncode != 0
    assert f"{name} is {value}" in ran.stderr


def test_helmfile_takes_a_restored_clusters_values_for_it_alone(root, pgaas, tools):
    pgaas("generate", "--ins", "ic1", "--env", "prod")
    restored = {**CLUSTER, "cluster_name": "before-the-drop"}
    env = {**cluster_environment(**restored, restored=True), "PATH": tools}
    assert run_tool(template_argv("cluster"), root, env).returncode != 0
    values = root / "confs/_generated/ic1-prod/dc1/values.yaml"
    own = values.parent / "restored/before-the-drop/values.yaml"
    own.parent.mkdir(parents=True)
    own.write_text(values.read_text().replace("  name: prod-ic1-dc1\n", "  name: before-the-drop\n", 1))
    ran = run_tool(template_argv("cluster"), root, env)
    assert ran.returncode == 0, ran.stderr
    assert 'name: "before-the-drop"' in ran.stdout
    ran = run_tool(template_argv("cluster"), root, {**cluster_environment(**restored), "PATH": tools})
    assert ran.returncode != 0
    assert "the values of ic1-prod/dc1 are for prod-ic1-dc1" in ran.stderr


def run_tool(argv: list[str], root: Path, env: dict[str, str]):
    return subprocess.run(argv, cwd=root, env=env, capture_output=True, text=True, check=False, timeout=120)


def test_sync_applies_on_the_server_takes_no_field_and_needs_no_plugin(root, pgaas, tools, tmp_path):
    """A fake helm, because no cluster is here, writes down what the real helmfile asks of it."""
    pgaas("generate", "--ins", "ic1", "--env", "prod")
    log = tmp_path / "log"
    real = Path(tools.split(":")[0]) / "helm"
    fake_tool(tmp_path / "fake", "helm", f'echo "$@" >> {log}\ncase "$1" in version) exec {real} "$@";; esac')
    env = {**cluster_environment(**CLUSTER), "PATH": f"{tmp_path / 'fake'}:{tools}"}
    ran = run_tool(sync_argv("cluster", context="east"), root, env)
    assert ran.returncode == 0, ran.stderr
    asked = log.read_text().splitlines()
    (upgrade,) = [line for line in asked if " upgrade " in f" {line} "]
    assert "upgrade --install prod-ic1-dc1 charts/core" in upgrade
    for flag in ("--server-side true", "--namespace ic1-prod", "--kube-context east", "--create-namespace"):
        assert flag in upgrade
    for flag in ("--force", "--timeout", "--wait", "--atomic", "--rollback-on-failure", "--reuse-values"):
        assert flag not in upgrade
    assert not [line for line in asked if line.startswith(("diff", "repo", "dependency", "plugin"))]


def test_without_its_tools_template_says_which_one_is_missing(root, pgaas, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    for command in (["template", "--ins", "ic1", "--env", "prod"], ["template-infra"]):
        ran = pgaas(*command)
        assert (ran.code, ran.out) == (4, "")
        assert "helm is not installed" in ran.err
        assert "check-tools" in ran.err


FAKES = {
    "helm": "echo v4.3.1",
    "helmfile": "echo v1.8.0",
    "kubectl": """echo '{"clientVersion": {"major": "1", "minor": "36", "gitVersion": "v1.36.3"}}'""",
}


def check_tools(pgaas, monkeypatch, folder: Path, *arguments: str, **changed: str | None):
    for name, script in {**FAKES, **changed}.items():
        if script is not None:
            fake_tool(folder, name, script)
    monkeypatch.setenv("PATH", str(folder))
    return pgaas("check-tools", *arguments)


def test_check_tools_with_fake_tools_that_will_do(pgaas, monkeypatch, tmp_path):
    ran = check_tools(pgaas, monkeypatch, tmp_path / "bin", "-o", "json")
    assert (ran.code, ran.err) == (0, "")
    assert [(each["tool"], each["state"], each["found"]) for each in json.loads(ran.out)] == [
        ("helm", "ok", "4.3.1"),
        ("helmfile", "ok", "1.8.0"),
        ("kubectl", "ok", "1.36.3"),
    ]
    assert json.loads(ran.out)[0]["path"] == str(tmp_path / "bin" / "helm")


BAD_TOOLS = [
    ("helm", None, "missing", "helm is not installed (4.0.0 or newer is needed)"),
    ("helm", "echo v3.19.0+g123", "too old", "helm 3.19.0 is too old (4.0.0 or newer is needed)"),
    ("helmfile", "echo 0.171.0", "too old", "helmfile 0.171.0 is too old"),
    (
        "kubectl",
        "echo oops >&2; exit 1",
        "broken",
        "kubectl does not run: kubectl version ended with exit code 1",
    ),
]


@pytest.mark.parametrize(("tool", "script", "state", "message"), BAD_TOOLS)
def test_check_tools_with_a_fake_tool_that_will_not_do(
    pgaas, monkeypatch, tmp_path, tool: str, script: str | None, state: str, message: str
):
    ran = check_tools(pgaas, monkeypatch, tmp_path / "bin", "-o", "json", **{tool: script})
    assert ran.code == 4
    assert message in ran.err
    assert {each["tool"]: each["state"] for each in json.loads(ran.out)}[tool] == state


def test_check_tools_takes_a_fake_build_that_does_not_know_its_version(pgaas, monkeypatch, tmp_path):
    ran = check_tools(pgaas, monkeypatch, tmp_path / "bin", helmfile="echo 0.0.0-dev")
    assert ran.code == 0
    assert "a build without a version" in ran.out


def test_check_tools_asks_helmfile_not_to_ask_the_network():
    assert environment()["HELMFILE_UPGRADE_NOTICE_DISABLED"] == "1"


def test_clean_removes_what_was_generated_and_nothing_else(root, pgaas):
    pgaas("generate", "--all")
    before = sorted(path for path in root.rglob("*") if "_generated" not in path.parts)
    made = [path for path in (root / "confs/_generated").rglob("*") if path.is_file()]
    # For each client's clusters and for the local infrastructure.
    assert {path.relative_to(root).parts[2] for path in made} >= {"ic1-prod", "local-infra"}
    ran = pgaas("clean")
    assert (ran.code, ran.out) == (0, "")
    assert f"removed confs/_generated ({len(made)} files)" in ran.err
    assert not (root / "confs/_generated").exists()
    assert sorted(root.rglob("*")) == before


def test_clean_twice_is_no_error(root, pgaas):
    ran = pgaas("clean")
    assert ran.code == 0
    assert "nothing to remove" in ran.err


def test_clean_follows_no_link_out_of_the_root(root, pgaas, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").touch()
    (root / "confs/_generated").symlink_to(precious)
    assert pgaas("clean").code == 8
    (root / "confs/_generated").unlink()
    (root / "confs/_generated").mkdir()
    (root / "confs/_generated/link").symlink_to(precious)
    assert pgaas("clean").code == 0
    assert (precious / "file").exists()


def test_clean_follows_no_link_in_the_place_of_confs(root, pgaas, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    (root / "confs").rename(elsewhere)
    (root / "confs").symlink_to(elsewhere)
    pgaas("generate", "--ins", "ic1", "--env", "prod")
    ran = pgaas("clean")
    assert ran.code == 8
    assert (elsewhere / "_generated").exists()


def test_template_leaves_no_file_of_its_own_in_the_checkout(root, tools):
    before = set(root.rglob("*"))
    ran = run_process("template", "--ins", "ic1", "--env", "prod", cwd=root, env={"PATH": tools})
    assert ran.code == 0, ran.err
    made = {path.relative_to(root).parts[:2] for path in root.rglob("*") if path not in before}
    assert made == {("confs", "_generated")}

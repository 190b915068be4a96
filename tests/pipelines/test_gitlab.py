"""GitLab's pipeline: well-formed, the jobs that each kind of pipeline should have, Jenkins's commands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.pipelines.groovy import REPOSITORY
from tests.pipelines.lines import BUILD, DEPLOY, gitlab_jobs, shell_lines

PIPELINE = REPOSITORY / ".gitlab-ci.yml"
CHECKED = ["derive version", "check tools", "preview"]
PIPELINES: dict[str, tuple[dict[str, str], list[str]]] = {
    "main": ({"CI_COMMIT_BRANCH": "main"}, CHECKED),
    "develop": ({"CI_COMMIT_BRANCH": "develop"}, CHECKED),
    "another branch": ({"CI_COMMIT_BRANCH": "x"}, []),
    "merge request": ({"CI_PIPELINE_SOURCE": "merge_request_event"}, [*CHECKED, "review"]),
    "tag": ({"CI_COMMIT_TAG": "v1.2.3"}, [*CHECKED, "package", "publish"]),
    "another tag": ({"CI_COMMIT_TAG": "nightly"}, []),
    "deployment": (
        {"ACTION": "upgrade", "CI_COMMIT_BRANCH": "main", "CI_PIPELINE_SOURCE": "web"},
        ["deploy"],
    ),
    "deployment of a tag": ({"ACTION": "create", "CI_COMMIT_TAG": "v1.2.3"}, ["deploy"]),
}


def read() -> dict[str, Any]:
    content = yaml.safe_load(PIPELINE.read_text())
    assert isinstance(content, dict)
    return content


def conform(file: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("check-jsonschema")
    argv = [str(program), "--builtin-schema", "vendor.gitlab-ci", str(file)]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)


def holds(condition: str, variables: dict[str, str]) -> bool:
    """Tell whether a rule's condition holds, as far as this pipeline's conditions go."""
    for alternative in condition.split(" || "):
        name, _, rest = alternative.removeprefix("$").partition(" ")
        value, (operator, _, operand) = variables.get(name, ""), rest.partition(" ")
        match operator:
            case "":
                found = bool(value)
            case "==":
                found = value == operand.strip('"')
            case "=~":
                found = re.search(operand.strip("/"), value) is not None
            case _:
                raise AssertionError(condition)
        if found:
            return True
    return False


def runs(rules: list[dict[str, str]], variables: dict[str, str]) -> bool:
    """Tell whether the first rule that holds lets a job, or a pipeline, run."""
    for rule in rules:
        if "if" not in rule or holds(rule["if"], variables):
            return rule.get("when", "on_success") != "never"
    return False


def test_it_conforms_to_gitlabs_schema(tmp_path: Path) -> None:
    assert conform(PIPELINE).returncode == 0, conform(PIPELINE).stdout
    wrong = tmp_path / ".gitlab-ci.yml"
    wrong.write_text(
        PIPELINE.read_text().replace("artifacts:\n    when: always", "artifacts:\n    when: often")
    )
    assert conform(wrong).returncode == 1


@pytest.mark.parametrize("kind", PIPELINES)
def test_each_kind_of_pipeline_has_its_jobs(kind: str) -> None:
    variables, expected = PIPELINES[kind]
    content = read()
    there = runs(content["workflow"]["rules"], variables)
    jobs = gitlab_jobs()
    assert [name for name, job in jobs.items() if there and runs(job["rules"], variables)] == expected


def test_each_job_has_a_stage_and_they_are_in_order() -> None:
    stages = read()["stages"]
    places = [stages.index(job["stage"]) for job in gitlab_jobs().values()]
    assert places == sorted(places)
    assert set(places) == set(range(len(stages)))


def test_a_deployment_asks_for_the_parameters() -> None:
    variables = read()["variables"]
    expected = ["PGAAS_VERSION", "USERS_VERSION", "INS", "ENV", "ENV_OVERRIDE", "DC", "ACTION"]
    assert list(variables) == expected
    assert all(variable["description"] and variable["value"] == "" for variable in variables.values())
    assert variables["ENV"]["options"] == ["", "perf", "pprod", "prod"]
    assert variables["ACTION"]["options"] == ["", "create", "upgrade"]


def test_the_commands_are_jenkinss() -> None:
    ours = [line for name, job in gitlab_jobs().items() if name != "review" for line in job["script"]]
    theirs = [line for script in (BUILD, DEPLOY) for line in shell_lines(script)]
    theirs = [line.replace(' --kubeconfig-cred "$KUBECONFIG_CRED"', "") for line in theirs]
    # A workspace of Jenkins holds what the build before has left.
    assert ours == [line for line in theirs if not line.startswith(("rm -rf", "uv sync"))]
    assert read()["default"]["before_script"][0] in theirs


def test_the_report_that_is_shown_is_the_one_that_is_written() -> None:
    artifacts = gitlab_jobs()["deploy"]["artifacts"]
    assert artifacts["when"] == "always"
    assert artifacts["reports"]["junit"] == "reports/deploy.junit.xml"

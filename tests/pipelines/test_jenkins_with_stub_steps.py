"""The pipelines of Jenkins, run by a real Groovy with stubs of Jenkins's steps."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest
from tests.pipelines.groovy import REPOSITORY, Run, run_stub_jenkins
from tests.pipelines.lines import BUILD, DEPLOY, shell_lines

JOB = REPOSITORY / "ci/deploy-job.groovy"
APPROLE = "APPROLE_CRED:VAULT_ROLE_ID+VAULT_SECRET_ID"
PARAMETERS = [
    *("PGAAS_VERSION", "USERS_VERSION", "INS", "ENV", "ENV_OVERRIDE", "DC", "ACTION", "KUBECONFIG_CRED")
]
GIT = {"GIT_URL": "https://git.example.com/pgaas.git"}
TAG = {"TAG_NAME": "v1.2.3"}
CRED = {"KUBECONFIG_CRED": "kubeconfig-prod"}
STAGES_THAT_FAIL = ("check-tools", "generate", "package")
STEPS_THAT_FAIL = ("validate-parameters", "ci fetch", "ci deploy")
BRANCHES = ({"BRANCH_NAME": "main"}, {"TAG_NAME": "nightly"})


def run_of(script: Path, variables: dict[str, str]) -> Run:
    return Run(script, tuple(sorted(variables.items())))


RUNS = [
    run_of(BUILD, TAG),
    *(run_of(BUILD, variables) for variables in BRANCHES),
    *(run_of(BUILD, {**TAG, "FAILING": failing}) for failing in STAGES_THAT_FAIL),
    run_of(JOB, GIT),
    run_of(JOB, {**GIT, "PGAAS_GIT_CRED": "reader"}),
    run_of(DEPLOY, CRED),
    *(run_of(DEPLOY, {**CRED, "FAILING": failing}) for failing in STEPS_THAT_FAIL),
]


@functools.cache
def all_told() -> dict[Run, list[list[str]]]:
    """Run everything at once: a Java takes seconds to start."""
    return dict(zip(RUNS, run_stub_jenkins(RUNS), strict=True))


def happened(script: Path, **variables: str) -> list[list[str]]:
    """Return what the stub of Jenkins tells of a run."""
    return all_told()[run_of(script, variables)]


def all_of(kind: str, told: list[list[str]]) -> list[list[str]]:
    return [parts[1:] for parts in told if parts[0] == kind]


def test_the_build_has_the_stages_and_publishes_a_tag_with_stub_steps() -> None:
    told = happened(BUILD, **TAG)
    stages = ["Derive Version", "Check Tools", "Preview", "Package", "Publish"]
    assert all_of("stage", told) == [[name] for name in stages]
    assert all_of("skipped", told) == []
    assert all_of("sh", told)[-1] == ["Publish", APPROLE, "pgaas ci publish dist/*.zip"]
    assert all_of("result", told) == [["SUCCESS", "1.2.3"]]


@pytest.mark.parametrize("variables", BRANCHES)
def test_a_branch_and_a_tag_of_no_version_are_only_checked_with_stub_steps(variables) -> None:
    told = happened(BUILD, **variables)
    assert all_of("skipped", told) == [["Package"], ["Publish"]]
    assert {stage for stage, *_ in all_of("sh", told)} == {"Derive Version", "Check Tools", "Preview"}


@pytest.mark.parametrize("failing", STAGES_THAT_FAIL)
def test_a_stage_that_fails_ends_the_build_with_stub_steps(failing: str) -> None:
    told = happened(BUILD, **TAG, FAILING=failing)
    assert failing in all_of("sh", told)[-1][2]
    assert all_of("result", told) == [["FAILURE"]]


def test_the_deploy_job_has_the_parameters_with_stub_steps() -> None:
    told = happened(JOB, **GIT)
    assert all_of("job", told) == [["pgaas-deploy"]]
    kinds = ("stringParam", "choiceParam", "credentialsParam")
    assert [parts[1] for parts in told if parts[0] in kinds] == PARAMETERS
    choices = {name: values for name, values, _ in all_of("choiceParam", told)}
    assert choices == {"ENV": "perf|pprod|prod", "ACTION": "create|upgrade"}
    assert all_of("scriptPath", told) == [[DEPLOY.relative_to(REPOSITORY).as_posix()]]
    assert all_of("url", told) == [["https://git.example.com/pgaas.git"]]
    assert all_of("credentials", told) == []
    private = happened(JOB, **GIT, PGAAS_GIT_CRED="reader")
    assert all_of("credentials", private) == [["reader"]]


def test_the_deployment_has_the_stages_and_each_its_own_secrets_with_stub_steps() -> None:
    told = happened(DEPLOY, **CRED)
    stages = ["Validate Parameters", "Fetch Artifacts", "Assemble", "Deploy"]
    assert all_of("stage", told) == [[name] for name in stages]
    bound = {stage: credentials for stage, credentials, _ in all_of("sh", told)}
    assert bound == {
        "Validate Parameters": "",
        "Fetch Artifacts": APPROLE,
        "Assemble": "",
        "Deploy": "kubeconfig-prod:KUBECONFIG",
    }


@pytest.mark.parametrize("failing", STEPS_THAT_FAIL)
def test_a_deployment_that_fails_ends_there_and_keeps_its_reports_with_stub_steps(failing: str) -> None:
    told = happened(DEPLOY, **CRED, FAILING=failing)
    assert failing in all_of("sh", told)[-1][2]
    assert all_of("result", told) == [["FAILURE"]]
    [junit] = all_of("junit", told)
    assert "reports/deploy.junit.xml" in junit[0]
    assert len(all_of("archiveArtifacts", told)) == 1


@pytest.mark.parametrize("script", [BUILD, DEPLOY], ids=lambda path: path.name)
def test_the_lines_that_stand_there_are_those_that_run_with_stub_steps(script: Path) -> None:
    told = happened(script, **(TAG if script == BUILD else CRED))
    assert [line for *_, line in all_of("sh", told)] == shell_lines(script)


def test_a_word_that_jenkins_does_not_know_is_found_with_stub_steps(tmp_path: Path) -> None:
    runs = []
    for script, word in ((BUILD, "stages {"), (DEPLOY, "sh 'uv sync"), (JOB, "stringParam(")):
        text = script.read_text()
        assert word in text
        for number, wrong in enumerate((text.replace(word, f"x{word}", 1), text.replace("}", "", 1))):
            path = tmp_path / f"{number}-{script.name}"
            path.write_text(wrong)
            runs.append(run_of(path, {**GIT, **CRED}))
    assert [[parts for parts in told if parts[0] == "error"] for told in run_stub_jenkins(runs)].count(
        []
    ) == 0


@pytest.mark.parametrize("script", [BUILD, DEPLOY], ids=lambda path: path.name)
def test_groovy_puts_nothing_into_a_shell_line(script: Path) -> None:
    # In double quotes Groovy itself would put a parameter, or a secret, into the line.
    assert re.findall(r"\bsh[ (][^'\n]*\"", script.read_text()) == []
    for line in shell_lines(script):
        assert not re.search(r"SECRET|ROLE_ID|TOKEN", line)

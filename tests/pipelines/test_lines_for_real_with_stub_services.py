"""The pipelines' own shell lines, run one by one in a checkout: from a tag to a deployment.

What runs is what stands in the files: an option that is renamed fails here. uv, git and the archives are
real; Vault and Artifactory are stubs, helm, helmfile and kubectl only say a version, and no cluster answers.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.cli.support import fake_tool
from tests.pipelines.archives import users_files, zipped
from tests.pipelines.lines import BUILD, DEPLOY, REPOSITORY, gitlab_jobs, shell_lines
from tests.pipelines.stubs import SECRETS, Services, StubArtifactory, StubVault, serving

TOOLS = {"helm": "v4.3.1", "helmfile": "1.8.0", "kubectl": "v1.36.3"}
NOBODY = """
apiVersion: v1
kind: Config
current-context: nobody
clusters: [{name: nobody, cluster: {server: "http://127.0.0.1:9"}}]
users: [{name: nobody, user: {}}]
contexts: [{name: nobody, context: {cluster: nobody, user: nobody}}]
"""
PARAMETERS = {
    "PGAAS_VERSION": "1.2.3",
    "USERS_VERSION": "4.5.6",
    "INS": "ic1",
    "ENV": "prod",
    "ACTION": "create",
    "KUBECONFIG_CRED": "kubeconfig-prod",
}


class Job:
    """A checkout, and the environment of its builds."""

    def __init__(self, folder: Path, services: Services) -> None:
        self.checkout, self.services = folder / "checkout", services
        tools = folder / "tools"
        for name, version in TOOLS.items():
            fake_tool(tools, name, f"echo {version}")
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(NOBODY)
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("CI_", "GITLAB_", "PGAAS_", "JENKINS_", "VIRTUAL_ENV", "GIT_"))
        }
        self.environment = inherited | {
            "PATH": f"{self.checkout}/.venv/bin:{tools}:{os.environ['PATH']}",
            "KUBECONFIG": str(kubeconfig),
            "XDG_STATE_HOME": str(folder / "state"),
            "GIT_CONFIG_GLOBAL": os.devnull,
            **services.environment,
        }

    def run(self, line: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run a line as Jenkins does, and see that no secret is told."""
        done = subprocess.run(
            ["sh", "-xe", "-c", line],
            cwd=self.checkout,
            env={**self.environment, **env},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert not any(secret in done.stdout + done.stderr for secret in SECRETS), line
        assert "Traceback" not in done.stderr, done.stderr
        return done


def committed(folder: Path) -> None:
    """Make a checkout of what stands here, committed or not, with a tag."""
    git = ("git", "-c", "user.name=test", "-c", "user.email=test@example.com")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        source, target = REPOSITORY / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    for argv in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-q", "-m", "x"), ("tag", "v1.2.3")):
        subprocess.run([*git, *argv], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    folder = tmp_path_factory.mktemp("job")
    services = Services(StubVault(), StubArtifactory())
    with serving(services.vault, services.artifactory):
        made = Job(folder, services)
        made.checkout.mkdir()
        committed(made.checkout)
        yield made


@pytest.fixture(scope="module")
def published(job: Job) -> dict[str, bytes]:
    """Run the whole build of a tag, and publish a version of the users' files; return what is published."""
    for line in shell_lines(BUILD):
        done = job.run(line, {"TAG_NAME": "v1.2.3"})
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    (job.checkout / "dist/pgaas-users-4.5.6.zip").write_bytes(zipped(users_files()))
    done = job.run("pgaas ci publish dist/pgaas-users-4.5.6.zip --tag v4.5.6", {})
    assert done.returncode == 0, done.stderr
    return job.services.artifactory.files


def test_the_build_of_a_tag_publishes_a_platform_to_the_stub(published: dict[str, bytes], job: Job) -> None:
    [path] = [path for path in published if path.endswith("/pgaas/1.2.3/pgaas-1.2.3.zip")]
    archive = job.checkout / "again.zip"
    archive.write_bytes(published[path])
    names = zipfile.ZipFile(archive).namelist()
    assert {"helmfile.yaml", "requirements.txt"} <= set(names)
    assert not any(
        name.startswith(("confs/users", "confs/admin/local", "confs/_generated")) for name in names
    )


def test_the_deployment_runs_to_the_cluster_that_does_not_answer(
    published: dict[str, bytes], job: Job
) -> None:
    *before, deploy = shell_lines(DEPLOY)
    for line in before:
        done = job.run(line, PARAMETERS)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    done = job.run(deploy, PARAMETERS)
    assert done.returncode == 6, done.stdout + done.stderr
    assert "failed: ic1" in done.stderr
    report = json.loads((job.checkout / "reports/deploy.json").read_text())
    assert report["failed"] == ["ic1"]
    assert report["release"]["pgaas"]["version"] == "1.2.3"
    assert (job.checkout / "reports/deploy.junit.xml").is_file()
    # The release's own pgaas, which knows its version, not that of the checkout.
    version = job.run("release/.venv/bin/pgaas version", {})
    assert version.stdout.strip() == "1.2.3"


def test_the_deployment_stops_at_wrong_parameters_before_a_stub_is_asked(
    published: dict[str, bytes], job: Job
) -> None:
    job.services.vault.asked.clear()
    [line] = [line for line in shell_lines(DEPLOY) if "validate-parameters" in line]
    done = job.run(line, {**PARAMETERS, "INS": "ic1;id", "KUBECONFIG_CRED": ""})
    assert done.returncode == 2
    assert "2 parameters are wrong" in done.stderr
    assert job.services.vault.asked == []


def test_gitlabs_check_of_the_parameters_runs(published: dict[str, bytes], job: Job) -> None:
    [line] = [line for line in gitlab_jobs()["deploy"]["script"] if "validate-parameters" in line]
    parameters = {name: value for name, value in PARAMETERS.items() if name != "KUBECONFIG_CRED"}
    done = job.run(line, parameters)
    assert done.returncode == 0, done.stderr


def test_gitlabs_review_of_a_merge_request_runs(published: dict[str, bytes], job: Job) -> None:
    line = "\n".join(gitlab_jobs()["review"]["script"])
    databases = job.checkout / "confs/users/ic1/prod/databases.yaml"
    written = databases.read_text()
    databases.write_text(f"{written.rstrip()}\n  - name: newcomer\n    login: true\n")
    try:
        done = job.run(line, {"CI_MERGE_REQUEST_DIFF_BASE_SHA": "HEAD"})
    finally:
        databases.write_text(written)
    assert done.returncode == 0, done.stderr
    assert "newcomer" in (job.checkout / "review.md").read_text()


@pytest.fixture
def apart(published: dict[str, bytes], job: Job, tmp_path: Path) -> Iterator[Path]:
    """Put the clients' files into a repository of their own, and return that."""
    git = ("git", "-c", "user.name=test", "-c", "user.email=test@example.com")
    own = tmp_path / "clients"
    shutil.copytree(job.checkout / "confs/users", own)
    for argv in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-q", "-m", "x")):
        subprocess.run([*git, *argv], cwd=own, check=True, capture_output=True)
    for argv in (("rm", "-qr", "confs/users"), ("commit", "-q", "-m", "clients have their own")):
        subprocess.run([*git, *argv], cwd=job.checkout, check=True, capture_output=True)
    yield own
    for name in ("confs/users", "users"):
        shutil.rmtree(job.checkout / name, ignore_errors=True)
    subprocess.run([*git, "reset", "-q", "--hard", "HEAD~1"], cwd=job.checkout, check=True)


def test_clients_with_a_repository_of_their_own_are_previewed_and_reviewed_again_and_again(
    apart: Path, job: Job
) -> None:
    where = {"PGAAS_USERS_REPOSITORY": str(apart), "CI_MERGE_REQUEST_DIFF_BASE_SHA": "HEAD"}
    preview = gitlab_jobs()["preview"]["script"]
    assert set(preview) <= set(shell_lines(BUILD))
    review = "\n".join(gitlab_jobs()["review"]["script"])
    backup = job.checkout / "confs/admin/prod/backup.yaml"
    for _ in range(2):
        done = job.run("\n".join(preview), where)
        assert done.returncode == 0, done.stdout + done.stderr
        assert (job.checkout / "confs/_generated/ic1-prod/dc1/values.yaml").is_file()
    backup.write_text(backup.read_text().replace("0 0 1 ", "0 0 2 "))
    done = job.run(review, where)
    assert done.returncode == 0, done.stdout + done.stderr
    told = (job.checkout / "review.md").read_text()
    assert "scheduledBackup.schedule" in told
    assert "ic1" in told

"""A job's surroundings: stub services in its environment, and pgaas in this process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import pgaas as pgaas
from tests.cli.support import Ran
from tests.pipelines.stubs import CONTENT, SECRETS, Services, StubArtifactory, StubVault, serving

from pgaas.tools import web

VARIABLES = (
    "INS ENV ENV_OVERRIDE DC ACTION PGAAS_VERSION USERS_VERSION KUBECONFIG_CRED CI_COMMIT_TAG TAG_NAME "
    "CI_COMMIT_BRANCH BRANCH_NAME VAULT_ROLE_ID VAULT_SECRET_ID VAULT_ROLE_ID_FILE VAULT_SECRET_ID_FILE "
    "VAULT_NAMESPACE VAULT_APPROLE_MOUNT PGAAS_JFROG_KEY PGAAS_CA_FILE PGAAS_ROOT"
)


@pytest.fixture(autouse=True)
def _no_job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Take away what a pipeline that runs these tests has set itself, and wait no seconds between tries."""
    for name in VARIABLES.split():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(web, "PAUSES", (0.0, 0.0, 0.0))
    monkeypatch.setattr(web, "LONGEST_PAUSE", 0.0)


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """Give stubs of both services, and the environment that leads to them."""
    made = Services(StubVault(), StubArtifactory())
    with serving(made.vault, made.artifactory):
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield made


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "pgaas-1.2.3.zip"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def publish(pgaas: Callable[..., Ran], archive: Path, services: Services) -> Iterator[Callable[..., Ran]]:
    """Publish the archive; whatever happens, nothing that is printed or written down holds a secret."""

    def run(*arguments: str, tag: str = "v1.2.3") -> Ran:
        done = pgaas("ci", "publish", str(archive), "--tag", tag, "-v", *arguments)
        for secret in SECRETS:
            assert secret not in done.out + done.err
        assert "Traceback" not in done.err
        assert "bug" not in done.err
        return done

    yield run
    assert not list(Path(os.environ["XDG_STATE_HOME"]).rglob("crash-*"))

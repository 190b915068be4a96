"""Logging in to a stub of Vault: what is not set, refused or no secret, and that nothing of it is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.pipelines.stubs import (
    JFROG_TOKEN,
    LOGIN,
    ROLE_ID,
    SECRET,
    SECRET_ID,
    SECRET_PATH,
    Services,
    saying,
)


def test_a_wrong_secret_id_is_said_by_the_stub_vault(
    publish, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULT_SECRET_ID", "spent-secret-id")
    done = publish()
    assert done.code == 5
    assert "invalid role or secret ID" in done.err
    assert "VAULT_SECRET_ID" in done.err
    assert "spent-secret-id" not in done.err


def test_a_stub_vault_that_repeats_the_secret_is_not_repeated(publish, services: Services) -> None:
    services.vault.instead[LOGIN] = [saying(400, {"errors": [f"bad secret_id {SECRET_ID}"]})]
    done = publish()
    assert done.code == 5
    assert "bad secret_id ***" in done.err


def test_secrets_come_from_files_too_with_stub_services(
    publish, services: Services, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in (("VAULT_ROLE_ID", ROLE_ID), ("VAULT_SECRET_ID", SECRET_ID)):
        (tmp_path / name).write_text(f"{value}\n")
        monkeypatch.delenv(name)
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / name))
    assert publish().code == 0


def test_everything_that_is_not_set_is_named_before_a_stub_is_asked(
    publish, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("VAULT_ADDR", "VAULT_SECRET_ID", "ARTIFACTORY_REPOSITORY"):
        monkeypatch.delenv(name)
    done = publish()
    assert done.code == 2
    for name in ("VAULT_ADDR", "VAULT_SECRET_ID", "ARTIFACTORY_REPOSITORY"):
        assert name in done.err
    assert services.vault.asked == []


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://vault.example.com", "in the clear"),
        ("https://user:hunter2@vault.example.com", "holds a user or a password"),
        ("vault.example.com", "is not an address"),
        ("https://vault.example.com:x", "is not an address"),
    ],
)
def test_an_address_that_a_secret_must_not_go_to_is_refused_without_stubs(
    publish, monkeypatch: pytest.MonkeyPatch, address: str, said: str
) -> None:
    monkeypatch.setenv("VAULT_ADDR", address)
    done = publish()
    assert done.code == 2
    assert said in done.err
    assert "hunter2" not in done.err


def test_a_secret_that_the_stub_vault_does_not_have(
    publish, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.vault.secrets.clear()
    done = publish()
    assert done.code == 5
    assert SECRET_PATH in done.err
    assert "data" in done.err.partition("next:")[2]


def test_a_policy_of_the_stub_vault_that_does_not_let_read(publish, services: Services) -> None:
    services.vault.instead[SECRET] = [saying(403, {"errors": ["1 error occurred: permission denied"]})]
    done = publish()
    assert done.code == 5
    assert "permission denied" in done.err
    assert "policy" in done.err


def test_a_secret_of_the_stub_vault_without_the_key_names_those_it_has(publish, services: Services) -> None:
    services.vault.secrets[SECRET_PATH] = {"data": {"password": JFROG_TOKEN, "user": "x"}}
    done = publish()
    assert done.code == 5
    assert "password, user" in done.err
    assert publish("--secret-key", "password").code == 0


def test_the_stub_vaults_old_engine_serves_too(publish, services: Services) -> None:
    services.vault.secrets[SECRET_PATH] = {"token": JFROG_TOKEN}
    assert publish().code == 0


@pytest.mark.parametrize("token", ["", "two\nlines", "two words", 7, None, "\u00e9"])
def test_what_the_stub_vault_has_is_no_token(publish, services: Services, token: object) -> None:
    services.vault.secrets[SECRET_PATH] = {"data": {"token": token}}
    done = publish()
    assert done.code == 5
    assert "is not a token" in done.err
    assert services.artifactory.asked == []


def test_something_else_than_a_vault_answers(publish, services: Services) -> None:
    services.vault.instead[LOGIN] = [saying(200, b"<html>portal</html>")]
    done = publish()
    assert done.code == 5
    assert "no Vault" in done.err


def test_a_token_that_the_stub_vault_does_not_take_back_fails_nothing_and_is_asked_once(
    publish, services: Services
) -> None:
    revoke = "/v1/auth/token/revoke-self"
    services.vault.instead[f"POST {revoke}"], services.vault.stays = [saying(503)], True
    assert publish().code == 0
    assert services.vault.paths("POST").count(revoke) == 1

"""Stub services, and settings, that send what no pgaas expects: each ends in an error that helps."""

from __future__ import annotations

import base64

import pytest
from tests.pipelines.stubs import (
    CONTENT,
    JFROG_TOKEN,
    LOGIN,
    PATH,
    SECRET,
    SECRET_ID,
    Asked,
    Handler,
    Services,
    StubArtifactory,
    saying,
    serving,
)

from pgaas.tools.web import Web


@pytest.mark.parametrize("location", ["https://[half", "https://x:99999999/", "http://[::1]:x/"])
def test_a_redirect_of_a_stub_to_no_address(publish, services: Services, location: str) -> None:
    services.artifactory.instead["HEAD"] = [saying(302, Location=location)]
    done = publish()
    assert done.code == 5
    assert "redirect" in done.err


def test_a_stub_that_says_to_come_back_in_no_number_of_seconds(publish, services: Services) -> None:
    services.artifactory.instead["HEAD"] = [saying(503, Retry_After="\u00b2")]
    assert publish().code == 0


@pytest.mark.parametrize("key", [LOGIN, SECRET])
def test_a_stub_vault_that_nests_without_end(publish, services: Services, key: str) -> None:
    services.vault.instead[key] = [saying(200, b'{"errors":' + b"[" * 100_000)]
    done = publish()
    assert done.code == 5
    assert "no Vault" in done.err


def test_a_stub_that_nests_without_end_in_an_error(publish, services: Services) -> None:
    services.artifactory.instead["HEAD"] = [saying(200)]
    services.artifactory.instead["GET"] = [saying(400, b"[" * 100_000)]
    assert publish().code == 5


@pytest.mark.parametrize("before", range(280, 300, 4))
def test_a_secret_that_a_long_error_of_a_stub_is_cut_in_is_not_told_in_part(
    publish, services: Services, before: int
) -> None:
    services.vault.instead[LOGIN] = [saying(400, {"errors": ["x" * before + SECRET_ID]})]
    done = publish()
    assert done.code == 5
    assert f"x{SECRET_ID[0]}" not in done.err


@pytest.mark.parametrize("namespace", ["team\nX-Evil: 1", "t\u00e9am\u20ac", "../other"])
def test_a_namespace_that_is_none_is_named_before_a_stub_is_asked(
    publish, services: Services, monkeypatch: pytest.MonkeyPatch, namespace: str
) -> None:
    monkeypatch.setenv("VAULT_NAMESPACE", namespace)
    done = publish()
    assert done.code == 2
    assert "VAULT_NAMESPACE" in done.err
    assert services.vault.asked == []


def test_a_namespace_of_namespaces_reaches_the_stub_vault(
    publish, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULT_NAMESPACE", "admin/team-1/")
    assert publish().code == 0
    assert {asked.headers["x-vault-namespace"] for asked in services.vault.asked} == {"admin/team-1/"}


def test_a_file_that_arrived_though_the_stubs_answer_was_lost_is_published(
    publish, services: Services
) -> None:
    """A token that may not delete, as docs/ci.md asks for, is refused the second try."""

    def take_and_hang_up(handler: Handler, asked: Asked) -> None:
        services.artifactory.files[asked.path] = asked.body
        handler.hang_up()

    refused = saying(403, {"errors": [{"status": 403, "message": "Not enough permissions to overwrite"}]})
    services.artifactory.instead[f"PUT {PATH}"] = [take_and_hang_up, refused]
    done = publish()
    assert done.code == 0, done.err
    assert services.artifactory.files[PATH] == CONTENT


def test_another_file_that_came_in_between_at_the_stub_is_still_refused(publish, services: Services) -> None:
    def be_later(handler: Handler, asked: Asked) -> None:
        services.artifactory.files[asked.path] = b"another"
        handler.say(403)

    services.artifactory.instead[f"PUT {PATH}"] = [be_later]
    done = publish()
    assert done.code == 5
    assert services.artifactory.files[PATH] == b"another"


def test_a_proxys_login_is_sent_as_it_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    """A password with special characters is escaped in a proxy's address; a stub takes the proxy's part."""
    proxy = StubArtifactory()
    proxy.instead["GET"] = [saying(200)]
    address = proxy.url.removeprefix("http://")
    monkeypatch.setenv("http_proxy", f"http://me%40corp:p%40ss%2Fword@{address}")
    monkeypatch.setenv("no_proxy", "")
    with serving(proxy):
        assert Web().ask("GET", "http://vault.example.com/").status == 200
    login = base64.b64encode(b"me@corp:p@ss/word").decode()
    assert proxy.asked[0].headers["proxy-authorization"] == f"Basic {login}"


@pytest.mark.parametrize("proxy", ["http://[half", "http://x:99999999", "gopher://x:1"])
def test_a_proxy_that_is_none_is_said(publish, monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("VAULT_ADDR", "https://vault.example.com")
    monkeypatch.setenv("https_proxy", proxy)
    monkeypatch.setenv("no_proxy", "")
    done = publish()
    assert done.code in (2, 5)
    assert "HTTPS_PROXY" in done.err
    assert JFROG_TOKEN not in done.err

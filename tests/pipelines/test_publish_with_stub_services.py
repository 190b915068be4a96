"""`pgaas ci publish` against stubs of Vault and Artifactory: what goes where, what fails, what is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.support import Ran, run_process
from tests.pipelines.stubs import (
    CONTENT,
    JFROG_TOKEN,
    LOGIN,
    PATH,
    ROLE_ID,
    SECRET,
    SECRET_ID,
    SECRETS,
    VAULT_TOKEN,
    Services,
    StubArtifactory,
    cut,
    half,
    saying,
    serving,
    sha256,
    silent,
)

from pgaas.tools import web

Pgaas = Callable[..., Ran]


def test_a_tag_is_published_to_the_stub_and_read_back(publish, services: Services) -> None:
    done = publish("-o", "json")
    assert done.code == 0, done.err
    assert services.artifactory.files == {PATH: CONTENT}
    assert json.loads(done.out)["files"] == [
        {
            "name": "pgaas-1.2.3.zip",
            "url": services.artifactory.url + PATH,
            "sha256": sha256(CONTENT),
            "size": len(CONTENT),
            "already": False,
        }
    ]
    assert [asked.method for asked in services.artifactory.asked] == ["HEAD", "PUT", "GET"]
    sent = services.artifactory.asked[1]
    assert sent.headers["x-checksum-sha256"] == sha256(CONTENT)
    assert sent.headers["content-length"] == str(len(CONTENT))


def test_the_stub_vaults_token_is_given_back_also_after_a_failure(publish, services: Services) -> None:
    services.artifactory.instead["HEAD"] = [saying(403)]
    assert publish().code == 5
    assert services.vault.paths("POST") == ["/v1/auth/approle/login", "/v1/auth/token/revoke-self"]
    assert services.vault.asked[-1].headers["x-vault-token"] == VAULT_TOKEN


def test_each_stub_gets_its_own_secret_and_no_other(publish, services: Services) -> None:
    assert publish().code == 0
    to_vault = repr([(asked.headers, asked.body) for asked in services.vault.asked])
    to_artifactory = repr([(asked.path, asked.headers) for asked in services.artifactory.asked])
    assert JFROG_TOKEN not in to_vault
    assert not any(secret in to_artifactory for secret in (ROLE_ID, SECRET_ID, VAULT_TOKEN))


def test_the_same_again_leaves_the_stub_alone(publish, services: Services) -> None:
    assert publish().code == 0
    services.artifactory.asked.clear()
    done = publish()
    assert done.code == 0
    assert "there already, the same" in done.out
    assert services.artifactory.paths("PUT") == []


@pytest.mark.parametrize("with_checksums", [True, False])
def test_another_content_in_the_stub_is_never_replaced(
    publish, services: Services, with_checksums: bool
) -> None:
    services.artifactory.files[PATH] = b"other"
    services.artifactory.with_checksums = with_checksums
    done = publish()
    assert done.code == 8
    assert sha256(b"other") in done.err
    assert services.artifactory.files == {PATH: b"other"}


def test_of_several_files_none_goes_to_the_stub_if_one_is_refused(
    pgaas: Pgaas, services: Services, archive: Path
) -> None:
    sums = archive.with_name("pgaas-1.2.3.zip.sha256")
    sums.write_text("x")
    services.artifactory.files[f"{PATH}.sha256"] = b"other"
    done = pgaas("ci", "publish", str(archive), str(sums), "--tag", "v1.2.3")
    assert done.code == 8
    assert services.artifactory.paths("PUT") == []


@pytest.mark.parametrize(
    ("name", "tag", "code"),
    [
        ("pgaas-1.2.3.zip", "", 8),
        ("pgaas-1.2.3.zip", "main", 2),
        ("pgaas-1.2.3.zip", "v1.2", 2),
        ("pgaas-1.2.3.zip", "v1.2.4", 2),
        ("pgaas-0.0.0-main.a1b2c3d.zip", "v0.0.0-main.a1b2c3d", 2),
        ("pgaas.zip", "v1.2.3", 2),
        ("gone-1.2.3.zip", "v1.2.3", 2),
    ],
)
def test_what_is_no_tags_is_not_published_and_no_stub_is_asked(
    pgaas: Pgaas, services: Services, archive: Path, name: str, tag: str, code: int
) -> None:
    if not name.startswith("gone"):
        archive = archive.rename(archive.with_name(name))
    done = pgaas("ci", "publish", str(archive.with_name(name)), *(["--tag", tag] if tag else []))
    assert done.code == code, done.err
    assert services.vault.asked == []


@pytest.mark.parametrize("variable", ["CI_COMMIT_TAG", "TAG_NAME"])
def test_the_tag_is_that_of_the_pipeline_with_stub_services(
    pgaas: Pgaas, services: Services, archive: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "v1.2.3")
    assert pgaas("ci", "publish", str(archive)).code == 0
    assert PATH in services.artifactory.files


def test_an_expired_token_of_the_stub_artifactory(publish, services: Services) -> None:
    services.artifactory.instead["HEAD"] = [
        saying(401, {"errors": [{"status": 401, "message": "Token failed verification: expired"}]})
    ]
    services.artifactory.with_checksums = True
    done = publish()
    assert done.code == 5
    assert "expired" in done.err
    assert "renew the token in Vault" in done.err


def test_a_token_that_may_not_deploy_to_the_stub(publish, services: Services) -> None:
    services.artifactory.instead["PUT"] = [saying(403, {"errors": [{"message": "Not enough permissions"}]})]
    done = publish()
    assert done.code == 5
    assert "Not enough permissions" in done.err
    assert len(services.artifactory.paths("PUT")) == 1


def test_an_upload_to_the_stub_that_is_cut_is_tried_again(publish, services: Services) -> None:
    services.artifactory.instead["PUT"] = [cut, cut]
    done = publish()
    assert done.code == 0, done.err
    assert len(services.artifactory.paths("PUT")) == 3
    assert services.artifactory.files == {PATH: CONTENT}


def test_an_upload_to_the_stub_that_is_always_cut_ends_and_publishes_nothing(
    publish, services: Services
) -> None:
    services.artifactory.instead["PUT"], services.artifactory.stays = [cut], True
    done = publish()
    assert done.code == 5
    assert "connection" in done.err
    assert len(services.artifactory.paths("PUT")) == 4
    assert services.artifactory.files == {}


def test_half_a_read_back_from_the_stub_is_not_taken_for_the_whole(publish, services: Services) -> None:
    services.artifactory.instead["GET"] = [half(CONTENT)]
    assert publish().code == 0
    assert len(services.artifactory.paths("GET")) == 2


def test_the_stub_got_other_bytes_and_says_so(publish, services: Services) -> None:
    services.artifactory.instead["PUT"] = [
        lambda handler, asked: services.artifactory.put(
            handler, asked.__class__(asked.method, asked.path, asked.headers, asked.body[:-1])
        )
    ]
    done = publish()
    assert done.code == 5
    assert "Checksum error" in done.err
    assert services.artifactory.files == {}


def test_a_stub_that_keeps_other_bytes_is_found_out(publish, services: Services) -> None:
    def keep_half(handler, asked) -> None:
        services.artifactory.files[asked.path] = asked.body[:1000]
        handler.say(201)

    services.artifactory.instead["PUT"] = [keep_half]
    done = publish()
    assert done.code == 5
    assert "read back" in done.err
    assert "delete it there" in done.err


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_stub_that_fails_for_a_moment_is_asked_again(publish, services: Services, status: int) -> None:
    services.vault.instead[LOGIN] = [saying(status, {"errors": ["Vault is sealed"]}, Retry_After="1")]
    services.vault.instead[SECRET] = [saying(status)]
    services.artifactory.instead["PUT"] = [saying(status)] * 3
    done = publish()
    assert done.code == 0, done.err


def test_a_stub_vault_that_stays_sealed_ends_the_tries(publish, services: Services) -> None:
    services.vault.instead[LOGIN], services.vault.stays = [saying(503, {"errors": ["Vault is sealed"]})], True
    done = publish()
    assert done.code == 5
    assert "Vault is sealed" in done.err
    assert services.vault.paths("POST") == ["/v1/auth/approle/login"] * 4


def test_a_retry_after_of_the_stub_is_waited_for_and_bounded(services: Services) -> None:
    services.vault.instead["GET"] = [
        saying(503, Retry_After="0"),
        saying(503, Retry_After="999999"),
        saying(503, Retry_After="Fri, 31 Dec 1999 23:59:59 GMT"),
        saying(200),
    ]
    waited: list[float] = []
    assert web.Web(sleep=waited.append).ask("GET", services.vault.url).status == 200
    assert waited == [0.0, web.LONGEST_PAUSE, web.PAUSES[2]]


def test_a_stub_that_stays_silent_times_out(publish, services: Services) -> None:
    services.artifactory.instead["HEAD"], services.artifactory.stays = [silent], True
    done = publish("--timeout", "1s")
    assert done.code == 7
    assert "no answer within 1 seconds" in done.err


def test_nobody_listens_where_the_stub_was(publish, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:9")
    done = publish()
    assert done.code == 5
    assert "refused" in done.err
    assert "<" not in done.err


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_of_a_stub_never_carries_a_secret_elsewhere(
    publish, services: Services, status: int
) -> None:
    with serving(elsewhere := StubArtifactory()):
        for stub in (services.vault, services.artifactory):
            for method in ("POST", "GET", "PUT"):
                stub.instead.clear()
                there = f"{elsewhere.url}/taken?X-Amz-Signature=abc"
                stub.instead[method], stub.stays = [saying(status, Location=there)], True
                publish()
            stub.instead.clear()
        assert all("authorization" not in asked.headers for asked in elsewhere.asked)
        assert all("x-vault-token" not in asked.headers for asked in elsewhere.asked)
        assert all(asked.method == "GET" and asked.body == b"" for asked in elsewhere.asked)


def test_an_upload_that_the_stub_redirects_is_not_sent_there_and_its_signature_not_shown(
    publish, services: Services
) -> None:
    services.artifactory.instead["PUT"] = [saying(307, Location="https://evil.example.com/x?sig=abcdef")]
    done = publish()
    assert done.code == 5
    assert "https://evil.example.com/x" in done.err
    assert "abcdef" not in done.err


def test_a_reading_is_redirected_by_the_stub_to_another_server_without_the_token(
    publish, services: Services
) -> None:
    with serving(elsewhere := StubArtifactory()):
        elsewhere.instead["GET"] = [saying(200, CONTENT)]
        services.artifactory.instead["GET"] = [saying(302, Location=f"{elsewhere.url}/signed?s=1")]
        done = publish()
        assert done.code == 0, done.err
        [asked] = elsewhere.asked
    assert "authorization" not in asked.headers


def test_a_redirect_of_the_stub_to_plain_http_is_refused(publish, services: Services) -> None:
    services.artifactory.instead["HEAD"] = [saying(302, Location="http://cdn.example.com/x")]
    done = publish()
    assert done.code == 5
    assert "not HTTPS" in done.err


def test_a_stub_that_redirects_in_a_circle_ends(publish, services: Services) -> None:
    services.artifactory.instead["HEAD"], services.artifactory.stays = [saying(302, Location=PATH)], True
    done = publish()
    assert done.code == 5
    assert "redirects" in done.err


def test_a_process_shows_no_secret_and_ends_with_the_failures_code_with_stub_services(
    services: Services, archive: Path
) -> None:
    services.artifactory.files[PATH] = b"other"
    done = run_process(
        *("ci", "publish", str(archive), "--tag", "v1.2.3", "-v"),
        cwd=archive.parent,
        env=services.environment,
    )
    assert done.code == 8, done.err
    assert not any(secret in done.out + done.err for secret in SECRETS)

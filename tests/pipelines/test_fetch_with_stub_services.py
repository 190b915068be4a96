"""`pgaas ci fetch` against stubs of Vault and Artifactory: a root that works, or no root at all."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cli.support import Ran
from tests.pipelines.archives import platform_files, users_files, zipped
from tests.pipelines.stubs import (
    REPOSITORY,
    SECRETS,
    Services,
    StubArtifactory,
    half,
    saying,
    serving,
    sha256,
)

from pgaas.tools import unzip as unzip_module

PLATFORM = f"/{REPOSITORY}/pgaas/1.2.3/pgaas-1.2.3.zip"
USERS = f"/{REPOSITORY}/pgaas-users/4.5.6/pgaas-users-4.5.6.zip"
VERSIONS = ("--pgaas-version", "1.2.3", "--users-version", "4.5.6")


@pytest.fixture(scope="module")
def contents() -> dict[str, bytes]:
    return {PLATFORM: zipped(platform_files()), USERS: zipped(users_files())}


@pytest.fixture
def fetch(
    pgaas: Callable[..., Ran], services: Services, contents: dict[str, bytes], tmp_path: Path
) -> Iterator[Callable[..., Ran]]:
    services.artifactory.files |= contents

    def run(*arguments: str) -> Ran:
        done = pgaas("ci", "fetch", *VERSIONS, "--into", str(tmp_path / "release"), "-v", *arguments)
        assert not any(secret in done.out + done.err for secret in SECRETS)
        assert "Traceback" not in done.err
        return done

    yield run
    # Whatever happened, no half of anything is left beside it.
    assert {path.name for path in tmp_path.iterdir()} <= {"release", "state", "outside"}


def everything(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_root_is_made_of_both_and_values_can_be_generated_in_it(
    fetch, pgaas, services: Services, contents: dict[str, bytes], tmp_path: Path
) -> None:
    done = fetch("-o", "json")
    assert done.code == 0, done.err
    said = json.loads(done.out)
    assert said["clients"] == ["ic1", "is1"]
    assert said["left_out"] == [".gitlab-ci.yml", "README.md"]
    assert said["release"] == {
        "pgaas": {"version": "1.2.3", "sha256": sha256(contents[PLATFORM])},
        "users": {"version": "4.5.6", "sha256": sha256(contents[USERS])},
    }
    generated = pgaas("generate", "--all", "--root", str(tmp_path / "release"))
    assert generated.code == 0, generated.err
    assert (tmp_path / "release/confs/_generated/ic1-prod/dc1/values.yaml").is_file()


def test_a_folder_around_each_archive_of_the_stub_is_taken_off(fetch, services, tmp_path: Path) -> None:
    services.artifactory.files[PLATFORM] = zipped(platform_files("pgaas-1.2.3/"))
    services.artifactory.files[USERS] = zipped(users_files("pgaas-users-4.5.6/"))
    assert fetch().code == 0
    assert (tmp_path / "release/helmfile.yaml").is_file()
    assert (tmp_path / "release/confs/users/ic1/prod/databases.yaml").is_file()


def test_users_files_in_the_platform_of_the_stub_are_not_deployed(fetch, services, tmp_path: Path) -> None:
    extra = {"confs/users/zz9/prod/databases.yaml": "x", "confs/users/ic1/prod/more.yaml": "x"}
    services.artifactory.files[PLATFORM] = zipped({**platform_files(), **extra})
    assert fetch().code == 0
    assert sorted(path.name for path in (tmp_path / "release/confs/users").iterdir()) == ["ic1", "is1"]
    assert not (tmp_path / "release/confs/users/ic1/prod/more.yaml").exists()


def test_a_second_fetch_from_the_stub_replaces_the_first_whole(fetch, services, tmp_path: Path) -> None:
    assert fetch().code == 0
    (tmp_path / "release/confs/users/old").mkdir()
    services.artifactory.files[USERS] = zipped({"ic1/prod/databases.yaml": "new: 1"})
    assert fetch().code == 0
    assert sorted(path.name for path in (tmp_path / "release/confs/users").iterdir()) == ["ic1"]


@pytest.mark.parametrize("what", ["file", "full", "link"])
def test_what_no_fetch_has_made_is_left_alone_and_no_stub_is_asked(
    fetch, services: Services, tmp_path: Path, what: str
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/mine").write_text("mine")
    release = tmp_path / "release"
    if what == "file":
        release.write_text("mine")
    elif what == "link":
        release.symlink_to("outside")
    else:
        (tmp_path / "outside").rename(release)
    done = fetch()
    assert done.code == 2
    assert services.vault.asked == []
    assert release.read_text() == "mine" if what == "file" else (release / "mine").read_text() == "mine"


def test_half_an_archive_from_the_stub_is_fetched_again(fetch, services, contents, tmp_path: Path) -> None:
    services.artifactory.instead[f"GET {USERS}"] = [half(contents[USERS])]
    assert fetch().code == 0


def test_an_archive_that_the_stub_always_cuts_leaves_the_former_root(fetch, services, contents, tmp_path):
    assert fetch().code == 0
    before = everything(tmp_path / "release")
    services.artifactory.instead[f"GET {USERS}"], services.artifactory.stays = [half(contents[USERS])], True
    assert fetch().code == 5
    assert everything(tmp_path / "release") == before


def test_a_wrong_checksum_of_the_stub_is_refused(fetch, services, contents, tmp_path: Path) -> None:
    wrong = "0" * 64
    services.artifactory.instead[f"GET {PLATFORM}"] = [
        saying(200, contents[PLATFORM], X_Checksum_Sha256=wrong)
    ]
    done = fetch()
    assert done.code == 8
    assert wrong in done.err
    assert sha256(contents[PLATFORM]) in done.err
    assert not (tmp_path / "release").exists()


def test_a_stub_without_the_header_is_asked_for_the_checksum(fetch, services: Services) -> None:
    services.artifactory.with_checksums = False
    assert fetch().code == 0
    assert f"{PLATFORM}.sha256" in services.artifactory.paths("GET")
    services.artifactory.instead[f"GET {PLATFORM}.sha256"] = [saying(404)]
    assert fetch().code == 5


def test_a_version_that_the_stub_does_not_have(fetch, services: Services) -> None:
    del services.artifactory.files[USERS]
    done = fetch()
    assert done.code == 5
    assert "pgaas-users-4.5.6.zip" in done.err
    assert "check the version" in done.err


def test_the_stub_redirects_to_another_that_gets_no_token(fetch, services, contents) -> None:
    with serving(elsewhere := StubArtifactory()):
        sums = {"X_Checksum_Sha256": sha256(contents[PLATFORM])}
        elsewhere.instead["GET"] = [saying(200, contents[PLATFORM], **sums)]
        services.artifactory.instead[f"GET {PLATFORM}"] = [saying(302, Location=f"{elsewhere.url}/s?sig=1")]
        assert fetch().code == 0
        [asked] = elsewhere.asked
    assert "authorization" not in asked.headers


@pytest.mark.parametrize(
    ("files", "links", "said"),
    [
        ({"../outside/x": "x"}, {}, "leads outside"),
        ({"ic1/../../outside/x": "x"}, {}, "leads outside"),
        ({"/etc/pgaas-x": "x"}, {}, "is not a name below"),
        ({"ic1\\..\\x": "x"}, {}, "is not a name below"),
        ({"C:/x": "x"}, {}, "is not a name below"),
        ({"ic1/\x1b[2Jx": "x"}, {}, "is not a name below"),
        ({"ic1//x": "x"}, {}, "leads outside"),
        ({}, {"ic1": "/etc"}, "is a link"),
        ({}, {"ic1/prod/databases.yaml": "/etc/passwd"}, "is a link"),
        ({"ic1/prod/databases.yaml": "x", "IC1/prod/databases.yaml": "y"}, {}, "twice"),
        ({"ic1": "x", "ic1/prod/databases.yaml": "y"}, {}, "both a file and a folder"),
        ({"README.md": "x"}, {}, "holds no client"),
        ({"databases.yaml": "x"}, {}, "holds no client"),
    ],
)
def test_an_archive_of_the_stub_with_something_wrong_in_it_is_not_unpacked(
    fetch, services: Services, tmp_path: Path, files, links, said: str
) -> None:
    (tmp_path / "outside").mkdir()
    services.artifactory.files[USERS] = zipped(files, links=links)
    done = fetch()
    assert done.code == 8, done.err
    assert said in done.err
    assert "\x1b[2J" not in done.err
    assert list((tmp_path / "outside").iterdir()) == []
    assert not (tmp_path / "release").exists()


def damaged(content: bytes) -> bytes:
    """Return an archive in which one byte of the first file's content is another."""
    name_length, extra_length = struct.unpack("<HH", content[26:30])
    at = 30 + name_length + extra_length + 4
    return content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]


@pytest.mark.parametrize("content", [b"", b"no zip", damaged(zipped({"ic1/prod/databases.yaml": "x" * 99}))])
def test_an_archive_of_the_stub_that_is_damaged_is_refused(fetch, services, content: bytes) -> None:
    services.artifactory.files[USERS] = content
    done = fetch()
    assert done.code == 8, done.err
    assert "was not unpacked" in done.err


def test_an_archive_of_the_stub_that_would_fill_the_disk_is_refused(
    fetch, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.artifactory.files[USERS] = zipped({"ic1/prod/databases.yaml": b"\0" * 50_000_000})
    monkeypatch.setattr(unzip_module, "SIZE_LIMIT", 40_000_000)
    done = fetch()
    assert done.code == 8
    assert "more than" in done.err


def test_something_else_than_a_platform_is_refused_from_the_stub(fetch, services: Services) -> None:
    services.artifactory.files[PLATFORM] = services.artifactory.files[USERS]
    done = fetch()
    assert done.code == 8
    assert "is no platform" in done.err


def test_a_full_disk_leaves_nothing_with_stub_services(
    fetch, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "release")

    monkeypatch.setattr(unzip_module.shutil, "copyfileobj", full)
    done = fetch()
    assert done.code == 2
    assert "no space left" in done.err


def test_versions_that_are_none_are_all_named_before_a_stub_is_asked(pgaas, services: Services) -> None:
    done = pgaas("ci", "fetch", "--pgaas-version", "../1", "--users-version", "0.0.0-main.abc", "--into", "x")
    assert done.code == 2
    assert "PGAAS_VERSION" in done.err
    assert "USERS_VERSION" in done.err
    assert services.vault.asked == []
    assert not os.path.lexists("x")

"""The package of a commit: what is in it, and what never is."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import stat
import subprocess
import zipfile
from importlib import resources
from pathlib import Path

import pytest
from jsonschema import Draft7Validator
from referencing import Registry, Resource
from tests.repo.packages import cloned
from tests.unit.operations.told import Told
from tests.unit.tools.checkouts import Checkout

from pgaas.errors import ToolFailed, ToolMissing, UsageError
from pgaas.operations import package_zip
from pgaas.operations.package import Package, package
from pgaas.operations.package_tree import choose, unpack
from pgaas.tools import git

WHEEL = "pgaas-1.2.3-py3-none-any.whl"
MADE = {"VERSION", "requirements.txt", "sbom.cdx.json", "SHA256SUMS", WHEEL}
SCHEMAS = tuple(f"{name}.SNAPSHOT.schema.json" for name in ("bom-1.5", "spdx", "jsf-0.82"))
PARTS = ("charts", "confs/admin", "helmfile-checks", "local-infra", "manifests")


def cyclonedx_schema() -> Draft7Validator:
    """Return CycloneDX's own schema, as its library carries it; to parse URLs as that does takes minutes."""
    folder = resources.files("cyclonedx.schema._res")
    read = {name: json.loads((folder / name).read_text()) for name in SCHEMAS}
    known = Registry().with_resources(
        (f"http://cyclonedx.org/schema/{name}", Resource.from_contents(content))
        for name, content in read.items()
    )
    return Draft7Validator(read[SCHEMAS[0]], registry=known)


def names(made: Package) -> set[str]:
    with zipfile.ZipFile(made.path) as archive:
        return set(archive.namelist())


def test_in_it_is_what_git_tracks_of_its_parts_and_what_is_made_of_them(original: Checkout, made: Package):
    tracked = original.git("ls-files", "--", *PARTS, "helmfile.yaml").splitlines()
    assert names(made) == MADE | {name for name in tracked if not name.startswith("confs/admin/local/")}
    assert {"confs/admin/prod/clients.yaml", "charts/core/.helmignore", "helmfile.yaml"} <= names(made)
    assert made.path.name == "pgaas-1.2.3.zip"
    assert (made.version, made.tag, made.is_release, made.wheel) == ("1.2.3", "v1.2.3", True, WHEEL)
    assert made.left_out == ()


def test_its_checksums_are_right(made: Package, unpacked: Path):
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"],
        cwd=unpacked,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(": OK\n") == len(names(made)) - 1
    (unpacked / "helmfile.yaml").write_text("changed")
    assert subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=unpacked, check=False).returncode
    assert made.sha256 == hashlib.sha256(made.path.read_bytes()).hexdigest()
    assert {file.name: file.sha256 for file in made.files} == {
        line.split("  ")[1]: line.split("  ")[0]
        for line in (unpacked / "SHA256SUMS").read_text().splitlines()
    }


def test_the_same_commit_gives_the_same_bytes_elsewhere(
    original: Checkout, made: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    other = cloned(original, tmp_path / "somewhere else", "--depth=1")
    for setting in (("core.autocrlf", "true"), ("tar.umask", "0077"), ("user.name", "Somebody else")):
        other.git("config", *setting)
    other.git("reset", "--quiet", "--hard")
    for path in other.root.rglob("*.yaml"):
        os.utime(path, (1, 1))
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    monkeypatch.setenv("UV_PROJECT", str(tmp_path))
    before = os.umask(0o077)
    try:
        again = package(other.root, tmp_path / "packages", Told())
    finally:
        os.umask(before)
    assert again.path.read_bytes() == made.path.read_bytes()


def test_times_modes_order_and_compression_are_fixed(original: Checkout, made: Package):
    with zipfile.ZipFile(made.path) as outer:
        inner = zipfile.ZipFile(io.BytesIO(outer.read(WHEEL)))
        infos = outer.infolist()
    assert [info.filename for info in infos[:-1]] == sorted(info.filename for info in infos[:-1])
    for info in [*infos, *inner.infolist()]:
        assert info.date_time == (2026, 11, 24, 12, 0, 0)
        assert info.compress_type == zipfile.ZIP_STORED
        assert info.external_attr >> 16 in (stat.S_IFREG | 0o644, stat.S_IFREG | 0o755)


def test_the_wheel_knows_its_version_and_holds_the_commits_code_alone(original: Checkout, made: Package):
    with zipfile.ZipFile(made.path) as outer:
        wheel = zipfile.ZipFile(io.BytesIO(outer.read(WHEEL)))
    assert "\nVersion: 1.2.3\n" in wheel.read("pgaas-1.2.3.dist-info/METADATA").decode()
    built = json.loads(wheel.read("pgaas/built.json"))
    assert (built["text"], built["commit"]) == ("1.2.3", original.git("rev-parse", "HEAD"))
    held = {name for name in wheel.namelist() if name.startswith("pgaas/")}
    tracked = original.git("ls-files", "--", "src/pgaas").splitlines()
    assert held == {name.removeprefix("src/") for name in tracked} | {"pgaas/built.json"}
    assert len(wheel.namelist()) == len(set(wheel.namelist()))


def test_the_requirements_are_locked_and_need_nothing_of_development(unpacked: Path):
    text = (unpacked / "requirements.txt").read_text()
    needed = re.findall(r"^([a-z0-9.-]+)==", text, re.MULTILINE)
    assert {"typer", "pydantic", "boto3", "psycopg-binary"} <= set(needed)
    assert not {"pytest", "pgaas", "pgaas-lab", "hatchling", "mypy"} & set(needed)
    entries = re.split(r"\n(?=[a-z])", text)
    assert len(entries) == len(needed)
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text


def test_the_bill_of_materials_is_valid_and_whole(unpacked: Path):
    bill = json.loads((unpacked / "sbom.cdx.json").read_text())
    assert [error.message for error in cyclonedx_schema().iter_errors(bill)] == []
    assert not cyclonedx_schema().is_valid({**bill, "components": [{"type": "library"}]})
    own = bill["metadata"]["component"]
    assert (own["name"], own["version"]) == ("pgaas", "1.2.3")
    assert bill["metadata"]["timestamp"] == "2026-11-24T12:00:01+00:00"
    listed = {each["name"] for each in bill["components"]}
    needed = re.findall(r"^([a-z0-9.-]+)==", (unpacked / "requirements.txt").read_text(), re.MULTILINE)
    assert listed == {*needed, WHEEL}
    (wheel,) = [each for each in bill["components"] if each["name"] == WHEEL]
    assert wheel["hashes"][0]["content"] == hashlib.sha256((unpacked / WHEEL).read_bytes()).hexdigest()


def test_what_git_does_not_track_is_left_out_and_said(repository: Checkout, tmp_path: Path):
    for name in ("charts/core/templates/extra.yaml", "src/pgaas/extra.py", "confs/users/ic9/extra.yaml"):
        repository.write(name)
    for name in ("charts/core/.cluster.yaml.swp", "confs/admin/local/mine.yaml", "confs/_generated/x.yaml"):
        repository.write(name)
    told = Told()
    made = package(repository.root, tmp_path / "out", told)
    assert made.left_out == ("charts/core/templates/extra.yaml", "src/pgaas/extra.py")
    (note,) = re.findall(r"note (?:.|\n  )*", told.text)
    assert all(name in note for name in made.left_out)
    held = names(made)
    assert not [name for name in held if "extra" in name or "swp" in name or "_generated" in name]
    with zipfile.ZipFile(made.path) as outer:
        assert "pgaas/extra.py" not in zipfile.ZipFile(io.BytesIO(outer.read(WHEEL))).namelist()


def test_what_should_not_have_been_committed_is_left_out_and_said(repository: Checkout, tmp_path: Path):
    unwanted = (
        "charts/.gitkeep",
        "charts/core/templates/cluster.yaml~",
        "confs/admin/prod/.clients.yaml.swp",
        "manifests/.DS_Store",
        "manifests/.idea/workspace.xml",
    )
    for name in (*unwanted, "confs/_generated/x.yaml", "confs/users/ic9/x.yaml"):
        repository.write(name)
        repository.git("add", "--force", name)
    repository.commit()
    made = package(repository.root, tmp_path, Told())
    assert made.left_out == unwanted
    assert made.version.startswith("0.0.0-main.")
    assert not [name for name in names(made) if name in unwanted or "_generated" in name or "users" in name]


def test_a_link_to_a_file_of_the_commit_becomes_that_file(repository: Checkout, tmp_path: Path):
    (repository.root / "manifests/again.yaml").symlink_to("../helmfile.yaml")
    (repository.root / "manifests/once-more.yaml").symlink_to("again.yaml")
    repository.commit()
    made = package(repository.root, tmp_path, Told())
    with zipfile.ZipFile(made.path) as archive:
        for name in ("again.yaml", "once-more.yaml"):
            assert archive.read(f"manifests/{name}") == archive.read("helmfile.yaml")
            assert stat.S_ISREG(archive.getinfo(f"manifests/{name}").external_attr >> 16)


@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside", "nothing", "../charts", "bad.yaml", "."])
def test_a_link_that_leads_to_no_file_of_the_commit_is_refused(small: Checkout, tmp_path: Path, target: str):
    (tmp_path / "outside").write_text("a secret\n")
    (small.root / "manifests/bad.yaml").symlink_to(target)
    small.commit()
    with pytest.raises(UsageError, match=r"manifests/bad\.yaml -> "):
        package(small.root, tmp_path / "out", Told())
    assert not (tmp_path / "out").exists()


def test_a_link_elsewhere_in_the_repository_is_nobodys_concern(small: Checkout, tmp_path: Path):
    small.write("docs/page.md")
    for name in ("docs/bad.md", "confs/admin/local"):
        (small.root / name).symlink_to("/etc")
    small.commit()
    small.git(*git.archive_argv("HEAD", tmp_path / "tar")[1:])
    tree = unpack(tmp_path / "tar", tmp_path / "tree")
    wanted, unwanted = choose(tree)
    assert ("confs/admin/file" in wanted, unwanted) == (True, [])
    assert not [path for path in (tmp_path / "tree").rglob("*") if path.is_symlink()]


@pytest.mark.parametrize("name", ["a\nb.yaml", "a\\b.yaml", "a\x1b[31m.yaml", os.fsdecode(b"a\xff.yaml")])
def test_a_name_that_could_harm_is_refused(small: Checkout, tmp_path: Path, name: str):
    small.write(f"manifests/{name}")
    small.commit()
    with pytest.raises(UsageError, match="control characters") as raised:
        package(small.root, tmp_path / "out", Told())
    assert raised.value.what.isprintable() or "\n  'manifests/" in raised.value.what
    assert not (tmp_path / "out").exists()


def test_changes_that_are_not_committed_are_refused(small: Checkout, tmp_path: Path):
    small.write("helmfile.yaml", "changed\n")
    (small.root / "manifests/file").unlink()
    with pytest.raises(UsageError, match="differs from its commit") as raised:
        package(small.root, tmp_path / "out", Told())
    assert "\n  helmfile.yaml\n  manifests/file" in raised.value.what
    assert not (tmp_path / "out").exists()


def test_what_is_no_checkout_is_refused(unpacked: Path, tmp_path: Path):
    with pytest.raises(UsageError, match="no git checkout"):
        package(unpacked, tmp_path / "out", Told())


def test_a_commit_without_a_part_is_refused(small: Checkout, tmp_path: Path):
    shutil.rmtree(small.root / "manifests")
    small.commit()
    with pytest.raises(UsageError, match="holds no manifests"):
        package(small.root, tmp_path / "out", Told())


def test_a_stale_lock_is_refused(repository: Checkout, tmp_path: Path):
    project = repository.root / "pyproject.toml"
    project.write_text(project.read_text().replace('"rich>=14"', '"rich>=14.1"'))
    repository.commit()
    with pytest.raises(ToolFailed, match="lock"):
        package(repository.root, tmp_path / "out", Told())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("missing", ["git", "uv"])
def test_a_missing_program_is_named(
    original: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
):
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in {"git", "uv"} - {missing}:
        (folder / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(folder))
    with pytest.raises(ToolMissing, match=f"{missing} is not installed, and `pgaas package` needs it"):
        package(original.root, tmp_path / "out", Told())


def _full(_descriptor: int) -> None:
    raise OSError(28, "No space left on device")


def _interrupted(_descriptor: int) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(("fault", "raised"), [(_full, UsageError), (_interrupted, KeyboardInterrupt)])
def test_a_write_that_fails_leaves_the_package_of_before_and_nothing_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: object, raised: type[BaseException]
):
    file = tmp_path / "pgaas-1.2.3.zip"
    file.write_bytes(b"before")
    monkeypatch.setattr(package_zip.os, "fsync", fault)
    with pytest.raises(raised):
        package_zip.write_whole(file, b"after")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [(file.name, b"before")]


@pytest.mark.parametrize("seconds", [-1, 0, 2**40])
def test_a_time_that_no_zip_file_knows_is_bent(seconds: int):
    content = package_zip.zipped([package_zip.Entry("name", b"content")], seconds)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert archive.getinfo("name").date_time[0] in (1980, 2107)

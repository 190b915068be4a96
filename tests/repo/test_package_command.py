"""`pgaas package` and `pgaas version`, as processes."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.support import run_process
from tests.unit.tools.checkouts import Checkout

from pgaas.operations.package import Package


def test_json_says_all_that_a_pipeline_needs(original: Checkout, made: Package, tmp_path: Path):
    ran = run_process(
        "package", "--root", str(original.root), "--out", "new/folder", "-o", "json", cwd=tmp_path
    )
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    path = tmp_path / "new/folder/pgaas-1.2.3.zip"
    assert told["path"] == str(path)
    assert told["sha256"] == made.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (told["version"], told["python_version"], told["tag"]) == ("1.2.3", "1.2.3", "v1.2.3")
    assert (told["release"], told["commit"], told["size"]) == (True, made.commit, path.stat().st_size)
    listed = {file["name"]: file["sha256"] for file in told["files"]}
    assert listed == {file.name: file.sha256 for file in made.files}
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_text_says_where_it_is_and_its_checksum(original: Checkout, made: Package, tmp_path: Path):
    ran = run_process("package", "--root", str(original.root), cwd=tmp_path, env={"UV_OFFLINE": "1"})
    assert ran.code == 0, ran.err
    assert ran.out == f"dist/pgaas-1.2.3.zip\nsha256:{made.sha256}\n"
    assert "[ok] building the wheel" in ran.err


@pytest.mark.parametrize("out", ["file", "file/below"])
def test_a_file_where_a_folder_is_expected_is_named(original: Checkout, tmp_path: Path, out: str):
    (tmp_path / "file").write_text("content")
    ran = run_process("package", "--root", str(original.root), "--out", out, cwd=tmp_path)
    assert ran.code == 2
    assert "can't write the package" in ran.err
    assert "Traceback" not in ran.err
    assert (tmp_path / "file").read_text() == "content"


def test_interrupted_it_leaves_nothing(original: Checkout, tmp_path: Path):
    (tmp_path / "temporary").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "pgaas", "package", "--root", str(original.root), "--out", "out"],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path / "temporary")},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    said = ""
    while "building the wheel" not in said:
        line = process.stderr.readline()
        assert line, said
        said += line
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 130, rest
    assert "interrupted" in rest
    assert "Traceback" not in rest
    assert list((tmp_path / "temporary").iterdir()) == []
    assert not (tmp_path / "out").exists()


def test_a_pipelines_bad_tag_is_a_usage_error(original: Checkout, tmp_path: Path):
    said = {"GITLAB_CI": "true", "CI_COMMIT_TAG": "v1.2"}
    ran = run_process("package", "--root", str(original.root), cwd=tmp_path, env=said)
    assert ran.code == 2
    assert "the tag v1.2 is no version" in ran.err
    assert "v1.2.3-rc.1" in ran.err


def test_version_says_both_spellings_and_where_they_are_from(tmp_path: Path):
    ran = run_process("version", "-o", "json", cwd=tmp_path)
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    assert {"version", "python_version", "commit", "from", "tag", "branch", "dirty", "release"} == set(told)
    assert run_process("--version", cwd=tmp_path).out == f"{told['version']}\n"

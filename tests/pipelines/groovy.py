"""Run Groovy: a jar from Maven Central, fetched once and compared with its checksum."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
VERSION = "5.0.8"
SHA256 = "942993eee2a6a8f5fcbc1bc76c1ab18d179d598c9b29c8fc96a0138b162e0fa8"
STUB = REPOSITORY / "tests/pipelines/stub_jenkins.groovy"
PROGRAMS = {"java": "default-jre-headless", "mvn": "maven"}


@dataclass(frozen=True)
class Run:
    """A script, and the variables that it is run with."""

    script: Path
    variables: tuple[tuple[str, str], ...]


def run_stub_jenkins(runs: Sequence[Run]) -> list[list[list[str]]]:
    """Run pipelines and jobs' definitions under the stub of Jenkins, all in one Java.

    Return what each tells, a list of parts for each thing that happens.
    """
    argv = ["java", "-XX:TieredStopAtLevel=1", "-cp", str(jar()), "groovy.ui.GroovyMain", str(STUB)]
    for number, run in enumerate(runs):
        argv += ["--"] if number else []
        argv += [str(run.script), *(f"{name}={value}" for name, value in run.variables)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    told: list[list[list[str]]] = []
    for line in done.stdout.splitlines():
        if line.startswith("run\t"):
            told.append([])
        else:
            told[-1].append(line.split("\t"))
    assert len(told) == len(runs)
    return told


@functools.cache
def jar() -> Path:
    """Return Groovy's jar; skip, or fail where everything must run, on a machine that cannot have it."""
    _need_java()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pgaas-tests"
    path = cache / f"groovy-{VERSION}.jar"
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        cache.mkdir(parents=True, exist_ok=True)
        _fetch(path)
    return path


def _fetch(path: Path) -> None:
    if shutil.which("mvn") is None:
        _cannot("there is no mvn to fetch Groovy with")
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        argv = ["mvn", "-q", "-B", "dependency:copy", f"-Dartifact=org.apache.groovy:groovy:{VERSION}"]
        done = subprocess.run(
            [*argv, f"-DoutputDirectory={folder}"], capture_output=True, text=True, check=False, timeout=600
        )
        fetched = Path(folder) / path.name
        if done.returncode or not fetched.is_file():
            _cannot(f"Maven Central gave no Groovy: {(done.stdout + done.stderr).strip()[-300:]}")
        found = hashlib.sha256(fetched.read_bytes()).hexdigest()
        assert found == SHA256, f"what came as Groovy {VERSION} has SHA-256 {found}"
        fetched.replace(path)


def _need_java() -> None:
    missing = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    if missing and os.environ.get("PGAAS_REQUIRE_LAB") and os.geteuid() == 0:
        from pgaas_lab.packages import install

        install(missing)
    if shutil.which("java") is None:
        _cannot("there is no java to run Groovy with")


def _cannot(why: str) -> None:
    if os.environ.get("PGAAS_REQUIRE_LAB"):
        pytest.fail(f"PGAAS_REQUIRE_LAB is set, but {why}")
    pytest.skip(why)

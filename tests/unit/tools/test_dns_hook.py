"""The DNS program: what it is called with, and how its failures read. The programs are real."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pgaas.errors import ToolFailed, ToolMissing
from pgaas.tools.dns_hook import HookRecord, run_hook

RECORD = HookRecord("primary.ic1-prod.example.com", "CNAME", "rw.dc2.example.com", 60, "example.com")
PROGRAM = "bin/dns"


def write(root: Path, body: str, mode: int = 0o755) -> None:
    path = root / PROGRAM
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(mode)


def test_it_gets_the_record_as_arguments_and_in_its_environment(tmp_path: Path) -> None:
    write(tmp_path, 'pwd > seen; echo "$# $*" >> seen; env | grep ^PGAAS_DNS_ | sort >> seen')
    run_hook(PROGRAM, "set", RECORD, root=tmp_path, timeout=30)
    assert (tmp_path / "seen").read_text().splitlines() == [
        str(tmp_path),
        "5 set primary.ic1-prod.example.com CNAME rw.dc2.example.com 60",
        "PGAAS_DNS_ACTION=set",
        "PGAAS_DNS_NAME=primary.ic1-prod.example.com",
        "PGAAS_DNS_TTL=60",
        "PGAAS_DNS_TYPE=CNAME",
        "PGAAS_DNS_VALUE=rw.dc2.example.com",
        "PGAAS_DNS_ZONE=example.com",
    ]


def test_a_bare_name_is_looked_for_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "touch moved")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    run_hook("dns", "check", RECORD, root=tmp_path, timeout=30)
    assert (tmp_path / "moved").exists()
    with pytest.raises(ToolMissing, match="dns-of-nobody is not installed"):
        run_hook("dns-of-nobody", "check", RECORD, root=tmp_path, timeout=30)


@pytest.mark.parametrize("mode", [0o644, None])
def test_one_that_may_not_be_run_is_named(tmp_path: Path, mode: int | None) -> None:
    if mode is not None:
        write(tmp_path, "true", mode)
    with pytest.raises(ToolMissing, match="bin/dns is not there, or may not be run") as caught:
        run_hook(PROGRAM, "set", RECORD, root=tmp_path, timeout=30)
    assert caught.value.where == str(tmp_path / PROGRAM)


def test_a_failure_tells_its_code_and_last_line_and_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DNS_API_TOKEN", "topsecret")
    write(tmp_path, 'echo first >&2; echo "denied for $DNS_API_TOKEN" >&2; echo >&2; echo out; exit 3')
    with pytest.raises(ToolFailed) as caught:
        run_hook(PROGRAM, "set", RECORD, root=tmp_path, timeout=30)
    assert caught.value.what == (
        "the DNS program bin/dns failed to set primary.ic1-prod.example.com (exit code 3): denied for ***"
    )
    assert "topsecret" not in f"{caught.value.where}{caught.value.next_step}"


@pytest.mark.parametrize(
    ("body", "message"),
    [("exit 1", r"\(exit code 1\), and said nothing on stderr"), ("kill -9 $$", r"\(signal 9\), and said")],
)
def test_a_silent_failure_is_one(tmp_path: Path, body: str, message: str) -> None:
    write(tmp_path, body)
    with pytest.raises(ToolFailed, match=message):
        run_hook(PROGRAM, "check", RECORD, root=tmp_path, timeout=30)


def test_one_that_hangs_is_ended(tmp_path: Path) -> None:
    write(tmp_path, "echo $$ > pid; exec sleep 1000")
    with pytest.raises(ToolFailed, match=r"was not done with set after 0\.5 s, and was ended"):
        run_hook(PROGRAM, "set", RECORD, root=tmp_path, timeout=0.5)
    pid = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)

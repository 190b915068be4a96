from __future__ import annotations

import difflib
from pathlib import Path

import pytest
from tests.unit.config.support import Confs

from pgaas.config.endpoints import ENDPOINT, RESOLVER, write_endpoints
from pgaas.errors import ConfigError

FILE = "admin/local/datacenters.yaml"
S3 = "http://192.0.2.7:30333"


def changed(before: str, after: str) -> list[str]:
    rows = difflib.ndiff(before.splitlines(), after.splitlines())
    return [row.strip() for row in rows if row[:2] in ("+ ", "- ")]


def path(confs: Confs) -> Path:
    return confs.root / "confs" / FILE


def test_only_what_differs_is_changed_and_every_comment_stays(confs: Confs) -> None:
    before = path(confs).read_text()
    wanted = {"local1": {ENDPOINT: S3, RESOLVER: "192.168.49.2:30053"}, "local2": {RESOLVER: "192.0.2.8:53"}}
    written = write_endpoints(confs.root, "local", wanted)
    assert [(each.datacenter, each.key, each.after) for each in written] == [
        ("local1", "s3.endpoint", S3),
        ("local2", "dns.resolver", "192.0.2.8:53"),
    ]
    assert changed(before, path(confs).read_text()) == [
        "-       endpoint: http://192.168.49.2:30333  # SeaweedFS, a NodePort on cluster1",
        f'+       endpoint: "{S3}"  # SeaweedFS, a NodePort on cluster1',
        "-       resolver: 192.168.49.3:30053  # its CoreDNS, a NodePort",
        '+       resolver: "192.0.2.8:53"  # its CoreDNS, a NodePort',
    ]


def test_what_is_written_already_leaves_the_file_alone(confs: Confs) -> None:
    wanted = {"local1": {ENDPOINT: S3}}
    write_endpoints(confs.root, "local", wanted)
    before = path(confs).stat()
    assert write_endpoints(confs.root, "local", wanted) == []
    assert path(confs).stat().st_ino == before.st_ino


def test_a_resolver_that_was_not_there_is_added(confs: Confs) -> None:
    text = path(confs).read_text()
    line = next(row for row in text.splitlines() if "resolver: 192.168.49.2" in row)
    path(confs).write_text(text.replace(f"{line}\n", ""))
    (written,) = write_endpoints(confs.root, "local", {"local1": {RESOLVER: "192.168.49.2:30053"}})
    assert written.before == ""
    assert '      resolver: "192.168.49.2:30053"\n' in path(confs).read_text()


def test_a_file_that_only_a_person_can_change_is_not_touched(confs: Confs) -> None:
    before = path(confs).read_text()
    shared = before.replace(
        "endpoint: http://192.168.49.2:30333  # SeaweedFS", "endpoint: &one http://192.168.49.2:30333  # S"
    )
    shared = shared.replace("endpoint: http://192.168.49.2:30333  # the same server", "endpoint: *one")
    assert shared.count("one") > before.count("one")
    path(confs).write_text(shared)
    with pytest.raises(ConfigError) as refused:
        write_endpoints(confs.root, "local", {"local1": {ENDPOINT: S3}})
    assert f"local1.s3.endpoint: {S3}" in refused.value.next_step
    assert path(confs).read_text() == shared


def test_what_no_file_may_hold_is_not_written(confs: Confs) -> None:
    before = path(confs).read_text()
    with pytest.raises(ConfigError):
        write_endpoints(confs.root, "local", {"local1": {ENDPOINT: "no url"}})
    assert path(confs).read_text() == before

"""Helm's records of many releases, with one request."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

from tests.unit.kube.fakes import FakeServer

from pgaas.kube.client import Api
from pgaas.kube.release import current_releases
from pgaas.kube.resources import SECRET


def record(
    name: str, space: str, revision: int, status: str, config: dict[str, Any] | None = None
) -> dict[str, Any]:
    content = {"config": config, "manifest": "kind: X", "info": {"status": status}}
    packed = base64.b64encode(base64.b64encode(gzip.compress(json.dumps(content).encode()))).decode()
    labels = {"owner": "helm", "name": name, "status": status, "version": str(revision)}
    metadata = {"name": f"{name}.v{revision}", "namespace": space, "labels": labels}
    return {"metadata": metadata, "data": {"release": packed}}


def test_the_newest_record_of_each_wanted_release_comes_with_its_values(server: FakeServer, api: Api) -> None:
    for each in (
        record("a", "one", 1, "superseded", {"x": 0}),
        record("a", "one", 10, "failed", {"x": 2}),
        record("a", "one", 9, "deployed", {"x": 1}),
        record("a", "two", 1, "deployed", None),
        record("theirs", "one", 1, "deployed", {"x": 3}),
    ):
        server.put(SECRET, each)
    found = current_releases(api, {("one", "a"), ("two", "a"), ("three", "a")})
    assert {key: (each.revision, each.status, each.values) for key, each in found.items() if each} == {
        ("one", "a"): (10, "failed", {"x": 2}),
        ("two", "a"): (1, "deployed", {}),
    }
    assert [each.manifest for each in found.values() if each] == ["", ""]
    assert len(server.asked) == 1
    assert "'x'" not in repr(found)


def test_a_record_that_cannot_be_read_is_none_unless_another_can(server: FakeServer, api: Api) -> None:
    broken = record("a", "one", 2, "failed") | {"data": {"release": "%"}}
    server.put(SECRET, broken)
    wanted = {("one", "a")}
    assert current_releases(api, wanted) == {("one", "a"): None}
    server.put(SECRET, record("a", "one", 1, "deployed"))
    found = current_releases(api, wanted)[("one", "a")]
    assert found is not None
    assert found.revision == 1

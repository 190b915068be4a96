"""Helm's records: read, and dropped when a killed helm left one pending."""

from __future__ import annotations

import base64
import gzip
import json
import time
from typing import Any

import pytest
from tests.unit.kube.fakes import FakeServer, path_of

from pgaas.errors import KubernetesError
from pgaas.kube.client import Api
from pgaas.kube.release import SETTLE_SECONDS, drop_stuck_release, latest_release
from pgaas.kube.resources import CLUSTER, SECRET

NAME, NAMESPACE = "local-ic1-local1", "ic1-local"


def record(revision: int, status: str, *, age: float = 3600.0, manifest: str = "") -> dict[str, Any]:
    packed = gzip.compress(json.dumps({"manifest": manifest, "info": {"status": status}}).encode())
    return {
        "metadata": {
            "name": f"sh.helm.release.v1.{NAME}.v{revision}",
            "namespace": NAMESPACE,
            "labels": {
                "owner": "helm",
                "name": NAME,
                "status": status,
                "version": str(revision),
                "modifiedAt": str(int(time.time() - age)),
            },
        },
        "data": {"release": base64.b64encode(base64.b64encode(packed)).decode()},
    }


def secrets(server: FakeServer) -> list[str]:
    return [path.rpartition(".")[2] for path in server.objects if "/secrets/" in path]


def test_the_newest_revision_counts_by_number(server: FakeServer, api: Api) -> None:
    for revision in (9, 10, 2):
        server.put(SECRET, record(revision, "deployed", manifest=f"number: {revision}"))
    found = latest_release(api, NAME, NAMESPACE)
    assert found is not None
    assert (found.revision, found.status, found.manifest) == (10, "deployed", "number: 10")


def test_no_release(api: Api) -> None:
    assert latest_release(api, NAME, NAMESPACE) is None


def test_a_record_that_cannot_be_read_is_named(server: FakeServer, api: Api) -> None:
    broken = record(1, "deployed")
    broken["data"]["release"] = base64.b64encode(b"%%%").decode()
    server.put(SECRET, broken)
    with pytest.raises(KubernetesError, match="cannot be read") as caught:
        latest_release(api, NAME, NAMESPACE)
    assert f"{NAMESPACE}/sh.helm.release.v1.{NAME}.v1" in caught.value.where


@pytest.mark.parametrize("status", ["pending-install", "pending-upgrade", "pending-rollback"])
def test_a_record_left_pending_goes_and_nothing_else(server: FakeServer, api: Api, status: str) -> None:
    server.put(SECRET, record(1, "deployed"))
    server.put(SECRET, record(2, status))
    server.put(CLUSTER, {"metadata": {"name": NAME, "namespace": NAMESPACE}})
    said = drop_stuck_release(api, NAME, NAMESPACE, on_wait=lambda _: None, sleep=pytest.fail)
    assert "revision 2" in said
    assert secrets(server) == ["v1"]
    assert path_of(CLUSTER, NAMESPACE, NAME) in server.objects


@pytest.mark.parametrize("status", ["deployed", "failed", "superseded", "uninstalling"])
def test_any_other_record_stays(server: FakeServer, api: Api, status: str) -> None:
    server.put(SECRET, record(3, status))
    assert drop_stuck_release(api, NAME, NAMESPACE, on_wait=pytest.fail, sleep=pytest.fail) == ""
    assert secrets(server) == ["v3"]
    assert server.writes() == []


def test_a_helm_that_may_still_be_at_work_is_given_time(server: FakeServer, api: Api) -> None:
    server.put(SECRET, record(1, "pending-install", age=1.0))
    waits: list[str] = []

    def sleep(_: float) -> None:
        server.put(SECRET, record(1, "deployed", age=0.0))

    assert drop_stuck_release(api, NAME, NAMESPACE, on_wait=waits.append, sleep=sleep) == ""
    assert len(waits) == 1
    assert secrets(server) == ["v1"]


def test_after_that_time_it_counts_as_killed(server: FakeServer, api: Api) -> None:
    server.put(SECRET, record(1, "pending-install", age=1.0))

    def sleep(_: float) -> None:
        server.put(SECRET, record(1, "pending-install", age=SETTLE_SECONDS + 1))

    assert drop_stuck_release(api, NAME, NAMESPACE, on_wait=lambda _: None, sleep=sleep)
    assert secrets(server) == []

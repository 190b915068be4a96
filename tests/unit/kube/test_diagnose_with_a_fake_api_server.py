"""Why a cluster is stuck, from what its objects, events and logs say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.kube.fakes import FakeServer, failure, path_of

from pgaas.kube.client import Api
from pgaas.kube.diagnose import archive_refused, explain_snapshot, explain_workloads, log_message
from pgaas.kube.resources import (
    BACKUP,
    CERTIFICATE,
    CERTIFICATE_REQUEST,
    CLUSTER,
    DATABASE,
    EVENT,
    JOB,
    POD,
    VOLUME_CLAIM,
)
from pgaas.kube.snapshot import take_snapshot

OURS = {"cnpg.io/cluster": "c"}


def meta(name: str, **labels: str) -> dict[str, Any]:
    return {"name": name, "namespace": "ns", "labels": {**OURS, **labels}}


def event(about: str, reason: str, at: str, message: str = "m", kind: str = "Warning") -> dict[str, Any]:
    return {
        "metadata": {"name": f"{about}.{reason}.{at}", "namespace": "ns"},
        "type": kind,
        "reason": reason,
        "message": message,
        "lastTimestamp": at,
        "involvedObject": {"kind": "Pod", "name": about},
    }


def test_the_clusters_own_objects_say_what_is_wrong(server: FakeServer, api: Api) -> None:
    server.put(
        CLUSTER,
        {
            "metadata": {**meta("c"), "creationTimestamp": "2026-01-01T00:00:00Z"},
            "status": {
                "phase": "Setting up primary",
                "phaseReason": "creating primary instance c-1",
                "conditions": [
                    {
                        "type": "ContinuousArchiving",
                        "status": "False",
                        "message": "unexpected failure invoking",
                    },
                    {"type": "Ready", "status": "Unknown", "message": "ignored"},
                ],
                "managedRolesStatus": {"cannotReconcile": {"app": ["role owns objects"]}},
            },
        },
    )
    server.put(
        DATABASE,
        {
            "metadata": meta("c-db"),
            "spec": {"name": "db", "cluster": {"name": "c"}},
            "status": {"applied": False, "message": "role nobody does not exist"},
        },
    )
    server.put(
        CERTIFICATE,
        {
            "metadata": meta("c-server"),
            "status": {"conditions": [{"type": "Ready", "status": "False", "message": "issuer not found"}]},
        },
    )
    server.put(
        BACKUP,
        {
            "metadata": {**meta("b"), "creationTimestamp": "2026-01-02T00:00:00Z"},
            "spec": {"cluster": {"name": "c"}},
            "status": {"phase": "failed", "error": "no space"},
        },
    )
    assert explain_snapshot(take_snapshot(api, "c", "ns")) == [
        "phase: Setting up primary (creating primary instance c-1)",
        "condition ContinuousArchiving: unexpected failure invoking",
        "role app: role owns objects",
        "database db: role nobody does not exist",
        "certificate c-server: issuer not found",
        "backup b: failed: no space",
    ]


def test_a_backup_of_a_former_life_is_no_reason(server: FakeServer, api: Api) -> None:
    server.put(CLUSTER, {"metadata": {**meta("c"), "creationTimestamp": "2026-01-03T00:00:00Z"}})
    server.put(
        BACKUP,
        {
            "metadata": {**meta("b"), "creationTimestamp": "2026-01-02T00:00:00Z"},
            "spec": {"cluster": {"name": "c"}},
            "status": {"phase": "failed"},
        },
    )
    assert take_snapshot(api, "c", "ns").backups == []


def test_pods_volumes_jobs_and_requests(server: FakeServer, api: Api) -> None:
    server.put(
        POD,
        {
            "metadata": meta("c-1"),
            "spec": {"containers": [{"name": "postgres"}]},
            "status": {
                "conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes: cpu"}],
                "containerStatuses": [
                    {
                        "name": "postgres",
                        "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}},
                        "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
                    }
                ],
            },
        },
    )
    server.put(
        VOLUME_CLAIM,
        {"metadata": meta("c-1"), "spec": {"storageClassName": "slow"}, "status": {"phase": "Pending"}},
    )
    server.put(JOB, {"metadata": meta("c-1-initdb"), "status": {"failed": 2}})
    server.put(
        CERTIFICATE_REQUEST,
        {
            "metadata": meta("c-server-1"),
            "status": {
                "conditions": [{"type": "Ready", "status": "False", "reason": "Failed", "message": "bad"}]
            },
        },
    )
    assert explain_workloads(api, "c", "ns") == [
        "pod c-1: cannot be scheduled: 0/1 nodes: cpu",
        "pod c-1, container postgres: ImagePullBackOff: no such image",
        "pod c-1, container postgres: ended with 137: OOMKilled",
        "volume c-1: pending, storage class slow",
        "job c-1-initdb: failed 2 times",
        "certificate request c-server-1: bad",
    ]


def test_only_warnings_about_this_cluster_newest_first(server: FakeServer, api: Api) -> None:
    server.put(EVENT, event("c-1", "Old", "2026-01-01T00:00:00Z"))
    server.put(EVENT, event("c-1", "New", "2026-01-02T00:00:00Z"))
    server.put(EVENT, event("cx-1", "Other", "2026-01-02T00:00:00Z"))
    server.put(EVENT, event("c-1", "Fine", "2026-01-02T00:00:00Z", kind="Normal"))
    assert explain_workloads(api, "c", "ns") == ["event on Pod c-1: New: m", "event on Pod c-1: Old: m"]


def test_the_last_error_lines_of_a_pod_that_is_not_ready(server: FakeServer, api: Api) -> None:
    pod = {"metadata": meta("c-1"), "spec": {"containers": [{"name": "postgres"}]}}
    server.put(POD, pod)
    lines = [
        {"level": "info", "msg": "fine"},
        {"level": "error", "msg": "first"},
        {"level": "info", "record": {"error_severity": "FATAL", "message": "no space left"}},
        {"level": "error", "msg": "third", "error": "why"},
        {"level": "error", "msg": "third", "error": "why"},
    ]
    server.raw[f"{path_of(POD, 'ns', 'c-1')}/log"] = "\n".join(map(json.dumps, lines))
    assert explain_workloads(api, "c", "ns") == [
        "log of c-1, postgres: FATAL: no space left",
        "log of c-1, postgres: third: why",
    ]
    server.put(POD, {**pod, "status": {"conditions": [{"type": "Ready", "status": "True"}]}})
    assert explain_workloads(api, "c", "ns") == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"level":"info","msg":"x"}', ""),
        ('{"level":"error","msg":"x","err":"y"}', "x: y"),
        ("FATAL:  database is starting up", "FATAL: database is starting up"),
        ("plain words", ""),
        ("[1, 2]", ""),
        ('"text"', ""),
    ],
)
def test_which_lines_count(line: str, said: str) -> None:
    assert log_message(line) == said


def test_an_archive_that_refuses_is_found_in_the_bootstrap_pod_only(server: FakeServer, api: Api) -> None:
    line = json.dumps(
        {"level": "error", "msg": "WAL archive check failed for server c: Expected empty archive"}
    )
    for name, labels in (("c-1", {}), ("c-1-full-recovery", {"cnpg.io/jobRole": "full-recovery"})):
        server.put(POD, {"metadata": meta(name, **labels), "spec": {"containers": [{"name": "boot"}]}})
    server.raw[f"{path_of(POD, 'ns', 'c-1')}/log"] = line
    assert archive_refused(api, "c", "ns") == ""
    server.raw[f"{path_of(POD, 'ns', 'c-1-full-recovery')}/log"] = line
    assert "Expected empty archive" in archive_refused(api, "c", "ns")


def test_what_may_not_be_read_is_left_out(server: FakeServer, api: Api) -> None:
    server.put(JOB, {"metadata": meta("c-1-initdb"), "status": {"failed": 1}})
    server.answers[f"GET {path_of(EVENT, 'ns')}"] = failure(403, "Forbidden", "no")
    server.answers[f"GET {path_of(POD, 'ns')}"] = failure(403, "Forbidden", "no")
    assert explain_workloads(api, "c", "ns") == ["job c-1-initdb: failed 1 times"]

from typing import Any

import pytest

from pgaas_lab import volumes

IMMEDIATE = {"metadata": {"name": "standard"}, "provisioner": volumes.PROVISIONER, "reclaimPolicy": "Delete"}
LATE = IMMEDIATE | {"volumeBindingMode": "WaitForFirstConsumer"}


def claim(**changes: Any) -> dict[str, Any]:
    spec = {
        "storageClassName": "standard",
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
    }
    return {"metadata": {"namespace": "n", "name": "c", "uid": "u1"}, "spec": spec | changes, "status": {}}


def test_a_claim_of_the_class_waits():
    assert volumes.is_waiting(claim(), {"standard": IMMEDIATE})


@pytest.mark.parametrize(
    "changes", [{"volumeName": "pvc-u1"}, {"storageClassName": "other"}, {"storageClassName": None}]
)
def test_a_bound_or_foreign_claim_does_not_wait(changes):
    assert not volumes.is_waiting(claim(**changes), {"standard": IMMEDIATE})


def test_a_claim_that_is_being_deleted_does_not_wait():
    going = claim()
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert not volumes.is_waiting(going, {"standard": IMMEDIATE})


def test_a_late_class_waits_for_its_first_consumer():
    late = claim()
    assert not volumes.is_waiting(late, {"standard": LATE})
    late["metadata"]["annotations"] = {volumes.SELECTED_NODE: "cluster1"}
    assert volumes.is_waiting(late, {"standard": LATE})


def test_a_volume_is_bound_to_its_claim_and_lies_in_its_own_folder(tmp_path):
    volume = volumes.volume_for(claim(), IMMEDIATE, tmp_path)
    assert volume["spec"]["hostPath"]["path"] == str(tmp_path / "pvc-u1")
    assert volume["spec"]["claimRef"]["uid"] == "u1"
    assert volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete"
    assert volumes.is_ours(volume)


@pytest.mark.parametrize(
    ("phase", "policy", "expected"),
    [("Released", "Delete", True), ("Bound", "Delete", False), ("Released", "Retain", False)],
)
def test_only_a_released_volume_is_wiped(tmp_path, phase, policy, expected):
    volume = volumes.volume_for(claim(), IMMEDIATE | {"reclaimPolicy": policy}, tmp_path)
    assert volumes.is_to_wipe(volume | {"status": {"phase": phase}}) is expected


def test_wiping_touches_no_folder_but_the_volume_s_own(tmp_path):
    pool = tmp_path / "volumes"
    volume = volumes.volume_for(claim(), IMMEDIATE, pool)
    other = tmp_path / "pvc-u1"
    for folder in (pool / "pvc-u1", other):
        folder.mkdir(parents=True)
    volumes.wipe(volume | {"spec": volume["spec"] | {"hostPath": {"path": str(other)}}}, pool)
    volumes.wipe(volume, pool)
    assert other.exists()
    assert not (pool / "pvc-u1").exists()


def test_a_claim_grows_but_never_shrinks(tmp_path):
    volume = volumes.volume_for(claim(), IMMEDIATE, tmp_path)
    bound = claim(volumeName="pvc-u1", resources={"requests": {"storage": "2Gi"}})
    bound["status"] = {"phase": "Bound", "capacity": {"storage": "1Gi"}}
    assert volumes.growth(bound, {"pvc-u1": volume}) == "2Gi"
    bound["status"]["capacity"]["storage"] = "4Gi"
    assert volumes.growth(bound, {"pvc-u1": volume}) == ""


@pytest.mark.parametrize(
    ("text", "size"), [("1Gi", 2**30), ("500M", 5e8), ("1.5Ki", 1536), ("7", 7), ("x", 0)]
)
def test_quantities(text, size):
    assert volumes.quantity(text) == size

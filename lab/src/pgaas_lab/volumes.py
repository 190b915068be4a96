"""Make, enlarge and wipe the volumes of claims: folders of the machine, as minikube's provisioner does."""

import re
import shutil
from pathlib import Path
from typing import Any

from pgaas_lab.api import Api
from pgaas_lab.datacenters import Datacenter

Object = dict[str, Any]

PROVISIONER = "pgaas-lab/hostpath"
# A StorageClass written for minikube works here too.
SERVED = (PROVISIONER, "k8s.io/minikube-hostpath")
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
UNITS = {
    "": 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}


def quantity(text: str) -> float:
    """Return the number of bytes in a Kubernetes quantity; what it cannot read counts as nothing."""
    found = re.fullmatch(r"([0-9.]+)([kKMGT]?i?)", text)
    return float(found.group(1)) * UNITS.get(found.group(2), 0) if found else 0


def is_waiting(claim: Object, classes: dict[str, Object]) -> bool:
    """Tell whether a claim waits for a volume from the lab."""
    spec, metadata = claim["spec"], claim["metadata"]
    storage_class = classes.get(spec.get("storageClassName") or "")
    if spec.get("volumeName") or metadata.get("deletionTimestamp") or storage_class is None:
        return False
    if storage_class.get("volumeBindingMode") == "WaitForFirstConsumer":
        return SELECTED_NODE in (metadata.get("annotations") or {})
    return True


def volume_for(claim: Object, storage_class: Object, folder: Path) -> Object:
    """Return the volume to make for a claim."""
    metadata, spec = claim["metadata"], claim["spec"]
    name = f"pvc-{metadata['uid']}"
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {PROVISIONED_BY: storage_class["provisioner"]}},
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "volumeMode": "Filesystem",
            "storageClassName": spec["storageClassName"],
            "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy", "Delete"),
            "hostPath": {"path": str(folder / name), "type": "DirectoryOrCreate"},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
        },
    }


def is_ours(volume: Object) -> bool:
    """Tell whether a volume was made by the lab."""
    return (volume["metadata"].get("annotations") or {}).get(PROVISIONED_BY) in SERVED


def is_to_wipe(volume: Object) -> bool:
    """Tell whether a volume's claim is gone and its data is to go too."""
    policy = volume["spec"].get("persistentVolumeReclaimPolicy")
    phase = (volume.get("status") or {}).get("phase")
    return is_ours(volume) and policy == "Delete" and phase in ("Released", "Failed")


def growth(claim: Object, volumes: dict[str, Object]) -> str:
    """Return the size that a bound claim asks for and does not have, or an empty text."""
    volume = volumes.get(claim["spec"].get("volumeName") or "")
    if volume is None or not is_ours(volume) or (claim.get("status") or {}).get("phase") != "Bound":
        return ""
    wanted = str(claim["spec"]["resources"]["requests"]["storage"])
    has = str((claim["status"].get("capacity") or {}).get("storage", "0"))
    return wanted if quantity(wanted) > quantity(has) else ""


def wipe(volume: Object, folder: Path) -> None:
    """Remove a volume's folder, if it is one that the lab made."""
    path = Path(volume["spec"]["hostPath"]["path"])
    if path.parent == folder and path.name == volume["metadata"]["name"]:
        shutil.rmtree(path, ignore_errors=True)


def reconcile(datacenter: Datacenter, api: Api) -> None:
    """Bring the volumes in line with the claims. Raise httpx.HTTPError."""
    claims = api.items("/api/v1/persistentvolumeclaims")
    listed = api.items("/api/v1/persistentvolumes")
    volumes = {str(volume["metadata"]["name"]): volume for volume in listed}
    classes = {
        str(each["metadata"]["name"]): each
        for each in api.items("/apis/storage.k8s.io/v1/storageclasses")
        if each["provisioner"] in SERVED
    }
    for claim in claims:
        if is_waiting(claim, classes):
            provide(
                volume_for(claim, classes[claim["spec"]["storageClassName"]], datacenter.volumes),
                volumes,
                api,
            )
        elif size := growth(claim, volumes):
            enlarge(claim, size, api)
    for name, volume in volumes.items():
        if is_to_wipe(volume):
            wipe(volume, datacenter.volumes)
            api.delete(f"/api/v1/persistentvolumes/{name}")
            print(f"{datacenter.name} {name}: wiped", flush=True)


def provide(volume: Object, existing: dict[str, Object], api: Api) -> None:
    """Make a volume and its folder."""
    name = str(volume["metadata"]["name"])
    if name in existing:
        return
    folder = Path(volume["spec"]["hostPath"]["path"])
    folder.mkdir(parents=True, exist_ok=True)
    # Pods run as any user, and a hostPath gets no fsGroup.
    folder.chmod(0o777)
    api.create("/api/v1/persistentvolumes", volume)
    claim = volume["spec"]["claimRef"]
    print(f"{name}: made for {claim['namespace']}/{claim['name']}", flush=True)


def enlarge(claim: Object, size: str, api: Api) -> None:
    """Say of a claim and its volume that they have the size asked for: a folder is as large as the disk."""
    metadata = claim["metadata"]
    api.patch(
        f"/api/v1/persistentvolumes/{claim['spec']['volumeName']}", {"spec": {"capacity": {"storage": size}}}
    )
    path = f"/api/v1/namespaces/{metadata['namespace']}/persistentvolumeclaims/{metadata['name']}/status"
    api.patch(path, {"status": {"capacity": {"storage": size}, "conditions": None}})

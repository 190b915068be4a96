"""What somebody else installed stays theirs: elsewhere, or as a release of the very same name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
import yaml
from tests.unit.kube.fakes import path_of, use_kubeconfig
from tests.unit.operations.infra_worlds import CONFIG, InfraWorld, charts_folder, connect, make_infra_world
from tests.unit.operations.told import Told
from tests.unit.tools.fake_s3 import FakeS3

from pgaas.errors import RefusedAsUnsafe, TimedOut
from pgaas.kube.resources import CERTIFICATE, CONFIG_MAP, DATABASE, DEFINITION, NAMESPACE, SECRET, VOLUME
from pgaas.operations import infra, infra_delete, infra_status
from pgaas.operations.infra import OPERATOR, SEAWEEDFS
from pgaas.operations.infra_install import Choices, Installed, install

OPERATOR_IMAGE = "quay.io/x/cloudnative-pg:1.30.0"
CONTROLLER_IMAGE = "quay.io/x/cert-manager-controller:v1.21.2"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared_s3: FakeS3) -> InfraWorld:
    shared_s3.objects.clear()
    shared_s3.refuse.clear()
    shared_s3.buckets = set()
    use_kubeconfig(tmp_path, monkeypatch, yaml.safe_dump(CONFIG))
    world = make_infra_world(tmp_path / "root", shared_s3)
    charts_folder(world.root / "charts")
    connect(world, monkeypatch)
    return world


def bring(world: InfraWorld, told: Told, timeout: float = 5.0) -> Installed:
    return install(world.root, Choices(charts=world.root / "charts", timeout=timeout), told)


def remove(world: InfraWorld, told: Told) -> infra_delete.Plan:
    plan = infra_delete.plan_deletion(world.root)
    infra_delete.delete(plan, keep_crds=False, timeout=5, progress=told)
    return plan


def detail_of(done: Installed, title: str) -> str:
    (detail,) = [step.detail for step in done.steps if step.name == title]
    return detail


def put_definition(world: InfraWorld, name: str, release: str, namespace: str) -> None:
    notes = {"meta.helm.sh/release-name": release, "meta.helm.sh/release-namespace": namespace}
    world.servers["cluster1"].put(DEFINITION, {"metadata": {"name": name, "annotations": notes}})


def test_an_operator_that_somebody_else_installed_is_left_alone(here: InfraWorld, told: Told) -> None:
    here.put_theirs("cluster2", "theirs", OPERATOR_IMAGE)
    done = bring(here, told)
    assert ("cnpg", "cluster2") not in here.syncs()
    assert ("cnpg", "cluster1") in here.syncs()
    assert detail_of(done, "CloudNativePG") == (
        "local1: installed, local2: is there already, not from pgaas: left as it is "
        "(operators/theirs: cloudnative-pg:1.30.0)"
    )


def test_somebody_elses_operator_that_does_not_run_is_waited_for_and_not_well(
    here: InfraWorld, told: Told
) -> None:
    here.put_theirs("cluster2", "theirs", OPERATOR_IMAGE, ready=0)
    with pytest.raises(TimedOut, match="Deployment theirs: 0 of 1 available"):
        bring(here, told, timeout=0.01)
    parts = {part.name: part for part in infra_status.status(here.root, dc="local2")}
    assert not parts["CloudNativePG"].ok
    assert "0 of 1 available, not from pgaas (operators/theirs)" in parts["CloudNativePG"].detail
    here.put_theirs("cluster2", "theirs", OPERATOR_IMAGE)
    parts = {part.name: part for part in infra_status.status(here.root, dc="local2")}
    assert parts["CloudNativePG"].ok
    assert parts["CloudNativePG"].detail == "cloudnative-pg:1.30.0, not from pgaas (operators/theirs)"


def test_kinds_of_a_release_of_the_same_name_elsewhere_stay(here: InfraWorld, told: Told) -> None:
    bring(here, told)
    put_definition(here, "certificates.cert-manager.io", "cert-manager", "security")
    remove(here, told)
    assert here.names("cluster1", DEFINITION) == {"certificates.cert-manager.io"}


@pytest.mark.parametrize("theirs", [True, False])
def test_certificates_are_minded_only_if_their_kind_goes(here: InfraWorld, told: Told, theirs: bool) -> None:
    if theirs:
        here.put_theirs("cluster1", "cert-manager", CONTROLLER_IMAGE)
        put_definition(here, "certificates.cert-manager.io", "cert-manager", "operators")
    bring(here, told)
    here.servers["cluster1"].put(CERTIFICATE, {"metadata": {"name": "shop", "namespace": "web"}})
    plan = infra_delete.plan_deletion(here.root, dc="local1")
    assert any("the certificates in web go too" in doubt for doubt in plan.doubts) is not theirs


def test_a_release_of_the_same_name_and_namespace_is_not_touched(here: InfraWorld, told: Told) -> None:
    here.servers["cluster1"].put(NAMESPACE, {"metadata": {"name": "cnpg-system"}})
    here.deploy(OPERATOR, "cluster1", here.manifest(OPERATOR))
    done = bring(here, told)
    assert ("cnpg", "cluster1") not in here.syncs()
    assert "left as it is (Helm's release cnpg-system/cnpg: cloudnative-pg:1)" in detail_of(
        done, "CloudNativePG"
    )
    plan = remove(here, told)
    assert "local1: Helm's release cnpg-system/cnpg is not from pgaas: it stays" in plan.doubts
    assert ("uninstall", "cnpg", "cluster1") not in here.ran
    assert ("uninstall", "cnpg", "cluster2") in here.ran
    assert here.names("cluster1", DEFINITION) == {"things.cnpg"}


def test_in_a_namespace_that_pgaas_did_not_make_a_release_is_known_for_its_own(
    here: InfraWorld, told: Told
) -> None:
    here.servers["cluster1"].put(NAMESPACE, {"metadata": {"name": "cnpg-system"}})
    here.fails["sync", "cnpg"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        bring(here, told)
    # Helm had got as far as this.
    here.deploy(OPERATOR, "cluster1", here.manifest(OPERATOR), status="pending-install")
    done = bring(here, told)
    assert "left as it is" not in detail_of(done, "CloudNativePG")
    assert {step.detail for step in bring(here, told).steps if step.name == "CloudNativePG"} == {"unchanged"}
    remove(here, told)
    assert ("uninstall", "cnpg", "cluster1") in here.ran
    assert here.names("cluster1", DEFINITION) == set()
    assert here.names("cluster1", CONFIG_MAP) == set()


def test_a_deployment_whose_record_helm_lost_is_still_pgaas_s(here: InfraWorld, told: Told) -> None:
    bring(here, told)
    secret = f"/api/v1/namespaces/cnpg-system/secrets/sh.helm.release.v1.{OPERATOR.name}.v1"
    del here.servers["cluster1"].objects[secret]
    here.ran.clear()
    bring(here, told)
    assert here.syncs() == [("cnpg", "cluster1")]


@pytest.mark.parametrize(
    ("arguments", "namespace"),
    [
        (["--v=2", "--cluster-resource-namespace=$(POD_NAMESPACE)"], "operators"),
        (["--cluster-resource-namespace=roots"], "roots"),
        ([], "kube-system"),
    ],
)
def test_the_root_is_made_where_somebody_elses_cert_manager_looks_for_it_and_goes_with_its_key(
    here: InfraWorld, told: Told, arguments: list[str], namespace: str
) -> None:
    here.put_theirs("cluster1", "cert-manager", CONTROLLER_IMAGE, args=arguments)
    bring(here, told)
    found = here.servers["cluster1"].objects
    assert path_of(CERTIFICATE, namespace, "pgaas-root-ca") in found
    put_root_key(here, namespace)
    remove(here, told)
    assert path_of(CERTIFICATE, namespace, "pgaas-root-ca") not in found
    assert path_of(SECRET, namespace, "pgaas-root-ca") not in found


def test_a_key_that_an_interrupted_deletion_left_goes_and_somebody_elses_stays(
    here: InfraWorld, told: Told
) -> None:
    bring(here, told)
    found = here.servers["cluster1"].objects
    key = path_of(SECRET, "cert-manager", "pgaas-root-ca")
    del found[path_of(CERTIFICATE, "cert-manager", "pgaas-root-ca")]
    put_root_key(here, "cert-manager")
    infra_delete._authority(infra.load_infra(here.root).sites[0])
    assert key in found
    put_root_key(here, "cert-manager", labels=infra.MADE)
    infra_delete._authority(infra.load_infra(here.root).sites[0])
    assert key not in found


def test_the_secrets_of_a_releases_certificates_go_with_it(here: InfraWorld, told: Told) -> None:
    bring(here, told)
    wanted = {
        "apiVersion": CERTIFICATE.api_version,
        "kind": CERTIFICATE.kind,
        "metadata": {"name": "seaweedfs-tls"},
        "spec": {"secretName": "tls-inside"},
    }
    here.deploy(SEAWEEDFS, "cluster1", f"{here.manifest(SEAWEEDFS)}---\n{yaml.safe_dump(wanted)}")
    for name, owner in (("tls-inside", "seaweedfs-tls"), ("tls-theirs", "theirs")):
        notes = {"cert-manager.io/certificate-name": owner}
        metadata = {"name": name, "namespace": "local-infra", "annotations": notes}
        here.servers["cluster1"].put(SECRET, {"metadata": metadata})
    infra_delete._uninstall(infra.load_infra(here.root).sites[0], SEAWEEDFS, told)
    assert {name for name in here.names("cluster1", SECRET) if "tls" in name} == {"tls-theirs"}


def put_root_key(world: InfraWorld, namespace: str, **more: object) -> None:
    notes = {"cert-manager.io/certificate-name": "pgaas-root-ca"}
    metadata = {"name": "pgaas-root-ca", "namespace": namespace, "annotations": notes, **more}
    world.servers["cluster1"].put(SECRET, {"metadata": metadata})


def test_a_deletion_shows_what_is_in_s3_whoever_s_it_was_and_says_if_it_cannot_look(
    here: InfraWorld, told: Told
) -> None:
    bring(here, told)
    here.s3.buckets.add("of-a-client-of-before")
    here.s3.objects["x"] = b"abc"
    plan = infra_delete.plan_deletion(here.root)
    assert "bucket of-a-client-of-before: 1 objects, 3 bytes" in plan.goes
    assert "bucket ic1-backups: 1 objects, 3 bytes" in plan.goes
    here.s3.refuse = {"GET": (403, "AccessDenied")}
    plan = infra_delete.plan_deletion(here.root)
    assert any("S3 could not be looked at" in doubt for doubt in plan.doubts)


def test_what_only_the_operator_lets_go_of_is_named_before_it_goes(here: InfraWorld, told: Told) -> None:
    bring(here, told)
    metadata = {"name": "app", "namespace": "ic1-local", "finalizers": ["cnpg.io/deleteDatabase"]}
    here.servers["cluster2"].put(DATABASE, {"metadata": metadata})
    with pytest.raises(RefusedAsUnsafe, match="local2: Database ic1-local/app"):
        infra_delete.plan_deletion(here.root)
    here.servers["cluster2"].put(DATABASE, {"metadata": metadata | {"finalizers": []}})
    infra_delete.plan_deletion(here.root)


def test_a_volume_that_kubernetes_keeps_is_named(here: InfraWorld, told: Told) -> None:
    bring(here, told)
    for name, policy in (("pv-kept", "Retain"), ("pv-gone", "Delete")):
        claim = {"namespace": "local-infra", "name": f"of-{name}"}
        spec = {"claimRef": claim, "persistentVolumeReclaimPolicy": policy}
        here.servers["cluster1"].put(VOLUME, {"metadata": {"name": name}, "spec": spec})
    here.servers["cluster1"].answers["GET /api/v1/persistentvolumes"] = volumes_without_those_that_go(here)
    plan = infra_delete.plan_deletion(here.root)
    done = infra_delete.delete(plan, keep_crds=False, timeout=5, progress=told)
    assert done.kept == (
        "local1: volume pv-kept of claim of-pv-kept stays, with its data: its reclaim policy is Retain",
    )


def volumes_without_those_that_go(world: InfraWorld) -> Callable[[httpx2.Request], httpx2.Response]:
    """Answer once with all volumes, then without those that Kubernetes has removed."""
    asked: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        found = [
            obj for obj in world.servers["cluster1"].objects.values() if obj["kind"] == "PersistentVolume"
        ]
        items = [obj for obj in found if len(asked) == 1 or obj["metadata"]["name"] == "pv-kept"]
        return httpx2.Response(200, json={"items": items, "metadata": {"resourceVersion": "1"}})

    return answer

"""Installing, looking at and removing the local infrastructure, in two datacenters in memory."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from tests.unit.kube.fakes import failure, path_of, use_kubeconfig
from tests.unit.operations.infra_worlds import CONFIG, InfraWorld, charts_folder, connect, make_infra_world
from tests.unit.operations.told import Told
from tests.unit.tools.fake_s3 import FakeS3

from pgaas.errors import KubernetesError, RefusedAsUnsafe, TimedOut, ToolFailed, UsageError
from pgaas.kube.resources import (
    CLUSTER,
    CLUSTER_ISSUER,
    DEFINITION,
    DEPLOYMENT,
    NAMESPACE,
    SERVICE,
    STORAGE_CLASS,
    VOLUME_CLAIM,
)
from pgaas.operations import infra_delete, infra_status
from pgaas.operations.infra import RELEASES
from pgaas.operations.infra_install import Choices, install

NAMES = [release.name for release in RELEASES]
SECOND = [release.name for release in RELEASES if not release.first_only]
EVERYWHERE = sorted([*((name, "cluster1") for name in NAMES), *((name, "cluster2") for name in SECOND)])


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared_s3: FakeS3) -> InfraWorld:
    shared_s3.objects.clear()
    shared_s3.refuse.clear()
    shared_s3.buckets = set()
    use_kubeconfig(tmp_path, monkeypatch, yaml.safe_dump(CONFIG))
    world = make_infra_world(tmp_path / "root", shared_s3)
    connect(world, monkeypatch)
    return world


def confs(world: InfraWorld) -> str:
    return (world.root / "confs/admin/local/datacenters.yaml").read_text()


def choices(world: InfraWorld, **more: object) -> Choices:
    folder = world.root / "charts"
    return Choices(charts=folder if folder.exists() else charts_folder(folder), **more)  # type: ignore[arg-type]


def test_a_live_cluster_of_a_client_that_is_not_in_the_file_is_named(here: InfraWorld, told: Told) -> None:
    for ins in ("ic1", "is1"):
        labels = {"pgaas.io/ins": ins, "pgaas.io/env": "local"}
        metadata = {"name": f"local-{ins}-local2", "namespace": f"{ins}-local", "labels": labels}
        here.servers["cluster2"].put(CLUSTER, {"metadata": metadata})
    install(here.root, choices(here), told)
    [note] = [line for line in told.lines if "does not know" in line]
    assert note.startswith("note local2: local-is1-local2 lives")


def test_two_bare_clusters_get_all_of_it_and_a_second_time_nothing(here: InfraWorld, told: Told) -> None:
    done = install(here.root, choices(here), told)
    assert here.syncs() == EVERYWHERE
    for context in ("cluster1", "cluster2"):
        assert here.names(context, STORAGE_CLASS) == {"standard"}
        assert here.names(context, SERVICE) >= {"pgaas-dns"}
        assert here.apis[context].get(CLUSTER_ISSUER, "pgaas-ca-issuer") is not None
    assert here.s3.buckets == {"ic1-backups"}
    assert done.endpoint == here.s3.url
    assert confs(here).count(f'endpoint: "{here.s3.url}"  # ') == 2
    assert 'resolver: "127.0.0.2:30053"  # its CoreDNS, a NodePort' in confs(here)
    assert {each.key for each in done.written} == {"s3.endpoint", "dns.resolver"}
    # The collector of the second datacenter is told where the first one is now.
    values = (here.root / "confs/_generated/local-infra/local2/observability-values.yaml").read_text()
    assert "http://127.0.0.1:30090/" in values
    before, writes = confs(here), [len(server.writes()) for server in here.servers.values()]
    here.ran.clear()
    again = install(here.root, choices(here), told)
    assert (here.syncs(), again.written, confs(here)) == ([], (), before)
    results = {step.name: step.detail for step in again.steps}
    assert {results[release.title] for release in RELEASES} == {"unchanged"}
    # Only the root's objects are applied once more, as they are.
    for server, count in zip(here.servers.values(), writes, strict=True):
        assert {asked.path.split("/")[-2] for asked in server.writes()[count:]} <= {
            "clusterissuers",
            "certificates",
        }


def test_a_charts_folder_is_handed_on_and_without_one_the_repositories_are_fetched(
    here: InfraWorld, told: Told
) -> None:
    install(here.root, choices(here), told)
    assert {env["PGAAS_CHARTS"] for env in here.environments} == {str(here.root / "charts")}
    assert "repos" not in [verb for verb, _, _ in here.ran]
    install(here.root, Choices(), told)
    assert [verb for verb, _, _ in here.ran].count("repos") == 1


def test_what_changed_in_confs_is_synced_and_nothing_else(here: InfraWorld, told: Told) -> None:
    install(here.root, choices(here), told)
    here.ran.clear()
    here.extra = "another"
    install(here.root, choices(here, dc="local2"), told)
    assert here.syncs() == sorted((name, "cluster2") for name in SECOND)


def test_an_object_that_somebody_removed_comes_back(here: InfraWorld, told: Told) -> None:
    install(here.root, choices(here), told)
    here.ran.clear()
    del here.servers["cluster1"].objects[path_of(SERVICE, "local-infra", "seaweedfs-s3")]
    install(here.root, choices(here), told)
    assert here.syncs() == [("seaweedfs", "cluster1")]


def test_killed_at_a_release_it_takes_up_from_there(here: InfraWorld, told: Told) -> None:
    here.fails["sync", "seaweedfs"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt, match="pgaas infra install takes up from there"):
        install(here.root, choices(here), told)
    here.ran.clear()
    install(here.root, choices(here), told)
    assert {name for name, _ in here.syncs()} == {"seaweedfs", "openldap", "pgaas-observability"}


def test_a_release_that_helm_left_pending_is_synced_again(here: InfraWorld, told: Told) -> None:
    release = RELEASES[1]
    metadata = {"name": release.namespace, "annotations": {"pgaas.io/made-by": "pgaas"}}
    here.servers["cluster1"].put(NAMESPACE, {"metadata": metadata})
    here.deploy(release, "cluster1", here.manifest(release), status="pending-install")
    install(here.root, choices(here, dc="local1"), told)
    assert (release.name, "cluster1") in here.syncs()


def test_a_removal_that_was_interrupted_is_ended_before_the_release_comes_back(
    here: InfraWorld, told: Told
) -> None:
    install(here.root, choices(here), told)
    release = RELEASES[4]
    here.deploy(release, "cluster2", here.manifest(release), status="uninstalling")
    here.ran.clear()
    install(here.root, choices(here), told)
    verbs = [(verb, context) for verb, name, context in here.ran if name == release.name]
    assert [each for each in verbs if each[0] != "template"] == [
        ("uninstall", "cluster2"),
        ("sync", "cluster2"),
    ]


def test_what_somebody_scaled_to_none_is_not_well_and_comes_back(here: InfraWorld, told: Told) -> None:
    install(here.root, choices(here), told)
    live = here.servers["cluster1"].objects[path_of(DEPLOYMENT, "local-infra", "openldap")]
    live["spec"]["replicas"] = 0
    live["status"] = {}
    (part,) = [part for part in infra_status.status(here.root) if not part.ok]
    assert (part.name, part.detail) == ("OpenLDAP", "Deployment openldap: 0 of 1 up to date")
    here.ran.clear()
    install(here.root, choices(here), told)
    assert here.syncs() == [("openldap", "cluster1")]
    # Before Helm, which takes no field from whoever scaled it.
    (scaled,) = [asked for asked in here.servers["cluster1"].writes() if asked.method == "PUT"]
    assert scaled.body["spec"]["replicas"] == 1
    assert [part for part in infra_status.status(here.root) if not part.ok] == []


def test_a_class_is_the_default_only_if_there_is_no_other(here: InfraWorld, told: Told) -> None:
    notes = {"storageclass.kubernetes.io/is-default-class": "true"}
    here.servers["cluster1"].put(STORAGE_CLASS, {"metadata": {"name": "theirs", "annotations": notes}})
    install(here.root, choices(here), told)
    found = {context: api.get(STORAGE_CLASS, "standard") for context, api in here.apis.items()}
    assert (found["cluster1"] or {})["metadata"]["annotations"] == {}
    assert (found["cluster2"] or {})["metadata"]["annotations"] == notes


def test_one_datacenter_gets_what_it_has_and_only_the_first_has_s3(here: InfraWorld, told: Told) -> None:
    done = install(here.root, choices(here, dc="local2"), told)
    assert here.syncs() == sorted((name, "cluster2") for name in SECOND)
    assert (done.endpoint, here.s3.buckets) == ("", set())
    assert here.servers["cluster1"].asked == []


def test_what_is_left_out_is_not_installed(here: InfraWorld, told: Told) -> None:
    done = install(here.root, choices(here, without=("seaweedfs", "openldap")), told)
    assert {name for name, _ in here.syncs()} == {*NAMES} - {"seaweedfs", "openldap"}
    assert done.endpoint == ""
    with pytest.raises(UsageError, match="no release 'ldap'"):
        install(here.root, choices(here, without=("ldap",)), told)


def test_dns_that_answers_already_is_used(here: InfraWorld, told: Told) -> None:
    ports = [
        {"port": 53, "protocol": "TCP", "nodePort": 31000},
        {"port": 53, "protocol": "UDP", "nodePort": 31053},
    ]
    spec = {"type": "NodePort", "selector": {"k8s-app": "kube-dns"}, "ports": ports}
    here.servers["cluster1"].put(
        SERVICE, {"metadata": {"name": "own", "namespace": "kube-system"}, "spec": spec}
    )
    install(here.root, choices(here), told)
    assert 'resolver: "127.0.0.1:31053"' in confs(here)
    assert "pgaas-dns" not in here.names("cluster1", SERVICE)


def test_a_pod_that_does_not_come_is_said_and_then_named(here: InfraWorld, told: Told) -> None:
    here.broken["openldap"] = "no such image"
    with pytest.raises(TimedOut) as timed_out:
        install(here.root, choices(here, timeout=0.01), told)
    assert "failed in 2 datacenters" in timed_out.value.what
    assert "openldap-0, container main: ErrImagePull: no such image" in timed_out.value.what
    assert "detail local1: Deployment openldap: 0 of 1 available; pod" in told.text
    assert "pgaas infra install" in timed_out.value.next_step


def test_a_datacenter_that_does_not_answer_is_said_before_anything_is_done(
    here: InfraWorld, told: Told
) -> None:
    here.servers["cluster2"].answers["GET /version"] = failure(403, "Forbidden", "not you")
    with pytest.raises(KubernetesError, match="not you"):
        install(here.root, choices(here), told)
    assert here.ran == []


def test_helms_words_come_with_what_to_do_next(here: InfraWorld, told: Told) -> None:
    here.fails["sync", "openldap"] = ToolFailed(
        "helmfile sync ended with exit code 1:\n  boom", where="helmfile"
    )
    with pytest.raises(ToolFailed, match="boom") as failed:
        install(here.root, choices(here, dc="local1"), told)
    assert "takes up from there" in failed.value.next_step


def test_a_folder_without_the_charts_is_refused(here: InfraWorld, told: Told) -> None:
    with pytest.raises(UsageError, match="no chart cert-manager, cloudnative-pg, plugin-barman-cloud"):
        install(here.root, Choices(charts=here.root), told)


@pytest.mark.parametrize(
    ("chosen", "says"),
    [({"env": "prod"}, "has no local infrastructure"), ({"dc": "local3"}, "no datacenter")],
)
def test_only_local_has_it(here: InfraWorld, told: Told, chosen: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        install(here.root, choices(here, **chosen), told)


def test_status_says_what_is_missing_then_that_all_is_well_then_what_broke(
    here: InfraWorld, told: Told
) -> None:
    bad = [part for part in infra_status.status(here.root) if not part.ok]
    assert {part.name for part in bad} >= {"storage class", "certificate authority", "DNS", "SeaweedFS"}
    assert any("not installed: pgaas infra install" in part.detail for part in bad)
    install(here.root, choices(here), told)
    parts = infra_status.status(here.root)
    assert [part for part in parts if not part.ok] == []
    assert ("local1", "S3 endpoint", here.s3.url) in [(p.datacenter, p.name, p.detail) for p in parts]
    path = path_of(DEPLOYMENT, "local-infra", "openldap")
    here.servers["cluster2"].objects[path]["status"]["availableReplicas"] = 0
    text = (here.root / "confs/admin/local/datacenters.yaml").read_text()
    (here.root / "confs/admin/local/datacenters.yaml").write_text(
        text.replace(here.s3.url, "http://192.0.2.1:1")
    )
    bad = [part for part in infra_status.status(here.root) if not part.ok]
    assert [(part.datacenter, part.name) for part in bad] == [
        ("local1", "S3 endpoint"),
        ("local2", "OpenLDAP"),
    ]
    assert "but datacenters.yaml says http://192.0.2.1:1" in bad[0].detail


def remove(world: InfraWorld, told: Told, *, keep_crds: bool = False, dc: str | None = None):
    plan = infra_delete.plan_deletion(world.root, dc=dc)
    return plan, infra_delete.delete(plan, keep_crds=keep_crds, timeout=5, progress=told)


def test_delete_leaves_nothing_that_was_not_there_before(here: InfraWorld, told: Told) -> None:
    before = {context: set(server.objects) for context, server in here.servers.items()}
    install(here.root, choices(here), told)
    claim = {"metadata": {"name": "data", "namespace": "local-infra"}}
    here.servers["cluster1"].put(VOLUME_CLAIM, claim)
    plan, done = remove(here, told)
    assert "bucket ic1-backups: 0 objects, 0 bytes" in plan.goes
    assert any("volume data" in line for line in plan.goes)
    assert done.kept == ()
    for context, server in here.servers.items():
        # This server does not empty a namespace that goes.
        left = {path for path in server.objects if "/pods/" not in path}
        assert left == before[context]
    _, again = remove(here, told)
    assert again.kept == ()


def test_delete_keeps_the_kinds_if_asked_and_what_is_not_pgaas_s_always(here: InfraWorld, told: Told) -> None:
    here.servers["cluster1"].put(NAMESPACE, {"metadata": {"name": "cnpg-system"}})
    here.servers["cluster1"].put(STORAGE_CLASS, {"metadata": {"name": "standard"}})
    here.servers["cluster1"].put(DEFINITION, {"metadata": {"name": "theirs"}})
    install(here.root, choices(here), told)
    # Since then, somebody made it their own.
    theirs = here.servers["cluster2"].objects[path_of(CLUSTER_ISSUER, None, "pgaas-ca-issuer")]
    theirs["metadata"]["labels"] = {}
    _, done = remove(here, told, keep_crds=True)
    assert "pgaas-ca-issuer" not in here.names("cluster1", CLUSTER_ISSUER)
    assert "pgaas-ca-issuer" in here.names("cluster2", CLUSTER_ISSUER)
    assert done.kept == ("local1: cnpg-system stays: pgaas did not make it",)
    assert here.names("cluster1", STORAGE_CLASS) == {"standard"}
    assert here.names("cluster1", DEFINITION) == {"theirs", *(f"things.{name}" for name in NAMES[:3])}
    remove(here, told)
    assert here.names("cluster1", DEFINITION) == {"theirs"}


def test_delete_is_refused_while_a_cluster_lives_on_it(here: InfraWorld, told: Told) -> None:
    install(here.root, choices(here), told)
    here.servers["cluster2"].put(
        CLUSTER, {"metadata": {"name": "local-ic1-local2", "namespace": "ic1-local"}}
    )
    # The first datacenter has the S3 of both.
    for dc in (None, "local1", "local2"):
        with pytest.raises(RefusedAsUnsafe, match="local2: ic1-local/local-ic1-local2"):
            infra_delete.plan_deletion(here.root, dc=dc)


def test_delete_of_one_datacenter_leaves_the_other(here: InfraWorld, told: Told) -> None:
    install(here.root, choices(here), told)
    plan, _ = remove(here, told, dc="local2")
    assert plan.name == "local2"
    assert [part.ok for part in infra_status.status(here.root, dc="local1")] == [True] * 10


@pytest.mark.parametrize(
    ("typed", "says"), [(None, "--confirm local"), ("locla", "retype it exactly: local")]
)
def test_delete_wants_the_name(here: InfraWorld, typed: str | None, says: str) -> None:
    plan = infra_delete.plan_deletion(here.root)
    with pytest.raises(UsageError) as refused:
        infra_delete.check_confirmation(plan, typed)
    assert says in refused.value.next_step
    infra_delete.check_confirmation(plan, " local ")


def test_the_releases_are_those_of_helmfile_yaml(here: InfraWorld) -> None:
    text = (here.root / "helmfile.yaml").read_text()
    for release in RELEASES:
        scope, origin = "first" if release.first_only else "each", "upstream" if release.upstream else "pgaas"
        labels = f"labels: {{component: local-infra, origin: {origin}, scope: {scope}}}"
        assert f"  - name: {release.name}\n    namespace: {release.namespace}\n    {labels}\n" in text
    assert text.count("component: local-infra") == len(RELEASES)

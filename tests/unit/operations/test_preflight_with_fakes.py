"""Every check runs, every failure is told, and the severest decides the exit code."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from tests.unit.kube.fakes import failure, path_of
from tests.unit.operations.worlds import NAME, OPERATORS, SPACE, World

from pgaas.errors import KubernetesError, PgaasError, RefusedAsUnsafe, ToolFailed, ToolMissing
from pgaas.kube.resources import CLUSTER, CLUSTER_ISSUER, DEPLOYMENT, NAMESPACE, SECRET, STORAGE_CLASS
from pgaas.operations import preflight as module
from pgaas.operations import preflight_cluster, preflight_live, preflight_s3
from pgaas.operations.preflight import Preflight, preflight, refuse
from pgaas.operations.preflight_cluster import image_version
from pgaas.operations.progress import Silent
from pgaas.tools.versions import TOOLS, Found


def check(world: World, **options: Any) -> Preflight:
    return preflight(world.subject, world.subject.api(), Silent(), **options)


def states(result: Preflight) -> dict[str, str]:
    return {row.name: row.state for row in result.rows}


def deployment(world: World, name: str) -> dict[str, Any]:
    return world.server.objects[path_of(DEPLOYMENT, "cnpg-system", name)]


def set_image(world: World, name: str, image: str) -> None:
    deployment(world, name)["spec"]["template"]["spec"]["containers"][0]["image"] = image


def test_all_is_well(world: World) -> None:
    result = check(world)
    assert set(states(result).values()) == {"ok"}
    refuse(result, world.subject, world.subject.api())
    assert world.server.writes() == []


def break_cert_manager(world: World) -> None:
    world.server.raw.pop("/apis/cert-manager.io/v1")


def break_database_kind(world: World) -> None:
    world.server.raw["/apis/postgresql.cnpg.io/v1"]["resources"].pop(1)


def break_plugin(world: World) -> None:
    world.server.objects.pop(path_of(DEPLOYMENT, "cnpg-system", "barman-cloud"))


def break_operator(world: World) -> None:
    deployment(world, "cnpg-controller-manager")["status"].clear()


def age_operator(world: World) -> None:
    set_image(world, "cnpg-controller-manager", "ghcr.io/cloudnative-pg/cloudnative-pg:1.29.1")


def lose_issuer(world: World) -> None:
    world.server.objects.pop(path_of(CLUSTER_ISSUER, None, "pgaas-ca-issuer"))


def break_issuer(world: World) -> None:
    world.server.objects[path_of(CLUSTER_ISSUER, None, "pgaas-ca-issuer")]["status"].clear()


def lose_storage_class(world: World) -> None:
    world.server.objects.pop(path_of(STORAGE_CLASS, None, "standard"))


def deny_writing(world: World) -> None:
    world.s3.refuse["PUT"] = (403, "AccessDenied")


def leave_archive(world: World) -> None:
    world.s3.objects[f"ic1-local-local1-backup/{NAME}/wals/x"] = b"1"


def end_namespace(world: World) -> None:
    world.server.put(NAMESPACE, {"metadata": {"name": SPACE}, "status": {"phase": "Terminating"}})


def put_in_another_datacenter(world: World) -> None:
    world.server.put(NAMESPACE, {"metadata": {"name": SPACE}, "status": {"phase": "Active"}})
    labels = {"pgaas.io/ins": "ic1", "pgaas.io/env": "local", "pgaas.io/dc": "local2"}
    metadata = {"name": "local-ic1-local2", "namespace": SPACE, "labels": labels}
    world.server.put(CLUSTER, {"metadata": metadata, "spec": {"instances": 1}})


Breaking = Callable[[World], None]
BREAKS: list[tuple[Breaking, str, str, type[PgaasError]]] = [
    (break_cert_manager, "kinds of cert-manager", "certificates", KubernetesError),
    (break_database_kind, "kinds of CloudNativePG", "databases", KubernetesError),
    (break_plugin, "barman plugin", "no Deployment", KubernetesError),
    (break_operator, "operator", "does not run", KubernetesError),
    (age_operator, "operator", "too old", KubernetesError),
    (lose_issuer, "issuer", "no ClusterIssuer", KubernetesError),
    (break_issuer, "issuer", "not ready", KubernetesError),
    (lose_storage_class, "storage class", "no storage class", KubernetesError),
    (deny_writing, "s3", "may not do this", ToolFailed),
    (leave_archive, "archive", "former cluster", RefusedAsUnsafe),
    (put_in_another_datacenter, "datacenter", "local-ic1-local2 of local2 lives in it", RefusedAsUnsafe),
    (end_namespace, "namespace", "still being deleted", KubernetesError),
]


@pytest.mark.parametrize(("breaking", "name", "says", "kind"), BREAKS)
def test_each_thing_that_is_wrong(
    world: World, breaking: Breaking, name: str, says: str, kind: type[PgaasError]
) -> None:
    breaking(world)
    result = check(world)
    [row] = result.failed
    assert row.name == name
    assert says in row.detail
    assert row.next_step
    with pytest.raises(PgaasError) as caught:
        refuse(result, world.subject, world.subject.api())
    assert type(caught.value) is kind
    assert caught.value.next_step == row.next_step


def test_all_failures_are_told_at_once_and_what_is_unsafe_counts_most(world: World) -> None:
    world.server.objects.pop(path_of(STORAGE_CLASS, None, "standard"))
    world.s3.objects[f"ic1-local-local1-backup/{NAME}/base/x"] = b"1"
    with pytest.raises(RefusedAsUnsafe) as caught:
        refuse(check(world), world.subject, world.subject.api())
    assert "storage class" in caught.value.what
    assert "former cluster" in caught.value.what


def test_a_tool_that_is_missing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "check_tools", lambda _: [Found(tool, "missing") for tool in TOOLS])
    with pytest.raises(ToolMissing, match="helmfile is not installed"):
        refuse(check(world), world.subject, world.subject.api())


def test_what_asks_no_api_server_does_not_wait_for_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """All three meet, or none goes on: the tools, the way to S3, and the first question to the API server."""
    begun = threading.Barrier(3, timeout=20.0)

    def meeting(call: Callable[..., Any]) -> Callable[..., Any]:
        def meet(*arguments: Any) -> Any:
            begun.wait()
            return call(*arguments)

        return meet

    for owner, name in (
        (module, "check_tools"),
        (preflight_s3, "open_early"),
        (preflight_cluster, "server_version"),
    ):
        monkeypatch.setattr(owner, name, meeting(getattr(owner, name)))
    assert set(states(check(world)).values()) == {"ok"}


def test_s3_is_asked_once_its_client_is_made_or_could_not_be(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    others, ended = threading.Event(), list[str]()
    release, bucket = preflight_live.release, preflight_s3.bucket

    def open_late(_: Any) -> None:
        assert others.wait(20)
        ended.append("opened")
        raise ToolFailed("no such place")

    def ask_s3(*arguments: Any, **options: Any) -> Any:
        ended.append("asked")
        return bucket(*arguments, **options)

    def let_go(*arguments: Any) -> Any:
        others.set()
        return release(*arguments)

    monkeypatch.setattr(preflight_s3, "open_early", open_late)
    monkeypatch.setattr(preflight_s3, "bucket", ask_s3)
    monkeypatch.setattr(preflight_live, "release", let_go)
    assert states(check(world))["s3"] == "ok"
    assert ended == ["opened", "asked"]


def test_only_what_is_asked_for_is_prepared(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.deploy()
    prepared: list[str] = []
    monkeypatch.setattr(preflight_s3, "open_early", lambda _: prepared.append("s3"))
    monkeypatch.setattr(module, "check_tools", lambda names: prepared.extend(names) or [])
    check(world, skipped=("s3", "tools"))
    assert prepared == []
    check(world)
    assert sorted(prepared) == ["helm", "helmfile", "s3"]


def test_an_api_server_that_does_not_answer_ends_the_preflight(world: World) -> None:
    world.server.answers["GET /version"] = httpx2.ConnectError("refused")
    with pytest.raises(KubernetesError, match="cannot be reached"):
        check(world)


def test_an_archive_of_another_generation_is_in_nobodys_way(world: World) -> None:
    world.s3.objects[f"ic1-local-local1-backup/{NAME}-g2/wals/x"] = b"1"
    assert check(world).failed == []


def test_what_may_not_be_read_is_skipped(world: World) -> None:
    world.server.answers[f"GET {path_of(DEPLOYMENT, 'cnpg-system')}"] = failure(403, "Forbidden", "no")
    world.server.answers[f"GET {path_of(STORAGE_CLASS, None, 'standard')}"] = failure(403, "Forbidden", "no")
    found = states(check(world))
    assert (found["operators"], found["storage class"]) == ("skipped", "skipped")


def test_what_the_user_leaves_out_is_not_looked_at(world: World) -> None:
    world.deploy()
    world.s3.refuse["PUT"] = (403, "AccessDenied")
    result = check(world, skipped=("s3",))
    assert states(result)["s3"] == "skipped"
    assert world.s3.asked == []


def test_a_new_clusters_archive_is_looked_at_whatever_is_left_out(world: World) -> None:
    world.s3.refuse["PUT"] = (403, "AccessDenied")
    found = states(check(world, skipped=("s3",)))
    assert (found["s3"], found["archive"]) == ("skipped", "ok")
    assert {method for method, _, _ in world.s3.asked} == {"GET"}
    leave_archive(world)
    result = check(world, skipped=("s3",))
    assert [row.name for row in result.failed] == ["archive"]
    with pytest.raises(RefusedAsUnsafe, match="former cluster"):
        refuse(result, world.subject, world.subject.api())


def test_an_archive_that_cannot_be_looked_at_is_only_warned_of_where_s3_is_left_out(world: World) -> None:
    world.s3.refuse["GET"] = (403, "AccessDenied")
    [row] = [row for row in check(world, skipped=("s3",)).rows if row.name == "archive"]
    assert (row.state, "may not do this" in row.detail) == ("warning", True)
    assert "s3" in [row.name for row in check(world).failed]


def test_an_archive_whose_credentials_are_missing_is_only_warned_of_where_s3_is_left_out(
    world: World,
) -> None:
    use_a_secret(world)
    [row] = [row for row in check(world, skipped=("s3",)).rows if row.name == "archive"]
    assert (row.state, "is missing" in row.detail) == ("warning", True)


def test_a_local_bucket_is_made_but_not_by_a_dry_run(world: World) -> None:
    world.s3.buckets.clear()
    assert check(world, dry=True).failed == []
    assert {method for method, _, _ in world.s3.asked} == {"HEAD"}
    assert check(world).failed == []
    assert world.s3.buckets == {"ic1-backups"}


@pytest.mark.parametrize(
    ("method", "code"), [("HEAD", "403"), ("PUT", "AccessDenied"), ("PUT", "InvalidAccessKeyId")]
)
def test_a_local_client_that_s3_does_not_know_yet_is_sent_to_the_installation(
    world: World, method: str, code: str
) -> None:
    world.s3.buckets.clear()
    world.s3.refuse[method] = (403, code)
    [row] = check(world).failed
    assert row.name == "s3"
    assert row.next_step.startswith("pgaas infra install")
    world.s3.refuse[method] = (503, "SlowDown")
    [row] = check(world).failed
    assert not row.next_step.startswith("pgaas infra install")


def test_an_old_or_unknown_server_is_only_warned_of(world: World) -> None:
    world.server.raw["/version"] = {"gitVersion": "v1.33.9"}
    set_image(world, "barman-cloud", "mirror.example:5000/cloudnative-pg/plugin-barman-cloud@sha256:abc")
    found = states(check(world))
    assert (found["kubernetes"], found["barman plugin"]) == ("warning", "warning")


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"spec": {"imageCatalogRef": {"major": 16}}}, "major version"),
        ({"spec": {"replica": {"primary": "local-ic1-local2", "self": NAME}}}, "primary"),
        (
            {"spec": {"plugins": [{"isWALArchiver": True, "parameters": {"serverName": f"{NAME}-g7"}}]}},
            "archive",
        ),
        ({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}, "live cluster"),
    ],
)
def test_what_would_change_a_live_clusters_identity_is_refused(
    world: World, change: dict[str, Any], name: str
) -> None:
    world.deploy()
    assert check(world).failed == []
    for part, content in change.items():
        world.cluster()[part].update(content)
    with pytest.raises(RefusedAsUnsafe) as caught:
        refuse(check(world), world.subject, world.subject.api())
    assert caught.value.what.startswith(name)


def test_a_live_clusters_own_archive_is_not_in_its_way(world: World) -> None:
    world.deploy()
    world.s3.objects[f"ic1-local-local1-backup/{NAME}/wals/x"] = b"1"
    assert check(world).failed == []


def use_a_secret(world: World) -> None:
    world.edit("admin/local/clients.yaml", "accessKey: ic1\n", "secretName: vault\n")
    world.edit("admin/local/clients.yaml", "      secretKey: ic1-local-secret\n", "")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (None, "is missing"),
        ({"accessKey": "YQ=="}, "does not hold"),
        ({"accessKey": "YQ==", "secretKey": "%%"}, "does not hold"),
    ],
)
def test_credentials_in_a_secret(world: World, data: dict[str, str] | None, says: str) -> None:
    use_a_secret(world)
    world.server.put(NAMESPACE, {"metadata": {"name": SPACE}})
    if data is not None:
        world.server.put(SECRET, {"metadata": {"name": "vault", "namespace": SPACE}, "data": data})
    with pytest.raises(KubernetesError, match=says):
        refuse(check(world), world.subject, world.subject.api())
    good = {"accessKey": base64.b64encode(b"AKID").decode(), "secretKey": base64.b64encode(b"s").decode()}
    world.server.put(SECRET, {"metadata": {"name": "vault", "namespace": SPACE}, "data": good})
    assert check(world).failed == []
    assert "AKID" in world.s3.asked[-1][2]["Authorization"]


@pytest.mark.parametrize(
    ("image", "version"),
    [
        *(
            (image, None)
            for image in ("x/cloudnative-pg", "x:5000/cloudnative-pg", "x/y@sha256:1.2", "x/y:latest")
        ),
        (OPERATORS["barman-cloud"], (0, 14)),
        ("x:5000/y:1.30.0@sha256:abc", (1, 30)),
    ],
)
def test_the_version_in_an_images_tag(image: str, version: tuple[int, int] | None) -> None:
    assert image_version(image) == version


def test_a_pair_without_a_kube_context_is_warned_that_the_current_one_is_taken(world: World) -> None:
    world.edit("admin/local/datacenters.yaml", "    kubeContext: cluster1\n", "")
    assert len(world.subject.resolved.client.datacenters) > 1
    [row] = [row for row in check(world).rows if row.name == "datacenter"]
    assert row.state == "warning"
    assert "no kubeContext for local1" in row.detail

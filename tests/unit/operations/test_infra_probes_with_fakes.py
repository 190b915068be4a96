"""What `infra test` finds, and what it says: against a small S3, a fake directory, certificates made here."""

from __future__ import annotations

import base64
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.kube.authorities import ca_pem
from tests.unit.kube.fakes import path_of, use_kubeconfig
from tests.unit.operations.infra_worlds import CONFIG, TRUE, InfraWorld, make_infra_world
from tests.unit.operations.told import Told
from tests.unit.tools.fake_s3 import FakeS3

from pgaas.errors import KubernetesError, NotHealthy, ToolFailed
from pgaas.kube.resources import CERTIFICATE, POD, SERVICE
from pgaas.operations import infra, infra_probes
from pgaas.operations.infra import Infra, Site, load_infra
from pgaas.operations.infra_test import try_out
from pgaas.tools.ldap import Directory

BIND, PERSON = "cn=pgadmin-ic1,ou=services,dc=pgaas,dc=local", "uid=ic1,ou=people,dc=pgaas,dc=local"
PROXY = "/api/v1/namespaces/local-infra/services/http:prometheus:9090/proxy/api/v1/query"
CERTIFICATE_PATH = path_of(CERTIFICATE, "local-infra", "pgaas-infra-test")


class FakeDirectory:
    """A directory that is as it should be, unless a test says otherwise."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = [{"uid": ["ic1"]}]
        self.public: list[dict[str, Any]] = []
        self.passwords = {PERSON: {"ic1"}}

    def search(self, dn: str, password: str, base: str, ldap_filter: str) -> list[dict[str, Any]]:
        if not dn:
            return self.public
        assert (dn, password) == (BIND, "pgadmin-ic1")
        assert (base, ldap_filter) == ("ou=people,dc=pgaas,dc=local", "(uid=ic1)")
        return self.entries

    def accepts(self, dn: str, password: str) -> bool:
        return password in self.passwords.get(dn, set())


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared_s3: FakeS3) -> InfraWorld:
    shared_s3.objects.clear()
    shared_s3.refuse.clear()
    shared_s3.buckets = {"ic1-backups"}
    use_kubeconfig(tmp_path, monkeypatch, yaml.safe_dump(CONFIG))
    world = make_infra_world(tmp_path / "root", shared_s3)
    file = world.root / "confs/admin/local/datacenters.yaml"
    file.write_text(file.read_text().replace("http://192.168.49.2:30333", shared_s3.url))
    monkeypatch.setattr(infra, "api_for", world.api)
    monkeypatch.setattr(infra_probes, "LOOK_EVERY", 0.001)
    return world


@pytest.fixture
def directory(monkeypatch: pytest.MonkeyPatch) -> FakeDirectory:
    made = FakeDirectory()

    @contextmanager
    def reach(*_: Any) -> Iterator[FakeDirectory]:
        yield made

    monkeypatch.setattr(infra_probes, "directory", reach)
    return made


def meant(world: InfraWorld) -> tuple[Infra, Site, Any]:
    found = load_infra(world.root)
    return found, found.sites[0], found.clients["ic1"]


def test_objects_come_and_go_and_leave_nothing(here: InfraWorld) -> None:
    found, site, client = meant(here)
    assert infra_probes.objects_come_and_go(found, site, "ic1", client) == "65536 bytes, the same"
    assert here.s3.objects == {}
    keys = [path for method, path, _ in here.s3.asked if method == "PUT"]
    assert keys[-1].startswith("/ic1-backups/ic1-local-local1-backup/.infra-test-")


def test_an_s3_that_forgets_is_found_out(here: InfraWorld) -> None:
    found, site, client = meant(here)
    here.s3.forgets = True
    try:
        with pytest.raises(NotHealthy, match="other bytes"):
            infra_probes.objects_come_and_go(found, site, "ic1", client)
    finally:
        here.s3.forgets = False


def test_keys_that_reach_somebody_elses_bucket_are_found_out(here: InfraWorld) -> None:
    found, site, client = meant(here)
    says = "ic1's keys may list and read and write in pgaas-infra-test"
    with infra_probes.scratch_bucket(found), pytest.raises(NotHealthy, match=says):
        infra_probes.others_are_out_of_reach(found, site, "ic1", client)
    assert here.s3.objects == {}


def test_what_keys_may_write_into_somebody_elses_bucket_does_not_stay_there(here: InfraWorld) -> None:
    found, site, client = meant(here)
    here.s3.buckets.add("pgaas-infra-test")
    # Neither is it listed nor read.
    here.s3.refuse = {"GET": (403, "AccessDenied")}
    with pytest.raises(NotHealthy, match="ic1's keys may write in pgaas-infra-test"):
        infra_probes.others_are_out_of_reach(found, site, "ic1", client)
    assert here.s3.objects == {}


def test_keys_that_are_refused_everything_are_well_and_a_broken_s3_is_not(here: InfraWorld) -> None:
    found, site, client = meant(here)
    here.s3.refuse = dict.fromkeys(("GET", "PUT"), (403, "AccessDenied"))
    assert infra_probes.others_are_out_of_reach(found, site, "ic1", client) == "refused: pgaas-infra-test"
    here.s3.refuse = dict.fromkeys(("GET", "PUT"), (400, "InvalidArgument"))
    with pytest.raises(ToolFailed, match="InvalidArgument"):
        infra_probes.others_are_out_of_reach(found, site, "ic1", client)


def test_a_good_directory_is_found_good(here: InfraWorld, directory: FakeDirectory) -> None:
    found, site, client = meant(here)
    assert infra_probes.people_log_in(found, site, "ic1", client) == PERSON
    assert infra_probes.anonymous_reads_nothing(found, site) == "nothing is given"


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        ({"entries": []}, "finds 0 users called ic1"),
        ({"entries": [{"uid": ["ic1"], "userPassword": [b"x"]}]}, "may read passwords"),
        ({"passwords": {}}, "cannot log in"),
        ({"passwords": {PERSON: {"ic1", "not-ic1"}}}, "with a wrong password"),
    ],
)
def test_what_is_wrong_with_a_directory_is_said(
    here: InfraWorld, directory: FakeDirectory, spoil: dict[str, Any], says: str
) -> None:
    vars(directory).update(spoil)
    with pytest.raises(NotHealthy, match=says):
        infra_probes.people_log_in(*meant(here)[:2], "ic1", meant(here)[2])


def test_a_directory_that_anybody_reads_is_found_out(here: InfraWorld, directory: FakeDirectory) -> None:
    directory.public = [{"uid": ["ic1"]}]
    with pytest.raises(NotHealthy, match="anybody may read 1 entries"):
        infra_probes.anonymous_reads_nothing(*meant(here)[:2])


def test_a_pod_is_found_behind_its_service_by_the_port_s_name(here: InfraWorld) -> None:
    server = here.servers["cluster1"]
    labels = {"app": "slapd"}
    with pytest.raises(KubernetesError, match="there is no Service"):
        infra_probes._behind(here.api("cluster1"), "ldap", "local-infra", 389)
    ports = [{"port": 389, "targetPort": "ldap"}]
    where = {"namespace": "local-infra"}
    service = {"metadata": {"name": "ldap", **where}, "spec": {"selector": labels, "ports": ports}}
    server.put(SERVICE, service)
    container = {"ports": [{"name": "ldap", "containerPort": 1389}]}
    pod = {"metadata": {"name": "p", "labels": labels, **where}, "spec": {"containers": [container]}}
    server.put(POD, pod)
    with pytest.raises(KubernetesError, match="no pod behind local-infra/ldap is ready"):
        infra_probes._behind(here.api("cluster1"), "ldap", "local-infra", 389)
    server.put(POD, pod | {"status": {"conditions": [TRUE]}})
    found, port = infra_probes._behind(here.api("cluster1"), "ldap", "local-infra", 389)
    assert (found["metadata"]["name"], port) == ("p", 1389)


def secret(leaf: str, root: str) -> dict[str, Any]:
    parts = {"tls.crt": leaf, "ca.crt": root}
    return {"data": {key: base64.b64encode(pem.encode()).decode() for key, pem in parts.items()}}


def test_a_certificate_is_judged_by_the_root_beside_it() -> None:
    root, namesake = ca_pem("root"), ca_pem("root")
    assert infra_probes._chained(secret(root, root)) == "by CN=root"
    for wrong in (secret(root, namesake), secret(root, "none"), None):
        with pytest.raises(NotHealthy, match="is not signed by the root"):
            infra_probes._chained(wrong)
    over = ca_pem("root", days=-3650)
    with pytest.raises(NotHealthy, match="not valid now"):
        infra_probes._chained(secret(over, over))


def test_prometheus_that_has_nothing_of_a_datacenter_is_red(here: InfraWorld) -> None:
    found, site, _ = meant(here)
    here.servers["cluster1"].raw[PROXY] = {"data": {"result": []}}
    with pytest.raises(NotHealthy, match="no fresh cnpg-operator that is up in local1"):
        infra_probes.metrics_arrive(found, site, 0.01)
    collector = {"metric": {"job": "otel-collector"}, "value": [1, "1"]}
    here.servers["cluster1"].raw[PROXY] = {"data": {"result": [collector]}}
    with pytest.raises(NotHealthy, match="only otel-collector 1"):
        infra_probes.metrics_arrive(found, site, 0.01)
    result = [collector, {"metric": {"job": "cnpg-operator"}, "value": [1, "2"]}]
    here.servers["cluster1"].raw[PROXY] = {"data": {"result": result}}
    seen = infra_probes.metrics_arrive(found, found.sites[1], 0.01)
    assert seen == "cnpg-operator 2, otel-collector 1"
    queries = [asked.query["query"] for asked in here.servers["cluster1"].asked if asked.path == PROXY]
    fresh = 'time() - timestamp(up{dc="local2"}) < 90'
    assert queries[-1] == f'count by (job) (up{{dc="local2"}} == 1 and {fresh})'


def test_each_trial_is_a_row_also_when_it_fails(
    here: InfraWorld, directory: FakeDirectory, told: Told
) -> None:
    rows = try_out(here.root, "local", None, told, timeout=0.01)
    assert len(rows) == 12
    good = {(row.datacenter, row.what.partition(":")[0]) for row in rows if row.ok}
    assert good == {(dc, kind) for dc in ("local1", "local2") for kind in ("S3", "LDAP")}
    whys = {row.what: row.why for row in rows if row.datacenter == "local1"}
    assert "not issued within" in whys["certificate: issued, and chained to the root"]
    assert "of 12 things do not work" in told.text
    assert here.s3.objects == {}
    assert CERTIFICATE_PATH not in here.servers["cluster1"].objects


def test_a_directory_that_does_not_answer_is_a_failed_tool() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ToolFailed, match="does not answer") as failed:
        Directory("127.0.0.1", port, shown="local1: slapd").accepts("cn=x", "y")
    assert failed.value.where == "local1: slapd"

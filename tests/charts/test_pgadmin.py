"""pgAdmin's objects: who logs in, what it can read, and that no secret lies open."""

from __future__ import annotations

import base64
import configparser
import json
import runpy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.charts.support import CHART, TARGETS, Object, of_kind, plain_of, render_plain, rendered, target_id
from tests.charts.test_hostile import batch, texts
from tests.charts.test_security import is_pgadmins

from pgaas.config.naming import Target

FILES = CHART / "charts" / "pgadmin4" / "files"
LOCAL, PRODUCTION, SINGLE = (
    Target("ic1", "local", "local1"),
    Target("ic1", "prod", "dc2"),
    Target("is1", "pic", "dc1"),
)
each_target = pytest.mark.parametrize("target", TARGETS, ids=target_id)


def own(found: list[Object]) -> list[Object]:
    return [each for each in found if is_pgadmins(each)]


def only(found: list[Object], kind: str) -> Any:
    (each,) = of_kind(own(found), kind)
    return each


def data(found: list[Object]) -> dict[str, str]:
    files: dict[str, str] = only(found, "ConfigMap")["data"]
    return files


def pod(target: Target) -> Any:
    return only(rendered(target), "Deployment")["spec"]["template"]["spec"]


def services(files: dict[str, str]) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    parser.read_string(files["pg_service.conf"])
    return {name: dict(parser[name]) for name in parser.sections()}


def hosts(target: Target) -> dict[str, str]:
    return {name: each["host"] for name, each in services(data(rendered(target))).items()}


@each_target
def test_every_shipped_client_has_one_for_each_cluster(target: Target) -> None:
    name = f"{target.env}-{target.ins}-{target.dc}-pgadmin"
    service = only(rendered(target), "Service")
    assert service["metadata"]["name"] == only(rendered(target), "Deployment")["metadata"]["name"] == name
    assert [port["port"] for port in service["spec"]["ports"]] == [443]
    template = only(rendered(target), "Deployment")["spec"]["template"]
    assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
    assert not [label for label in template["metadata"]["labels"] if label.startswith("cnpg.io/")]


@each_target
def test_only_the_clients_own_people_are_found_in_the_directory(target: Target) -> None:
    ldap = json.loads(data(rendered(target))["settings.json"])
    if target.env == "local":
        assert (ldap["searchFilter"], ldap["baseDn"]) == (
            f"(uid={target.ins})",
            "ou=people,dc=pgaas,dc=local",
        )
    else:
        assert f"cn=pgaas-{target.ins}," in ldap["searchFilter"]
    assert "{" not in ldap["searchFilter"]


def test_a_client_in_one_datacenter_sees_its_own_server_by_its_service() -> None:
    assert hosts(SINGLE) == {"primary": "pic-is1-dc1-rw.is1-pic.svc"}


def test_a_pair_is_seen_by_the_name_that_moves_and_side_by_side() -> None:
    assert hosts(PRODUCTION) == {
        "primary": "primary.ic1-prod.example.com",
        "dc1": "prod-ic1-dc1-rw.ic1-prod.dc1.example.com",
        "dc2": "prod-ic1-dc2-rw.ic1-prod.svc",
    }
    # In local the other side's Service is not known here: it has a name in CoreDNS.
    assert list(hosts(LOCAL)) == ["primary", "local1", "local2"]
    assert hosts(LOCAL)["local2"] == "local2.ic1-local.pgaas.local"


@each_target
def test_every_server_is_reached_over_a_service_with_the_certificate_checked(target: Target) -> None:
    files = data(rendered(target))
    found = services(files)
    for each in found.values():
        assert each["sslmode"] == "verify-full"
        assert {each[key] for key in ("sslcert", "sslkey", "sslrootcert")} == {
            "/pgadmin4/tls/tls.crt", "/pgadmin4/tls/tls.key", "/pgadmin4/tls/ca.crt",
        }  # fmt: skip
    shared = json.loads(files["servers.json"])["Servers"]
    assert [each["Service"] for each in shared.values()] == list(found)
    for each in shared.values():
        assert each.keys() == {
            "Name", "Group", "Service", "MaintenanceDB", "Username", "Shared", "SharedUsername",
        }  # fmt: skip
        assert each["Shared"] is True
        assert each["Username"] == each["SharedUsername"] == "pgadmin_readonly"


@each_target
def test_each_name_is_in_the_certificate_of_the_server_that_it_leads_to(target: Target) -> None:
    names: dict[str, set[str]] = {}
    for other in TARGETS:
        if (other.ins, other.env) == (target.ins, target.env):
            (server,) = [
                each
                for each in of_kind(rendered(other), "Certificate")
                if "server auth" in each["spec"]["usages"] and not is_pgadmins(each)
            ]
            names[other.dc] = set(server["spec"]["dnsNames"])
    for service, host in hosts(target).items():
        answering = names.values() if service == "primary" and len(names) > 1 else [names.get(service, set())]
        if len(names) == 1:
            answering = names.values()
        assert all(host in each for each in answering), host


@each_target
def test_no_secret_is_in_a_configmap_or_in_the_environment(target: Target) -> None:
    secrets = [
        base64.b64decode(value).decode()
        for each in of_kind(rendered(target), "Secret")
        for value in each["data"].values()
    ]
    assert secrets if target.env == "local" else not secrets
    (container,) = pod(target)["containers"]
    for name, text in data(rendered(target)).items():
        if name in ("settings.json", "servers.json", "pg_service.conf"):
            assert "assword" not in text
    for variable in container["env"]:
        assert set(variable) == {"name", "value"}
        assert variable["value"] not in secrets


@each_target
def test_it_runs_with_as_few_rights_as_the_restricted_standard_asks(target: Target) -> None:
    found = pod(target)
    assert found["automountServiceAccountToken"] is False
    assert only(rendered(target), "ServiceAccount")["automountServiceAccountToken"] is False
    context = found["securityContext"]
    assert (context["runAsNonRoot"], context["runAsUser"], context["fsGroup"]) == (True, 5050, 5050)
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = found["containers"]
    own_context = container["securityContext"]
    assert own_context["allowPrivilegeEscalation"] is False
    assert own_context["readOnlyRootFilesystem"] is True
    assert own_context["capabilities"] == {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}
    assert container["resources"]["limits"].keys() == {"cpu", "memory"}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["scheme"] == "HTTPS"
    writable = {each["mountPath"] for each in container["volumeMounts"] if not each.get("readOnly")}
    assert writable == {"/var/lib/pgadmin", "/tmp"}


@each_target
def test_keys_are_mounted_as_libpq_takes_them_and_renewed_ones_arrive(target: Target) -> None:
    (container,) = pod(target)["containers"]
    volumes = {each["name"]: each for each in pod(target)["volumes"]}
    for name in ("tls", "certs", "ldap-bind", "default-password"):
        source = volumes[name].get("projected") or volumes[name]["secret"]
        assert source["defaultMode"] == 0o440
        (mount,) = [each for each in container["volumeMounts"] if each["name"] == name]
        # A single file would stay as it was when the pod began.
        assert "subPath" not in mount


@each_target
def test_the_roots_are_those_of_all_sides(target: Target) -> None:
    (tls,) = [each for each in pod(target)["volumes"] if each["name"] == "tls"]
    cluster = f"{target.env}-{target.ins}-{target.dc}"
    client, root = tls["projected"]["sources"]
    assert client["secret"]["name"] == f"{cluster}-client-pgadmin-readonly"
    assert [item["key"] for item in client["secret"]["items"]] == ["tls.crt", "tls.key"]
    (cluster_object,) = of_kind(rendered(target), "Cluster")
    if "replica" in cluster_object["spec"]:
        assert root["configMap"]["name"] == f"{cluster}-server-ca-bundle"
    else:
        assert root["secret"]["name"] == f"{cluster}-server"


@each_target
def test_https_is_answered_for_every_name_of_the_service(target: Target) -> None:
    certificate = only(rendered(target), "Certificate")["spec"]
    service = only(rendered(target), "Service")["metadata"]
    names = certificate["dnsNames"]
    assert certificate["issuerRef"]["kind"] == "ClusterIssuer"
    assert {service["name"], f"{service['name']}.{service['namespace']}.svc"} <= set(names)
    assert set(service["annotations"].values()) <= set(names)
    assert ("localhost" in names) == (target.env == "local")


def test_in_real_environments_the_secrets_must_exist() -> None:
    volumes = {each["name"]: each for each in pod(PRODUCTION)["volumes"]}
    assert volumes["ldap-bind"]["secret"]["secretName"] == "ic1-ldap-bind-password"
    assert volumes["default-password"]["secret"]["secretName"] == "prod-ic1-dc2-pgadmin-password"
    assert of_kind(rendered(PRODUCTION), "Secret") == []


def test_a_change_of_what_is_read_at_the_start_makes_a_new_pod() -> None:
    def hashes(plain: dict[str, Any]) -> Any:
        return only(render_plain(plain), "Deployment")["spec"]["template"]["metadata"]["annotations"]

    before = hashes(plain_of(LOCAL))
    for part, key, value in (("ldap", "searchFilter", "(uid=x)"), ("defaultPassword", "value", "another")):
        changed = plain_of(LOCAL)
        changed["pgadmin4"][part][key] = value
        assert hashes(changed) != before
    assert hashes(plain_of(LOCAL)) == before


def test_without_it_there_is_none_of_it() -> None:
    found = render_plain(plain_of(LOCAL) | {"pgadmin4": {"enabled": False}})
    assert own(found) == []
    assert of_kind(found, "Deployment") == []


@batch
@given(values=st.lists(texts.filter(lambda text: len(text) >= 3), min_size=5, max_size=5))
def test_every_text_comes_back_as_it_went_in(values: list[str]) -> None:
    plain = plain_of(LOCAL)
    ldap = plain["pgadmin4"]["ldap"]
    keys = ("serverUri", "baseDn", "searchFilter", "bindDn")
    ldap |= dict(zip(keys, values, strict=False))
    ldap["bindPassword"]["value"] = values[4]
    plain["pgadmin4"]["database"]["group"] = values[0]
    plain["pgadmin4"]["database"]["connections"][0]["title"] = values[1]
    found = render_plain(plain)
    assert json.loads(data(found)["settings.json"]) == dict(zip(keys, values, strict=False))
    first = json.loads(data(found)["servers.json"])["Servers"]["1"]
    assert (first["Group"], first["Name"]) == (values[0], values[1])
    secret = next(each for each in of_kind(found, "Secret") if each["metadata"]["name"].endswith("-ldap"))
    assert base64.b64decode(secret["data"]["password"]).decode() == values[4]


def settings(tmp_path: Path, *, ca: bool) -> dict[str, Any]:
    """Run config_local.py with its files where a test can write."""
    source = (FILES / "config_local.py").read_text().replace("/pgadmin4", str(tmp_path))
    for folder in ("pgaas", "secrets/ldap-bind", "ldap-ca"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "pgaas/settings.json").write_text(data(rendered(LOCAL))["settings.json"])
    (tmp_path / "secrets/ldap-bind/password").write_text("p w\n")
    if ca:
        (tmp_path / "ldap-ca/ca.crt").write_text("x")
    (tmp_path / "config_local.py").write_text(source)
    return runpy.run_path(str(tmp_path / "config_local.py"))


@pytest.mark.parametrize("ca", [False, True])
def test_the_settings_of_pgadmin(tmp_path: Path, ca: bool) -> None:
    found = settings(tmp_path, ca=ca)
    assert found["AUTHENTICATION_SOURCES"] == ["ldap"]
    assert found["LDAP_SEARCH_FILTER"] == "(uid=ic1)"
    assert found["LDAP_BIND_PASSWORD"] == "p w"
    assert found["LDAP_CERT_VALIDATE"] is True
    assert found.get("LDAP_CA_CERT_FILE") == (f"{tmp_path}/ldap-ca/ca.crt" if ca else None)
    assert found["ALLOW_SAVE_PASSWORD"] is False

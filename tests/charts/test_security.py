"""What must be true of every shipped client's objects, whatever else changes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from tests.charts.support import TARGETS, Object, of_kind, rendered, target_id, values_of

from pgaas.config.naming import Target, client_ca_bundle_name

REJECT = "host all all all reject"
LEAF_AUTHORITY, SERVER_AUTHORITY = "Issuer", "ClusterIssuer"

each_target = pytest.mark.parametrize("target", TARGETS, ids=target_id)


def spec(target: Target) -> Any:
    (cluster,) = of_kind(rendered(target), "Cluster")
    return cluster["spec"]


def leaves(target: Target) -> list[Object]:
    """Return the certificates that someone logs in with."""
    return [
        found
        for found in of_kind(rendered(target), "Certificate")
        if "client auth" in found["spec"]["usages"]
    ]


def is_pgadmins(found: Object) -> bool:
    return "app.kubernetes.io/name" in found["metadata"]["labels"]


def names(found: list[Object]) -> set[str]:
    return {each["metadata"]["name"] for each in found}


@each_target
def test_the_last_rule_rejects_and_every_other_wants_a_certificate_over_tls(target: Target) -> None:
    *allowed, last = spec(target)["postgresql"]["pg_hba"]
    assert last == REJECT
    assert allowed
    for rule in allowed:
        kind, database, role, address, method, option = rule.split()
        assert (kind, address, method, option) == ("hostssl", "all", "cert", "map=pgaas")
        assert (database == "all") == (role == "pgadmin_readonly")


@each_target
def test_no_role_has_a_password_and_each_says_whether_it_logs_in(target: Target) -> None:
    roles = spec(target)["managed"]["roles"]
    assert {role["name"] for role in roles} >= {"pgadmin_readonly"}
    for role in roles:
        assert role["disablePassword"] is True
        assert "passwordSecret" not in role
        assert isinstance(role["login"], bool)


@each_target
def test_no_role_is_more_than_the_platform_allows(target: Target) -> None:
    for role in spec(target)["managed"]["roles"]:
        given = ("superuser", "replication", "bypassrls", "createrole")
        assert [attribute for attribute in given if role[attribute]] == []


@each_target
def test_the_superuser_has_no_access(target: Target) -> None:
    assert spec(target)["enableSuperuserAccess"] is False


@each_target
def test_every_login_is_mapped_from_its_own_certificates_name_and_from_no_other(target: Target) -> None:
    mapped = [line.split() for line in spec(target)["postgresql"]["pg_ident"]]
    assert all(line[0] == "pgaas" and len(line) == 3 for line in mapped)
    certified = {each["spec"]["commonName"] for each in leaves(target)} - {"streaming_replica"}
    assert {common_name for _, common_name, _ in mapped} == certified
    assert all(
        name.endswith(f".{target.ins}.{target.env}") and not name.startswith("/") for name in certified
    )
    assert max(Counter(role for _, _, role in mapped).values()) == 1


@each_target
def test_client_certificates_come_from_the_namespaces_own_authority_only(target: Target) -> None:
    authorities = {found["metadata"]["name"]: found["spec"] for found in of_kind(rendered(target), "Issuer")}
    assert len(leaves(target)) >= 2
    for found in leaves(target):
        issuer = found["spec"]["issuerRef"]
        assert issuer["kind"] == LEAF_AUTHORITY
        assert "ca" in authorities[issuer["name"]]
        assert found["spec"]["usages"] == ["digital signature", "client auth"]
        assert found["spec"]["privateKey"]["rotationPolicy"] == "Always"
        assert "isCA" not in found["spec"]
        assert "dnsNames" not in found["spec"]


@each_target
def test_the_authority_is_self_signed_keeps_its_key_and_outlives_what_it_signs(target: Target) -> None:
    (authority,) = [found for found in of_kind(rendered(target), "Certificate") if found["spec"].get("isCA")]
    issuers = {found["metadata"]["name"]: found["spec"] for found in of_kind(rendered(target), "Issuer")}
    assert issuers[authority["spec"]["issuerRef"]["name"]] == {"selfSigned": {}}
    assert authority["spec"]["privateKey"]["rotationPolicy"] == "Never"
    hours = [int(found["spec"]["duration"].removesuffix("h")) for found in (authority, *leaves(target))]
    # cert-manager renews at two thirds of a life: what is signed on the last day must still end before it.
    assert all(hours[0] // 3 > leaf for leaf in hours[1:])


@each_target
def test_the_server_certificate_is_no_clients(target: Target) -> None:
    (server,) = [
        found
        for found in of_kind(rendered(target), "Certificate")
        if "server auth" in found["spec"]["usages"] and not is_pgadmins(found)
    ]
    assert server["spec"]["usages"] == ["digital signature", "server auth"]
    assert server["spec"]["issuerRef"]["kind"] == SERVER_AUTHORITY
    assert "commonName" not in server["spec"]
    assert len(server["spec"]["dnsNames"]) == len(set(server["spec"]["dnsNames"]))


@each_target
def test_postgresql_trusts_the_own_authority_and_reads_no_authoritys_key(target: Target) -> None:
    certificates = spec(target)["certificates"]
    authorities = {
        found["spec"]["secretName"]
        for found in of_kind(rendered(target), "Certificate")
        if found["spec"].get("isCA")
    }
    assert not authorities & set(certificates.values())
    made = {found["spec"]["secretName"]: found for found in of_kind(rendered(target), "Certificate")}
    assert made[certificates["serverTLSSecret"]]["spec"]["usages"][-1] == "server auth"
    assert made[certificates["replicationTLSSecret"]]["spec"]["commonName"] == "streaming_replica"
    if "replica" in spec(target):
        # What pgaas writes: the CAs of all datacenters, without a key.
        assert certificates["clientCASecret"] == client_ca_bundle_name(target)
    else:
        assert made[certificates["clientCASecret"]]["spec"]["issuerRef"]["kind"] == LEAF_AUTHORITY
    assert certificates["serverCASecret"] == certificates["serverTLSSecret"]


def test_no_two_clusters_share_an_authority() -> None:
    authorities = [
        (found["metadata"]["namespace"], found["spec"]["ca"]["secretName"])
        for target in TARGETS
        for found in of_kind(rendered(target), "Issuer")
        if "ca" in found["spec"]
    ]
    assert len(authorities) == len(set(authorities)) == len(TARGETS)


@each_target
def test_all_secrets_of_certificates_are_reloaded_when_renewed(target: Target) -> None:
    for found in of_kind(rendered(target), "Certificate"):
        reloaded = found["spec"]["secretTemplate"]["labels"].get("cnpg.io/reload")
        # PostgreSQL has nothing to do with pgAdmin's own.
        assert reloaded == (None if is_pgadmins(found) else "")


@each_target
def test_every_object_says_whose_it_is(target: Target) -> None:
    own = {
        "app.kubernetes.io/part-of": "pgaas",
        "app.kubernetes.io/managed-by": "Helm",
        "pgaas.io/ins": target.ins,
        "pgaas.io/env": target.env,
        "pgaas.io/dc": target.dc,
    }
    for found in rendered(target):
        assert found["metadata"]["labels"].items() >= own.items()
        assert found["metadata"]["namespace"] == f"{target.ins}-{target.env}"
    inherited = spec(target)["inheritedMetadata"]["labels"]
    assert inherited.items() >= {key: own[key] for key in own if key.startswith("pgaas.io/")}.items()


@each_target
def test_no_two_objects_have_one_name(target: Target) -> None:
    found = Counter((each["apiVersion"], each["kind"], each["metadata"]["name"]) for each in rendered(target))
    assert [key for key, count in found.items() if count > 1] == []


@each_target
def test_secrets_are_made_in_local_only(target: Target) -> None:
    assert bool(of_kind(rendered(target), "Secret")) == (target.env == "local")


@each_target
def test_no_rule_of_a_policy_lets_everybody_in(target: Target) -> None:
    policies = of_kind(rendered(target), "NetworkPolicy")
    assert len(policies) == (0 if target.env == "local" else 2)
    for policy in policies:
        for rule in policy["spec"]["ingress"]:
            assert len(rule["from"]) == 1
            assert rule["ports"]
            (peer,) = rule["from"]
            assert peer.get("namespaceSelector") != {}
            assert peer.get("ipBlock", {}).get("cidr") not in ("0.0.0.0/0", "::/0")


def rules(target: Target, role: str) -> list[tuple[str, str, str]]:
    """Return what a Role grants, one (group, resource, verb) each."""
    found = [each for each in of_kind(rendered(target), "Role") if each["metadata"]["name"] == role]
    return [
        (group, resource, verb)
        for each in found
        for rule in each["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    ]


def bound(target: Target) -> dict[str, str]:
    """Return the Role of each group and account."""
    return {
        subject["name"]: found["roleRef"]["name"]
        for found in of_kind(rendered(target), "RoleBinding")
        for subject in found["subjects"]
    }


@each_target
def test_who_is_bound_to_what(target: Target) -> None:
    team = values_of(target).target.team_env
    expected = {} if team == "local" else {"pgaas-admins": "pgaas-cluster-manager"}
    if team in ("hp", "perf"):
        expected[f"pgaas-{target.ins}"] = "pgaas-cluster-viewer"
    expected["otel-collector"] = "pgaas-metrics-collector"
    assert bound(target) == expected


@each_target
def test_a_clients_people_look_and_take_backups_and_nothing_else(target: Target) -> None:
    granted = rules(target, "pgaas-cluster-viewer")
    writes = [each for each in granted if each[2] not in ("get", "list", "watch")]
    assert writes == ([("postgresql.cnpg.io", "backups", "create")] if granted else [])
    assert {group for group, _, _ in granted} <= {"postgresql.cnpg.io", "barmancloud.cnpg.io", ""}
    assert not {"secrets", "configmaps", "pods/exec", "pods/portforward", "certificates"} & {
        resource for _, resource, _ in granted
    }


@each_target
def test_nobody_is_granted_a_wildcard_nor_a_client_a_shell(target: Target) -> None:
    for role in ("pgaas-cluster-manager", "pgaas-cluster-viewer"):
        for grant in rules(target, role):
            assert "*" not in grant
            # Administrators alone: who writes a Cluster may run what they like in its pods anyway.
            assert grant[1] != "pods/exec" or role == "pgaas-cluster-manager"
            assert grant[1] not in ("pods/attach", "pods/portforward")
            assert grant[2] not in ("bind", "escalate", "impersonate")


@each_target
def test_administrators_hold_whatever_the_chart_grants_so_that_they_can_deploy_it(target: Target) -> None:
    # The API server refuses a Role from whoever does not hold what is in it.
    assert set(rules(target, "pgaas-cluster-viewer")) <= set(rules(target, "pgaas-cluster-manager"))


@each_target
def test_administrators_may_hold_the_lease_that_keeps_others_from_acting_and_clients_may_not(
    target: Target,
) -> None:
    group, resource = "coordination.k8s.io", "leases"
    wanted = {(group, resource, verb) for verb in ("get", "create", "update", "delete")}
    granted = set(rules(target, "pgaas-cluster-manager"))
    assert wanted <= granted or not granted
    assert not [each for each in rules(target, "pgaas-cluster-viewer") if each[1] == resource]

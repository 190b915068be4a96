from __future__ import annotations

import pytest
from tests.unit.render.support import Tree, built, resolved

from pgaas.render.build import build_values

LOCAL: Tree = {"s3Credentials": {"secretName": None, "accessKey": "admin", "secretKey": "admin123"}}


def test_the_certificate_names_every_way_to_the_server() -> None:
    names = built().certificates.server.dns_names
    assert len(names) == len(set(names))
    for service in ("rw", "ro", "r", "rw-lb", "ro-lb"):
        for end in ("", ".ic1-prod", ".ic1-prod.svc", ".ic1-prod.svc.cluster.local"):
            assert f"prod-ic1-dc1-{service}{end}" in names
    assert {
        "prod-ic1-dc1-rw.ic1-prod.dc1.example.com",
        "prod-ic1-dc1-ro.ic1-prod.dc1.example.com",
        "ro-dc1.ic1-prod.example.com",
        "primary.ic1-prod.example.com",
    } <= set(names)


def test_the_primarys_alias_is_in_every_datacenters_certificate_and_an_other_alias_is_not() -> None:
    names = built(dc="dc2", client={"replication": {"enabled": True}}).certificates.server.dns_names
    assert "primary.ic1-prod.example.com" in names
    assert "ro-dc1.ic1-prod.example.com" not in names


def test_postgresql_is_given_no_secret_that_holds_the_cas_key() -> None:
    certificates = built().certificates
    assert certificates.client_ca_secret == certificates.replication != certificates.client_ca
    bundled = built(client={"replication": {"enabled": True}}).certificates
    assert bundled.client_ca_secret == "prod-ic1-dc1-client-ca-bundle"
    assert bundled.replication == certificates.replication


@pytest.mark.parametrize(
    ("env", "team_env", "enabled", "client_group"),
    [
        ("local", "local", False, ""),
        ("dev1", "hp", True, "pgaas-ic1"),
        ("perf", "perf", True, "pgaas-ic1"),
        ("pprod", "pprod", True, ""),
        ("prod", "prod", True, ""),
    ],
)
def test_rights_and_isolation_by_environment(
    env: str, team_env: str, enabled: bool, client_group: str
) -> None:
    values = built(env=env, team_env=team_env)
    assert values.rbac.enabled == values.network_policy.enabled == enabled
    assert (values.rbac.admin_group, values.rbac.client_group) == ("pgaas-admins", client_group)


def test_who_scrapes_metrics_gets_no_sql() -> None:
    client = {"networkPolicy": {"allowedNamespaces": ["monitoring", "apps"], "allowedCIDRs": ["10.0.0.0/8"]}}
    policy = built(client=client).network_policy
    assert policy.monitoring_namespaces == ["monitoring"]
    assert policy.allowed_namespaces == ["apps"]
    assert [each.cidr for each in policy.allowed_cidrs] == ["10.0.0.0/8"]


@pytest.mark.parametrize(
    ("allowed", "pods", "excepted"),
    [
        ("10.0.0.0/8", [], []),
        ("10.0.0.0/8", ["10.244.0.0/16", "192.168.0.0/16", "fd00::/48"], ["10.244.0.0/16"]),
        ("fd00::/8", ["10.244.0.0/16", "fd00::/48"], ["fd00::/48"]),
        # Kubernetes refuses an exception that is all of the network, or lies outside it.
        ("10.244.0.0/16", ["10.244.0.0/16"], []),
        ("10.244.1.0/24", ["10.244.0.0/16"], []),
    ],
)
def test_a_network_that_holds_pods_does_not_let_them_in(
    allowed: str, pods: list[str], excepted: list[str]
) -> None:
    policy = built(
        client={"networkPolicy": {"allowedCIDRs": [allowed]}},
        places={"datacenters": {"dc1": {"podCIDRs": pods}}},
    ).network_policy
    assert [each.plain() for each in policy.allowed_cidrs] == [{"cidr": allowed, "except": excepted}]


def test_services_outside_local_have_a_name_in_dns_and_show_the_clients_address() -> None:
    rw, ro = built(
        places={"datacenters": {"dc1": {"services": {"rw": {"annotations": {"a/b": "c"}}}}}}
    ).cluster.services
    assert rw.annotations == {
        "a/b": "c",
        "external-dns.kubernetes.io/hostname": "prod-ic1-dc1-rw.ic1-prod.dc1.example.com",
    }
    assert ro.annotations == {
        "external-dns.kubernetes.io/hostname": "prod-ic1-dc1-ro.ic1-prod.dc1.example.com"
    }
    assert [(each.name, each.selector_type, each.type) for each in (rw, ro)] == [
        ("prod-ic1-dc1-rw-lb", "rw", "LoadBalancer"),
        ("prod-ic1-dc1-ro-lb", "ro", "LoadBalancer"),
    ]
    assert rw.external_traffic_policy == "Local"


def test_a_service_that_is_not_external_has_no_traffic_policy() -> None:
    services = {"rw": {"type": "ClusterIP"}, "ro": {"type": "NodePort"}}
    rw, ro = built(places={"datacenters": {"dc1": {"services": services}}}).cluster.services
    assert (rw.external_traffic_policy, ro.external_traffic_policy) == ("", "Local")


def test_local_has_plain_services_and_makes_its_own_secret() -> None:
    values = built(env="local", team_env="local", client=LOCAL)
    assert [service.annotations for service in values.cluster.services] == [{}, {}]
    assert [service.external_traffic_policy for service in values.cluster.services] == ["", ""]
    assert values.s3.create_secret
    assert (values.s3.secret_name, values.s3.access_key, values.s3.secret_key) == (
        "local-ic1-dc1-s3",
        "admin",
        "admin123",
    )


def test_elsewhere_the_secret_must_be_there() -> None:
    s3 = built().s3
    assert (s3.create_secret, s3.secret_name, s3.access_key, s3.secret_key) == (
        False,
        "ic1-s3-credentials",
        "",
        "",
    )


@pytest.mark.parametrize(("instances", "enabled"), [(1, False), (2, True), (3, True)])
def test_one_instance_alone_does_not_stop_its_node_from_being_drained(instances: int, enabled: bool) -> None:
    assert built(merged={"postgresql": {"instances": instances}}).cluster.enable_pdb == enabled


def test_monitoring_switched_off_runs_no_query() -> None:
    monitoring = built(merged={"monitoring": {"enabled": False, "customQueries": True}}).monitoring
    assert (monitoring.custom_queries, monitoring.disable_default_queries) == (False, True)
    monitoring = built().monitoring
    assert (monitoring.custom_queries, monitoring.disable_default_queries, monitoring.tls) == (
        True,
        False,
        True,
    )


def test_a_resource_that_nobody_set_is_not_there() -> None:
    assert built().cluster.resources.limits == {"memory": "256Mi"}


def test_the_same_client_gives_the_same_values_and_is_not_changed() -> None:
    client = resolved(client={"replication": {"enabled": True}})
    before = client.merged.model_dump(), client.client.model_dump(), client.datacenters.model_dump()
    assert build_values(client).plain() == build_values(client).plain()
    assert before == (client.merged.model_dump(), client.client.model_dump(), client.datacenters.model_dump())


def test_parameters_do_not_depend_on_the_order_they_were_written_in() -> None:
    found = built(merged={"postgresql": {"parameters": {"work_mem": "4MB", "autovacuum": "on"}}}).cluster
    assert list(found.parameters) == sorted(found.parameters)

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.render.support import DIRECTORY, built

from pgaas.render.pgadmin_values import Pgadmin

PAIR = {"replication": {"enabled": True}}


def pgadmin(**special: Any) -> Pgadmin:
    found = built(**special).pgadmin4
    assert isinstance(found, Pgadmin)
    return found


def hosts(found: Pgadmin) -> dict[str, str]:
    return {each.service: each.host for each in found.database.connections}


def test_without_a_directory_or_settings_there_is_none() -> None:
    assert built(directory=None).pgadmin4.plain() == {"enabled": False}
    assert built(merged={"pgadmin": None}).pgadmin4.plain() == {"enabled": False}


def test_each_side_is_shown_by_a_name_that_leads_there_from_here() -> None:
    assert hosts(pgadmin(client=PAIR, dc="dc2")) == {
        "primary": "primary.ic1-prod.example.com",
        "dc1": "prod-ic1-dc1-rw.ic1-prod.dc1.example.com",
        "dc2": "prod-ic1-dc2-rw.ic1-prod.svc",
    }


INSIDE = {"datacenters": {dc: {"dnsSuffix": "svc.cluster.local"} for dc in ("dc1", "dc2")}}
SETTINGS = {"server": "ns1.example.com", "tsigName": "pgaas", "tsigSecret": {"environment": "SECRET"}}
ELSEWHERE = {**INSIDE, "dns": {"provider": "rfc2136", "rfc2136": SETTINGS}}


def test_a_side_whose_service_only_its_own_cluster_knows_has_a_name_in_coredns() -> None:
    names = {"dc1": "dc1.ic1-prod.example.com", "dc2": "dc2.ic1-prod.example.com"}
    for own, other in (("dc1", "dc2"), ("dc2", "dc1")):
        values = built(client=PAIR, places=INSIDE, dc=own)
        assert isinstance(values.pgadmin4, Pgadmin)
        assert hosts(values.pgadmin4) == {
            "primary": "primary.ic1-prod.example.com",
            own: f"prod-ic1-{own}-rw.ic1-prod.svc",
            other: names[other],
        }
        # The other's name would be a lie, which a certificate must not vouch for.
        assert set(values.certificates.server.dns_names) & set(names.values()) == {names[own]}


def test_where_pgaas_writes_no_names_of_sides_such_a_side_is_left_out() -> None:
    assert list(hosts(pgadmin(client=PAIR, places=ELSEWHERE))) == ["primary", "dc1"]
    assert list(hosts(pgadmin(client=PAIR, places=ELSEWHERE, dc="dc2"))) == ["primary", "dc2"]
    for values in (built(client=PAIR), built(places=INSIDE)):
        assert "dc1.ic1-prod.example.com" not in values.certificates.server.dns_names


def test_the_roots_are_of_all_sides_or_of_the_one_server() -> None:
    both, one = pgadmin(client=PAIR).database, pgadmin().database
    assert (both.root_config_map, both.root_secret) == ("prod-ic1-dc1-server-ca-bundle", "")
    assert (one.root_config_map, one.root_secret) == ("", "prod-ic1-dc1-server")
    assert hosts(pgadmin()) == {"primary": "prod-ic1-dc1-rw.ic1-prod.svc"}


def test_only_a_pair_reaches_beyond_its_own_cluster() -> None:
    assert pgadmin(client=PAIR).network_policy.other_side is True
    assert pgadmin().network_policy.other_side is False


@pytest.mark.parametrize(
    ("uri", "port"),
    [
        ("ldaps://ldap.example.com", 636),
        ("ldap://ldap.example.com", 389),
        ("ldaps://ldap.example.com:3269", 3269),
    ],
)
def test_the_directorys_port_is_let_through(uri: str, port: int) -> None:
    found = pgadmin(directory=DIRECTORY._replace(server_uri=uri))
    assert found.network_policy.ldap_port == port


def test_the_service_is_as_postgresqls_with_a_name_of_its_own() -> None:
    rw = {"type": "LoadBalancer", "annotations": {"example.com/internal": "true"}}
    found = pgadmin(places={"datacenters": {"dc1": {"services": {"rw": rw}}}})
    name = "prod-ic1-dc1-pgadmin.ic1-prod.dc1.example.com"
    assert found.service.annotations == {
        "example.com/internal": "true",
        "external-dns.kubernetes.io/hostname": name,
    }
    assert found.service.external_traffic_policy == "Local"
    assert name in found.certificate.dns_names


def test_a_password_that_stands_in_the_file_is_made_a_secret_and_one_that_is_named_is_not() -> None:
    named = pgadmin().ldap.bind_password
    assert (named.secret_name, named.create, named.value) == ("ic1-ldap", False, "")
    inline = {"ldapCredentials": {"bindDn": "cn=x", "bindPassword": "p", "bindPasswordSecret": None}}
    made = pgadmin(env="local", team_env="local", client=inline)
    assert made.ldap.bind_password.plain() == {
        "secretName": "local-ic1-dc1-pgadmin-ldap", "create": True, "value": "p",
    }  # fmt: skip
    assert made.default_password.create is True
    assert pgadmin().default_password.plain()["value"] == ""

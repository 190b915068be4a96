"""The chart openldap: what it renders."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from tests.charts.local_infra import Object, named, objects_of, pods, rendered, template

NAME = "openldap-openldap"
IC1 = {"uid": "ic1", "cn": "ic1", "sn": "ic1", "mail": "mail@ic1.local", "password": "ic1"}


def passwords(objects: list[Object]) -> dict[str, str]:
    data = named(objects, "Secret", NAME)["data"]
    return {name: base64.b64decode(text).decode() for name, text in data.items()}


def test_the_shipped_client_has_a_person_and_a_bind_user() -> None:
    found = passwords(rendered("openldap"))
    assert found["people-ic1"] == "ic1"
    assert found["services-pgadmin-ic1"] == "pgadmin-ic1"
    directory = named(rendered("openldap"), "ConfigMap", NAME)["data"]["directory.ldif"]
    assert "dn: uid=ic1,ou=people,dc=pgaas,dc=local\n" in directory
    assert "dn: cn=pgadmin-ic1,ou=services,dc=pgaas,dc=local\n" in directory


def test_no_password_is_anywhere_but_in_the_secret() -> None:
    secret = "hunter2-is-nowhere-else"
    user, service = {**IC1, "password": secret}, {"cn": "pgadmin-ic1", "password": secret}
    objects = objects_of(
        "openldap", adminPassword=secret, configPassword=secret, users=[user], services=[service]
    )
    assert set(passwords(objects).values()) == {secret}
    others = json.dumps([each for each in objects if each["kind"] != "Secret"])
    assert secret not in others
    assert base64.b64encode(secret.encode()).decode() not in others


def test_what_serves_the_directory_does_not_mount_the_passwords() -> None:
    (pod,) = pods(rendered("openldap"))
    (volume,) = [each["name"] for each in pod["volumes"] if "secret" in each]
    mounts = {
        container["name"]: [mount["name"] for mount in container["volumeMounts"]]
        for container in (*pod["initContainers"], *pod["containers"])
    }
    assert volume in mounts["directory"]
    assert volume not in mounts["openldap"]
    # Neither would a mount inside of a read-only one be made.
    places = [mount["mountPath"] for mount in pod["initContainers"][0]["volumeMounts"]]
    assert not [(one, other) for one in places for other in places if other.startswith(f"{one}/")]


@pytest.mark.parametrize(
    "changed",
    [
        {"users": [{**IC1, "password": "another"}]},
        {"users": [{**IC1, "mail": "m@ic1.local"}]},
        {"services": []},
        {"adminPassword": "another"},
        {"configPassword": "another"},
    ],
)
def test_a_changed_value_restarts_the_pod(changed: dict[str, Any]) -> None:
    def checksum(objects: list[Object]) -> str:
        template = named(objects, "Deployment", NAME)["spec"]["template"]
        found: str = template["metadata"]["annotations"]["checksum/config"]
        return found

    assert checksum(objects_of("openldap", **changed)) != checksum(rendered("openldap"))
    assert checksum(objects_of("openldap", runAsUser=999)) == checksum(rendered("openldap"))


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"users": [{**IC1, "uid": "ic1,ou=services"}]}, "/users/0/uid"),
        ({"users": [{**IC1, "password": ""}]}, "/users/0/password"),
        ({"users": [{**IC1, "shell": "x"}]}, "/users/0"),
        ({"services": [{"cn": "Pg Admin", "password": "x"}]}, "/services/0/cn"),
        ({"baseDn": 'dc=a" by * write'}, "/baseDn"),
        ({"runAsUser": 0}, "/runAsUser"),
    ],
)
def test_a_value_that_is_none_is_refused(changed: dict[str, Any], where: str) -> None:
    done = template("openldap", **changed)
    assert done.returncode != 0
    assert where in done.stderr

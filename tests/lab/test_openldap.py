"""The local directory, made and served by the real slapd with the chart's own script, rules and commands."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.charts.local_infra import objects_of
from tests.charts.slapd import BASE, PROGRAM, Slapd

HOSTILE = "a\"b\\c d#é: {{ x }} $(id) '%s"
PEOPLE = [
    {"uid": "ic1", "cn": "é ü", "sn": " lead", "mail": "mail@ic1.local", "password": "ic1"},
    {"uid": "is1", "cn": "is1", "sn": "is1", "mail": "mail@is1.local", "password": HOSTILE},
]
SERVICES = [
    {"cn": "pgadmin-ic1", "password": "pgadmin-ic1"},
    {"cn": "pgadmin-is1", "password": "hunter2"},
]
IC1, IS1 = (f"uid={ins},ou=people,{BASE}" for ins in ("ic1", "is1"))
BIND, ADMIN = f"cn=pgadmin-ic1,ou=services,{BASE}", f"cn=admin,{BASE}"
ALL = "(objectClass=*)"
INSUFFICIENT, NO_OBJECT, WRONG, INAPPROPRIATE, UNWILLING = 50, 32, 49, 48, 53


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    if not PROGRAM.exists() and os.environ.get("PGAAS_REQUIRE_LAB"):
        pytest.fail("PGAAS_REQUIRE_LAB is set, but slapd is not installed")
    if not PROGRAM.exists():
        pytest.skip("slapd is not installed")
    objects = objects_of(
        "openldap", adminPassword="admin", configPassword="config", users=PEOPLE, services=SERVICES
    )
    with Slapd(objects, tmp_path_factory.mktemp("directory")) as running:
        yield running


def code(connection: Any) -> int:
    return int(connection.result["result"])


def found(connection: Any, base: str, query: str = ALL, scope: str = "SUBTREE") -> dict[str, dict[str, Any]]:
    """Return the entries that somebody sees, with all attributes, by their names."""
    connection.search(base, query, search_scope=scope, attributes=["*", "+", "userPassword"])
    return {
        each["dn"]: dict(each["attributes"])
        for each in connection.response or []
        if each["type"] == "searchResEntry"
    }


@pytest.mark.parametrize(
    ("dn", "password"),
    [(IC1, "ic1"), (IS1, HOSTILE), (BIND, "pgadmin-ic1"), (ADMIN, "admin"), ("cn=admin,cn=config", "config")],
)
def test_who_knows_the_password_logs_in(slapd: Slapd, dn: str, password: str) -> None:
    assert slapd.connect(dn, password).bound


@pytest.mark.parametrize(
    ("dn", "password"),
    [
        (IC1, "ic2"),
        (IC1, HOSTILE),
        (IS1, HOSTILE[:-1]),
        (BIND, "ic1"),
        (ADMIN, "config"),
        ("cn=admin,cn=config", "admin"),
        (f"uid=nobody,ou=people,{BASE}", "ic1"),
    ],
)
def test_who_does_not_know_it_is_refused(slapd: Slapd, dn: str, password: str) -> None:
    connection = slapd.connect(dn, password)
    assert not connection.bound
    assert code(connection) == WRONG


def test_a_name_without_a_password_is_nobody(slapd: Slapd) -> None:
    # ldap3 does not send it: a bind of version 3 with a name and an empty password.
    name = IC1.encode()
    bind = b"\x02\x01\x03\x04" + bytes([len(name)]) + name + b"\x80\x00"
    message = b"\x02\x01\x01\x60" + bytes([len(bind)]) + bind
    with socket.create_connection(("127.0.0.1", slapd.port), timeout=10) as connection:
        connection.sendall(b"\x30" + bytes([len(message)]) + message)
        answer = connection.recv(1024)
    assert answer[5] == 0x61
    assert answer[9] in (INAPPROPRIATE, UNWILLING)


def test_nobody_in_particular_logs_in(slapd: Slapd) -> None:
    connection = slapd.connect()
    assert not connection.bind()
    assert code(connection) == INAPPROPRIATE


@pytest.mark.parametrize("base", [BASE, f"ou=people,{BASE}", IC1, "", "cn=Subschema", "cn=config"])
@pytest.mark.parametrize("scope", ["BASE", "SUBTREE"])
def test_nobody_in_particular_reads_nothing(slapd: Slapd, base: str, scope: str) -> None:
    connection = slapd.connect()
    assert found(connection, base, scope=scope) == {}
    assert code(connection) in (UNWILLING, NO_OBJECT)


def test_the_bind_user_finds_people_and_reads_no_password(slapd: Slapd) -> None:
    entries = found(slapd.connect(BIND, "pgadmin-ic1"), f"ou=people,{BASE}", "(&(objectclass=*)(uid=ic1))")
    (entry,) = entries.values()
    assert entry["mail"] == ["mail@ic1.local"]
    assert entry["cn"] == ["é ü"]
    everything = found(slapd.connect(BIND, "pgadmin-ic1"), f"ou=people,{BASE}")
    assert set(everything) == {f"ou=people,{BASE}", IC1, IS1}
    assert not [dn for dn, each in everything.items() if "userPassword" in each]


@pytest.mark.parametrize("prefix", ["{ARGON2}*", "*"])
def test_the_bind_user_cannot_guess_at_a_password_by_searching(slapd: Slapd, prefix: str) -> None:
    assert found(slapd.connect(BIND, "pgadmin-ic1"), f"ou=people,{BASE}", f"(userPassword={prefix})") == {}


@pytest.mark.parametrize("base", [BASE, f"ou=services,{BASE}", ADMIN, "cn=config"])
def test_the_bind_user_sees_nobody_else(slapd: Slapd, base: str) -> None:
    entries = found(slapd.connect(BIND, "pgadmin-ic1"), base)
    assert {dn for dn in entries if not dn.endswith(f"ou=people,{BASE}")} <= {BIND}
    assert not [dn for dn, each in entries.items() if "userPassword" in each]


@pytest.mark.parametrize(("dn", "password"), [(BIND, "pgadmin-ic1"), (IC1, "ic1")])
def test_nobody_but_the_admin_writes(slapd: Slapd, dn: str, password: str) -> None:
    from ldap3 import MODIFY_REPLACE

    connection = slapd.connect(dn, password)
    for target in (IC1, IS1, BIND):
        for attribute in ("userPassword", "mail", "description"):
            connection.modify(target, {attribute: [(MODIFY_REPLACE, ["x"])]})
            assert code(connection) in (INSUFFICIENT, NO_OBJECT)
    connection.add(f"uid=new,ou=people,{BASE}", "inetOrgPerson", {"sn": "x", "cn": "x"})
    assert code(connection) in (INSUFFICIENT, NO_OBJECT)
    connection.delete(IS1)
    assert code(connection) in (INSUFFICIENT, NO_OBJECT)
    connection.extend.standard.modify_password(dn, password, "another")
    assert code(connection) in (INSUFFICIENT, NO_OBJECT, UNWILLING)
    assert slapd.connect(dn, password).bound


def test_a_person_sees_itself_and_nobody_elses_password_nor_its_own(slapd: Slapd) -> None:
    connection = slapd.connect(IC1, "ic1")
    (own,) = found(connection, IC1).items()
    assert own[0] == IC1
    assert "userPassword" not in own[1]
    for base in (BASE, f"ou=people,{BASE}", IS1):
        assert set(found(connection, base)) <= {IC1}
    connection.compare(IS1, "userPassword", HOSTILE)
    assert code(connection) in (INSUFFICIENT, NO_OBJECT)


def test_the_directory_holds_no_password_but_its_hash(slapd: Slapd) -> None:
    import base64

    text = slapd.dump()
    values = [
        base64.b64decode(each).decode() for each in re.findall(r"userPassword:: (\S+(?:\n \S+)*)", text)
    ]
    assert len(values) == len(PEOPLE) + len(SERVICES) + 1
    assert all(re.match(r"\{ARGON2\}\$argon2id?\$v=19\$m=\d+,t=\d+,p=\d+\$", each) for each in values)
    assert len(set(values)) == len(values)


def test_nothing_else_keeps_a_password_that_the_server_could_read(slapd: Slapd) -> None:
    for folder in ("config", "data", "run"):
        for path in (slapd.folder / folder).rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                assert b"hunter2" not in content
                assert HOSTILE.encode() not in content
    assert sorted(path.name for path in (slapd.folder / "run").iterdir()) == [
        "config-password.conf", "slapd.args", "slapd.pid",
    ]  # fmt: skip
    assert re.fullmatch(r"rootpw \{ARGON2\}\S+\n", (slapd.folder / "run/config-password.conf").read_text())


def test_it_takes_little_memory(slapd: Slapd) -> None:
    assert slapd.memory() < 64 * 2**20


def test_a_pod_that_starts_again_has_what_is_mounted_and_nothing_else(tmp_path: Path) -> None:
    objects = objects_of("openldap", users=PEOPLE, services=SERVICES)
    with Slapd(objects, tmp_path) as first:
        admin = first.connect(ADMIN, "admin")
        admin.add(f"uid=new,ou=people,{BASE}", "inetOrgPerson", {"sn": "x", "cn": "x"})
        assert code(admin) == 0
    with Slapd(objects_of("openldap", users=[{**PEOPLE[0], "password": "another"}]), tmp_path) as again:
        assert again.connect(IC1, "another").bound
        assert not again.connect(IC1, "ic1").bound
        people = found(again.connect(ADMIN, "admin"), f"ou=people,{BASE}")
        assert set(people) == {f"ou=people,{BASE}", IC1}

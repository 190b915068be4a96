from __future__ import annotations

import pytest
from tests.unit.config.support import CLIENTS, DEV1, LOCAL, USER, Confs

from pgaas.config.explain import HIDDEN, Explained, explain
from pgaas.config.naming import Target
from pgaas.config.registry import write_primary, write_rebuilt
from pgaas.config.resolve import resolve_client
from pgaas.errors import UsageError


def one(confs: Confs, key: str, target: Target = LOCAL) -> Explained:
    (leaf,) = explain(resolve_client(confs.root, target), key)
    return leaf


def test_each_line_named_holds_the_key(confs: Confs) -> None:
    leaves = explain(resolve_client(confs.root, DEV1))
    assert len(leaves) == len({leaf.path for leaf in leaves}) > 100
    for leaf in leaves:
        if not leaf.file:
            assert leaf.line == 0
            continue
        written = confs.read(leaf.file).splitlines()[leaf.line - 1]
        key = leaf.path.split(".")[-1]
        # A list's element has no key: its value is there.
        assert key in written or str(leaf.value) in written, leaf


def test_a_client_leaf_and_an_overridden_one(confs: Confs) -> None:
    confs.replace(
        "confs/users/ic1/hp/dev1/databases.yaml", "work_mem: 16MB", "work_mem: 16MB\n    max_connections: 300"
    )
    leaf = one(confs, "postgresql.parameters.max_connections", DEV1)
    assert (leaf.value, leaf.file, leaf.line) == ("200", "confs/admin/hp/postgresql.yaml", 7)
    assert [(lost.file, lost.line, lost.value) for lost in leaf.overrode] == [
        ("confs/users/ic1/hp/dev1/databases.yaml", 6, 300)
    ]
    leaf = one(confs, "postgresql.parameters.work_mem", DEV1)
    assert (leaf.value, leaf.file, leaf.line) == ("16MB", "confs/users/ic1/hp/dev1/databases.yaml", 5)
    assert leaf.overrode == ()


def test_a_key_above_leaves(confs: Confs) -> None:
    leaves = explain(resolve_client(confs.root, LOCAL), "databases.0")
    assert [leaf.path for leaf in leaves] == [
        "databases.0.name",
        "databases.0.owner",
        "databases.0.cnPattern",
    ]
    # `databases.1` must not take in databases.10, nor `postgresql` what only begins like it.
    assert all(
        leaf.path.startswith("postgresql.")
        for leaf in explain(resolve_client(confs.root, LOCAL), "postgresql")
    )


def test_defaults_have_no_file(confs: Confs) -> None:
    leaf = one(confs, "roles.0.bypassrls")
    assert (leaf.value, leaf.file, leaf.line) == (False, "", 0)


def test_the_client_and_its_datacenter(confs: Confs) -> None:
    assert one(confs, "client.s3Bucket").file == CLIENTS.format("local")
    assert one(confs, "dns.zone").value == "pgaas.local"
    assert one(confs, "datacenters.local1.s3.region").value == "us-east-1"
    with pytest.raises(UsageError):
        one(confs, "datacenters.local2.s3.region")


def test_a_parameter_with_a_dot(confs: Confs) -> None:
    confs.write(USER, "postgresql: {majorVersion: 17, parameters: {pg_stat_statements.max: 9000}}")
    leaf = one(confs, "postgresql.parameters.pg_stat_statements.max")
    assert (leaf.value, leaf.file, leaf.line) == ("9000", USER, 1)


def test_secrets_are_hidden(confs: Confs) -> None:
    leaves = explain(resolve_client(confs.root, LOCAL), "client")
    values = {leaf.path: leaf.value for leaf in leaves}
    assert values["client.s3Credentials.secretKey"] == HIDDEN
    assert values["client.ldapCredentials.bindPassword"] == HIDDEN
    assert "ic1-local-secret" not in str(leaves)


def test_what_the_platform_team_widened(confs: Confs) -> None:
    file = CLIENTS.format("local")
    confs.write(
        file, confs.read(file) + "    allow:\n      superuser: true\n      inRoles: [pg_read_server_files]\n"
    )
    confs.write(
        USER,
        "postgresql: {majorVersion: 17}\n"
        "roles: [{name: a, superuser: true, inRoles: [pg_monitor, pg_read_server_files, b]}, {name: b}]\n",
    )
    lines = confs.read(file).splitlines()
    notes = {leaf.path: leaf.note for leaf in explain(resolve_client(confs.root, LOCAL)) if leaf.note}
    line = lines.index("      superuser: true") + 1
    assert notes == {
        "client.originDatacenter": "the first of datacenters",
        "ldap.serverUri": "openldap.yaml",
        "ldap.baseDn": "openldap.yaml",
        "ldap.searchFilter": "nobody but the client's own user",
        "roles.0.superuser": f"allowed by {file}:{line} (clients.ic1.allow.superuser)",
        "roles.0.inRoles.1": f"allowed by {file}:{line + 1} (clients.ic1.allow.inRoles.0)",
    }


def test_a_key_that_is_not_there(confs: Confs) -> None:
    resolved = resolve_client(confs.root, LOCAL)
    with pytest.raises(
        UsageError, match=r"no key 'postgresql\.instance'; did you mean postgresql\.instances\?"
    ) as error:
        explain(resolved, "postgresql.instance")
    assert "known: " in error.value.next_step
    for key in ("", ".", "x", "postgresql.instances.x", "roles.99"):
        with pytest.raises(UsageError):
            explain(resolved, key)


def test_what_promotions_and_rebuilds_wrote_has_its_lines(confs: Confs) -> None:
    file = CLIENTS.format("prod")
    target = Target("ic1", "prod", "dc1")
    leaf = one(confs, "client.originDatacenter", target)
    assert (leaf.value, leaf.file, leaf.line, leaf.note) == ("dc1", "", 0, "the first of datacenters")
    leaf = one(confs, "client.recoveredFrom", target)
    assert (leaf.value, leaf.file) == ({}, "")
    write_primary(confs.root, "ic1", "prod", "dc2", lost="dc1")
    lines = confs.read(file).splitlines()
    for key, value in (("originDatacenter: dc1", "dc1"), ("primaryDatacenter: dc2", "dc2")):
        leaf = one(confs, f"client.{key.partition(':')[0]}", target)
        assert (leaf.value, leaf.file, lines[leaf.line - 1].strip(), leaf.note) == (value, file, key, "")
    leaf = one(confs, "client.lostDatacenters", target)
    assert (leaf.path, leaf.value) == ("client.lostDatacenters.0", "dc1")
    assert lines[leaf.line - 1].strip() == "lostDatacenters: [dc1]"
    write_rebuilt(confs.root, target, 2, "dc2")
    leaf = one(confs, "client.recoveredFrom.prod-ic1-dc1", target)
    assert (leaf.value, leaf.file) == ("dc2", file)
    assert confs.read(file).splitlines()[leaf.line - 1].strip() == "prod-ic1-dc1: dc2"


def test_a_primary_that_is_not_written_is_the_first(confs: Confs) -> None:
    confs.replace(CLIENTS.format("prod"), "primaryDatacenter: dc1", "originDatacenter: dc2")
    leaf = one(confs, "client.primaryDatacenter", Target("ic1", "prod", "dc1"))
    assert (leaf.value, leaf.file, leaf.note) == ("dc1", "", "the first of datacenters")
    confs.replace(CLIENTS.format("prod"), "originDatacenter: dc2", "primaryDatacenter: dc2")
    assert one(confs, "client.originDatacenter", Target("ic1", "prod", "dc1")).value == "dc1"

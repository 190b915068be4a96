"""A client's file, and the issues that it must cause."""

# ruff: noqa: E501 - in a table, one row a line reads better than short lines

from __future__ import annotations

from textwrap import dedent

import pytest
from tests.unit.config.support import CLIENTS, DEV1, LOCAL, USER, Confs

from pgaas.config.resolve import resolve_client

HEAD = "postgresql: {majorVersion: 17}\n"
BASE = HEAD + dedent("""\
    databases:
      - {name: app_db, owner: app_user}
    roles:
      - {name: app_user}
    """)


def allow(confs: Confs, text: str) -> None:
    confs.replace(CLIENTS.format("local"), "enabled: true\n", f"enabled: true\n    allow: {text}\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["databases.yaml: is empty"]),
        ("[]", ["databases.yaml:1: must be a map (key: value)"]),
        ("databases: []", ["postgresql: is required"]),
        ("postgresql: {}", ["postgresql.majorVersion: is required"]),
        (HEAD + "backup: {schedule: x}", ["2: backup: is not a key here (keys: postgresql, plugins, databases, roles)"]),
        (HEAD + "rols: []", ["2: rols: is not a key here; did you mean roles?"]),
        (HEAD + "databases:", ["2: databases: is empty: give a value, or leave the key out"]),
        (HEAD + "databases: app_db", ["2: databases: must be a list, not 'app_db'"]),
        (HEAD + "databases: [app_db]", ["2: databases.0: must be a map (key: value), not 'app_db'"]),
        (HEAD + "roles: [{login: true}]", ["2: roles.0.name: is required"]),
        (HEAD + "roles: [{name: 5}]", ["2: roles.0.name: must be text, not 5"]),
        (HEAD + "roles: [{name: a, login: 1}]", ["roles.0.login: must be true or false, not 1"]),
        (HEAD + "roles: [{name: a, ensure: gone}]", ["roles.0.ensure: must be 'present' or 'absent', not 'gone'"]),
        (HEAD + "roles: [{name: a, connectionLimit: -2}]", ["roles.0.connectionLimit: input must be greater"]),
        (HEAD + "roles: [{name: a, password: x}]", ["roles.0.password: is not a key here"]),
        ("postgresql: {majorVersion: 17, instances: 9}", ["postgresql.instances: is not a key here"]),
        ("postgresql: {majorVersion: '17'}", ["postgresql.majorVersion: must be a whole number, not '17'"]),
        ("postgresql: {majorVersion: 14}", ["majorVersion: 14 is not in the image catalog, which has 15, 16, 17, 18"]),
        ("postgresql: {majorVersion: 17, parameters: {ssl: off}}",
         ["postgresql.parameters.ssl: ssl can't be set: the certificates come from cert-manager",
          "postgresql.parameters.ssl: is not among the parameters left to clients"]),
        ("postgresql: {majorVersion: 17, parameters: {fsync: off}}",
         ["postgresql.parameters.fsync: is not among the parameters left to clients"]),
        ("postgresql: {majorVersion: 17, parameters: {work_men: 1MB}}", ["did you mean work_mem?"]),
        (HEAD + "plugins: [{name: x.example.com}]", ["plugins.0.name: 'x.example.com' is not offered in plugins.yaml"]),
        (HEAD + "plugins: [{name: x}, {name: x}]", ["plugins.0.name", "plugins.1.name: 'x' is there twice"]),
        ("postgresql: {majorVersion: 17, parameters: {work_mem: lots}}",
         ["parameters.work_mem: 'lots' is not an amount of memory such as 64MB"]),
        ("postgresql: {majorVersion: 17, parameters: {work_mem: 1MB, statement_timeout: 5m, jit: maybe, random_page_cost: x},"
         " instances: 3}", ["instances: is not a key", "'5m' is not a time", "'maybe' is not on or off", "'x' is not a number"]),
        # names
        (HEAD + "roles: [{name: \"a' b\"}]", ["roles.0.name"]),
        (HEAD + 'roles: [{name: "a\\n host all all all trust"}]', ["roles.0.name"]),
        (HEAD + "roles: [{name: 'a,postgres'}]", ["roles.0.name"]),
        (HEAD + "roles: [{name: /.*}]", ["roles.0.name"]),
        (HEAD + "roles: [{name: postgres}]", ["roles.0.name: 'postgres' is reserved"]),
        (HEAD + "roles: [{name: pgadmin_readonly}]", ["'pgadmin_readonly' is reserved"]),
        (HEAD + "roles: [{name: pgadmin-readonly}]", ["'pgadmin-readonly' is reserved: pgAdmin logs in as pgadmin_readonly"]),
        (HEAD + "roles: [{name: ca}]", ["roles.0.name: 'ca' is reserved"]),
        (HEAD + "roles: [{name: a}]\ndatabases: [{name: all, owner: a}]", ["'all' is a keyword of pg_hba.conf"]),
        (HEAD + "roles: [{name: a}]\ndatabases: [{name: pgaas, owner: a}]", ["'pgaas' is reserved"]),
        # duplicates
        (HEAD + "roles: [{name: a}, {name: b}, {name: a}]", ["roles.2.name: 'a' is there twice"]),
        (HEAD + "roles: [{name: a-b}, {name: a_b}]", ["roles.1.name: 'a_b' and 'a-b' are one name in Kubernetes"]),
        (BASE + "  - {name: x}\n".replace("x", "app_user"), ["roles.1.name: 'app_user' is there twice"]),
        (HEAD + "roles: [{name: a}]\ndatabases: [{name: d, owner: a}, {name: d, owner: a}]",
         ["databases.1.name: 'd' is there twice"]),
        (HEAD + "roles: [{name: a}]\ndatabases: [{name: d-1, owner: a}, {name: d_1, owner: a}]",
         ["databases.1.name: 'd_1' and 'd-1' are one name in Kubernetes"]),
        # ownership
        (HEAD + "databases: [{name: d, owner: a}]", ["databases.0.owner: 'a' is not in roles (there is none)"]),
        (HEAD + "databases: [{name: d, owner: postgres}]", ["databases.0.owner: 'postgres' is not in roles"]),
        (HEAD + "roles: [{name: a, ensure: absent}]\ndatabases: [{name: d, owner: a}]",
         ["databases.0.owner: 'a' is declared absent"]),
        (BASE + "  - {name: b, databases: [app_dv]}", ["roles.1.databases.0: 'app_dv' is not in databases", ]),
        (BASE + "  - {name: b, databases: [postgres]}", ["roles.1.databases.0: 'postgres' is not in databases"]),
        (BASE + "  - {name: b, databases: [app_db, app_db]}", ["roles.1.databases.1: 'app_db' is there twice"]),
        (BASE + "  - {name: b, login: false, databases: [app_db]}", ["roles.1.databases: is of no use"]),
        # rights
        (HEAD + "roles: [{name: a, superuser: true}]", ["roles.0.superuser: is refused"]),
        (HEAD + "roles: [{name: a, replication: true}]", ["roles.0.replication: is refused"]),
        (HEAD + "roles: [{name: a, bypassrls: true}]", ["roles.0.bypassrls: is refused"]),
        (HEAD + "roles: [{name: a, createrole: true}]", ["roles.0.createrole: is refused"]),
        *[(HEAD + f"roles: [{{name: a, inRoles: [{role}]}}]", [f"roles.0.inRoles.0: is refused: {role} gives away"])
          for role in ("pg_execute_server_program", "pg_read_server_files", "pg_write_server_files",
                       "pg_create_subscription", "pg_use_reserved_connections")],
        *[(HEAD + f"roles: [{{name: a, inRoles: [{role}]}}]", [f"roles.0.inRoles.0: '{role}' is no role of this file"])
          for role in ("postgres", "pgaas_owner", "streaming_replica", "pgadmin_readonly", "cnpg_metrics_exporter",
                       "pg_database_owner", "nobody")],
        (HEAD + "roles: [{name: a, inRoles: [pg_reed_all_data]}]", ["did you mean pg_read_all_data?"]),
        ("postgresql: {majorVersion: 16}\nroles: [{name: a, inRoles: [pg_maintain]}]", ["from PostgreSQL 17 on"]),
        (HEAD + "roles: [{name: a}, {name: b, inRoles: [a, a]}]", ["roles.1.inRoles.1: 'a' is there twice"]),
        (HEAD + "roles: [{name: a, ensure: absent}, {name: b, inRoles: [a]}]", ["'a' is declared absent"]),
        (HEAD + "roles: [{name: a, inRoles: [a]}]", ["roles.0.inRoles: goes in a circle: a -> a"]),
        (HEAD + "roles: [{name: x, inRoles: [a]}, {name: a, inRoles: [b]}, {name: b, inRoles: [c]},"
         " {name: c, inRoles: [a]}]", ["inRoles: goes in a circle: a -> b -> c -> a"]),
        # common names
        (HEAD + "roles: [{name: a}]\ndatabases: [{name: d, owner: a, cnPattern: /.*.ic1.local}]",
         ["databases.0.cnPattern: '/.*.ic1.local' begins with '/'"]),
        (HEAD + "roles: [{name: a}]\ndatabases: [{name: d, owner: a, cnPattern: a.ic1.prod}]",
         ["databases.0.cnPattern: 'a.ic1.prod' must end in .ic1.local"]),
        (HEAD + f"roles: [{{name: a}}]\ndatabases: [{{name: d, owner: a, cnPattern: {'x' * 55}.ic1.local}}]",
         ["databases.0.cnPattern: has 65 characters"]),
        (HEAD + f"roles: [{{name: {'a' * 55}}}]\ndatabases: [{{name: d, owner: {'a' * 55}}}]",
         ["roles.0.name: its common name"]),
        (HEAD + f"roles: [{{name: a}}, {{name: {'b' * 55}, databases: [d]}}]\ndatabases: [{{name: d, owner: a}}]",
         ["roles.1.name: its common name"]),
        (HEAD + "roles: [{name: a}, {name: b}]\ndatabases: [{name: d, owner: a, cnPattern: x.ic1.local},"
         " {name: e, owner: b, cnPattern: x.ic1.local}]", ["databases.1.cnPattern: x.ic1.local is the common name of a"]),
        (HEAD + "roles: [{name: a}, {name: b}]\ndatabases: [{name: d, owner: a, cnPattern: b.ic1.local},"
         " {name: e, owner: b}]", ["roles.1.name: b.ic1.local is the common name of a"]),
        (HEAD + "roles: [{name: a}]\ndatabases: [{name: d, owner: a, cnPattern: pgadmin_readonly.ic1.local}]",
         ["databases.0.cnPattern: pgadmin_readonly.ic1.local is the common name of pgadmin_readonly"]),
        (HEAD + "roles: [{name: a}]\ndatabases: [{name: d, owner: a, cnPattern: x.ic1.local},"
         " {name: e, owner: a, cnPattern: y.ic1.local}]",
         ["databases.1.cnPattern: a is x.ic1.local in databases.0: a role has one certificate"]),
        (HEAD + "roles: [{name: a, login: false}]\ndatabases: [{name: d, owner: a, cnPattern: x.ic1.local}]",
         ["databases.0.cnPattern: is of no use"]),
    ],
)  # fmt: skip
def test_an_issue(confs: Confs, text: str, expected: list[str]) -> None:
    confs.write(USER, text)
    found = confs.issues()
    assert len(found) == len(expected), found
    for part in expected:
        assert any(part in issue for issue in found), (part, found)
    assert all(issue.startswith(USER) and "\n" not in issue for issue in found)


@pytest.mark.parametrize(
    "text",
    [
        HEAD,
        BASE,
        "postgresql: {majorVersion: 17, parameters: {work_mem: 4MB, jit: off, pg_stat_statements.max: 5}}",
        HEAD + "plugins: [{name: barman-cloud.cloudnative-pg.io}]",
        HEAD + "roles: [{name: a, ensure: absent, inRoles: [b]}, {name: b, ensure: absent}]",
        HEAD + "roles: [{name: a, login: false}]\ndatabases: [{name: d, owner: a}]",
        HEAD + f"roles: [{{name: {'a' * 63}}}]",
        HEAD + f"roles: [{{name: {'a' * 63}, login: false}}]\ndatabases: [{{name: d, owner: {'a' * 63}}}]",
        HEAD + f"roles: [{{name: b}}, {{name: {'a' * 63}, ensure: absent, databases: [d]}}]\n"
        "databases: [{name: d, owner: b}]",
        "postgresql: {majorVersion: 17, parameters: {work_mem: 64, lock_timeout: 0, jit: 'Off', random_page_cost: 1.1}}",
        HEAD + f"roles: [{{name: {'a' * 54}}}]\ndatabases: [{{name: d, owner: {'a' * 54}}}]",
        HEAD + f"roles: [{{name: {'a' * 60}}}]\n"
        f"databases: [{{name: d, owner: {'a' * 60}, cnPattern: a.ic1.local}}]",
        HEAD + "roles: [{name: a}]\ndatabases: [{name: d, owner: a, cnPattern: x.ic1.local},"
        " {name: e, owner: a, cnPattern: x.ic1.local}, {name: f, owner: a}]",
        HEAD
        + "roles: [{name: a, createdb: true, inRoles: [b, pg_monitor]}, {name: b, inRoles: [c]}, {name: c}]",
        HEAD + "roles: [{name: a, inRoles: [pg_maintain]}]",
        HEAD + "roles: [{name: all-things}, {name: replication-user}]",
    ],
)
def test_no_issue(confs: Confs, text: str) -> None:
    confs.write(USER, text)
    assert confs.issues() == []


@pytest.mark.parametrize("right", ["superuser", "replication", "bypassrls", "createrole"])
def test_a_right_that_the_platform_team_allows(confs: Confs, right: str) -> None:
    allow(confs, f"{{{right}: true}}")
    confs.write(USER, HEAD + f"roles: [{{name: a, {right}: true}}]")
    assert confs.issues() == []
    others = {"superuser", "replication", "bypassrls", "createrole"} - {right}
    confs.write(USER, HEAD + f"roles: [{{name: a, {', '.join(f'{other}: true' for other in others)}}}]")
    assert len(confs.issues()) == 3


def test_a_parent_that_the_platform_team_allows(confs: Confs) -> None:
    allow(confs, "{inRoles: [pg_read_server_files]}")
    confs.write(USER, HEAD + "roles: [{name: a, inRoles: [pg_read_server_files]}]")
    assert confs.issues() == []
    confs.write(USER, HEAD + "roles: [{name: a, inRoles: [pg_write_server_files]}]")
    assert len(confs.issues()) == 1


def test_one_clients_rights_are_not_anothers(confs: Confs) -> None:
    hp = CLIENTS.format("hp")
    confs.write(hp, confs.read(hp) + "    allow: {superuser: true}\n")
    confs.replace("confs/users/ic1/hp/dev1/databases.yaml", "superuser: false", "superuser: true")
    (issue,) = confs.issues(DEV1)
    assert "roles.0.superuser: is refused" in issue


def test_a_broken_admin_file_does_not_widen_anything(confs: Confs) -> None:
    allow(confs, "{superuser: 1, createrole: true}")
    confs.write(USER, HEAD + "roles: [{name: a, superuser: true}]")
    found = confs.issues()
    assert any("clients.ic1.allow.superuser: must be true or false" in issue for issue in found)
    assert any("roles.0.superuser: is refused" in issue for issue in found)


def test_broken_entries_are_checked_against_the_others_too(confs: Confs) -> None:
    confs.write(
        USER,
        dedent("""\
            postgresql: {majorVersion: 19, parameters: {fsync: off}, x: 1}
            plugins: [{name: 5}, {name: y.example.com, z: 1}]
            databases:
              - {name: all, owner: nobody, cnPattern: x}
              - {name: app_db, owner: "a b", extra: 1}
            roles:
              - {name: "a b", superuser: true, inRoles: [pg_read_server_files], databases: [nowhere]}
              - {name: app_user, login: 1, replication: true, inRoles: [nobody]}
            """),
    )
    paths = [issue.split(": ")[1] for issue in confs.issues()]
    assert sorted(paths) == [
        "databases.0.cnPattern", "databases.0.name", "databases.0.owner", "databases.1.extra", "plugins.0.name",
        "plugins.1.name", "plugins.1.z", "postgresql.majorVersion", "postgresql.parameters.fsync", "postgresql.x",
        "roles.0.databases.0", "roles.0.inRoles.0", "roles.0.name", "roles.0.superuser", "roles.1.inRoles.0",
        "roles.1.login", "roles.1.replication",
    ]  # fmt: skip


def test_the_renamed_role_of_pgadmin_is_reserved(confs: Confs) -> None:
    confs.replace("confs/admin/local/postgresql.yaml", "name: pgadmin_readonly", "name: viewer")
    confs.write(USER, HEAD + "roles: [{name: viewer}]")
    (issue,) = confs.issues()
    assert "'viewer' is reserved: pgAdmin logs in as viewer" in issue


@pytest.mark.parametrize("plugins", ["", "plugins: []\n", "plugins: [{name: x.example.com}]\n"])
def test_every_cluster_has_the_barman_plugin(confs: Confs, plugins: str) -> None:
    confs.replace(
        "confs/admin/local/plugins.yaml",
        "availablePlugins:\n",
        "availablePlugins:\n  - name: x.example.com\n",
    )
    confs.write(USER, HEAD + plugins)
    resolved = resolve_client(confs.root, LOCAL)
    names = [plugin.name for plugin in resolved.merged.plugins]
    assert names[-1] == "barman-cloud.cloudnative-pg.io"
    assert len(names) == (2 if "x.example.com" in plugins else 1)
    origin = resolved.origins[f"plugins.{len(names) - 1}.name"]
    line = (
        confs.read("confs/admin/local/plugins.yaml")
        .splitlines()
        .index("  - name: barman-cloud.cloudnative-pg.io")
    )
    assert (origin.file, origin.line, origin.value) == (
        "confs/admin/local/plugins.yaml",
        line + 1,
        "barman-cloud.cloudnative-pg.io",
    )

"""`preview` and `explain`: what is shown of the configuration."""

from __future__ import annotations

import json

from pgaas.config.naming import Target
from pgaas.config.resolve import resolve_client
from pgaas.operations.preview import summarise
from pgaas.render.build import build_values


def test_preview_shows_who_can_log_in_where_and_writes_nothing(root, pgaas):
    ran = pgaas("preview", "--ins", "ic1", "--env", "local", "--dc", "local1")
    assert (ran.code, ran.err) == (0, "")
    lines = [" ".join(line.split()) for line in ran.out.splitlines()]
    assert "Cluster local-ic1-local1" in lines
    assert any(
        line.startswith("app_user app_db all certificate over TLS (hostssl) app_user.ic1.local")
        for line in lines
    )
    assert "all all all reject (host) - -" in lines
    assert "app_db app_user local-ic1-local1-app-db" in lines
    assert not (root / "confs/_generated").exists()


def test_preview_is_plain_text_without_a_terminal(root, pgaas):
    out = pgaas("preview", "--ins", "ic1", "--env", "prod").out
    assert "\x1b" not in out
    assert "primary.ic1-prod.example.com" in out
    assert "…" not in out


def test_preview_as_json_says_the_same(root, pgaas):
    shown = json.loads(pgaas("preview", "--ins", "ic1", "--env", "prod", "--dc", "dc2", "-o", "json").out)
    assert (shown["ins"], shown["env"], shown["dc"]) == ("ic1", "prod", "dc2")
    assert shown["cluster"]["instances"] == 3
    assert shown["cluster"]["replication"] == "replica of prod-ic1-dc1"
    assert {"database": "app_db", "owner": "app_user", "object": "prod-ic1-dc2-app-db"} in shown["databases"]
    assert shown["logins"][-1]["how"] == "reject (host)"
    role = next(role for role in shown["roles"] if role["role"] == "app_readonly")
    assert role["member of"] == ["pg_read_all_data"]
    assert role["login"] is True


def test_preview_shows_a_pair_as_it_is_now_and_how_each_side_was_born(root, pgaas):
    clients = root / "confs/admin/prod/clients.yaml"
    text = clients.read_text().replace("primaryDatacenter: dc1", "primaryDatacenter: dc2")
    again = "recoveredFrom: {prod-ic1-dc1: dc2}\n    archiveGenerations: {prod-ic1-dc1: 2}"
    clients.write_text(text.replace("    replication:", f"    {again}\n    replication:"))
    shown = json.loads(pgaas("preview", "--ins", "ic1", "--env", "prod", "--dc", "dc2", "-o", "json").out)
    bucket = "s3://ic1-prod-backups"
    assert shown["topology"] == [
        {
            "datacenter": "dc1",
            "cluster": "prod-ic1-dc1",
            "role": "replica of prod-ic1-dc2",
            "born by": "recovery prod-ic1-dc2",
            "archive": f"{bucket}/ic1-prod-dc1-backup/prod-ic1-dc1-g2/",
        },
        {
            "datacenter": "dc2",
            "cluster": "prod-ic1-dc2",
            "role": "primary",
            "born by": "recovery prod-ic1-dc1",
            "archive": f"{bucket}/ic1-prod-dc2-backup/prod-ic1-dc2/",
        },
    ]
    text = text.replace("replicaSource: archive", "replicaSource: mirror")
    clients.write_text(text.replace("    replication:", "    lostDatacenters: [dc1]\n    replication:"))
    shown = json.loads(pgaas("preview", "--ins", "ic1", "--env", "prod", "--dc", "dc2", "-o", "json").out)
    assert [row["role"] for row in shown["topology"]] == ["lost, to be rebuilt", "primary"]
    assert [row["born by"] for row in shown["topology"]] == ["initdb", "recovery prod-ic1-dc1"]
    assert [row["archive"] for row in shown["topology"]] == [
        f"{bucket}/ic1-prod-dc1-replica/prod-ic1-dc1/",
        f"{bucket}/ic1-prod-dc2-backup/prod-ic1-dc2/",
    ]
    lines = pgaas("preview", "--ins", "ic1", "--env", "prod", "--dc", "dc2").out.splitlines()
    assert "Datacenters" in [line.strip() for line in lines]


def test_preview_of_a_single_cluster_has_no_topology(root, pgaas):
    assert "topology" not in json.loads(pgaas("preview", "--ins", "ic1", "--env", "dev1", "-o", "json").out)


def test_no_summary_holds_a_secret(root, pgaas):
    clients = root / "confs/admin/local/clients.yaml"
    clients.write_text(clients.read_text().replace("ic1-local-secret", "0penSesame"))
    for output in ("text", "json"):
        for command in ("preview", "explain"):
            ran = pgaas(command, "--ins", "ic1", "--env", "local", "-o", output)
            assert ran.code == 0, ran.err
            assert "0penSesame" not in ran.out


def test_every_login_of_the_summary_is_a_rule_of_pg_hba(root):
    values = build_values(resolve_client(root, Target("ic1", "local", "local1")))
    logins = next(section for section in summarise(values) if section.key == "logins")
    assert [(row[1], row[0]) for row in logins.rows] == [
        tuple(rule.split()[1:3]) for rule in values.cluster.pg_hba
    ]


def test_preview_checks_the_charts_schema_and_names_all_that_it_refuses(root, pgaas):
    file = root / "charts/core/values.schema.json"
    schema = json.loads(file.read_text())
    schema["properties"]["cluster"] = {"type": "string"}
    schema["properties"]["target"] = {"type": "integer"}
    file.write_text(json.dumps(schema))
    ran = pgaas("preview", "--ins", "ic1", "--env", "prod")
    assert (ran.code, ran.out) == (3, "")
    assert "charts/core/values.schema.json: cluster: " in ran.err
    assert "charts/core/values.schema.json: target: " in ran.err


def test_preview_without_a_usable_schema_says_so(root, pgaas):
    file = root / "charts/core/values.schema.json"
    file.write_text("{")
    assert pgaas("preview", "--ins", "ic1", "--env", "prod").code == 3
    file.unlink()
    ran = pgaas("preview", "--ins", "ic1", "--env", "prod")
    assert ran.code == 3
    assert "charts/core/values.schema.json: not found" in ran.err


def test_explain_names_file_and_line_and_what_was_overridden(root, pgaas):
    users = root / "confs/users/ic1/prod/databases.yaml"
    text = users.read_text()
    assert "work_mem" in text
    users.write_text(text.replace("work_mem:", 'max_connections: "7"\n    work_mem:'))
    line = 1 + users.read_text().splitlines().index('    max_connections: "7"')
    key = "postgresql.parameters.max_connections"
    (leaf,) = json.loads(pgaas("explain", "--ins", "ic1", "--env", "prod", key, "-o", "json").out)
    assert leaf["value"] == "500"
    assert leaf["file"] == "confs/admin/prod/postgresql.yaml"
    assert leaf["overrode"] == [{"value": "7", "file": "confs/users/ic1/prod/databases.yaml", "line": line}]
    row = " ".join(pgaas("explain", "--ins", "ic1", "--env", "prod", key).out.splitlines()[1].split())
    lost = f"7 (confs/users/ic1/prod/databases.yaml:{line})"
    assert row == f"{key} 500 confs/admin/prod/postgresql.yaml:{leaf['line']} {lost} -"


def test_explain_takes_the_beginning_of_keys(root, pgaas):
    leaves = json.loads(pgaas("explain", "--ins", "ic1", "--env", "prod", "databases.0", "-o", "json").out)
    assert {leaf["key"].split(".")[2] for leaf in leaves} >= {"name", "owner"}


def test_explain_answers_an_unknown_key_with_the_nearest(root, pgaas):
    ran = pgaas("explain", "--ins", "ic1", "--env", "prod", "postgresql.parametres")
    assert (ran.code, ran.out) == (2, "")
    assert "did you mean postgresql.parameters" in ran.err

"""One change of a shipped file at a time, and the issue that it must cause."""

# ruff: noqa: E501 - in a table, one row a line reads better than short lines

from __future__ import annotations

import pytest
from tests.unit.config.support import CLIENTS, LOCAL, PROD, Confs

from pgaas.config.naming import Target
from pgaas.config.targets import list_targets
from pgaas.errors import ConfigError

PG = "confs/admin/local/postgresql.yaml"
DC = "confs/admin/local/datacenters.yaml"
IC1 = "clients.ic1"


@pytest.mark.parametrize(
    ("name", "old", "new", "path", "message"),
    [
        # unknown keys, types, required keys
        ("postgresql", "maxStopDelay: 300", "maxStopDelays: 300", "postgresql.maxStopDelays", "did you mean maxStopDelay?"),
        ("postgresql", "instances: 1", "instances: one", "postgresql.instances", "must be a whole number, not 'one'"),
        ("postgresql", "instances: 1", "instances: true", "postgresql.instances", "must be a whole number"),
        ("postgresql", "instances: 1", "instances: 0", "postgresql.instances", "greater than or equal to 1"),
        ("postgresql", "instances: 1", "instances:", "postgresql.instances", "is empty"),
        ("postgresql", "  instances: 1\n", "", "postgresql.instances", "is required"),
        ("postgresql", "tls: false", "tls: no", "monitoring.tls", "must be true or false, not 'no'"),
        ("postgresql", "size: 1Gi", "size: 1GB", "storageProfiles.S.storage.size", "is not a Kubernetes quantity"),
        ("postgresql", "storageClass: standard", "storageClass: Local", "postgresql.storage.storageClass", "DNS"),
        ("postgresql", "memory: 128Mi", "memory: 1Ti", "storageProfiles.S.resources.requests.memory", "than the limit"),
        ("postgresql", "max_connections: \"50\"", "port: 5433", "postgresql.parameters.port", "can't be set"),
        ("postgresql", "max_connections: \"50\"", "max_connections: many", "postgresql.parameters.max_connections", "a whole number"),
        ("postgresql", "archive_timeout: 5min", "archive_timeout: \"5\\nmin\"",
         "postgresql.parameters.archive_timeout", "line break"),
        ("postgresql", "archive_timeout: 5min", "archive_timeout: [5]", "postgresql.parameters.archive_timeout", "text"),
        ("postgresql", "- major: 18", "- {major: 17, image: a/b:17}\n    - major: 18", "imageCatalog.images.3.major",
         "17 is there twice"),
        ("postgresql", "postgresql:18.6", "postgresql:17.6", "imageCatalog.images.3.image", "of version 17, not 18"),
        ("postgresql", "name: pgadmin_readonly", "name: postgres", "pgadminUser.name", "reserved"),
        ("postgresql", "name: pgadmin_readonly", "name: all", "pgadminUser.name", "keyword"),
        ("postgresql", "- pg_read_all_data", "- pg_read_server_files", "pgadminUser.roles.0", "is not one of"),
        ("postgresql", "duration: 2160h", "duration: 90d", "certificates.duration", "is not a duration"),
        ("postgresql", "renewBefore: 720h", "renewBefore: 2160h", "certificates.renewBefore", "shorter than duration"),
        ("postgresql", "renewBefore: 720h", "renewBefore: 1m", "certificates.renewBefore", "5m"),
        ("postgresql", "caDuration: 87600h", "caDuration: 2161h", "certificates.caDuration", "twice"),
        ("postgresql", "- work_mem", "- ssl", "userParameters.21", "ssl can't be set"),
        ("postgresql", "- work_mem", "- jit", "userParameters.21", "'jit' is there twice"),
        ("postgresql", 'max_connections: "50"', "max_connections: 9", "postgresql.parameters.max_connections", "from 10 to"),
        ("postgresql", "archive_timeout: 5min", "archive_timeout: 5m", "postgresql.parameters.archive_timeout", "a time such"),
        ("clients", "  ic1:", "  admins:", "clients.admins", "is reserved"),
        ("clients", "  ic1:", "  kube:", "clients.kube", "is reserved"),
        ("clients", "  ic1:", "  perf:", "clients.perf", "is reserved"),
        ("clients", "  ic1:", "  IC1:", "clients.IC1", "is not a code"),
        ("clients", "[local1, local2]", "[local1, local2, local1]", f"{IC1}.datacenters.2", "'local1' is there twice"),
        ("clients", "[local1, local2]", "[local1, lokal2]", f"{IC1}.datacenters.1", "did you mean local2?"),
        ("clients", "[local1, local2]", "[]", f"{IC1}.datacenters", "at least 1"),
        ("clients", "primaryDatacenter: local1", "primaryDatacenter: dc9", f"{IC1}.primaryDatacenter", "known: local1"),
        ("clients", "primaryDatacenter: local1", "originDatacenter: dc9", f"{IC1}.originDatacenter", "known: local1"),
        ("clients", "s3Bucket: ic1-backups", "s3Bucket: IC1_b", f"{IC1}.s3Bucket", "is not a bucket name"),
        ("clients", "storageProfile: S", "storageProfile: XL", f"{IC1}.storageProfile", "did you mean XXL?"),
        ("clients", "      secretKey: ic1-local-secret\n", "", f"{IC1}.s3Credentials", "needs both accessKey and secretKey"),
        ("clients", "accessKey: ic1\n", "accessKey: ic1\n      secretName: x\n", f"{IC1}.s3Credentials", "not both"),
        ("clients", "bindDn: cn=pgadmin-ic1,ou=services,dc=pgaas,dc=local", "bindDn: admin", f"{IC1}.ldapCredentials.bindDn", "distinguished"),
        ("clients", "      bindPassword: pgadmin-ic1\n", "", f"{IC1}.ldapCredentials", "needs bindPasswordSecret"),
        ("clients", "bindPassword: pgadmin-ic1", "bindPassword: pgadmin-ic1\n      bindPasswordSecret: x",
         f"{IC1}.ldapCredentials", "not both"),
        ("clients", "accessKey: ic1", "accessKey: admin", f"{IC1}.s3Credentials.accessKey", "is the admin's in seaweedfs.yaml"),
        ("clients", "cn=pgadmin-ic1", "cn=pgadmin-is1", f"{IC1}.ldapCredentials.bindDn", "must be cn=pgadmin-ic1,ou=services,"),
        ("openldap", "domain: pgaas.local", "domain: x.pgaas.local", "openldap.baseDn", "must be dc=x,dc=pgaas,dc=local"),
        ("clients", "enabled: true\n", "enabled: true\n      replicaSource: stream\n", f"{IC1}.replication.replicaSource",
         "must be 'archive' or 'mirror', not 'stream'"),
        ("clients", "enabled: true\n", "enabled: true\n    archiveGenerations: {local-ic1-dc1: 2}\n",
         f"{IC1}.archiveGenerations.local-ic1-dc1", "is not a cluster of ic1"),
        ("clients", "enabled: true\n", "enabled: true\n    archiveGenerations: {prod-ic1-local1: 2}\n",
         f"{IC1}.archiveGenerations.prod-ic1-local1", "is not a cluster of ic1"),
        ("clients", "enabled: true\n", "enabled: true\n    archiveGenerations: {local-ic1-local1: 0}\n",
         f"{IC1}.archiveGenerations.local-ic1-local1", "greater than or equal to 1"),
        ("clients", "enabled: true\n", "enabled: true\n    allow: {inRoles: [pg_reed_all_data]}\n",
         f"{IC1}.allow.inRoles.0", "did you mean pg_read_all_data?"),
        ("clients", "enabled: true\n", "enabled: true\n    allow: {inRoles: [postgres]}\n",
         f"{IC1}.allow.inRoles.0", "is not a predefined role"),
        ("clients", "enabled: true\n", "enabled: true\n    allow: {root: true}\n", f"{IC1}.allow.root", "not a key"),
        ("clients", "enabled: true\n", "enabled: true\n    networkPolicy: {allowedCIDRs: [10.0.0.1/8]}\n",
         f"{IC1}.networkPolicy.allowedCIDRs.0", "must be written as 10.0.0.0/8"),
        ("clients", "enabled: true\n", "enabled: true\n    networkPolicy: {allowedNamespaces: [a.b]}\n",
         f"{IC1}.networkPolicy.allowedNamespaces.0", "is not a name"),
        ("datacenters", "zone: pgaas.local", "zone: pgaas_local", "dns.zone", "is not a DNS name"),
        ("datacenters", "ttl: 5", "ttl: 0", "dns.ttl", "greater than or equal to 1"),
        ("datacenters", "roPrefix: ro-local2", "roPrefix: ro-local1", "datacenters.local2.dns.roPrefix", "is taken by"),
        ("datacenters", "roPrefix: ro-local2", "roPrefix: primary", "datacenters.local2.dns.roPrefix", "is taken by"),
        ("datacenters", "endpoint: http://192", "endpoint: s3://192", "datacenters.local1.s3.endpoint", "is not a URL"),
        ("datacenters", "region: us-east-1", "region: US East", "datacenters.local1.s3.region", "is not a region"),
        ("datacenters", "operatorNamespace: cnpg-system", "operatorNamespace: cnpg_system",
         "datacenters.local1.operatorNamespace", "is not a name"),
        ("datacenters", "kubeContext: cluster1", "kubecontext: cluster1", "datacenters.local1.kubecontext", "kubeContext?"),
        ("backup", '"0 0 1 * * *"', '"0 1 * * *"', "backup.schedule", "has 5 fields, not six"),
        ("backup", "retentionPolicy: 7d", "retentionPolicy: 7 days", "backup.retentionPolicy", "is not a retention"),
        ("backup", "walCompression: gzip", "walCompression: zip", "backup.walCompression", "must be 'bzip2'"),
        ("backup", "walMaxParallel: 2", "walMaxParallel: 2.5", "backup.walMaxParallel", "whole number, not 2.5"),
        ("plugins", "barman-cloud.cloudnative-pg.io", "other.example.com", "availablePlugins", "must offer barman-cloud"),
        ("plugins", "availablePlugins:\n", "availablePlugins:\n  - {name: barman-cloud.cloudnative-pg.io}\n",
         "availablePlugins.1.name", "is there twice"),
        ("seaweedfs", "port: 8333", "port: 70000", "seaweedfs.s3.port", "less than or equal to 65535"),
        ("openldap", "baseDn: dc=pgaas,dc=local", "baseDn: pgaas", "openldap.baseDn", "distinguished name"),
        ("observability", "retention: 15d", "retention: 15 days", "observability.prometheus.retention", "a duration"),
        ("observability", "operatorTls: false", "operatorEndpoint: http://x",
         "observability.otelCollector.operatorEndpoint", "is not a key here"),
        ("observability", "      tls: false", "      tls: true", "observability.otelCollector.scrape.tls", "monitoring.tls"),
    ],
)  # fmt: skip
def test_an_issue_of_local(confs: Confs, name: str, old: str, new: str, path: str, message: str) -> None:
    file = f"confs/admin/local/{name}.yaml"
    confs.replace(file, old, new)
    (issue,) = confs.issues()
    place, _, text = issue.partition(f": {path}: ")
    assert place.startswith(f"{file}:")
    assert int(place.removeprefix(f"{file}:")) >= 1
    assert message in text
    assert "admin123" not in issue
    assert "ic1-local-secret" not in issue


IS1 = """\
  is1:
    datacenters: [local1]
    s3Bucket: BUCKET
    storageProfile: S
    s3Credentials: KEYS
"""


@pytest.mark.parametrize(
    ("bucket", "keys", "path", "message"),
    [
        ("ic1-backups", "{secretName: is1-s3}", "clients.is1.s3Bucket", "'ic1-backups' is ic1's"),
        (
            "is1-backups",
            "{accessKey: ic1, secretKey: y}",
            "clients.is1.s3Credentials.accessKey",
            "is ic1's: each",
        ),
        (
            "is1-backups",
            "{accessKey: admin, secretKey: y}",
            "clients.is1.s3Credentials.accessKey",
            "the admin's",
        ),
        ("is1-backups", "{accessKey: is1, secretKey: ic1-local-secret}", None, None),
    ],
)
def test_no_two_local_clients_share_a_bucket_or_a_key(
    confs: Confs, bucket: str, keys: str, path: str | None, message: str | None
) -> None:
    text = IS1.replace("BUCKET", bucket).replace("KEYS", keys)
    clients = CLIENTS.format("local")
    confs.write(clients, confs.read(clients) + text)
    issues = confs.issues()
    assert len(issues) == (path is not None)
    for issue in issues:
        assert f": {path}: " in issue
        assert str(message) in issue


@pytest.mark.parametrize(
    ("name", "old", "new", "path", "message"),
    [
        ("clients", "secretName: ic1-s3-credentials", "accessKey: a", "s3Credentials.accessKey", "of local only"),
        ("clients", "secretName: ic1-s3-credentials", "secretName: ic1-s3-credentials\n      secretKey: hunter2",
         "s3Credentials.secretKey", "of local only"),
        ("clients", "bindPasswordSecret: ic1-ldap-bind-password", "bindPassword: hunter2",
         "ldapCredentials.bindPassword", "of local only"),
        ("clients", "secretName: ic1-s3-credentials", "secretName: IC1", "s3Credentials.secretName", "DNS name"),
        ("clients", "[dc1, dc2]", "[dc1]", "replication.enabled", "needs two datacenters"),
        ("postgresql", "tls: true", "tls: false", "monitoring.tls", "may be false in local only"),
        ("ldap", "(objectclass=person)", "(uid={login})", "ldap.searchFilter", "adds (uid=LOGIN) itself"),
        ("ldap", "(memberOf=cn=pgaas-{ins},ou=groups,dc=example,dc=com)", "(a=b)", "ldap.searchFilter", "must hold {ins}"),
        ("ldap", "dc=com))", "dc=com)", "ldap.searchFilter", "in parentheses"),
        ("ldap", "  baseDn", "  caConfigMap: a_b\n  baseDn", "ldap.caConfigMap", "is not a DNS name"),
        ("postgresql", "image: docker.io/dpage/pgadmin4:9.18", "image: pgadmin4", "pgadmin.image", "is not an image"),
        ("postgresql", "requests: { memory: 256Mi, cpu: 50m }\n    limits: { memory: 768Mi",
         "requests: { memory: 800Mi, cpu: 50m }\n    limits: { memory: 768Mi", "pgadmin.resources.requests.memory", "more than the limit"),
        ("ldap", "ldaps://", "https://", "ldap.serverUri", "is not a URL such as ldaps://"),
    ],
)  # fmt: skip
def test_an_issue_of_prod(confs: Confs, name: str, old: str, new: str, path: str, message: str) -> None:
    confs.replace(f"confs/admin/prod/{name}.yaml", old, new)
    found = [issue for issue in confs.issues(PROD) if f"{path}: " in issue]
    assert len(found) == 1
    assert message in found[0]
    assert "hunter2" not in found[0]


@pytest.mark.parametrize(
    ("written", "path", "message"),
    [
        ("recoveredFrom: {prod-ic1-dc1: dc3}", "recoveredFrom.prod-ic1-dc1", "'dc3' is not one of the client's datacenters"),
        ("recoveredFrom: {prod-ic1-dc1: dc1}", "recoveredFrom.prod-ic1-dc1", "no cluster is recovered from itself"),
        ("recoveredFrom: {prod-ic1-dc3: dc1}", "recoveredFrom.prod-ic1-dc3", "is not a cluster of ic1"),
        ("recoveredFrom: {pprod-ic1-dc1: dc2}", "recoveredFrom.pprod-ic1-dc1", "is not a cluster of ic1"),
        ("recoveredFrom: {prod-ic1-dc1: [dc2]}", "recoveredFrom.prod-ic1-dc1", "must be text"),
        ("recoveredFrom: dc2", "recoveredFrom", "must be a map"),
        ("lostDatacenters: [dc3]", "lostDatacenters.0", "did you mean dc2?"),
        ("lostDatacenters: [dc1]", "lostDatacenters.0", "'dc1' is the primary"),
        ("lostDatacenters: [dc2, dc2]", "lostDatacenters.1", "'dc2' is there twice"),
        ("lostDatacenters: dc2", "lostDatacenters", "must be a list"),
    ],
)  # fmt: skip
def test_an_issue_of_a_pairs_lives(confs: Confs, written: str, path: str, message: str) -> None:
    file = CLIENTS.format("prod")
    confs.replace(file, "    replication:\n", f"    {written}\n    replication:\n")
    (issue,) = confs.issues(PROD)
    line = confs.read(file).splitlines().index(f"    {written}") + 1
    assert issue.startswith(f"{file}:{line}: clients.ic1.{path}: ")
    assert message in issue


def test_the_default_primary_can_not_be_lost_either(confs: Confs) -> None:
    confs.replace(CLIENTS.format("prod"), "primaryDatacenter: dc1", "lostDatacenters: [dc2, dc1]")
    (issue,) = confs.issues(PROD)
    assert "clients.ic1.lostDatacenters.1: 'dc1' is the primary" in issue


@pytest.mark.parametrize(
    "written",
    [
        "recoveredFrom: {prod-ic1-dc1: dc2}",
        # Each in a life of its own: the origin from the second, and the second anew from the origin.
        "recoveredFrom: {prod-ic1-dc1: dc2, prod-ic1-dc2: dc1}",
        "lostDatacenters: [dc2]",
        "lostDatacenters: []",
    ],
)
def test_what_promotions_and_rebuilds_write_is_taken(confs: Confs, written: str) -> None:
    confs.replace(CLIENTS.format("prod"), "    replication:\n", f"    {written}\n    replication:\n")
    assert confs.issues(PROD) == []


def test_a_datacenters_name_may_end_as_anothers_does(confs: Confs) -> None:
    for file in ("clients", "datacenters"):
        path = f"confs/admin/prod/{file}.yaml"
        text = confs.read(path).replace("[dc1, dc2]", "[ic1-dc2, dc2]").replace("  dc1:", "  ic1-dc2:")
        confs.write(path, text.replace("primaryDatacenter: dc1", "recoveredFrom: {prod-ic1-ic1-dc2: dc2}"))
    assert confs.issues(Target("ic1", "prod", "dc2")) == []


def test_shared_environments_have_no_pairs(confs: Confs) -> None:
    confs.replace(
        "confs/admin/hp/datacenters.yaml",
        "datacenters:\n",
        "datacenters:\n  dc2: {dnsSuffix: x.y, dns: {roPrefix: ro2}, s3: {endpoint: 'https://s', region: r}}\n",
    )
    confs.replace(
        CLIENTS.format("hp"),
        "datacenters: [dc1]\n",
        "datacenters: [dc1, dc2]\n    replication: {enabled: true}\n",
    )
    (issue,) = confs.issues(Target("ic1", "dev1", "dc1"))
    assert (
        "clients.ic1.replication.enabled: can't be true in hp: its sub-environments share this entry" in issue
    )


def test_a_line_is_named_exactly(confs: Confs) -> None:
    confs.replace(CLIENTS.format("prod"), "allowedNamespaces: [monitoring]", "allowedNamespaces: monitoring")
    line = confs.read(CLIENTS.format("prod")).splitlines().index("      allowedNamespaces: monitoring") + 1
    assert confs.issues(PROD) == [
        f"{CLIENTS.format('prod')}:{line}: clients.ic1.networkPolicy.allowedNamespaces:"
        " must be a list, not 'monitoring'"
    ]


def test_the_issues_of_all_files_come_at_once(confs: Confs) -> None:
    confs.replace(PG, "instances: 1", "instances: one")
    confs.replace(PG, "storageClass:", "storageKlass:")
    confs.replace(CLIENTS.format("local"), "s3Bucket: ic1-backups", "s3Bucket: B")
    confs.replace(DC, "ttl: 5", "ttl: x")
    confs.replace("confs/admin/local/backup.yaml", "7d", "7")
    confs.replace("confs/admin/local/openldap.yaml", "port: 389", "port: x")
    confs.write("confs/admin/local/plugins.yaml", "a: 1\na: 2\n")
    confs.replace("confs/users/ic1/local/databases.yaml", "superuser: false", "superuser: true")
    confs.replace("confs/users/ic1/local/databases.yaml", "majorVersion: 17", "majorVersion: 9")
    confs.replace("confs/users/ic1/local/databases.yaml", "owner: report_user", "owner: repord_user")
    confs.replace("confs/users/ic1/local/databases.yaml", "    inherit: true", "    inherits: true")
    found = {issue.split(":")[0].rpartition("/")[2] + ":" + issue.split(": ")[1] for issue in confs.issues()}
    assert found == {
        "postgresql.yaml:postgresql.instances",
        "postgresql.yaml:postgresql.storage.storageClass",
        "postgresql.yaml:postgresql.storage.storageKlass",
        "clients.yaml:clients.ic1.s3Bucket",
        "datacenters.yaml:dns.ttl",
        "backup.yaml:backup.retentionPolicy",
        "openldap.yaml:openldap.service.port",
        "plugins.yaml:a",
        "databases.yaml:roles.0.superuser",
        "databases.yaml:roles.0.inherits",
        "databases.yaml:roles.1.inRoles.0",
        "databases.yaml:roles.2.inRoles.0",
        "databases.yaml:postgresql.majorVersion",
        "databases.yaml:databases.1.owner",
    }


def test_files_that_are_missing_or_do_not_belong(confs: Confs) -> None:
    (confs.root / "confs/admin/local/backup.yaml").rename(confs.root / "confs/admin/local/backup.yml")
    confs.write("confs/admin/local/postgres.yaml", "")
    confs.write("confs/admin/local/ldap.yaml", "")
    confs.write("confs/admin/local/notes.txt", "")
    confs.write("confs/admin/local/.hidden.yaml", "")
    assert confs.issues() == [
        "confs/admin/local/backup.yaml: is missing",
        "confs/admin/local/backup.yml: is not read: call it backup.yaml",
        "confs/admin/local/ldap.yaml: is not a file of local",
        "confs/admin/local/postgres.yaml: is not a file of the configuration; did you mean postgresql.yaml?",
    ]


def test_an_environment_without_a_folder(confs: Confs) -> None:
    (confs.root / "confs/admin/perf").rename(confs.root / "confs/admin/pref")
    assert confs.issues(Target("ic1", "perf", "dc1")) == [
        "confs/admin/perf: can't be read: No such file or directory"
    ]


def test_another_clients_mistake_is_reported_too(confs: Confs) -> None:
    confs.replace(CLIENTS.format("hp"), "storageProfile: S", "storageProfile: T")
    (issue,) = confs.issues(Target("ic1", "dev1", "dc1"))
    assert "clients.is1.storageProfile" in issue


def test_a_cluster_name_too_long_is_found_in_the_admins_file(confs: Confs) -> None:
    name = "d" * 42
    confs.replace("confs/admin/perf/datacenters.yaml", "  dc1:", f"  {name}:")
    confs.replace(CLIENTS.format("perf"), "[dc1]", f"[{name}]")
    with pytest.raises(ConfigError) as error:
        list_targets(confs.root, "perf")
    assert "has 51 characters, and may have 50" in str(error.value.issues[0])


def test_the_shortest_certificates_that_cert_manager_takes(confs: Confs) -> None:
    confs.replace(PG, "duration: 2160h", "duration: 60m")
    confs.replace(PG, "renewBefore: 720h", "renewBefore: 300s")
    confs.replace(PG, "caDuration: 87600h", "caDuration: 2h")
    assert confs.issues() == []


def test_a_profile_is_not_blamed_for_a_broken_list_of_profiles(confs: Confs) -> None:
    confs.replace(PG, "storageProfiles:", "storageProfile:")
    assert {issue.split(": ")[1] for issue in confs.issues()} == {"storageProfile", "storageProfiles"}


def test_unchanged_files_have_no_issue(confs: Confs) -> None:
    assert confs.issues(LOCAL) == confs.issues(PROD) == []


def test_a_filter_for_anybody_must_say_so(confs: Confs) -> None:
    file, narrow = "confs/admin/prod/ldap.yaml", "(memberOf=cn=pgaas-{ins},ou=groups,dc=example,dc=com)"
    confs.replace(file, narrow, "(ou=staff)")
    [issue] = confs.issues(PROD)
    assert "anyUser: true" in issue
    confs.replace(file, "  searchFilter", "  anyUser: true\n  searchFilter")
    assert confs.issues(PROD) == []


def test_no_datacenter_is_called_as_pgadmin_calls_the_primary(confs: Confs) -> None:
    for name in ("datacenters", "clients"):
        text = confs.read(f"confs/admin/hp/{name}.yaml").replace("dc1", "primary")
        confs.write(f"confs/admin/hp/{name}.yaml", text)
    [issue] = confs.issues(Target("ic1", "dev1", "primary"))
    assert "datacenters.primary: 'primary' is what pgAdmin calls" in issue


def test_passwords_go_to_the_directory_over_tls_only(confs: Confs) -> None:
    confs.replace("confs/admin/prod/ldap.yaml", "ldaps://", "ldap://")
    [issue] = confs.issues(PROD)
    assert "ldap.serverUri: must begin with ldaps://" in issue

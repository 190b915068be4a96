"""The schemas: fresh, true of every file there is, and of one mind with pgaas on what is wrong."""

from __future__ import annotations

import functools
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import playwright
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.config.support import REPOSITORY

from pgaas.config.forms import FORMS
from pgaas.config.load import Document, parse_document
from pgaas.config.schema import schema_file, schema_models, schema_texts
from pgaas.config.validate import validate

MODELS = schema_models()
FILES = sorted((REPOSITORY / "confs").glob("[!_]*/**/*.yaml"))
SOUND = """\
postgresql:
  majorVersion: 17
  parameters: {work_mem: 16MB}
databases:
  - {name: app_db, owner: app_user}
roles:
  - {name: app_user, login: true}
"""


@functools.cache
def checker(kind: str) -> jsonschema.Draft202012Validator:
    schema = json.loads((REPOSITORY / "schemas" / schema_file(kind)).read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def by_schema(kind: str, document: Document) -> set[str]:
    """Return where the schema finds something wrong, as pgaas names places."""
    found = set()
    for error in checker(kind).iter_errors(document.data):
        path = [str(part) for part in error.absolute_path]
        if error.validator == "additionalProperties":
            known = error.schema["properties"]
            found |= {".".join([*path, key]) for key in error.instance if key not in known}
        elif error.validator == "required":
            missing = set(error.validator_value) - set(error.instance)
            found |= {".".join([*path, key]) for key in missing}
        elif list(error.absolute_schema_path)[-2:-1] == ["propertyNames"]:
            found.add(".".join([*path, str(error.instance)]))
        else:
            found.add(".".join(path))
    return found


def by_pgaas(kind: str, document: Document) -> set[str]:
    return {issue.path for issue in validate(document, MODELS[kind])[1]}


def test_the_committed_schemas_are_fresh():
    kept = {path.name: path.read_text() for path in (REPOSITORY / "schemas").iterdir()}
    assert kept == schema_texts(), "pgaas schema writes them anew"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_every_file_there_is_passes_its_schema(path: Path):
    document = parse_document(path.name, path.read_bytes())
    assert document.data
    assert by_schema(path.stem, document) == set()


def properties(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, model in ({"": schema} | schema.get("$defs", {})).items():
        for key, part in model["properties"].items():
            yield f"{name}.{key}", part


@pytest.mark.parametrize("kind", MODELS)
def test_every_property_says_what_it_is_for(kind: str):
    schema = checker(kind).schema
    assert schema["title"] == f"{kind}.yaml"
    for name, part in properties(schema):
        assert part["title"], name
        assert part["description"].endswith("."), name


WRONG_USERS = {
    "an unknown key": ("login: true", "logn: true", "roles.0.logn"),
    "no version": ("  majorVersion: 17\n", "", "postgresql.majorVersion"),
    "a version in quotes": ("17", "'17'", "postgresql.majorVersion"),
    "a truth value in words": ("login: true", "login: yes", "roles.0.login"),
    "a list that is a map": ("databases:\n  - {name: app_db, owner: app_user}", "databases: {}", "databases"),
    "nothing where a map is due": ("parameters: {work_mem: 16MB}", "parameters:", "postgresql.parameters"),
    "a database in upper case": ("name: app_db", "name: App_db", "databases.0.name"),
    "a reserved database": ("name: app_db", "name: template0", "databases.0.name"),
    "a keyword of pg_hba": ("name: app_db", "name: replication", "databases.0.name"),
    "PostgreSQL's own role": ("name: app_user", "name: pg_monitor", "roles.0.name"),
    "the certificate authority": ("name: app_user", "name: ca", "roles.0.name"),
    "a name of 64": ("name: app_user", f"name: {'a' * 64}", "roles.0.name"),
    "a quote in a name": ("name: app_user", 'name: "a\\"b"', "roles.0.name"),
    "a line break in an owner": ("owner: app_user", 'owner: "a\\nb"', "databases.0.owner"),
    "an empty owner": ("owner: app_user", "owner: ' '", "databases.0.owner"),
    "no owner": (", owner: app_user", "", "databases.0.owner"),
    "a choice that is none": ("login: true", "ensure: gone", "roles.0.ensure"),
    "too many connections": ("login: true", "connectionLimit: 999999", "roles.0.connectionLimit"),
    "a limit below none": ("login: true", "connectionLimit: -2", "roles.0.connectionLimit"),
    "a parameter in upper case": ("work_mem", "WORK_MEM", "postgresql.parameters.WORK_MEM"),
    "an operator's parameter": ("work_mem: 16MB", "ssl: off", "postgresql.parameters.ssl"),
    "a parameter that is a list": ("16MB", "[1]", "postgresql.parameters.work_mem"),
    "a plugin that is no name": ("roles:", "plugins: [{name: A B}]\nroles:", "plugins.0.name"),
    "a key of the platform team": ("roles:", "backup: {}\nroles:", "backup"),
}


@pytest.mark.parametrize("what", WRONG_USERS)
def test_schema_and_pgaas_refuse_the_same_in_a_clients_file(what: str):
    old, new, place = WRONG_USERS[what]
    assert SOUND.count(old) >= 1
    document = parse_document("databases.yaml", SOUND.replace(old, new, 1).encode())
    assert document.data is not None
    assert by_pgaas("databases", document) == {place}
    assert by_schema("databases", document) == {place}


WRONG_ADMINS = [
    ("clients", "prod", "s3Bucket: ic1-prod-backups", "s3Bucket: IC1", "clients.ic1.s3Bucket"),
    ("clients", "prod", "s3Bucket: ic1-prod-backups", "s3Bucket: 10.0.0.1", "clients.ic1.s3Bucket"),
    ("clients", "prod", "s3Bucket: ic1-prod-backups", "s3Bucket: a..b", "clients.ic1.s3Bucket"),
    ("clients", "prod", "datacenters: [dc1, dc2]", "datacenters: []", "clients.ic1.datacenters"),
    ("clients", "prod", "storageProfile: XXL", "storageprofile: XXL\n    storageProfile: L",
     "clients.ic1.storageprofile"),
    ("clients", "prod", "10.0.0.0/8", "10.0.0.0", "clients.ic1.networkPolicy.allowedCIDRs.0"),
    ("clients", "prod", "storageProfile: XXL", "storageProfile: XXL\n    owners: [team]",
     "clients.ic1.owners.0"),
    ("clients", "prod", "storageProfile: XXL", 'storageProfile: XXL\n    owners: ["@a @b"]',
     "clients.ic1.owners.0"),
    ("clients", "prod", "replicaSource: archive", "replicaSource: other",
     "clients.ic1.replication.replicaSource"),
    ("backup", "prod", 'schedule: "0 0 ', 'schedule: "0 ', "backup.schedule"),
    ("backup", "prod", "retentionPolicy: ", "retentionPolicy: 0", "backup.retentionPolicy"),
    ("backup", "prod", "walMaxParallel: ", "walMaxParallel: 9", "backup.walMaxParallel"),
    ("postgresql", "prod", "instances: 3", "instances: 0", "postgresql.instances"),
    ("postgresql", "prod", "size: 5Gi", "size: 5m", "storageProfiles.S.storage.size"),
    ("postgresql", "prod", "size: 5Gi", "size: 0Gi", "storageProfiles.S.storage.size"),
    ("postgresql", "prod", "size: 5Gi", "size: 0", "storageProfiles.S.storage.size"),
    ("postgresql", "prod", "duration: 2160h", "duration: 90d", "certificates.duration"),
    ("postgresql", "prod", "15.19-standard-trixie", "latest", "imageCatalog.images.0.image"),
    ("postgresql", "prod", "- jit", "- Jit", "userParameters.7"),
    ("datacenters", "prod", "provider: ", "provider: no", "dns.provider"),
    ("ldap", "prod", "serverUri: ldaps", "serverUri: https", "ldap.serverUri"),
    ("plugins", "prod", "availablePlugins:", "plugins:", "plugins"),
    ("observability", "prod", "observability:", "observabilty: {}\nobservability:", "observabilty"),
    ("seaweedfs", "local", "port: 8333", "port: 70000", "seaweedfs.s3.port"),
    ("openldap", "local", "domain: pgaas.local", "domain: PGaaS", "openldap.domain"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "env", "old", "new", "place"), WRONG_ADMINS)
def test_schema_and_pgaas_refuse_the_same_in_an_admin_file(
    kind: str, env: str, old: str, new: str, place: str
):
    text = (REPOSITORY / "confs/admin" / env / f"{kind}.yaml").read_text()
    assert old in text
    document = parse_document(f"{kind}.yaml", text.replace(old, new, 1).encode())
    assert document.data is not None
    assert by_pgaas(kind, document) == {place}
    assert by_schema(kind, document) == {place}


def test_what_only_pgaas_sees_is_no_issue_of_the_schema():
    text = SOUND.replace("owner: app_user", "owner: nobody").replace("login: true", "superuser: true")
    document = parse_document("databases.yaml", text.encode())
    assert by_schema("databases", document) == set()


URLS = ["://", "http://", "LDAPS://", "x.org/p:17", "10.0.0.0/8", "[2001:db8::1]"]
PIECES = st.sampled_from([*" aZ07mhd.-_/:@,=*()#é\n", *URLS, "::", "Mi", "pg_", "µs", "e5"])


@given(st.lists(PIECES, max_size=6).map("".join))
@settings(max_examples=600)
def test_no_form_refuses_what_its_check_takes(value: str):
    # Python's $ also matches before a last line break, and JavaScript's does not.
    for check, form in FORMS.items():
        try:
            check(value)
        except ValueError:
            continue
        assert jsonschema.Draft202012Validator(form).is_valid(value), (check, value, form)


def patterns(part: Any) -> Iterator[str]:
    for key, value in part.items() if isinstance(part, dict) else enumerate(part):
        if key == "pattern" and isinstance(value, str):
            yield value
        elif isinstance(value, dict | list):
            yield from patterns(value)


def test_an_editors_javascript_takes_every_pattern():
    found = sorted({each for kind in MODELS for each in patterns(checker(kind).schema)})
    assert len(found) > 20
    script = "for (const each of JSON.parse(process.argv[1])) new RegExp(each, 'u')"
    node = Path(playwright.__file__).parent / "driver" / "node"
    done = subprocess.run(
        [node, "-e", script, json.dumps(found)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr

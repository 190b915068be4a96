from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from tests.unit.render.support import built

from pgaas.render.schema import SCHEMA_FILE, schema_text, values_schema

REPOSITORY = Path(__file__).resolve().parents[3]
CHART = REPOSITORY / "charts" / "core"
SUBCHART = CHART / "charts" / "pgadmin4"


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(values_schema())
    return jsonschema.Draft202012Validator(values_schema())


@pytest.fixture
def plain() -> dict[str, Any]:
    return built(client={"replication": {"enabled": True}}).plain()


def test_the_charts_schema_is_fresh() -> None:
    assert (REPOSITORY / SCHEMA_FILE).read_text() == schema_text(), "run: python -m pgaas.render.schema"


def test_values_pass(validator: jsonschema.Draft202012Validator, plain: dict[str, Any]) -> None:
    validator.validate(plain)


def test_what_helm_and_subcharts_add_passes(
    validator: jsonschema.Draft202012Validator, plain: dict[str, Any]
) -> None:
    validator.validate({**plain, "global": {}, "pgadmin4": {**plain["pgadmin4"], "global": {}}})
    validator.validate({**plain, "pgadmin4": {"enabled": False}})
    assert not validator.is_valid({**plain, "pgadmin4": {"enabled": True}})


def paths(tree: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from paths(value, (*path, key))


def at(tree: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def test_each_key_is_needed_and_no_other_is_taken(
    validator: jsonschema.Draft202012Validator, plain: dict[str, Any]
) -> None:
    free = {"parameters", "annotations", "requests", "limits"}
    wrong = []
    for path in list(paths(plain)):
        parent = at(plain, path[:-1])
        if not isinstance(parent, dict) or free & set(path[:-1]):
            continue
        without = copy.deepcopy(plain)
        del at(without, path[:-1])[path[-1]]
        with_more = copy.deepcopy(plain)
        at(with_more, path[:-1])["surprise"] = "x"
        if validator.is_valid(without) or validator.is_valid(with_more):
            wrong.append(path)
    assert wrong == []


def test_no_value_may_be_of_another_type(
    validator: jsonschema.Draft202012Validator, plain: dict[str, Any]
) -> None:
    wrong = []
    for path in list(paths(plain)):
        changed = copy.deepcopy(plain)
        value = at(changed, path)
        at(changed, path[:-1])[path[-1]] = 1 if isinstance(value, str) else "1"
        if validator.is_valid(changed):
            wrong.append(path)
    assert wrong == []


@pytest.mark.parametrize(
    ("path", "junk"),
    [
        ("cluster.pgHba.0", "host all all all trust"),
        ("cluster.pgHba.0", "hostssl all all all cert map=pgaas\nhost all all all trust"),
        ("cluster.pgHba.0", "hostssl all +pg_monitor all cert map=pgaas"),
        ("cluster.pgHba.0", "hostssl app_db app_user all scram-sha-256"),
        ("cluster.pgIdent.0", "pgaas /^(.*)$ app_user"),
        ("cluster.pgIdent.0", "pgaas app_user.ic1.prod app_user postgres"),
        ("cluster.roles.0.name", "app'user"),
        ("cluster.roles.0.name", "a b"),
        ("cluster.name", "Prod_ic1"),
        ("cluster.name", "a" * 51),
        ("cluster.instances", 0),
        ("cluster.namespace", "a.b"),
        ("cluster.services.0.type", "ExternalName"),
        ("cluster.bootstrap.method", "pg_basebackup"),
        ("certificates.clients.0.commonName", "a" * 65),
        ("certificates.duration", "90d"),
        ("objectStores.0.destinationPath", "s3://bucket with blanks/"),
        ("target.teamEnv", "staging"),
        ("pgadmin4.database.connections.0.host", "a\nsslmode=disable"),
        ("pgadmin4.database.connections.0.service", "a]\n[b"),
        ("pgadmin4.database.connections", []),
        ("pgadmin4.ldap.searchFilter", ""),
        ("pgadmin4.ldap.bindDn", ""),
    ],
)
def test_junk_is_refused(
    validator: jsonschema.Draft202012Validator, plain: dict[str, Any], path: str, junk: Any
) -> None:
    keys = [int(key) if re.fullmatch("[0-9]+", key) else key for key in path.split(".")]
    at(plain, tuple(keys[:-1]))[keys[-1]] = junk
    assert not validator.is_valid(plain)


def shape(schema: dict[str, Any], root: dict[str, Any]) -> Any:
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    if schema.get("type") == "object" and "properties" in schema:
        return {key: shape(value, root) for key, value in schema["properties"].items()}
    return {"object": {}, "array": [], "string": "", "integer": 0, "boolean": False}[schema["type"]]


@pytest.mark.parametrize(
    ("chart", "name", "given"),
    [(CHART, "Top", {"pgadmin4": {"enabled": False}}), (SUBCHART, "Pgadmin", {"enabled": False})],
)
def test_the_charts_own_values_show_every_key_and_set_none(chart: Path, name: str, given: Any) -> None:
    root = {**values_schema(), "$defs": {**values_schema()["$defs"], "Top": values_schema()}}
    for key in given:
        del root["$defs"][name]["properties"][key]
    expected = shape({"$ref": f"#/$defs/{name}"}, root)
    del expected["global"]
    assert yaml.safe_load((chart / "values.yaml").read_text()) == expected | given


@pytest.mark.parametrize(("chart", "count"), [(CHART, 60), (SUBCHART, 35)])
def test_the_charts_own_values_say_what_each_key_is_for(chart: Path, count: int) -> None:
    lines = (chart / "values.yaml").read_text().splitlines()
    leaves = [(number, line) for number, line in enumerate(lines) if re.match(r"\s*[A-Za-z0-9]+: \S", line)]
    assert len(leaves) > count
    assert [line for number, line in leaves if "# -- " not in lines[number - 1]] == []


def test_the_schema_is_json_that_ends_in_a_newline() -> None:
    assert json.loads(schema_text()) == values_schema()
    assert schema_text().endswith("}\n")

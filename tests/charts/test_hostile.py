"""What passes for a name or a value comes back from helm as it went in, and nothing else gets that far."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.charts.support import Object, of_kind, plain_of, render_plain, run_helm

from pgaas.config.identifiers import database_problem, role_problem
from pgaas.config.naming import Target
from pgaas.render.dump import dump_plain

LOCAL, PRODUCTION = Target("ic1", "local", "local1"), Target("ic1", "prod", "dc1")

# Words that YAML takes for something else, Go templates, and what else a careless chart trips over.
AWKWARD = ["on", "off", "yes", "no", "null", "true", "y", "n", "~", "1e3", "0x1f", "017", "1_000", "12:30:45"]
AWKWARD += [
    "{{ .Values }}",
    '{{- fail "x" }}',
    "a: b",
    "a #b",
    "- a",
    "'",
    '"',
    "\\",
    "%",
    "|",
    ">",
    "",
    " a ",
]
AWKWARD += [
    "1",
    "1.0",
    ".5",
    "2024-01-01",
    "=",
    "<<",
    "*a",
    "&a",
    "!a",
    "@a",
    "`a",
    "é",
    "\U0001f600",
    "$(A)",
]

identifiers = st.one_of(
    st.sampled_from(["on", "off", "yes", "no", "null", "true", "y", "n", "e3", "f"]),
    st.from_regex(r"[a-z]([a-z0-9_-]{0,61}[a-z0-9])?", fullmatch=True),
).filter(lambda name: not role_problem(name) and not database_problem(name))
texts = st.one_of(
    st.sampled_from(AWKWARD),
    st.text(st.characters(exclude_categories=["Cc", "Cs", "Co", "Cn"]), max_size=40),
)
# Each run of helm carries a batch of names and values at once.
batch = settings(deadline=None, max_examples=6, suppress_health_check=[HealthCheck.too_slow])


def only(found: list[Object], kind: str) -> Any:
    (each,) = of_kind(found, kind)
    return each


@batch
@given(
    roles=st.lists(identifiers, min_size=5, max_size=20, unique=True),
    databases=st.lists(identifiers, min_size=5, max_size=20, unique=True),
)
def test_every_name_of_a_role_or_database_comes_back_as_it_went_in(
    roles: list[str], databases: list[str]
) -> None:
    plain = plain_of(PRODUCTION)
    template = plain["cluster"]["roles"][0]
    plain["cluster"]["roles"] = [{**template, "name": name, "inRoles": [name]} for name in roles]
    plain["cluster"]["pgHba"] = [f"hostssl {name} {name} all cert map=pgaas" for name in roles]
    plain["cluster"]["pgIdent"] = [f"pgaas {name}.ic1.prod {name}" for name in roles]
    plain["databases"] = [
        {"resource": f"resource-{number}", "name": name, "owner": name}
        for number, name in enumerate(databases)
    ]
    plain["certificates"]["clients"] = [
        {"name": f"certificate-{number}", "commonName": f"{name[:40]}.ic1.prod", "role": name}
        for number, name in enumerate(roles)
    ]
    found = render_plain(plain)
    spec = only(found, "Cluster")["spec"]
    assert [(role["name"], role["inRoles"]) for role in spec["managed"]["roles"]] == [(n, [n]) for n in roles]
    assert spec["postgresql"]["pg_hba"] == plain["cluster"]["pgHba"]
    assert spec["postgresql"]["pg_ident"] == plain["cluster"]["pgIdent"]
    made = [(each["spec"]["name"], each["spec"]["owner"]) for each in of_kind(found, "Database")]
    assert sorted(made) == sorted((name, name) for name in databases)
    common_names = {each["spec"].get("commonName") for each in of_kind(found, "Certificate")}
    assert {f"{name[:40]}.ic1.prod" for name in roles} <= common_names


METRICS = "pgaas-metrics-collector"


@batch
@given(values=st.lists(texts, min_size=10, max_size=30), keys=st.tuples(texts, texts))
def test_every_text_comes_back_as_it_went_in(values: list[str], keys: tuple[str, str]) -> None:
    plain = plain_of(LOCAL)
    parameters = {f"parameter_{number}": value for number, value in enumerate(values)}
    plain["cluster"]["parameters"] = parameters
    plain["cluster"]["services"][0]["annotations"] = parameters
    plain["cluster"]["plugins"][0]["parameters"] = parameters
    own = plain["objectStores"][0]["name"]
    plain["objectStores"][0]["sidecarEnv"] = [{"name": "A", "value": value} for value in values]
    plain["imageCatalog"]["images"] = [{"major": 17, "image": value} for value in values]
    plain["scheduledBackup"]["schedule"] = values[0]
    plain["rbac"] = {"enabled": True, "adminGroup": values[1], "clientGroup": values[2] or "x"}
    plain["monitoring"] |= {"collectorAccount": values[3] or "x", "collectorNamespace": values[4]}
    plain["s3"] |= {"accessKey": keys[0], "secretKey": keys[1]}
    found = render_plain(plain)
    spec = only(found, "Cluster")["spec"]
    assert spec["postgresql"]["parameters"] == parameters
    service = spec["managed"]["services"]["additional"][0]
    assert service["serviceTemplate"]["metadata"]["annotations"] == parameters
    assert spec["plugins"][0]["parameters"] == parameters
    store = next(each for each in of_kind(found, "ObjectStore") if each["metadata"]["name"] == own)
    assert [each["value"] for each in store["spec"]["instanceSidecarConfiguration"]["env"]] == values
    assert [each["image"] for each in only(found, "ImageCatalog")["spec"]["images"]] == values
    assert only(found, "ScheduledBackup")["spec"]["schedule"] == values[0]
    groups = [each["subjects"][0]["name"] for each in of_kind(found, "RoleBinding")]
    assert groups == [values[1], values[2] or "x", values[3] or "x"]
    collector = only([each for each in found if each["metadata"]["name"] == METRICS], "RoleBinding")
    assert collector["subjects"][0]["namespace"] == values[4]
    secret = next(each for each in of_kind(found, "Secret") if "accessKey" in each["data"])["data"]
    assert (decoded(secret["accessKey"]), decoded(secret["secretKey"])) == keys


def decoded(text: str) -> str:
    return base64.b64decode(text).decode()


def test_large_whole_numbers_stay_whole() -> None:
    plain = plain_of(LOCAL)
    plain["cluster"] |= {"maxStartDelay": 12345678, "maxStopDelay": 2147483647}
    spec = only(render_plain(plain), "Cluster")["spec"]
    assert (spec["startDelay"], spec["stopDelay"]) == (12345678, 2147483647)


def changed(path: str, value: Any) -> dict[str, Any]:
    plain = plain_of(PRODUCTION)
    *parents, last = path.split(".")
    place: Any = plain
    for each in parents:
        place = place[int(each)] if each.isdigit() else place[each]
    place[int(last) if last.isdigit() else last] = value
    return plain


@pytest.mark.parametrize(
    ("path", "junk"),
    [
        ("surprise", 1),
        ("cluster.surprise", 1),
        ("cluster.name", "a: b"),
        ("cluster.name", None),
        ("cluster.instances", "2"),
        ("cluster.pgHba.0", "host all all all trust"),
        ("cluster.pgHba.0", "hostssl a b all cert map=pgaas\nhost all all all trust"),
        ("cluster.pgIdent.0", "pgaas /.* postgres"),
        ("cluster.roles.0.name", "a\nb"),
        ("cluster.roles.0.name", "all,postgres"),
        ("cluster.bootstrap.method", "recovery:\n      x"),
        ("certificates.clients.0.commonName", "a\nb"),
        ("networkPolicy.monitoringNamespaces.0", "a b"),
        ("pgadmin4.database.connections.0.host", "a\nsslmode=disable"),
        ("pgadmin4.database.connections.0.service", "a]\nhost=b"),
        ("pgadmin4.enabled", "yes"),
    ],
)
def test_helm_itself_refuses_what_does_not_fit_the_schema(path: str, junk: Any) -> None:
    done = run_helm(dump_plain(changed(path, junk)))
    assert done.returncode != 0
    assert "values don't meet the specifications of the schema" in done.stderr


def test_helm_refuses_the_chart_without_values() -> None:
    done = run_helm("{}")
    assert done.returncode != 0
    assert "values don't meet the specifications of the schema" in done.stderr

"""What changes of live objects do, told from the chart's own objects."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from tests.unit.render.support import built

from pgaas.render.effects_objects import FIELDS, NEW, REMOVED, marks_of, object_effects
from pgaas.render.marks import Mark, worst
from pgaas.render.sides import Sides

VALUES = built(client={"replication": {"enabled": True}}).plain()
SIDES = Sides(VALUES, VALUES)
N, L, R, D, U, F = Mark.nothing, Mark.reload, Mark.restart, Mark.disruptive, Mark.unknown, Mark.forbidden


def mark(kind: str, before: Any, after: Any, name: str = "prod-ic1-dc1", action: str = "changed") -> Mark:
    return worst(marks_of(object_effects(kind, name, action, before, after, SIDES)))


def spec(path: str, value: Any) -> dict[str, Any]:
    obj: dict[str, Any] = {}
    place = obj
    *parents, last = path.split("/")
    for key in parents:
        place = place.setdefault(key, {})
    place[last] = value
    return obj


@pytest.mark.parametrize(
    ("kind", "path", "before", "after", "expected"),
    [
        ("Cluster", "spec/postgresql/parameters/work_mem", "4MB", "8MB", L),
        ("Cluster", "spec/postgresql/parameters/shared_buffers", "4MB", "8MB", R),
        ("Cluster", "spec/postgresql/pg_hba", ["a"], ["a", "b"], L),
        ("Cluster", "spec/postgresql/pg_hba", ["a", "b"], ["a"], D),
        ("Cluster", "spec/instances", 1, 2, N),
        ("Cluster", "spec/instances", 2, 1, D),
        ("Cluster", "spec/storage/size", "2Gi", "1Gi", F),
        ("Cluster", "spec/storage/storageClass", "a", "b", F),
        ("Cluster", "spec/resources/limits/memory", "1Gi", "2Gi", R),
        ("Cluster", "spec/startDelay", 1, 2, R),
        ("Cluster", "spec/monitoring/tls/enabled", False, True, R),
        ("Cluster", "spec/monitoring/disableDefaultQueries", False, True, L),
        ("Cluster", "spec/imageCatalogRef/major", 17, 18, F),
        ("Cluster", "spec/replica/primary", "prod-ic1-dc1", "prod-ic1-dc2", F),
        ("Cluster", "spec/replica/promotionToken", None, "***", F),
        ("Cluster", "spec/certificates/clientCASecret", "a", "b", L),
        ("Cluster", "spec/bootstrap/initdb/database", "a", "b", N),
        ("Cluster", "spec/managed/roles", [{"name": "a", "login": True}], [{"name": "a", "login": False}], D),
        (
            "Cluster",
            "spec/managed/roles",
            [{"name": "a", "comment": "x"}],
            [{"name": "a", "comment": "y"}],
            U,
        ),
        ("Cluster", "spec/walStorage/size", None, "1Gi", U),
        ("Cluster", "spec/enableSuperuserAccess", False, True, U),
        ("Cluster", "metadata/labels/app.kubernetes.io~1part-of", "a", "b", N),
        ("Cluster", "metadata/annotations/cnpg.io~1hibernation", None, "on", U),
        ("ImageCatalog", "spec/images", [{"major": 17, "image": "a"}], [{"major": 17, "image": "b"}], R),
        ("ImageCatalog", "spec/images", [{"major": 16, "image": "a"}], [{"major": 16, "image": "b"}], N),
        ("Database", "spec/owner", "a", "b", D),
        ("Database", "spec/ensure", "present", "absent", U),
        ("ScheduledBackup", "spec/schedule", "a", "b", N),
        ("ScheduledBackup", "spec/suspend", False, True, U),
        ("Certificate", "spec/duration", "1h", "2h", L),
        ("Certificate", "spec/commonName", "a", "b", D),
        ("Issuer", "spec/ca/secretName", "a", "b", D),
        ("NetworkPolicy", "spec/ingress", [], [{"from": []}], D),
        ("RoleBinding", "subjects", [{"name": "a"}], [{"name": "b"}], D),
        ("Secret", "data/secretKey", "*** (before)", "*** (after)", L),
        ("ConfigMap", "data/queries", "a", "b", L),
        ("Deployment", "spec/template/spec/nodeName", "a", "b", D),
        ("Service", "spec/type", "NodePort", "ClusterIP", D),
        ("Service", "metadata/annotations/x", "a", "b", D),
        ("Pooler", "spec/instances", 1, 2, U),
    ],
)
def test_what_a_changed_field_does(kind: str, path: str, before: Any, after: Any, expected: Mark) -> None:
    sides = [spec(path, value) for value in (before, after)]
    renamed = [{k: {p: {n.replace("~1", "/"): v for n, v in q.items()} if isinstance(q, dict) else q
                        for p, q in s.items()} if isinstance(s, dict) else s
                    for k, s in side.items()} for side in sides]  # fmt: skip
    assert mark(kind, *renamed) is expected


@pytest.mark.parametrize(
    ("name", "path", "expected"),
    [
        ("ic1-prod-dc1", "spec/configuration/destinationPath", F),
        ("ic1-prod-dc2", "spec/configuration/destinationPath", N),
        ("ic1-prod-dc1", "spec/configuration/endpointURL", D),
        ("ic1-prod-dc1", "spec/instanceSidecarConfiguration/resources/limits/memory", R),
        ("ic1-prod-dc2", "spec/instanceSidecarConfiguration/resources/limits/memory", N),
        ("ic1-prod-dc1", "spec/configuration/wal/compression", N),
        ("ic1-prod-dc1", "spec/configuration/s3Credentials/accessKeyId/name", L),
        ("ic1-prod-dc1", "spec/configuration/tags", U),
    ],
)
def test_what_a_changed_store_does(name: str, path: str, expected: Mark) -> None:
    assert mark("ObjectStore", spec(path, "1Gi"), spec(path, "2Gi"), name) is expected


@pytest.mark.parametrize(
    ("kind", "name", "action", "expected"),
    [
        ("Cluster", "c", "new", N),
        ("NetworkPolicy", "c", "new", D),
        ("Cluster", "c", "removed", F),
        ("Database", "app_db", "removed", D),
        ("ObjectStore", "ic1-prod-dc1", "removed", F),
        ("ObjectStore", "ic1-prod-dc2", "removed", N),
        ("ScheduledBackup", "c", "removed", D),
        ("Certificate", "c", "removed", D),
        ("Whatever", "c", "removed", D),
    ],
)
def test_objects_that_come_and_go(kind: str, name: str, action: str, expected: Mark) -> None:
    assert mark(kind, {}, {}, name, action) is expected


def test_every_field_that_leads_to_a_value_leads_to_one_with_a_rule() -> None:
    """A path of the values that has no rule would make a known field unknown."""
    from tests.unit.render.test_effects import SHAPES

    from pgaas.render.effects import fits

    for fields in FIELDS.values():
        for target in fields.values():
            if isinstance(target, str):
                wanted = tuple(target.rstrip("+").replace("{name}", "*").split("."))
                assert any(
                    len(shape) >= len(wanted) and fits(shape[: len(wanted)], wanted) for shape in SHAPES
                ), target


def test_the_charts_kinds_are_all_known() -> None:
    from pgaas.kube.resources import CHART_KINDS

    assert {kind.kind for kind in CHART_KINDS} <= FIELDS.keys()
    assert FIELDS.keys() >= NEW.keys() | REMOVED.keys()


def test_what_is_the_same_does_nothing() -> None:
    obj = {"spec": {"instances": 1, "anything": [1, {"a": None}]}}
    assert object_effects("Cluster", "c", "changed", obj, copy.deepcopy(obj), SIDES) == []

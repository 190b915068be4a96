from __future__ import annotations

import jsonschema
import pytest
from tests.charts.support import TARGETS, target_id, values_of

from pgaas.config.naming import Target
from pgaas.render.schema import values_schema
from pgaas.render.values import Bootstrap, CatalogImage, Database, Plugin, Replication


def test_keys_are_camel_case_unless_a_class_spells_them_otherwise() -> None:
    assert Plugin(name="p", is_wal_archiver=True, parameters={}).plain() == {
        "name": "p",
        "isWALArchiver": True,
        "parameters": {},
    }
    bootstrap = Bootstrap(method="initdb", database="d", owner="o", data_checksums=True)
    assert bootstrap.plain()["dataChecksums"] is True


def test_what_is_left_out_has_the_class_own_default() -> None:
    bootstrap = Bootstrap(method="initdb", database="d", owner="o")
    assert (bootstrap.source, bootstrap.data_checksums) == ("", False)
    assert bootstrap.plain()["source"] == ""


def test_a_field_that_is_needed_or_not_known_is_refused() -> None:
    with pytest.raises(TypeError, match="Database"):
        Database(resource="r", name="n")
    with pytest.raises(TypeError, match="Database"):
        Database(resource="r", name="n", owner="o", surprise="x")


def test_values_never_change() -> None:
    image = CatalogImage(major=17, image="i")
    with pytest.raises(AttributeError):
        image.major = 18
    assert image.major == 17


def test_plain_values_are_copies_all_the_way_down() -> None:
    replication = Replication(enabled=False, self_name="", primary="", source="", external_clusters=[])
    replication.plain()["externalClusters"].append("x")
    plugin = Plugin(name="p", parameters={})
    plugin.plain()["parameters"]["a"] = "b"
    assert (replication.external_clusters, plugin.parameters) == ([], {})


@pytest.mark.parametrize("target", TARGETS, ids=target_id)
def test_the_values_of_a_shipped_client_fit_the_schema(target: Target) -> None:
    jsonschema.Draft202012Validator(values_schema()).validate(values_of(target).plain())

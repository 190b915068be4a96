from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.charts.support import TARGETS, target_id, values_of

from pgaas.config.naming import Target
from pgaas.render.dump import dump_plain, dump_values
from pgaas.render.infra import infra_values

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("target", TARGETS, ids=target_id)
def test_the_values_of_a_shipped_client(target: Target, golden: Callable[[str, str], None]) -> None:
    golden(f"{target_id(target)}/values.yaml", dump_values(values_of(target)))


@pytest.mark.parametrize("name", ["seaweedfs", "openldap", "observability"])
def test_the_values_of_the_local_infrastructure(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"local-infra/{name}-values.yaml", dump_plain(infra_values(REPOSITORY)[name]))

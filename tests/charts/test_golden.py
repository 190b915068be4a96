from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.charts.support import TARGETS, rendered_text, target_id

from pgaas.config.naming import Target


@pytest.mark.parametrize("target", TARGETS, ids=target_id)
def test_the_objects_of_a_shipped_client(target: Target, golden: Callable[[str, str], None]) -> None:
    golden(f"{target_id(target)}/manifests.yaml", rendered_text(target))

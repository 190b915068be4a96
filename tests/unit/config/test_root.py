from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.config.support import Confs

from pgaas.config.root import check_root, find_root
from pgaas.errors import UsageError


def test_the_nearest_root_upwards(confs: Confs) -> None:
    assert find_root(confs.root / "confs" / "users" / "ic1") == confs.root
    assert find_root(confs.root) == confs.root
    assert check_root(confs.root) == confs.root


def test_no_root(tmp_path: Path) -> None:
    (tmp_path / "confs").mkdir()
    with pytest.raises(UsageError, match=r"no helmfile\.yaml") as error:
        find_root(tmp_path)
    assert "--root" in error.value.next_step
    with pytest.raises(UsageError, match="is not a pgaas root"):
        check_root(tmp_path)
    with pytest.raises(UsageError):
        check_root(tmp_path / "nowhere")
    with pytest.raises(UsageError):
        check_root(Path("a\0b"))

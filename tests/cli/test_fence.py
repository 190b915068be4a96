"""What `pgaas fence` makes of its arguments, before it looks at a datacenter."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.support import run_process

ASKED = ("fence", "--ins", "ic1", "--env", "local", "--dc", "nowhere")


@pytest.mark.parametrize("more", [(), ("--wait-for-return", "12h")], ids=["at once", "wait"])
def test_a_datacenter_that_is_none_is_named_with_or_without_a_wait(root: Path, more: tuple[str, ...]) -> None:
    refused = run_process(*ASKED, *more, cwd=root)
    assert refused.code == 2
    assert "no datacenter or cluster 'nowhere'" in refused.err


def test_a_wait_that_is_no_duration_is_said(root: Path) -> None:
    refused = run_process(*ASKED, "--wait-for-return", "soon", cwd=root)
    assert refused.code == 2
    assert "--wait-for-return" in refused.err

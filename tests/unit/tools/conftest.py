"""A small S3 that the tests of archives share: a new one for each would cost a new client each time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.unit.tools.fake_s3 import FakeS3, running


@pytest.fixture(scope="session")
def s3_server() -> Iterator[FakeS3]:
    with running() as server:
        server.page = 1000
        yield server


@pytest.fixture
def s3(s3_server: FakeS3) -> FakeS3:
    for kept in (s3_server.objects, s3_server.written, s3_server.refuse, s3_server.asked):
        kept.clear()
    s3_server.page = 1000
    return s3_server

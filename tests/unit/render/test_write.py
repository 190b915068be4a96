from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from tests.unit.render.support import built, resolved

from pgaas.errors import UsageError
from pgaas.render import write
from pgaas.render.dump import dump_values
from pgaas.render.write import values_path, write_text, write_values

INLINE = {"s3Credentials": {"secretName": None, "accessKey": "admin", "secretKey": "admin123"}}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_file_goes_where_helmfile_looks_for_it(tmp_path: Path) -> None:
    target = resolved().target
    path = write_values(tmp_path, target, built())
    assert path == values_path(tmp_path, target) == tmp_path / "confs/_generated/ic1-prod/dc1/values.yaml"
    assert path.read_text() == dump_values(built())
    assert [each.name for each in path.parent.iterdir()] == ["values.yaml"]


def test_only_its_owner_reads_a_file_with_keys_in_it(tmp_path: Path) -> None:
    target = resolved().target
    previous = os.umask(0o077)
    try:
        assert mode(write_values(tmp_path, target, built())) == 0o644
        assert mode(write_values(tmp_path, target, built(team_env="local", client=INLINE))) == 0o600
        assert mode(write_values(tmp_path, target, built())) == 0o644
    finally:
        os.umask(previous)


@pytest.mark.parametrize("stop", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("where", ["fsync", "replace"])
def test_whatever_stops_it_the_old_file_stays_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: BaseException, where: str
) -> None:
    path = tmp_path / "values.yaml"
    path.write_text("old\n")

    def fail(*_: object) -> None:
        raise stop

    owner = write.os if where == "fsync" else Path
    monkeypatch.setattr(owner, where, fail)
    expected = UsageError if isinstance(stop, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        write_text(path, "new\n", secret=False)
    assert path.read_text() == "old\n"
    assert [each.name for each in tmp_path.iterdir()] == ["values.yaml"]


def test_the_secret_is_never_readable_for_others_on_its_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    real = os.fsync

    def look(descriptor: int) -> None:
        seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        real(descriptor)

    monkeypatch.setattr(write.os, "fsync", look)
    write_text(tmp_path / "file", "secret", secret=True)
    assert seen == [0o600]


def test_a_place_that_is_taken_is_a_message(tmp_path: Path) -> None:
    (tmp_path / "confs").write_text("a file where a folder belongs")
    with pytest.raises(UsageError, match="can't write the file") as caught:
        write_values(tmp_path, resolved().target, built())
    assert str(tmp_path) in caught.value.where
    assert caught.value.next_step

"""Debian's packages are installed by one process at a time, and what they bring is not started."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from pgaas_lab import packages, paths


def free() -> bool:
    """Tell whether another process could use apt now."""
    with (paths.cache() / ".apt.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def test_apt_is_used_by_one_process_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(packages, "POLICY", tmp_path / "policy-rc.d")
    monkeypatch.setattr(packages, "which", lambda name: Path("/usr/bin") / name)
    seen = []
    monkeypatch.setattr(
        packages, "run", lambda argv, **_: seen.append((argv[-1], free(), packages.POLICY.exists()))
    )
    packages.install(["slapd"])
    assert seen == [("update", False, True), ("slapd", False, True)]
    assert free()
    assert not packages.POLICY.exists()

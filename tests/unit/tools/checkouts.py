"""Real git repositories for tests, whatever the machine's own git settings are."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

WHO = {
    "GIT_AUTHOR_NAME": "Somebody",
    "GIT_AUTHOR_EMAIL": "somebody@example.com",
    "GIT_COMMITTER_NAME": "Somebody",
    "GIT_COMMITTER_EMAIL": "somebody@example.com",
    "GIT_AUTHOR_DATE": "2026-11-24T12:00:01Z",
    "GIT_COMMITTER_DATE": "2026-11-24T12:00:01Z",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}


@dataclass(frozen=True)
class Checkout:
    """A repository of a test's own."""

    root: Path

    def git(self, *arguments: str, **environment: str) -> str:
        """Run git in it."""
        done = subprocess.run(
            ["git", "-C", str(self.root), *arguments],
            env={**os.environ, **WHO, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def write(self, name: str, text: str = "text\n") -> Path:
        """Write a file."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def commit(self, message: str = "Change", **environment: str) -> str:
        """Commit everything that git does not ignore, and return the commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message, **environment)
        return self.git("rev-parse", "HEAD")


def new_checkout(root: Path, branch: str = "main") -> Checkout:
    """Make a folder a repository without a commit."""
    root.mkdir(parents=True, exist_ok=True)
    made = Checkout(root)
    made.git("init", "--quiet", f"--initial-branch={branch}")
    return made

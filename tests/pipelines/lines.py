"""The shell lines of the pipelines, as they stand there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD, DEPLOY = REPOSITORY / "Jenkinsfile", REPOSITORY / "ci/deploy.Jenkinsfile"
KEYWORDS = ("stages", "variables", "workflow", "default")


def shell_lines(script: Path) -> list[str]:
    """Return the shell lines that stand in a pipeline of Jenkins."""
    return re.findall(r"\bsh(?: |\(script: )'([^']*)'", script.read_text())


def gitlab_jobs() -> dict[str, dict[str, Any]]:
    """Return GitLab's jobs, what they extend put in."""
    content: dict[str, Any] = yaml.safe_load((REPOSITORY / ".gitlab-ci.yml").read_text())
    return {
        name: {**content.get(job.get("extends", ""), {}), **job}
        for name, job in content.items()
        if name not in KEYWORDS and not name.startswith(".")
    }

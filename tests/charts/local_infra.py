"""The charts of the local infrastructure, and what they make of the values generated for them."""

from __future__ import annotations

import functools
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml
from tests.charts.support import REPOSITORY, helm

from pgaas.render.infra import infra_values

Object = dict[str, Any]
CHARTS = ("seaweedfs", "openldap", "observability")
NAMESPACE = "local-infra"


def template(chart: str, namespace: str = NAMESPACE, **changed: Any) -> subprocess.CompletedProcess[str]:
    """Run `helm template` with a chart's generated values, and what a test has changed in them."""
    with tempfile.TemporaryDirectory() as folder:
        values = Path(folder) / "values.yaml"
        values.write_text(yaml.safe_dump({**infra_values(REPOSITORY)[chart], **changed}))
        path = str(REPOSITORY / "local-infra" / chart)
        argv = [helm(), "template", chart, path, "--namespace", namespace, "--values", str(values)]
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)


def objects_of(chart: str, **changed: Any) -> list[Object]:
    """Return a chart's objects."""
    done = template(chart, **changed)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


@functools.cache
def rendered(chart: str) -> list[Object]:
    """Return a chart's objects, made of the shipped files; not to be changed."""
    return objects_of(chart)


def named(objects: list[Object], kind: str, name: str) -> Object:
    """Return the object of a kind and name."""
    (found,) = [each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def pods(objects: list[Object]) -> list[Object]:
    """Return the pods' specifications."""
    return [
        each["spec"]["template"]["spec"] for each in objects if each["kind"] in ("Deployment", "StatefulSet")
    ]


def containers(pod: Object) -> list[Object]:
    """Return all containers of a pod."""
    return [*pod.get("initContainers", []), *pod["containers"]]

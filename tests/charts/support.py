"""The shipped clients' values, and what the chart makes of them with the real helm."""

from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml

from pgaas.config.naming import Target
from pgaas.config.resolve import ConfigCache, resolve_client
from pgaas.config.targets import list_targets
from pgaas.render.build import build_values
from pgaas.render.dump import dump_plain, dump_values
from pgaas.render.values import GeneratedValues

REPOSITORY = Path(__file__).resolve().parents[2]
CHART = REPOSITORY / "charts" / "core"

Object = dict[str, Any]

TARGETS = list_targets(REPOSITORY)


def target_id(target: Target) -> str:
    """Return how pytest names a target."""
    return f"{target.ins}-{target.env}-{target.dc}"


@functools.cache
def values_of(target: Target) -> GeneratedValues:
    """Return a shipped client's values."""
    return build_values(resolve_client(REPOSITORY, target, _cache()))


@functools.cache
def _cache() -> ConfigCache:
    return ConfigCache()


@functools.cache
def helm() -> str:
    """Return the path of helm: the one on PATH, or else the lab's own, built if need be."""
    if found := shutil.which("helm"):
        return found
    from pgaas_lab.tools import ensure

    return str(ensure("helm"))


def run_helm(
    *values_texts: str, chart: Path = CHART, namespace: str = "default"
) -> subprocess.CompletedProcess[str]:
    """Run `helm template` with values files, later ones over earlier ones."""
    with tempfile.TemporaryDirectory() as folder:
        argv = [helm(), "template", "release", str(chart), "--namespace", namespace]
        for number, text in enumerate(values_texts):
            path = Path(folder) / f"values-{number}.yaml"
            path.write_text(text)
            argv += ["--values", str(path)]
        return subprocess.run(argv, capture_output=True, text=True, check=False)


def render_text(values_text: str) -> str:
    """Return the objects of a values file, as helm prints them."""
    done = run_helm(values_text)
    assert done.returncode == 0, done.stderr
    return done.stdout


def objects(rendered: str) -> list[Object]:
    """Return helm's output as objects."""
    return [found for found in yaml.safe_load_all(rendered) if found]


def render_plain(plain: dict[str, Any]) -> list[Object]:
    """Return the objects of values that a test has changed."""
    return objects(render_text(dump_plain(plain)))


@functools.cache
def rendered_text(target: Target) -> str:
    """Return what helm prints for a shipped client."""
    return render_text(dump_values(values_of(target)))


def rendered(target: Target) -> list[Object]:
    """Return a shipped client's objects."""
    return objects(rendered_text(target))


def render_client(ins: str, env: str, dc: str) -> list[Object]:
    """Return a shipped client's objects by its codes."""
    return rendered(Target(ins, env, dc))


def plain_of(target: Target) -> dict[str, Any]:
    """Return a shipped client's values as plain maps and lists, a copy that a test may change."""
    return values_of(target).plain()


def of_kind(found: list[Object], kind: str) -> list[Object]:
    """Return the objects of one kind."""
    return [each for each in found if each["kind"] == kind]

"""What create says of a collector that was not told of the client, and that it says nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml
from tests.unit.kube.fakes import failure, fake_api
from tests.unit.operations.told import Told
from tests.unit.operations.worlds import SPACE, TARGET, World

from pgaas.kube.resources import CONFIG_MAP
from pgaas.operations.collector import unseen_by_collector
from pgaas.operations.create import Choices, create

PATH = "/api/v1/namespaces/local-infra/configmaps/otel-collector"
TOLD = f"no metrics yet: the collector does not look into the namespace {SPACE}; pgaas infra install"


def live(world: World, *names: list[str] | None) -> None:
    """Let the collector have a job for each list of namespaces; None names none, which means all."""
    jobs = [
        {"job_name": f"job-{number}", "kubernetes_sd_configs": [
            {"role": "pod", **({} if each is None else {"namespaces": {"names": each}})}
        ]}
        for number, each in enumerate(names)
    ]  # fmt: skip
    jobs.append({"job_name": "otel-collector", "static_configs": [{"targets": ["127.0.0.1:8888"]}]})
    text(world, yaml.safe_dump({"receivers": {"prometheus": {"config": {"scrape_configs": jobs}}}}))


def text(world: World, content: str) -> None:
    metadata = {"name": "otel-collector", "namespace": "local-infra"}
    world.server.put(CONFIG_MAP, {"metadata": metadata, "data": {"config.yaml": content}})


def told(world: World) -> str:
    return unseen_by_collector(world.subject, fake_api(world.server))


def test_a_namespace_that_no_job_names_is_told_with_what_mends_it(world: World) -> None:
    live(world, ["is1-local"], ["cnpg-system"])
    assert told(world) == TOLD
    live(world)
    assert told(world) == TOLD


def test_create_says_so_and_is_done_all_the_same(world: World) -> None:
    live(world, ["cnpg-system"])
    said = Told()
    done = create(world.root, TARGET, Choices(timeout=5.0), said)
    assert done.health is not None
    assert f"note {TOLD}" in said.lines


def test_elsewhere_it_is_the_environments_own_command(world: World) -> None:
    live(world, ["cnpg-system"])
    subject = replace(world.subject, resolved=world.subject.resolved._replace(team_env="hp"))
    assert "; pgaas generate --all --env local, then helm" in unseen_by_collector(
        subject, fake_api(world.server)
    )


@pytest.mark.parametrize("names", [["is1-local", SPACE], None], ids=["named", "all"])
def test_a_namespace_that_is_looked_into_is_not_worth_a_word(world: World, names: list[str] | None) -> None:
    live(world, ["cnpg-system"], names)
    assert told(world) == ""


@pytest.mark.parametrize("content", ["", "a: [", "receivers: {}", "receivers: {prometheus: [1, {}]}", "\0"])
def test_a_configuration_that_is_not_pgaass_is_not_judged(world: World, content: str) -> None:
    text(world, content)
    assert told(world) == ""


@pytest.mark.parametrize(
    "jobs", ["[1, null, a]", "[{kubernetes_sd_configs: 7}]", "[{kubernetes_sd_configs: [7]}]"]
)
def test_jobs_of_any_shape_do_no_harm(world: World, jobs: str) -> None:
    text(world, f"receivers: {{prometheus: {{config: {{scrape_configs: {jobs}}}}}}}")
    assert told(world) in ("", TOLD)


def test_where_there_is_none_or_it_may_not_be_read_nothing_is_said(world: World) -> None:
    assert told(world) == ""
    world.server.answers[f"GET {PATH}"] = failure(403, "Forbidden", "no")
    assert told(world) == ""

"""The alert rules: each is named, explained and tested by promtool, and asks for numbers that there are."""

from __future__ import annotations

import functools
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.charts import metrics
from tests.charts.support import REPOSITORY

from pgaas.operations.exporter_samples import FAMILIES
from pgaas_lab.images_observability import ensure_program

RULES = sorted((REPOSITORY / "local-infra/observability/files/alerts").glob("*.yaml"))
TESTS = sorted((REPOSITORY / "tests/alerts").glob("*.yaml"))
RUNBOOKS = REPOSITORY / "docs/alerts.md"
METRIC = re.compile(r"\b(?:cnpg|barman_cloud|pgaas)_\w+")
# The archiver's, of which no dashboard has a panel.
ARCHIVER = {"cnpg_pg_stat_archiver_last_archived_time", "cnpg_pg_stat_archiver_last_failed_time"}
RAISED = re.compile(r'alertname="(Pgaas\w+)"')
# Where an alert's name in a test stands for more than one.
ALIKE = re.compile(r'alertname=~"(Pgaas\w+)\.\*"')


@functools.cache
def rules() -> list[dict[str, Any]]:
    groups = [group for file in RULES for group in yaml.safe_load(file.read_text())["groups"]]
    assert len({group["name"] for group in groups}) == len(groups)
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    argv = [ensure_program("promtool"), *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)


def sections() -> dict[str, str]:
    """Return each alert's section of the runbooks."""
    parts = re.split(r"^### (\w+)$", RUNBOOKS.read_text(), flags=re.MULTILINE)[1:]
    texts = [re.split(r"^## ", text, flags=re.MULTILINE)[0] for text in parts[1::2]]
    return dict(zip(parts[::2], texts, strict=True))


def verdicts(*, raised: bool) -> set[str]:
    """Return the alerts of which a test expects that they are raised, or that they are not."""
    names = [rule["alert"] for rule in alerts()]
    found: set[str] = set()
    for test in (test for file in TESTS for test in yaml.safe_load(file.read_text())["tests"]):
        for case in test.get("alert_rule_test", []):
            if bool(case["exp_alerts"]) is raised:
                found.add(case["alertname"])
        for case in test.get("promql_expr_test", []):
            if bool(case["exp_samples"]) is raised:
                found |= set(RAISED.findall(case["expr"]))
                found |= {
                    name for name in names for start in ALIKE.findall(case["expr"]) if name.startswith(start)
                }
    return found


def test_there_are_rules_and_each_alert_has_a_name_of_its_own() -> None:
    names = [rule["alert"] for rule in alerts()]
    assert len(names) > 20
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"Pgaas([A-Z][a-z0-9]+)+", name) for name in names)


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_is_explained(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert set(rule["labels"]) == {"severity"}
    assert rule["for"]
    notes = rule["annotations"]
    assert set(notes) == {"summary", "description", "runbook_url"}
    assert notes["runbook_url"] == f"docs/alerts.md#{rule['alert'].lower()}"
    # Every label that is shown survives the expression.
    for label in re.findall(r"\$labels\.(\w+)", notes["summary"] + notes["description"]):
        assert label in rule["expr"] or rule["expr"].startswith("pgaas:"), label


def test_each_alert_has_a_runbook_and_each_runbook_an_alert() -> None:
    told = sections()
    assert list(told) == [rule["alert"] for rule in sorted(alerts(), key=_place)]
    for rule in alerts():
        section = told[rule["alert"]]
        assert section.strip().startswith(f"`{rule['labels']['severity']}`."), rule["alert"]
        assert re.search(r"First look|^2\. Look", section, re.MULTILINE), rule["alert"]
        assert "Harmless:" in section, rule["alert"]


def _place(rule: dict[str, Any]) -> int:
    return list(sections()).index(rule["alert"]) if rule["alert"] in sections() else -1


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_asks_for_numbers_that_there_are(rule: dict[str, Any]) -> None:
    named = set(METRIC.findall(rule["expr"]))
    recorded = set(re.findall(r"\bpgaas:[\w:]+", rule["expr"]))
    assert named or recorded
    assert named <= metrics.EXPORTER | ARCHIVER | set(FAMILIES)
    assert recorded <= {each["record"] for each in rules() if "record" in each}


def test_the_exporters_numbers_are_all_in_the_page_and_no_others() -> None:
    page = RUNBOOKS.read_text()
    table = page[page.index("| metric | labels |") :]
    found = dict(re.findall(r"^\| `(pgaas_\w+)` \| ([a-z, ]+) \|", table, re.MULTILINE))
    assert found == {name: ", ".join(family.labels) for name, family in FAMILIES.items()}


def test_the_page_begins_with_what_needs_the_exporter() -> None:
    page = RUNBOOKS.read_text()
    first = page[: page.index("## ")]
    assert "pgaas exporter" in first
    assert "otelCollector.extraTargets" in first
    start = page.index("Never raised where it has not run:")
    told = set(re.findall(r"`(Pgaas\w+)`", page[start : page.index("\n\n", start)]))
    recorded = {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}
    named: dict[str, set[str]] = {}
    for rule in alerts():
        exprs = [rule["expr"], *(expr for name, expr in recorded.items() if name in rule["expr"])]
        named[rule["alert"]] = {found.split("_")[0] for expr in exprs for found in METRIC.findall(expr)}
    assert {name for name, sources in named.items() if sources == {"pgaas"}} <= told
    assert told <= {name for name, sources in named.items() if "pgaas" in sources}


def test_the_exporters_unit_and_target_fit_the_command_and_the_chart() -> None:
    page = RUNBOOKS.read_text()
    unit = page[page.index("```ini") : page.index("```\n", page.index("```ini") + 6)]
    found = re.search(r"ExecStart=\S+/pgaas exporter --env \w+ --listen (\S+)\n", unit)
    assert found
    (block,) = re.findall(r"```yaml\n(observability:.*?)```", page, re.DOTALL)
    assert yaml.safe_load(block)["observability"]["otelCollector"]["extraTargets"] == [found[1]]
    shipped = yaml.safe_load((REPOSITORY / "confs/admin/prod/observability.yaml").read_text())
    assert "extraTargets" in shipped["observability"]["otelCollector"]


@pytest.mark.parametrize("file", RULES, ids=lambda file: file.stem)
def test_prometheus_can_read_it(file: Path) -> None:
    done = promtool("check", "rules", "--lint-fatal", file)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.stem)
def test_it_is_raised_when_it_must_be_and_only_then(file: Path) -> None:
    done = promtool("test", "rules", file)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_tested_raised_and_silent() -> None:
    names = {rule["alert"] for rule in alerts()}
    assert {file.name for file in TESTS} == {file.name for file in RULES} | {"weeks.yaml"}
    assert names - verdicts(raised=True) == set()
    assert names - verdicts(raised=False) == set()


def test_promtool_finds_a_wrong_threshold(tmp_path: Path) -> None:
    rule = (RULES[0].parent / "replication.yaml").read_text()
    assert "pgaas_primaries) > 1" in rule
    (tmp_path / "replication.yaml").write_text(rule.replace("pgaas_primaries) > 1", "pgaas_primaries) > 2"))
    test = (REPOSITORY / "tests/alerts/replication.yaml").read_text()
    wrong = tmp_path / "test.yaml"
    wrong.write_text(re.sub(r"^rule_files: .*$", "rule_files: [replication.yaml]", test, flags=re.MULTILINE))
    done = promtool("test", "rules", wrong)
    assert done.returncode != 0
    assert "PgaasTwoPrimaries" in done.stdout + done.stderr

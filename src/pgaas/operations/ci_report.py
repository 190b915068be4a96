"""A deployment's reports: JSON for programs, JUnit's XML for what Jenkins and GitLab show."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from pgaas.render.write import write_text

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from pgaas.operations.ci_runs import ClientRun, Deployment

JSON_REPORT, JUNIT_REPORT = "deploy.json", "deploy.junit.xml"


def write_reports(folder: Path, seen: Deployment) -> None:
    """Write both reports, each whole or not at all. Raise UsageError if the file system refuses."""
    write_text(folder / JSON_REPORT, json.dumps(as_json(seen), indent=2) + "\n", secret=False)
    write_text(folder / JUNIT_REPORT, as_junit(seen), secret=False)


def as_json(seen: Deployment) -> dict[str, object]:
    """Return a deployment for a program."""
    return {
        "action": seen.action,
        "env": seen.env,
        "release": asdict(seen.release) if seen.release else None,
        "done": seen.named("done"),
        "failed": [*seen.named("failed"), *seen.named("interrupted")],
        "running": seen.named("running"),
        "notBegun": seen.named("not begun"),
        "clients": [
            {
                "ins": each.ins,
                "dc": each.dc,
                "cluster": each.cluster,
                "state": each.state,
                "changed": each.changed,
                "seconds": round(each.seconds, 1),
                "error": each.error or None,
                "where": each.where or None,
                "nextStep": each.next_step or None,
                "exitCode": each.exit_code,
            }
            for each in seen.clients
        ],
    }


def as_junit(seen: Deployment) -> str:
    """Return a deployment as a suite of tests, one for each client; one that was not begun is skipped."""
    from xml.etree.ElementTree import Element, SubElement, indent, tostring

    bad = len(seen.clients) - len(seen.named("done")) - len(seen.named("not begun"))
    suite = Element(
        "testsuite",
        name=f"pgaas {seen.action} {seen.env}",
        tests=str(len(seen.clients)),
        failures=str(bad),
        errors="0",
        skipped=str(len(seen.named("not begun"))),
        time=f"{sum(each.seconds for each in seen.clients):.1f}",
    )
    if seen.release:
        properties = SubElement(suite, "properties")
        for name, part in asdict(seen.release).items():
            SubElement(properties, "property", name=f"{name}.version", value=_legal(part["version"]))
    for each in seen.clients:
        case = SubElement(
            suite,
            "testcase",
            classname=f"{seen.action}.{seen.env}",
            name=each.ins,
            time=f"{each.seconds:.1f}",
        )
        _say(case, each)
    root = Element("testsuites")
    root.append(suite)
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _say(case: Element, run: ClientRun) -> None:
    from xml.etree.ElementTree import SubElement

    if run.state == "done":
        changed = "changed" if run.changed else "unchanged"
        SubElement(case, "system-out").text = f"{run.cluster}: {changed}"
    elif run.state == "not begun":
        SubElement(case, "skipped", message="not begun: the run ended before")
    else:
        lines = [run.error, f"where: {run.where}" if run.where else "", f"next: {run.next_step}"]
        kind = f"exit {run.exit_code}" if run.exit_code else run.state
        failure = SubElement(case, "failure", message=_legal(run.error.partition("\n")[0]), type=kind)
        failure.text = _legal("\n".join(filter(None, lines)))


def _legal(text: str) -> str:
    """Return a text without the characters that XML has no way to write."""
    return "".join(
        each
        if each in "\t\n\r" or (" " <= each <= "\ud7ff") or ("\ue000" <= each <= "\ufffd") or each > "\uffff"
        else "?"
        for each in text
    )

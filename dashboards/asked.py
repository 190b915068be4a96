"""What the written dashboards ask Prometheus for, with their variables filled in as Grafana would."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from dashboards.queries import RATE

FOLDER = Path(__file__).resolve().parents[1] / "local-infra/observability/files/dashboards"
INS, ENV = "__INS__", "$env"


@dataclass(frozen=True)
class Asked:
    """One panel: its row, how it shows what it asks for, and the query."""

    dashboard: str
    row: str
    title: str
    kind: str
    query: str
    legend: str
    unit: str


def asked(ins: str, env: str = ".+", window: str = "1m", folder: Path = FOLDER) -> list[Asked]:
    """Return every panel, of one client where it is a client's; `window` is what rates are taken over."""
    found = []
    for path in sorted(folder.glob("*.json")):
        row = ""
        for panel in json.loads(path.read_text().replace(INS, ins))["panels"]:
            if panel["type"] == "row":
                row = panel["title"]
                continue
            for target in panel["targets"]:
                found.append(
                    Asked(
                        dashboard=path.stem,
                        row=row,
                        title=panel["title"],
                        kind=panel["type"],
                        query=target["expr"].replace(RATE, window).replace(ENV, env),
                        legend=target.get("legendFormat", ""),
                        unit=panel["fieldConfig"]["defaults"]["unit"],
                    )
                )
    return found

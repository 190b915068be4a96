"""Draw a client's dashboard from what a Prometheus holds: there is no Grafana here to take a picture of.

uv run python bench/draw_dashboard.py http://192.168.49.2:30090 docs/images/dashboard.png --minutes 15
"""

from __future__ import annotations

import argparse
import html
import json
import math
import re
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dashboards.asked import Asked, asked

CHROMIUM = "/usr/bin/chromium"
COLOURS = ("#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#b877d9", "#fa6400", "#8ab8ff", "#ff7383")
ROWS = ("Now", "Two datacenters", "Load", "Keeping well")
WORDS = {
    "Role, as PostgreSQL says": ("follows", "takes writes"),
    "Role, as pgaas sees it": ("follows", "takes writes"),
    "Name of the primary": ("leads elsewhere", "right"),
    "Reached by pgaas": ("no", "yes"),
}
STYLE = """
body { margin: 0; padding: 16px; width: 1248px; background: #111217; color: #ccccdc; font: 13px sans-serif }
h1 { font-size: 18px; margin: 0 } .said { color: #8e8e9c; margin: 4px 0 10px }
h2 { font-size: 14px; margin: 12px 0 6px }
.row { display: grid; grid-template-columns: repeat(6, 1fr); gap: 8px }
.panel { background: #181b1f; border: 1px solid #25272c; border-radius: 3px; padding: 8px; overflow: hidden }
.wide { grid-column: span 3; height: 178px } .narrow { height: 78px }
.title { font-weight: 600; margin-bottom: 4px }
.number { font-size: 24px; color: #73bf69 } .some { font-size: 14px; line-height: 18px; color: #73bf69 }
.legend { font-size: 11px; color: #9e9eac } .legend b { font-size: 14px }
table { width: 100%; font-size: 11px }
td { border-top: 1px solid #25272c; padding: 1px 4px } .bar { background: #73bf69; height: 10px }
"""


def get(server: str, path: str, **parameters: object) -> list[dict[str, Any]]:
    """Return the series that Prometheus answers with."""
    url = f"{server}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
    with urllib.request.urlopen(url, timeout=30) as answer:
        found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return found


def named(panel: Asked, labels: dict[str, str]) -> str:
    """Return a series' name, as the panel's legend has it."""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), panel.legend) or panel.title


def shown(value: float, unit: str) -> str:
    """Return a number with its unit, short."""
    if math.isnan(value):
        return "–"
    if unit == "percentunit":
        return f"{value:.1%}"
    if unit == "bytes":
        power = min(4, int(math.log(value, 1024))) if value >= 1 else 0
        return f"{value / 1024**power:.1f} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"
    if unit == "s":
        for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
            if abs(value) >= size:
                return f"{value / size:.1f} {name}"
        return f"{value:.1f} s"
    text = f"{value:.0f}" if value >= 20 else f"{value:.2f}".rstrip("0").rstrip(".")
    return f"{text}/s" if unit == "ops" else text


def said(panel: Asked, value: float) -> str:
    """Return a number, or what it stands for."""
    words = WORDS.get(panel.title)
    return words[int(value)] if words and value in (0, 1) else shown(value, panel.unit)


def number(panel: Asked, series: list[dict[str, Any]]) -> str:
    """Return a panel of large numbers."""
    values = [(named(panel, each["metric"]), float(each["value"][1])) for each in series]
    if len(values) == 1:
        return f'<div class="number">{html.escape(said(panel, values[0][1]))}</div>'
    lines = (f"{html.escape(name)}: {html.escape(said(panel, value))}" for name, value in sorted(values))
    return f'<div class="some">{"<br>".join(lines)}</div>'


def lines(panel: Asked, series: list[dict[str, Any]], begin: float, end: float) -> str:
    """Return a panel of lines over time, with the latest number of each."""
    width, height = 590, 96
    every = [float(value) for each in series for _, value in each["values"] if value != "NaN"]
    low, high = min([0.0, *every]), max([*every, 1e-9])
    across, down = width / (end - begin), height / (high - low)
    drawn, names = [], []
    for colour, each in zip(
        COLOURS * 3, sorted(series, key=lambda one: named(panel, one["metric"])), strict=False
    ):
        points = " ".join(
            f"{(when - begin) * across:.1f},{(high - float(value)) * down:.1f}"
            for when, value in each["values"]
            if value != "NaN"
        )
        drawn.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        last = shown(float(each["values"][-1][1]), panel.unit)
        name = html.escape(named(panel, each["metric"]) or "(none)")
        names.append(f'<b style="color:{colour}">—</b> {name} {html.escape(last)}')
    top = f'<text x="2" y="10" fill="#6e6e7c" font-size="10">{html.escape(shown(high, panel.unit))}</text>'
    frame = f'<path d="M0 0H{width}M0 {height / 2}H{width}M0 {height}H{width}" stroke="#25272c"/>'
    view = f'viewBox="0 -4 {width} {height + 8}" width="{width}" height="{height + 8}"'
    legend = f'<div class="legend">{" &nbsp; ".join(names[:8])}</div>'
    return f"<svg {view}>{frame}{''.join(drawn)}{top}</svg>{legend}"


def bars(panel: Asked, series: list[dict[str, Any]]) -> str:
    """Return a panel of bars, the longest first."""
    values = sorted(
        ((float(each["value"][1]), named(panel, each["metric"])) for each in series), reverse=True
    )
    most = max([value for value, _ in values] or [1])
    return "".join(
        f'<div class="legend">{html.escape(name)} {html.escape(shown(value, panel.unit))}</div>'
        f'<div class="bar" style="width:{value / most:.0%}"></div>'
        for value, name in values[:6]
    )


def rows(panel: Asked, series: list[dict[str, Any]]) -> str:
    """Return a panel of rows: labels, then the number."""
    values = sorted(series, key=lambda each: -float(each["value"][1]))
    cells = [
        [
            *(each["metric"][label] for label in sorted(each["metric"])),
            shown(float(each["value"][1]), panel.unit),
        ]
        for each in values[:7]
    ]
    written = ("".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in cells)
    return f"<table>{''.join(f'<tr>{row}</tr>' for row in written)}</table>"


def drawing(server: str, ins: str, minutes: int, end: float) -> str:
    """Return the page."""
    begin = end - 60 * minutes
    panels = [each for each in asked(ins, ".+") if each.dashboard == "client"]
    parts = []
    for row in ROWS:
        drawn = []
        for panel in (each for each in panels if each.row == row):
            wide = "narrow" if panel.kind == "stat" else "wide"
            if panel.kind == "timeseries":
                step = max(5, minutes * 60 // 200)
                body = lines(
                    panel,
                    get(server, "query_range", query=panel.query, start=begin, end=end, step=step),
                    begin,
                    end,
                )
            else:
                kinds = {"stat": number, "bargauge": bars, "table": rows}
                body = kinds[panel.kind](panel, get(server, "query", query=panel.query, time=end))
            title = f'<div class="title">{html.escape(panel.title)}</div>'
            drawn.append(f'<div class="panel {wide}">{title}{body}</div>')
        parts.append(f'<h2>{row}</h2><div class="row">{"".join(drawn)}</div>')
    about = (
        f"The queries of this client's dashboard, and what the lab's Prometheus answered, over {minutes} "
        "minutes. Drawn by bench/draw_dashboard.py: this is not a picture of Grafana."
    )
    head = f'<h1>PGaaS: {ins}</h1><div class="said">{about}</div>'
    return f"<!doctype html><meta charset=utf-8><style>{STYLE}</style><body>{head}{''.join(parts)}"


def shoot(page: str, target: Path) -> None:
    """Have Chromium draw a page."""
    from playwright.sync_api import sync_playwright

    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder) / "page.html"
        file.write_text(page)
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        tab = browser.new_page(viewport={"width": 1280, "height": 800})
        tab.goto(file.as_uri())
        tab.screenshot(path=target, full_page=True)
        browser.close()


def main() -> None:
    """Draw what was asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("server")
    parser.add_argument("target", type=Path)
    parser.add_argument("--ins", default="ic1")
    parser.add_argument("--minutes", type=int, default=15)
    parser.add_argument("--end", type=float, default=time.time())
    given = parser.parse_args()
    shoot(drawing(given.server, given.ins, given.minutes, given.end), given.target)


if __name__ == "__main__":
    main()

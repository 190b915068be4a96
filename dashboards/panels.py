"""The four kinds of panels that the dashboards are made of, and the dashboard around them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from grafana_foundation_sdk.builders import bargauge, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="prometheus")
GREEN, YELLOW, RED = "green", "yellow", "red"
WHOLE, HALF, SIXTH = 24, 12, 4

# What a number means, by the value itself.
Meanings = dict[str, tuple[str, str]]
# Where a colour begins: the first has no lower bound.
Colours = Sequence[tuple[float | None, str]]


@dataclass(frozen=True)
class Look:
    """How a panel shows its numbers: `unit` is one of Grafana's own."""

    unit: str = "short"
    colours: Colours = ((None, GREEN),)
    meanings: Meanings = field(default_factory=dict)
    decimals: int | None = None
    nothing: str = ""


def number(title: str, query: str, about: str, look: Look = Look(), legend: str = "") -> stat.Panel:
    """Return a panel with the latest number of each series, large."""
    panel = stat.Panel().graph_mode(common.BigValueGraphMode.AREA).color_mode(common.BigValueColorMode.VALUE)
    panel.reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"])).height(4).span(SIXTH)
    shown: stat.Panel = _finish(panel, title, query, about, look, legend or title)
    return shown


def lines(title: str, query: str, about: str, legend: str, look: Look = Look()) -> timeseries.Panel:
    """Return a panel with a line over time for each series."""
    panel = timeseries.Panel().fill_opacity(8).show_points(common.VisibilityMode.NEVER).height(8).span(HALF)
    panel.legend(
        common_builders.VizLegendOptions()
        .show_legend(True)
        .display_mode(common.LegendDisplayMode.TABLE)
        .placement(common.LegendPlacement.BOTTOM)
        .calcs(["lastNotNull", "max"])
    ).tooltip(common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI))
    shown: timeseries.Panel = _finish(panel, title, query, about, look, legend)
    return shown


def bars(title: str, query: str, about: str, legend: str, look: Look = Look()) -> bargauge.Panel:
    """Return a panel with a bar for the latest number of each series."""
    panel = bargauge.Panel().orientation(common.VizOrientation.HORIZONTAL).height(8).span(HALF)
    panel.display_mode(common.BarGaugeDisplayMode.BASIC)
    panel.reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
    shown: bargauge.Panel = _finish(panel, title, query, about, look, legend)
    return shown


def rows(title: str, query: str, about: str, look: Look = Look()) -> table.Panel:
    """Return a panel with a row for each series: its labels and its latest number."""
    panel = table.Panel().height(8).span(HALF).align(common.FieldTextAlignment.AUTO).inspect(False)
    panel.with_transformation(
        dashboard.DataTransformerConfig(id_val="organize", options={"excludeByName": {"Time": True}})
    )
    _describe(panel, title, about, look)
    panel.with_target(_target(query, "").instant().format(PromQueryFormat.TABLE))
    return panel


def _finish(panel: Any, title: str, query: str, about: str, look: Look, legend: str) -> Any:
    _describe(panel, title, about, look)
    return panel.with_target(_target(query, legend).range())


def _target(query: str, legend: str) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(query).ref_id("A").datasource(SOURCE)
    return target.legend_format(legend) if legend else target


def _describe(panel: Any, title: str, about: str, look: Look) -> None:
    panel.title(title).description(about).datasource(SOURCE).unit(look.unit)
    steps = [dashboard.Threshold(value=value, color=colour) for value, colour in look.colours]
    thresholds = builders.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(steps)
    panel.thresholds(thresholds)
    if look.meanings:
        texts = {
            value: dashboard.ValueMappingResult(text=text, color=colour, index=index)
            for index, (value, (text, colour)) in enumerate(look.meanings.items())
        }
        panel.mappings([dashboard.ValueMap(options=texts)])
    if look.decimals is not None:
        panel.decimals(look.decimals)
    if look.nothing:
        panel.no_value(look.nothing)


def environments(query: str) -> builders.QueryVariable:
    """Return the choice of environments, all of them at first."""
    variable = builders.QueryVariable("env").label("Environment").query(query).datasource(SOURCE)
    variable.refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(
        dashboard.VariableSort.ALPHABETICAL_ASC
    )
    variable.multi(True).include_all(True).all_value(".+")
    return variable.current(dashboard.VariableOption(selected=True, text=["All"], value=["$__all"]))


def page(uid: str, title: str, about: str, parts: dict[str, list[Any]], choice: Any) -> dict[str, Any]:
    """Return a dashboard as Grafana imports it: a row with its panels for each part."""
    built = (
        builders.Dashboard(title)
        .uid(uid)
        .description(about)
        .tags(["pgaas"])
        .timezone("browser")
        .refresh("30s")
        .time("now-6h", "now")
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .readonly()
        .with_variable(choice)
        .link(
            builders.DashboardLink("PGaaS")
            .type(dashboard.DashboardLinkType.DASHBOARDS)
            .tags(["pgaas"])
            .as_dropdown(True)
            .keep_time(True)
        )
    )
    count = 0
    for name, panels in parts.items():
        count += 1
        built.with_row(builders.Row(name).id(count))
        for panel in panels:
            count += 1
            built.with_panel(panel.id(count))
    plain: dict[str, Any] = json.loads(JSONEncoder().encode(built.build()))
    return plain

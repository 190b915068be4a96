"""Grafana's dashboards, built with its own SDK: `python -m dashboards` writes what the chart ships."""

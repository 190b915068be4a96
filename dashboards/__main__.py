"""Write the dashboards into the chart: `python -m dashboards`."""

from dashboards.build import write

if __name__ == "__main__":
    write()

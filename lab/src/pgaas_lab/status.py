"""Look at what of the lab is up."""

import json
from dataclasses import asdict, dataclass, field

import httpx
from rich.table import Table

from pgaas_lab import agent, balancer, infra, node, process, stack
from pgaas_lab.api import Api
from pgaas_lab.datacenters import Datacenter


@dataclass(frozen=True)
class Row:
    """One thing that is looked at: `trouble` is empty if it is as it should be."""

    datacenter: str
    kind: str
    name: str
    detail: str = ""
    trouble: str = ""


@dataclass(frozen=True)
class Status:
    """What of the lab is up."""

    rows: list[Row] = field(default_factory=list)

    @property
    def is_up(self) -> bool:
        """Tell whether everything is as it should be."""
        return not any(row.trouble for row in self.rows)


def look(datacenters: tuple[Datacenter, ...]) -> Status:
    """Return the state of every process, node, Deployment and address."""
    record = process.running(agent.pid_file())
    rows = [row_of_process("", "agent", record)]
    for datacenter in datacenters:
        for name in (*node.CONTROL_PLANE, *node.REST):
            record = process.running(node.pid_file(datacenter, name))
            rows.append(row_of_process(datacenter.name, name, record))
        rows += look_inside(datacenter)
    return Status(rows)


def row_of_process(datacenter: str, name: str, record: process.Record | None) -> Row:
    """Return the row of a process."""
    return Row(
        datacenter, "process", name, f"pid {record.pid}" if record else "", "" if record else "not running"
    )


def look_inside(datacenter: Datacenter) -> list[Row]:
    """Return the state of a cluster's node, Deployments and addresses."""
    if not (datacenter.pki / "complete").exists():
        return [Row(datacenter.name, "node", datacenter.name, trouble="never started")]
    try:
        with Api(datacenter, timeout=5) as api:
            return [
                *look_at_nodes(datacenter, api),
                *look_at_deployments(datacenter, api),
                *look_at_addresses(datacenter, api),
            ]
    except httpx.HTTPError as error:
        return [Row(datacenter.name, "node", datacenter.name, trouble=f"API server: {error}")]


def look_at_nodes(datacenter: Datacenter, api: Api) -> list[Row]:
    """Return the state of a cluster's node."""
    rows = []
    for found in api.items("/api/v1/nodes"):
        conditions = {each["type"]: each["status"] for each in found["status"].get("conditions") or []}
        version = found["status"]["nodeInfo"]["kubeletVersion"]
        trouble = "" if conditions.get("Ready") == "True" else "not ready"
        rows.append(
            Row(
                datacenter.name,
                "node",
                found["metadata"]["name"],
                f"{version} {datacenter.node_address}",
                trouble,
            )
        )
    return rows or [Row(datacenter.name, "node", datacenter.name, trouble="not registered")]


def look_at_deployments(datacenter: Datacenter, api: Api) -> list[Row]:
    """Return the state of CoreDNS, and of what pgaas installed."""
    rows = []
    for workload in [stack.COREDNS, *infra.installed(datacenter)]:
        found, trouble = stack.look_at(api, workload)
        image = stack.image_of(found) if found else ""
        rows.append(
            Row(datacenter.name, workload[0].removesuffix("s"), "/".join(workload[1:]), image, trouble)
        )
    # A newer checkout is no trouble of a lab that runs: whoever uses it must not lose it for that.
    older = "" if infra.is_current(datacenter) else "older than the checkout: `pgaas-lab up` renews it"
    lacking = "" if infra.installed(datacenter) else "not installed"
    rows.append(Row(datacenter.name, "infra", "pgaas infra install", older, lacking))
    return rows


def look_at_addresses(datacenter: Datacenter, api: Api) -> list[Row]:
    """Return the addresses that the cluster's Services have outside of it."""
    rows = []
    for service in api.items("/api/v1/services"):
        name = balancer.name_of(service)
        ports = service["spec"].get("ports") or []
        if balancer.is_balanced(service):
            address = balancer.address_of(service)
            detail = " ".join(f"{address}:{port['port']}" for port in ports) if address else ""
            rows.append(Row(datacenter.name, "address", name, detail, "" if address else "no address yet"))
        elif service["spec"].get("type") == "NodePort":
            detail = " ".join(f"{datacenter.node_address}:{port['nodePort']}" for port in ports)
            rows.append(Row(datacenter.name, "address", name, detail))
    return rows


def as_json(status: Status) -> str:
    """Return a status as JSON."""
    return json.dumps({"up": status.is_up, "items": [asdict(row) for row in status.rows]}, indent=2)


def as_table(status: Status) -> Table:
    """Return a status as a table."""
    table = Table(box=None, pad_edge=False)
    for title in ("datacenter", "kind", "name", "state", "detail"):
        table.add_column(title, overflow="fold")
    for row in status.rows:
        state = f"[red]{row.trouble}[/]" if row.trouble else "[green]ok[/]"
        table.add_row(row.datacenter or "both", row.kind, row.name, state, row.detail)
    return table

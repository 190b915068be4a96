"""Bring the lab up, from whatever state the machine is in."""

import time

import httpx

from pgaas_lab import (
    agent,
    extras,
    images,
    infra,
    machine,
    network,
    node,
    packages,
    pki,
    stack,
    teardown,
    tools,
)
from pgaas_lab.api import Api
from pgaas_lab.command import run, tail_of
from pgaas_lab.datacenters import ALL, Datacenter
from pgaas_lab.errors import TimedOut, ToolFailed
from pgaas_lab.steps import Step, Steps, wait_until


def up(
    datacenters: tuple[Datacenter, ...], steps: Steps, only_build: bool = False, bare: bool = False
) -> None:
    """Build what is missing and start what is not running. Raise LabError with what is stuck.

    `bare` leaves out what pgaas installs, for whoever does that next.
    """
    prepare(steps)
    if only_build:
        return
    with steps.step("Network") as step:
        network_up(datacenters, step)
    fresh = [datacenter for datacenter in datacenters if not node.is_running(datacenter, "kubelet")]
    for datacenter in datacenters:
        with steps.step(f"{datacenter.name}: control plane") as step:
            control_plane_up(datacenter, step)
    # One agent for both: bringing one datacenter up must not leave the other without.
    served = [each for each in ALL if each in datacenters or node.is_running(each, "kube-apiserver")]
    agent.start(served, anew=bool(fresh))
    for datacenter in datacenters:
        with steps.step(f"{datacenter.name}: images") as step:
            images_up(datacenter, step)
        with steps.step(f"{datacenter.name}: node") as step:
            node_up(datacenter, step)
    with steps.step("CoreDNS") as step:
        dns_up(datacenters, step)
    if not bare:
        with steps.step("pgaas infra install") as step:
            infra_up(datacenters, step)


def prepare(steps: Steps) -> None:
    """Install and build what is missing."""
    if missing := packages.missing():
        with steps.step(f"Install {', '.join(missing)}"):
            packages.install(missing)
    to_build = [tool for tool in tools.TOOLS.values() if not tools.binary(tool).exists()]
    archives = [archive for archive in extras.all_archives() if not archive.exists()]
    machine.check_space(building=bool(to_build or archives))
    if to_build:
        machine.check_go()
    for tool in tools.TOOLS.values():
        if tool in to_build:
            with steps.step(f"Build {tool.name} {tools.version(tool)}") as step:
                tools.ensure(tool.name, saying(step))
        else:
            tools.ensure(tool.name)
    for recipe in extras.recipes():
        if not images.archive_of(recipe).exists():
            with steps.step(f"Image {recipe.image}"):
                images.ensure(recipe)
    if not images.postgres_archive().exists():
        with steps.step(f"Image {images.POSTGRES_IMAGE} and its sidecar") as step:
            images.ensure_postgres(saying(step))
            step.note = images.postgres_minor_image()
    for extra in extras.EXTRAS:
        if not extra.archive().exists():
            with steps.step(f"Image {extra.image}") as step:
                extra.ensure(saying(step))


def saying(step: Step) -> "images.Say":
    """Return a function that shows what a step is at."""

    def say(text: str) -> None:
        step.at = text

    return say


def network_up(datacenters: tuple[Datacenter, ...], step: Step) -> None:
    """Make the bridge and the namespaces; where nothing runs any more, first clear what is left."""
    network.bridge_up()
    cleared = []
    for datacenter in datacenters:
        if not any(node.is_running(datacenter, name) for name in (*node.CONTROL_PLANE, *node.REST)):
            # A killed lab or a reboot leaves pods without a kubelet, mounts, sockets, half a network.
            if teardown.leftovers(datacenter):
                cleared.append(datacenter.name)
            teardown.clear(datacenter)
        network.namespace_up(datacenter)
    if cleared:
        step.note = f"cleared what a lab left in {', '.join(cleared)}"


def control_plane_up(datacenter: Datacenter, step: Step) -> None:
    """Start etcd, the API server and containerd, and wait until they answer."""
    pki.ensure(datacenter)
    node.write_files(datacenter)
    node.write_kubeconfig()
    for name in (*node.CONTROL_PLANE, "containerd"):
        node.start(datacenter, name)
    with Api(datacenter) as api:
        wait_until(
            lambda: died(datacenter) or api.trouble(),
            timeout=120,
            step=step,
            on_timeout=lambda missing: stuck(datacenter, "kube-apiserver", 120, missing),
        )
    wait_until(
        lambda: "" if containerd_answers(datacenter) else "containerd",
        timeout=30,
        step=step,
        on_timeout=lambda missing: stuck(datacenter, "containerd", 30, missing),
    )


def died(datacenter: Datacenter) -> str:
    """Return an empty text, or raise ToolFailed for a process of the control plane that ended by itself."""
    for name in (*node.CONTROL_PLANE, "containerd"):
        if not node.is_running(datacenter, name):
            log = node.log_file(datacenter, name)
            raise ToolFailed(
                f"{datacenter.name}: {name} ended by itself; the end of {log}:\n{tail_of(log)}\n"
                "If running it again does not help, `pgaas-lab down` and `pgaas-lab up` begin anew"
            )
    return ""


def stuck(datacenter: Datacenter, name: str, seconds: int, missing: str) -> TimedOut:
    """Return the error for a process that does not become ready."""
    log = node.log_file(datacenter, name)
    return TimedOut(
        f"{datacenter.name}: not ready within {seconds} s: {missing}; the end of {log}:\n{tail_of(log)}"
    )


def containerd_answers(datacenter: Datacenter) -> bool:
    """Tell whether containerd answers."""
    return run(["ctr", "-a", datacenter.socket, "version"], check=False, timeout=20).returncode == 0


def images_up(datacenter: Datacenter, step: Step) -> None:
    """Import the images that a node does not have yet."""
    missing = images.to_import(datacenter, extras.all_archives())
    for archive in missing:
        step.at = archive.stem
        images.load(datacenter, archive)
    step.note = f"{len(missing)} imported" if missing else "all there"


def node_up(datacenter: Datacenter, step: Step) -> None:
    """Start the rest of the node's processes, and wait until the node is ready."""
    with Api(datacenter) as api:
        if not node.is_running(datacenter, "kubelet"):
            mark_stale(datacenter, api)
        for name in node.REST:
            node.start(datacenter, name)
        wait_until(
            lambda: node_trouble(datacenter, api),
            timeout=120,
            step=step,
            on_timeout=lambda missing: stuck(datacenter, "kubelet", 120, missing),
        )


def node_trouble(datacenter: Datacenter, api: Api) -> str:
    """Return why a node is not ready, or an empty text."""
    try:
        found = api.find(f"/api/v1/nodes/{datacenter.name}")
    except httpx.HTTPError as error:
        return f"API server: {error}"
    for condition in ((found or {}).get("status") or {}).get("conditions") or []:
        if condition["type"] == "Ready":
            return "" if condition["status"] == "True" else f"node: {condition.get('message', 'not ready')}"
    return "node: not registered"


def mark_stale(datacenter: Datacenter, api: Api) -> None:
    """Take back what a kubelet that is gone said of its node and pods: only a living one may say ready."""
    if api.find(f"/api/v1/nodes/{datacenter.name}") is None:
        return
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    unknown = {"status": "False", "reason": "NodeRestarted", "message": "kubelet is not running"}
    conditions = [{"type": "Ready", "lastTransitionTime": moment, **unknown}]
    api.patch_conditions(f"/api/v1/nodes/{datacenter.name}/status", conditions)
    for pod in api.items("/api/v1/pods"):
        metadata = pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/status"
        if (pod.get("status") or {}).get("phase") == "Running":
            api.patch_conditions(path, [*conditions, {**conditions[0], "type": "ContainersReady"}])


def dns_up(datacenters: tuple[Datacenter, ...], step: Step) -> None:
    """Apply CoreDNS, without which Kubernetes is less than bare, and wait until it answers."""
    applied = 0
    for datacenter in datacenters:
        with Api(datacenter) as api:
            if not stack.is_applied(datacenter, api):
                stack.apply(datacenter)
                applied += 1
    for datacenter in datacenters:
        with Api(datacenter) as api:
            stack.wait_available(datacenter, api, [stack.COREDNS], step)
    step.note = "" if applied else "as it was"


def infra_up(datacenters: tuple[Datacenter, ...], step: Step) -> None:
    """Have pgaas install what its clusters need, unless that is there, and wait until it is available."""
    missing = []
    for datacenter in datacenters:
        with Api(datacenter) as api:
            if not infra.is_installed(datacenter, api):
                missing.append(datacenter)
    if missing:
        infra.install(datacenters, saying(step))
    for datacenter in datacenters:
        with Api(datacenter) as api:
            stack.wait_available(datacenter, api, infra.installed(datacenter), step)
    step.note = "" if missing else "as it was"

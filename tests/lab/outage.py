"""Faults of the machine below: processes of the lab stopped or killed by their ids, and let up again."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import yaml
from tests.lab.support import Lab, wait_until

from pgaas_lab import cgroups, node, process
from pgaas_lab.datacenters import select

# All but what runs already: the network, and in one datacenter S3, go on while these are stopped.
CONTROL = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet")


class Frozen:
    """Processes of a node that are stopped, until they are let on."""

    def __init__(self, context: str, names: tuple[str, ...]) -> None:
        [datacenter] = select(context)
        self._pids = {}
        for name in names:
            record = process.running(node.pid_file(datacenter, name))
            assert record, f"{name} of {context} does not run"
            self._pids[name] = record.pid

    def stop(self) -> None:
        """Stop them: what they are asked is never answered."""
        for pid in self._pids.values():
            os.kill(pid, signal.SIGSTOP)

    def let_on(self, *names: str) -> None:
        """Let them, or some of them, go on; those that do are left alone."""
        for name in names or tuple(self._pids):
            with suppress(ProcessLookupError):
                os.kill(self._pids[name], signal.SIGCONT)


@contextmanager
def frozen(context: str, *names: str) -> Iterator[Frozen]:
    """Stop processes of a node for as long as the block lasts."""
    held = Frozen(context, names)
    held.stop()
    try:
        yield held
    finally:
        held.let_on()


@contextmanager
def api_server_stopped(lab: Lab) -> Iterator[None]:
    """Let a datacenter's API server take connections and answer nothing."""
    with frozen(lab.context, "kube-apiserver"):
        yield
    wait_until("the API server", lambda: lab.kubectl("get", "--raw=/readyz", check=False).returncode == 0)


def kill_instances(lab: Lab, cluster: str) -> int:
    """Kill every process in the pods of a cluster, as a power cut would; return how many there were."""
    [datacenter] = select(lab.context)
    doomed = [pid for pid in cgroups.members(cgroups.pods(datacenter)) if _belongs(pid, cluster)]
    for pid in doomed:
        process.send(pid, signal.SIGKILL)
    return len(doomed)


def _belongs(pid: int, cluster: str) -> bool:
    with suppress(OSError):
        return f"CLUSTER_NAME={cluster}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return False


@contextmanager
def scaled_to_nothing(lab: Lab, namespace: str, deployment: str) -> Iterator[None]:
    """Take a Deployment's pods away for as long as the block lasts."""

    def pods() -> str:
        wanted = lab.get("deployment", deployment, namespace)["spec"]["selector"]["matchLabels"]
        selector = ",".join(f"{key}={value}" for key, value in wanted.items())
        return lab.kubectl("-n", namespace, "get", "pods", "-l", selector, "-o", "name").stdout.strip()

    lab.kubectl("-n", namespace, "scale", "deployment", deployment, "--replicas=0")
    try:
        wait_until(f"{deployment} to be gone", lambda: not pods())
        yield
    finally:
        lab.kubectl("-n", namespace, "scale", "deployment", deployment, "--replicas=1")
    lab.kubectl("-n", namespace, "rollout", "status", "deployment", deployment, "--timeout=180s")


REFUSAL = "pgaas-tests-refuse-dns"
POLICY = [
    {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": REFUSAL},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
                "objectSelector": {"matchLabels": {"app.kubernetes.io/part-of": "pgaas"}},
                "resourceRules": [
                    {
                        "apiGroups": ["discovery.k8s.io"],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": ["endpointslices"],
                    }
                ],
            },
            "validations": [{"expression": "false", "message": "no change of names today"}],
        },
    },
    {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": REFUSAL},
        "spec": {"policyName": REFUSAL, "validationActions": ["Deny"]},
    },
]


@contextmanager
def dns_refused(*labs: Lab) -> Iterator[None]:
    """Have these datacenters refuse every change of a client's name."""
    with ExitStack() as healed:
        for lab in labs:
            healed.callback(_allow_dns, lab)
            lab.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(POLICY))
        for lab in labs:
            wait_until("DNS to be refused", partial(_refuses, lab), timeout=60)
        yield
    for lab in labs:
        wait_until("DNS to be taken again", partial(_takes, lab), timeout=60)


def _allow_dns(lab: Lab) -> None:
    kinds = "validatingadmissionpolicybindings,validatingadmissionpolicies"
    lab.kubectl("delete", kinds, REFUSAL, "--ignore-not-found")


def _refuses(lab: Lab) -> bool:
    return not _takes(lab)


def _takes(lab: Lab) -> bool:
    """Ask for a change that changes nothing."""
    asked = lab.kubectl(
        "-n",
        "kube-system",
        "label",
        "endpointslices",
        "-l",
        "app.kubernetes.io/part-of=pgaas",
        "pgaas.io/tried=yes",
        "--overwrite",
        "--dry-run=server",
        check=False,
    )
    return asked.returncode == 0

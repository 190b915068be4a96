"""Build the lab's programs from their Go modules, once per version, into the cache."""

import hashlib
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from pgaas_lab import paths
from pgaas_lab.command import run, run_streamed
from pgaas_lab.errors import ToolFailed, UsageError
from pgaas_lab.lock import one_at_a_time


@dataclass(frozen=True)
class Tool:
    """A program, the wrapper module under lab/go that builds it, and the module that its version is of."""

    name: str
    module: str
    package: str = "."
    version_of: str = ""
    stamped: bool = False
    tags: str = ""


KUBERNETES = "k8s.io/kubernetes"
OPERATOR = "github.com/cloudnative-pg/cloudnative-pg"
PLUGIN = "github.com/cloudnative-pg/plugin-barman-cloud"
CERT_MANAGER = "github.com/cert-manager/cert-manager"
OTEL_CONTRIB = "github.com/open-telemetry/opentelemetry-collector-contrib"

TOOLS = {
    tool.name: tool
    for tool in (
        Tool("pause", "pause"),
        *(
            Tool(name, "kubernetes", f"{KUBERNETES}/cmd/{name}", KUBERNETES, stamped=True)
            for name in (
                "kube-apiserver",
                "kube-controller-manager",
                "kube-scheduler",
                "kubelet",
                "kube-proxy",
                "kubectl",
            )
        ),
        Tool("cnpg-manager", "cloudnative-pg", f"{OPERATOR}/cmd/manager", OPERATOR),
        Tool("kubectl-cnpg", "cloudnative-pg", f"{OPERATOR}/cmd/kubectl-cnpg", OPERATOR),
        Tool("barman-manager", "plugin-barman-cloud", f"{PLUGIN}/cmd/manager", PLUGIN),
        *(
            Tool(f"cert-manager-{name}", "cert-manager", f"{CERT_MANAGER}/cmd/{name}", CERT_MANAGER)
            for name in ("cainjector", "controller", "webhook")
        ),
        Tool("coredns", "coredns", version_of="github.com/coredns/coredns"),
        Tool("helm", "helm", "helm.sh/helm/v4/cmd/helm", "helm.sh/helm/v4"),
        Tool("helmfile", "helmfile", "github.com/helmfile/helmfile", "github.com/helmfile/helmfile"),
        Tool(
            "cyclonus",
            "cyclonus",
            "github.com/mattfenwick/cyclonus/cmd/cyclonus",
            "github.com/mattfenwick/cyclonus",
        ),
        Tool(
            "otel-collector",
            "otel-collector",
            version_of=f"{OTEL_CONTRIB}/receiver/prometheusreceiver",
            # Prometheus would bring the SDK of every cloud along, to discover machines in it.
            tags="remove_all_sd,enable_kubernetes_sd",
        ),
    )
}

# What `pgaas-lab env` puts on PATH.
FOR_HANDS = ("kubectl", "helm", "helmfile", "cyclonus", "kubectl-cnpg")


def find(name: str) -> Tool:
    """Return a tool by its name. Raise UsageError if there is none."""
    if name not in TOOLS:
        raise UsageError(f"{name}: no such tool; they are {', '.join(TOOLS)}")
    return TOOLS[name]


def parse_version(go_mod: str, module: str) -> str:
    """Return the version that a go.mod requires of a module. Raise ToolFailed if it names none."""
    found = re.search(rf"^(?:require)?\s*{re.escape(module)} (v\S+)", go_mod, re.MULTILINE)
    if not found:
        raise ToolFailed(f"the wrapper module of {module} does not require it: run `go get {module}` there")
    return found.group(1)


def version(tool: Tool) -> str:
    """Return the version of a tool, as its wrapper module pins it."""
    if not tool.version_of:
        return "v1"
    return parse_version((paths.GO_MODULES / tool.module / "go.mod").read_text(), tool.version_of)


def linker_flags(tool: Tool) -> str:
    """Return the -ldflags of a tool; Kubernetes calls itself v0.0.0 unless its version is stamped."""
    if not tool.stamped:
        return "-s -w "
    number = version(tool)
    major, minor = number.removeprefix("v").split(".")[:2]
    stamps = {
        "gitVersion": number,
        "gitMajor": major,
        "gitMinor": minor,
        "gitCommit": "x",
        "gitTreeState": "clean",
    }
    return "-s -w " + " ".join(
        f"-X k8s.io/component-base/version.{key}={value}" for key, value in stamps.items()
    )


def build_argv(tool: Tool, output: Path) -> list[str]:
    """Return the command that builds a tool."""
    flags = ["-v", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", linker_flags(tool)]
    if tool.tags:
        flags += ["-tags", tool.tags]
    return ["go", "build", *flags, "-o", str(output), tool.package]


def recipe(tool: Tool) -> str:
    """Return a short hash of everything but the version that decides what is built."""
    digest = hashlib.sha256(f"{linker_flags(tool)}{tool.tags}".encode())
    folder = paths.GO_MODULES / tool.module
    for file in sorted([folder / "go.mod", *folder.glob("*.go")]):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:8]


def binary(tool: Tool) -> Path:
    """Return where a built tool stands in the cache."""
    return paths.cache() / "bin" / f"{tool.name}-{version(tool)}-{recipe(tool)}"


def ensure(name: str, say: Callable[[str], None] | None = None) -> Path:
    """Return a tool's binary, built first if it is missing. Raise ToolMissing without Go, else ToolFailed."""
    tool = find(name)
    target = binary(tool)
    if not target.exists():
        with building(target):
            if not target.exists():
                build(tool, target, say or (lambda _: None))
    if name in FOR_HANDS:
        link(name, target)
    return target


def building(target: Path) -> AbstractContextManager[None]:
    """Let one process at a time build one binary."""
    return one_at_a_time(target.with_name(f".{target.name}.lock"))


def build(tool: Tool, target: Path, say: Callable[[str], None]) -> None:
    """Build a tool into the cache."""
    compiled = 0

    def on_line(line: str) -> None:
        nonlocal compiled
        compiled += 1
        say(f"{compiled} packages, {line}"[:70])

    temporary = target.with_name(f".{target.name}.new")
    run_streamed(
        build_argv(tool, temporary),
        paths.cache() / "logs" / f"{tool.name}.log",
        on_line,
        env={"CGO_ENABLED": "0"},
        cwd=paths.GO_MODULES / tool.module,
    )
    temporary.replace(target)


def link(name: str, target: Path) -> None:
    """Put a built tool under its plain name into the folder for PATH."""
    folder = paths.tool_path()
    plain = folder / name
    if plain.is_symlink() and plain.readlink() == target:
        return
    # Two processes may have waited for the same build, and come here at the same moment.
    with building(plain):
        temporary = folder / f".{name}.new"
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(target)
        temporary.replace(plain)


def source_folder(tool: Tool) -> Path:
    """Return the folder of a tool's own module in Go's module cache, which also holds its manifests."""
    argv = ["go", "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", tool.version_of]
    found = run(argv, cwd=paths.GO_MODULES / tool.module, timeout=120).stdout.strip()
    if not found:
        run(["go", "mod", "download", tool.version_of], cwd=paths.GO_MODULES / tool.module, timeout=600)
        found = run(argv, cwd=paths.GO_MODULES / tool.module, timeout=120).stdout.strip()
    return Path(found)

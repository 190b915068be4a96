"""Images of Prometheus, which is Debian's, and of the collector, which is built as the lab's programs are."""

import shutil
from pathlib import Path
from typing import Any

from pgaas_lab import archives, images, packages, paths, tools
from pgaas_lab.archives import Image
from pgaas_lab.command import run
from pgaas_lab.errors import ToolMissing
from pgaas_lab.images import Recipe, Say

PACKAGE = "prometheus"
# Not under upstream's name: which version it is, the machine's Debian decides.
PROMETHEUS_IMAGE = "docker.io/pgaas-lab/prometheus:debian"
# It is linked to the C library only, which is taken from the same Debian.
LIBRARIES = ("/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6")
PROGRAMS = ("prometheus", "promtool")
COLLECTOR = "otel-collector"


def collector_image() -> str:
    """Return the name of the collector's image, which is the chart's own."""
    return f"docker.io/otel/opentelemetry-collector-contrib:{images.tag(COLLECTOR).removeprefix('v')}"


def recipes() -> list[Recipe]:
    """Return the images that are made of one program, for the lab's list."""
    program = "/otelcol-contrib"
    return [Recipe(COLLECTOR, collector_image(), ((COLLECTOR, program),), program, "10001")]


def lab_values() -> dict[str, Any]:
    """Return what the lab gives the release pgaas-observability beside its own values.

    Grafana is not to be had here.
    """
    return {
        "prometheus": {"image": PROMETHEUS_IMAGE},
        "grafana": {"enabled": False},
        "otelCollector": {"image": collector_image()},
    }


def prometheus_archive() -> Path:
    """Return where the archive of Prometheus's image stands in the cache."""
    return images.archive_file(PACKAGE, PROMETHEUS_IMAGE, LIBRARIES)


def ensure_prometheus(say: Say) -> Path:
    """Return the archive of Prometheus's image, built first if it is missing."""
    target = prometheus_archive()
    if not target.exists():
        program = ensure_program("prometheus", say)
        files = [(program, "/bin/prometheus"), *((Path(path).resolve(), path) for path in LIBRARIES)]
        layer = archives.write_layer(images.temporary(target, ".layer"), files)
        config = {"Entrypoint": ["/bin/prometheus"], "User": "65534", "WorkingDir": "/prometheus"}
        images.publish(target, [Image((PROMETHEUS_IMAGE,), config, (layer,))])
        layer.file.unlink()
    return target


def ensure_program(name: str, say: Say = lambda _: None) -> Path:
    """Return prometheus or promtool of Debian's package, fetched first; promtool goes onto the lab's PATH.

    The package is not installed: nothing of it is started. Raise ToolMissing without apt-get, or ToolFailed.
    """
    tree = paths.cache() / "debian" / PACKAGE
    if not tree.exists():
        with tools.building(tree):
            if not tree.exists():
                fetch(tree, say)
    tools.link("promtool", tree / "usr/bin/promtool")
    return tree / "usr/bin" / name


def fetch(tree: Path, say: Say) -> None:
    """Unpack Debian's package into a folder, which is there at once or not at all."""
    if packages.which("apt-get") is None or packages.which("dpkg-deb") is None:
        raise ToolMissing(f"this machine has no apt-get and dpkg-deb: the lab takes {PACKAGE} from Debian")
    unfinished = tree.with_name(f".{tree.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    say("fetching the package")
    with packages.apt_alone():
        if run(["apt-get", "download", PACKAGE], cwd=unfinished, timeout=300, check=False).returncode:
            run(["apt-get", "update"], timeout=300, check=False)
            run(["apt-get", "download", PACKAGE], cwd=unfinished, timeout=300)
    say("unpacking it")
    (package,) = unfinished.glob("*.deb")
    run(["dpkg-deb", "--extract", package, unfinished], timeout=120)
    package.unlink()
    unfinished.replace(tree)

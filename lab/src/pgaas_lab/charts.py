"""A folder of charts for `pgaas infra install --charts`: upstream's, out of the Go modules.

There is no internet here to fetch them from. Beside them are the values by which each release runs the lab's
images on a small machine.
"""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import yaml

from pgaas_lab import extras, images, manifests, paths, tools
from pgaas_lab.manifests import Document

# As upstream's charts have it: to remove a release is not to remove what everybody made of its kinds.
KEEP = {"helm.sh/resource-policy": "keep"}
TEMPLATE = '{{ .Files.Get "objects.yaml" }}\n'


def folder() -> Path:
    """Return the folder of charts, made first if it is missing; its name follows what it is made of."""
    target = place()
    if not target.exists():
        unfinished = target.with_name(f".{target.name}.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        write(unfinished)
        unfinished.replace(target)
    return target


def place() -> Path:
    """Return where the folder of charts is, or will be."""
    return paths.cache() / "charts" / key()


def key() -> str:
    """Return a short hash of everything that decides the charts and their values."""
    digest = hashlib.sha256(yaml.safe_dump(values()).encode())
    for file in sorted(paths.GO_MODULES.glob("*/go.mod")):
        digest.update(file.parent.name.encode() + file.read_bytes())
    for code in (__file__, manifests.__file__):
        digest.update(Path(code).read_bytes())
    return digest.hexdigest()[:12]


def values() -> dict[str, dict[str, Any]]:
    """Return what each release is given beside its own values, by the release's name."""
    alone = {"extraArgs": ["--leader-elect=false"]}
    return {
        "cert-manager": {
            "replicaCount": 1,
            "prometheus": {"enabled": False},
            # This chart is older than the one that pgaas is written for, and has other names for some values.
            "startupapicheck": {"enabled": False},
            **alone,
            "cainjector": alone,
        },
        "seaweedfs": {"image": images.seaweedfs_image()},
        **extras.values(),
    }


def write(target: Path) -> None:
    """Write the charts and their values into a folder."""
    cert_manager(target / "cert-manager")
    wrap(target / "cloudnative-pg", images.tag("cnpg-manager"), operator())
    wrap(target / "plugin-barman-cloud", images.tag("barman-manager"), plugin())
    (target / "values").mkdir()
    for release, content in values().items():
        (target / "values" / f"{release}.yaml").write_text(yaml.safe_dump(content))


def wrap(chart: Path, version: str, documents: list[Document]) -> None:
    """Write objects as a chart that has them as they are, but for their namespace, which is the release's."""
    objects = [kept(document) for document in documents if document["kind"] != "Namespace"]
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text(yaml.safe_dump(facts(chart.name, version)))
    # Not a template itself: what stands in braces in it is not helm's.
    (chart / "objects.yaml").write_text(yaml.dump_all(objects, Dumper=yaml.CSafeDumper, sort_keys=False))
    (chart / "templates" / "objects.yaml").write_text(TEMPLATE)


def kept(document: Document) -> Document:
    """Return a document that stays when its release goes, if it is a kind."""
    if document["kind"] != "CustomResourceDefinition":
        return document
    metadata = document["metadata"]
    return {**document, "metadata": {**metadata, "annotations": {**metadata.get("annotations", {}), **KEEP}}}


def facts(name: str, version: str) -> dict[str, Any]:
    """Return what Chart.yaml says."""
    return {"apiVersion": "v2", "name": name, "version": version.removeprefix("v"), "appVersion": version}


def cert_manager(chart: Path) -> None:
    """Write cert-manager's chart, which in its module still has to be put together."""
    source = tools.source_folder(tools.find("cert-manager-controller")) / "deploy"
    number = images.tag("cert-manager-controller")
    (chart / "templates").mkdir(parents=True)
    for file in (source / "charts" / "cert-manager").rglob("*"):
        # Go's module cache is read-only, and its modes would come along.
        if file.is_file() and file.name not in ("Chart.template.yaml", "README.template.md"):
            place = chart / file.relative_to(source / "charts" / "cert-manager")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)
    (chart / "Chart.yaml").write_text(yaml.safe_dump(facts("cert-manager", number)))
    for definition in (source / "crds").glob("crd-*.yaml"):
        keep = "  annotations:\n" + "".join(f"    {name}: {value}\n" for name, value in KEEP.items())
        (chart / "templates" / definition.name).write_text(
            definition.read_text().replace("metadata:\n", f"metadata:\n{keep}", 1)
        )


def for_the_lab(documents: list[Document]) -> list[Document]:
    """Return upstream documents as a small machine without a registry can run them."""
    small = manifests.without_processor_limits(documents)
    return manifests.without_election(manifests.without_pulling(small))


def operator() -> list[Document]:
    """Return CloudNativePG's documents."""
    number = images.tag("cnpg-manager").removeprefix("v")
    source = tools.source_folder(tools.find("cnpg-manager"))
    return for_the_lab(manifests.parse((source / "releases" / f"cnpg-{number}.yaml").read_text()))


def plugin() -> list[Document]:
    """Return the Barman Cloud plugin's documents."""
    source = tools.source_folder(tools.find("barman-manager"))
    documents = manifests.parse((source / "manifest.yaml").read_text())
    # The module holds the manifest that its own tests use, with the images of a development build.
    testing = "ghcr.io/cloudnative-pg/plugin-barman-cloud-testing"
    documents = manifests.with_images(documents, {testing: images.plugin_image()})
    documents = manifests.with_secret_value(documents, "SIDECAR_IMAGE", images.sidecar_image())
    return for_the_lab(documents)

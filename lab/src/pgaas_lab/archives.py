"""Write layers and docker archives, which `ctr images import` reads: no registry is needed."""

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Layer:
    """A layer's tar file and its digest."""

    file: Path
    digest: str


@dataclass(frozen=True)
class Image:
    """An image to be: the names it is imported under, its configuration and its layers."""

    names: tuple[str, ...]
    config: dict[str, Any]
    layers: tuple[Layer, ...]


def digest_of(file: Path) -> str:
    """Return the SHA-256 of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def entry(
    name: str, *, kind: bytes = tarfile.REGTYPE, mode: int = 0o755, size: int = 0, target: str = ""
) -> tarfile.TarInfo:
    """Return a tar entry that is the same whenever and by whomever it is made."""
    info = tarfile.TarInfo(name.lstrip("/"))
    info.type, info.mode, info.size, info.linkname = kind, mode, size, target
    return info


ACCOUNTS = b"root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n"


def write_layer(
    file: Path,
    files: Sequence[tuple[Path, str]],
    links: Sequence[tuple[str, str]] = (),
    *,
    accounts: bool = True,
) -> Layer:
    """Write a layer of programs and links (name, target), and `accounts` that programs look for."""
    folders = {
        str(parent) for _, path in files for parent in Path(path.lstrip("/")).parents if str(parent) != "."
    }
    with tarfile.open(file, "w") as archive:
        for folder in sorted(folders):
            archive.addfile(entry(folder, kind=tarfile.DIRTYPE))
        if accounts:
            archive.addfile(entry("etc", kind=tarfile.DIRTYPE))
            archive.addfile(entry("tmp", kind=tarfile.DIRTYPE, mode=0o1777))
            archive.addfile(entry("etc/passwd", mode=0o644, size=len(ACCOUNTS)), io.BytesIO(ACCOUNTS))
        for source, path in files:
            with source.open("rb") as stream:
                archive.addfile(entry(path, size=source.stat().st_size), stream)
        for name, target in links:
            archive.addfile(entry(name, kind=tarfile.SYMTYPE, target=target))
    return Layer(file, digest_of(file))


def config_of(image: Image) -> bytes:
    """Return an image's configuration as it stands in the archive."""
    content = {
        "architecture": "amd64",
        "os": "linux",
        "config": image.config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.digest}" for layer in image.layers]},
        "history": [{"created_by": "pgaas-lab"} for _ in image.layers],
    }
    return json.dumps(content, sort_keys=True).encode()


def write_archive(file: Path, images: Sequence[Image]) -> None:
    """Write images into one docker archive; a layer that they share is there once."""
    manifest = []
    with tarfile.open(file, "w") as archive:
        layers = {layer.digest: layer for image in images for layer in image.layers}
        for layer in layers.values():
            archive.add(layer.file, arcname=f"{layer.digest}/layer.tar")
        for image in images:
            config = config_of(image)
            name = f"{hashlib.sha256(config).hexdigest()}.json"
            add_bytes(archive, name, config)
            tars = [f"{layer.digest}/layer.tar" for layer in image.layers]
            manifest.append({"Config": name, "RepoTags": list(image.names), "Layers": tars})
        add_bytes(archive, "manifest.json", json.dumps(manifest).encode())


def add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    """Add a file to an archive."""
    archive.addfile(entry(name, mode=0o644, size=len(content)), io.BytesIO(content))

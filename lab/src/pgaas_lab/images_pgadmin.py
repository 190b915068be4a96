"""pgAdmin's image: its PyPI package on Debian's Python, started as upstream's image starts it."""

import hashlib
import shutil
from pathlib import Path

from pgaas_lab import images, rootfs
from pgaas_lab.archives import Image
from pgaas_lab.command import run
from pgaas_lab.errors import ToolFailed
from pgaas_lab.images import Say
from pgaas_lab.rootfs import Tree

PGADMIN_IMAGE = "docker.io/dpage/pgadmin4:9.18"
DATA = Path(__file__).parent / "data" / "pgadmin"
REQUIREMENTS, ENTRYPOINT = DATA / "requirements.txt", DATA / "entrypoint.sh"
# Debian trixie's. psycopg's wheel brings libpq along.
PYTHON = "3.13"
PACKAGES = (f"python{PYTHON}", "python3-minimal", "ca-certificates")
UID = "5050"
SITE, APPLICATION = Path("usr/local/lib/pgadmin"), Path("pgadmin4")
# Two thirds of what the packages hold: manuals, and descriptions of clouds that pgAdmin could deploy to.
UNUSED = (
    "pgadmin4/docs",
    "googleapiclient/discovery_cache/documents",
    "botocore/data",
    "azure",
    "google/cloud",
    "babel/locale-data/[!er]*",
)


def tree() -> Tree:
    """Return the tree of the image."""
    content = hashlib.sha256(REQUIREMENTS.read_bytes() + ENTRYPOINT.read_bytes()).hexdigest()
    return Tree("pgadmin", PACKAGES, facts=(content, UID, str(SITE), *UNUSED), work=prepare)


def prepare(folder: Path) -> dict[str, str]:
    """Put pgAdmin where upstream's image has it, and return which version it is. Raise ToolFailed."""
    site = folder / SITE
    platform = "x86_64-manylinux_2_36"
    where = ["--target", site, "--python-version", PYTHON, "--python-platform", platform]
    run(
        ["uv", "pip", "install", "--quiet", "--no-deps", *where, "--requirement", REQUIREMENTS],
        timeout=900,
        env={"UV_COMPILE_BYTECODE": "0", "UV_LINK_MODE": "copy"},
    )
    for pattern in UNUSED:
        for path in site.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (site / "pgadmin4").rename(folder / APPLICATION)
    (folder / APPLICATION / "config_distro.py").write_text("")
    shutil.copyfile(ENTRYPOINT, folder / "entrypoint.sh")
    (folder / "entrypoint.sh").chmod(0o755)
    run(
        ["chroot", folder, "useradd", "--system", "--uid", UID, "--user-group", "--no-create-home", "pgadmin"]
    )
    state = folder / "var/lib/pgadmin"
    state.mkdir()
    shutil.chown(state, int(UID), int(UID))
    # The image's disk is read-only, so what Python compiles must be there.
    run(
        ["chroot", folder, f"python{PYTHON}", "-m", "compileall", "-q", f"/{SITE}", f"/{APPLICATION}"],
        timeout=600,
    )
    version = (folder / APPLICATION / "version.py").read_text()
    release = ".".join(
        line.partition("=")[2].strip()
        for line in version.splitlines()
        if line.startswith(("APP_RELEASE ", "APP_REVISION "))
    )
    if not PGADMIN_IMAGE.endswith(f":{release}"):
        raise ToolFailed(f"pgAdmin {release} is installed, but the image is to be {PGADMIN_IMAGE}")
    return {"version": release}


def archive() -> Path:
    """Return where the archive of the image stands in the cache."""
    return images.archive_file("pgadmin", PGADMIN_IMAGE, rootfs.recipe(tree()))


def ensure(say: Say) -> Path:
    """Return the archive of the image, built first if it is missing. Raise ToolFailed."""
    target = archive()
    if not target.exists():
        built = rootfs.ensure_tree(tree(), say)
        say("writing the archive")
        config = {
            "Entrypoint": ["/entrypoint.sh"],
            "User": UID,
            "WorkingDir": f"/{APPLICATION}",
            "Env": [
                "PATH=/usr/local/bin:/usr/bin:/bin",
                f"PYTHONPATH=/{APPLICATION}:/{SITE}",
                "LANG=C.UTF-8",
            ],
        }
        images.publish(target, [Image((PGADMIN_IMAGE,), config, (built.layer,))])
    return target

"""The image of the local directory: Debian's slapd, as in the image that the chart names."""

from pathlib import Path

from pgaas_lab import images, rootfs
from pgaas_lab.archives import Image
from pgaas_lab.images import Say
from pgaas_lab.rootfs import Tree

PACKAGES = ("slapd",)
# As the chart has it. Upstream's image is Debian's too, of the same suite.
OPENLDAP_IMAGE = "docker.io/vegardit/openldap:2.6.10"
PROGRAM = "/usr/sbin/slapd"
# What debootstrap brings and slapd has no use for.
LEFT_OUT = (*rootfs.LEFT_OUT, "./var/lib/dpkg/*", "./usr/share/zoneinfo/*", "./usr/share/perl*")


def tree() -> Tree:
    """Return the tree of packages."""
    return Tree("openldap", PACKAGES, left_out=LEFT_OUT)


def archive() -> Path:
    """Return where the image's archive stands in the cache."""
    return images.archive_file("openldap", rootfs.recipe(tree()), OPENLDAP_IMAGE)


def ensure(say: Say) -> Path:
    """Return the image's archive, built first if it is missing. Raise ToolFailed with debootstrap's words."""
    target = archive()
    if not target.exists():
        built = rootfs.ensure_tree(tree(), say)
        say("writing the archive")
        config = {"User": "65534", "Cmd": [PROGRAM], "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]}
        images.publish(target, [Image((OPENLDAP_IMAGE,), config, (built.layer,))])
    return target

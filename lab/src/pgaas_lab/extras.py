"""The images of what pgaas installs beside PostgreSQL, each made by a module of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgaas_lab import images, images_observability, images_openldap, images_pgadmin
from pgaas_lab.images import Recipe, Say


@dataclass(frozen=True)
class Extra:
    """An image that is made of more than a program: where its archive stands, and what makes it."""

    image: str
    archive: Callable[[], Path]
    ensure: Callable[[Say], Path]


EXTRAS = (
    Extra(images_openldap.OPENLDAP_IMAGE, images_openldap.archive, images_openldap.ensure),
    Extra(
        images_observability.PROMETHEUS_IMAGE,
        images_observability.prometheus_archive,
        images_observability.ensure_prometheus,
    ),
    Extra(images_pgadmin.PGADMIN_IMAGE, images_pgadmin.archive, images_pgadmin.ensure),
)


def recipes() -> list[Recipe]:
    """Return the images that are made of programs, those of the lab's own parts included."""
    return [*images.recipes(), *images_observability.recipes()]


def all_archives() -> list[Path]:
    """Return the archives that a node needs."""
    made = [images.archive_of(recipe) for recipe in recipes()]
    return [*made, images.postgres_archive(), *(extra.archive() for extra in EXTRAS)]


def values() -> dict[str, dict[str, Any]]:
    """Return the values by which the releases run these images, by the release's name."""
    return {
        "openldap": {"image": images_openldap.OPENLDAP_IMAGE},
        "pgaas-observability": images_observability.lab_values(),
    }

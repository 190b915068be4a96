"""confs/admin/ENV/postgresql.yaml: sizes, versions, parameters, monitoring, certificates."""

from typing import Annotated, Literal

from pydantic import Field

from pgaas.config.models.base import FileModel, unset
from pgaas.config.models.types import DnsName, Duration, Image, Line, Quantity, Size
from pgaas.config.parameters import ParameterName, ParameterValue


class StorageClass(FileModel):
    """The StorageClass of every volume; its size comes from the client's profile."""

    storage_class: DnsName
    """The StorageClass of every volume."""


class PostgresqlSettings(FileModel):
    """What all clusters of an environment have in common; delays are in seconds."""

    instances: Annotated[int, Field(ge=1, le=9)]
    """How many instances each cluster has."""
    storage: StorageClass
    """Where volumes come from."""
    parameters: dict[ParameterName, ParameterValue] = Field(default={})
    """PostgreSQL parameters of every cluster; they win over a client's."""
    primary_update_strategy: Literal["unsupervised", "supervised"] = "unsupervised"
    """Whether the primary is updated by itself after the standbys."""
    primary_update_method: Literal["switchover", "restart"] = "switchover"
    """How it is updated: by a switchover to a standby, or by a restart in place."""
    max_start_delay: Annotated[int, Field(ge=1)] = 3600
    """How many seconds an instance may take to start."""
    max_stop_delay: Annotated[int, Field(ge=1)] = 1800
    """How many seconds an instance may take to stop."""


class ResourceAmounts(FileModel):
    """Processor time and memory."""

    cpu: Quantity | None = None
    """Processor time, such as 500m or 2."""
    memory: Size | None = None
    """Memory, such as 512Mi."""


class Resources(FileModel):
    """What a container asks for, and what it may take."""

    requests: ResourceAmounts = unset(ResourceAmounts)
    """What the container is sure to get."""
    limits: ResourceAmounts = unset(ResourceAmounts)
    """What the container can't exceed."""


class VolumeSize(FileModel):
    """The size of each instance's volume."""

    size: Size
    """The size of each instance's volume, such as 10Gi."""


class Sidecar(FileModel):
    """The Barman Cloud plugin's container beside each instance."""

    resources: Resources
    """What the container asks for, and what it may take."""


class StorageProfile(FileModel):
    """A size that clients are given by name."""

    storage: VolumeSize
    """The volume."""
    resources: Resources
    """What PostgreSQL asks for, and what it may take."""
    sidecar: Sidecar
    """The Barman Cloud plugin's container beside each instance."""


class CatalogImage(FileModel):
    """One major version, and the image that runs it."""

    major: Annotated[int, Field(ge=14, le=99)]
    """The major version."""
    image: Image
    """The image that runs it; its tag begins with the version."""


class ImageCatalog(FileModel):
    """The PostgreSQL versions on offer."""

    name: DnsName
    """The name of the ImageCatalog in each client's namespace."""
    images: Annotated[list[CatalogImage], Field(min_length=1)]
    """One image for each major version on offer."""


class PgadminUser(FileModel):
    """The role that pgAdmin logs in as, made in every cluster."""

    name: Line = "pgadmin_readonly"
    """The role's name."""
    roles: list[Line] = Field(default=["pg_read_all_data"])
    """The roles that it is a member of."""


class Pgadmin(FileModel):
    """pgAdmin, one beside each cluster of a client that has ldapCredentials."""

    enabled: bool = True
    """Whether clients with ldapCredentials have a pgAdmin."""
    image: Image
    """pgAdmin's image."""
    resources: Resources
    """What pgAdmin asks for, and what it may take."""


class Monitoring(FileModel):
    """The metrics endpoint of each instance, on port 9187."""

    enabled: bool = True
    """Whether instances serve metrics."""
    tls: bool = True
    """Whether they serve them over TLS."""
    custom_queries: bool = True
    """Whether pgaas's own metrics are served too."""
    disable_default_queries: bool = False
    """Whether the operator's own metrics are left out."""


class Certificates(FileModel):
    """How long certificates last, and how long before their end they are renewed, as Go durations."""

    duration: Duration = "2160h"
    """How long a certificate lasts, such as 2160h."""
    renew_before: Duration = "720h"
    """How long before its end it is renewed."""
    ca_duration: Duration = "87600h"
    """How long a certificate authority lasts."""


class PostgresqlFile(FileModel):
    """The whole file."""

    postgresql: PostgresqlSettings
    """What all clusters have in common."""
    storage_profiles: Annotated[dict[Line, StorageProfile], Field(min_length=1)]
    """The sizes that clients.yaml gives out, by their names."""
    image_catalog: ImageCatalog
    """The PostgreSQL versions on offer."""
    pgadmin_user: PgadminUser = unset(PgadminUser)
    """The role that pgAdmin logs in as."""
    pgadmin: Pgadmin | None = None
    """pgAdmin beside each cluster; without it, there is none."""
    monitoring: Monitoring = unset(Monitoring)
    """The metrics of each instance."""
    certificates: Certificates = unset(Certificates)
    """How long certificates last."""
    user_parameters: list[ParameterName] = Field(default=[])
    """The parameters that a client may set in its databases.yaml."""

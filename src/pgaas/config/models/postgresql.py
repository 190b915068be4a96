"""confs/admin/ENV/postgresql.yaml: sizes, versions, parameters, monitoring, certificates."""

from typing import Annotated, Literal

from pydantic import Field

from pgaas.config.models.base import FileModel, unset
from pgaas.config.models.types import DnsName, Duration, Image, Line, Quantity, Size
from pgaas.config.parameters import ParameterName, ParameterValue


class StorageClass(FileModel):
    """The StorageClass of every volume; its size comes from the client's profile."""

    storage_class: DnsName


class PostgresqlSettings(FileModel):
    """What all clusters of an environment have in common; delays are in seconds."""

    instances: Annotated[int, Field(ge=1, le=9)]
    storage: StorageClass
    parameters: dict[ParameterName, ParameterValue] = Field(default={})
    primary_update_strategy: Literal["unsupervised", "supervised"] = "unsupervised"
    primary_update_method: Literal["switchover", "restart"] = "switchover"
    max_start_delay: Annotated[int, Field(ge=1)] = 3600
    max_stop_delay: Annotated[int, Field(ge=1)] = 1800


class ResourceAmounts(FileModel):
    """Processor time and memory."""

    cpu: Quantity | None = None
    memory: Size | None = None


class Resources(FileModel):
    """What a container asks for, and what it may take."""

    requests: ResourceAmounts = unset(ResourceAmounts)
    limits: ResourceAmounts = unset(ResourceAmounts)


class VolumeSize(FileModel):
    """The size of each instance's volume."""

    size: Size


class Sidecar(FileModel):
    """The Barman Cloud plugin's container beside each instance."""

    resources: Resources


class StorageProfile(FileModel):
    """A size that clients are given by name."""

    storage: VolumeSize
    resources: Resources
    sidecar: Sidecar


class CatalogImage(FileModel):
    """One major version, and the image that runs it."""

    major: Annotated[int, Field(ge=14, le=99)]
    image: Image


class ImageCatalog(FileModel):
    """The PostgreSQL versions on offer."""

    name: DnsName
    images: Annotated[list[CatalogImage], Field(min_length=1)]


class PgadminUser(FileModel):
    """The role that pgAdmin logs in as, made in every cluster."""

    name: Line = "pgadmin_readonly"
    roles: list[Line] = Field(default=["pg_read_all_data"])


class Pgadmin(FileModel):
    """pgAdmin, one beside each cluster of a client that has ldapCredentials."""

    enabled: bool = True
    image: Image
    resources: Resources


class Monitoring(FileModel):
    """The metrics endpoint of each instance, on port 9187."""

    enabled: bool = True
    tls: bool = True
    custom_queries: bool = True
    disable_default_queries: bool = False


class Certificates(FileModel):
    """How long certificates last, and how long before their end they are renewed, as Go durations."""

    duration: Duration = "2160h"
    renew_before: Duration = "720h"
    ca_duration: Duration = "87600h"


class PostgresqlFile(FileModel):
    """The whole file."""

    postgresql: PostgresqlSettings
    storage_profiles: Annotated[dict[Line, StorageProfile], Field(min_length=1)]
    image_catalog: ImageCatalog
    pgadmin_user: PgadminUser = unset(PgadminUser)
    pgadmin: Pgadmin | None = None
    monitoring: Monitoring = unset(Monitoring)
    certificates: Certificates = unset(Certificates)
    user_parameters: list[ParameterName] = Field(default=[])

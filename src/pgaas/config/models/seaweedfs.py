"""confs/admin/local/seaweedfs.yaml: the S3 server of the local environment."""

from pydantic import Field

from pgaas.config.models.base import FileModel
from pgaas.config.models.types import DnsLabel, Line, Port, Size


class SeaweedfsS3(FileModel):
    """The keys that clients use, and the port inside Kubernetes."""

    access_key: Line
    """The access key of the administrator."""
    secret_key: Line
    """The secret key of the administrator."""
    port: Port = 8333
    """The port inside Kubernetes."""


class InfraService(FileModel):
    """Where a part of the local infrastructure is reached."""

    name: DnsLabel
    """The name of the Service."""
    namespace: DnsLabel = "local-infra"
    """The namespace of the Service."""


class SeaweedfsStorage(FileModel):
    """The volume that holds the buckets."""

    size: Size
    """The size of the volume."""


class Seaweedfs(FileModel):
    """One server, shared by both local datacenters."""

    s3: SeaweedfsS3
    """The administrator's keys, and the port."""
    service: InfraService = Field(default_factory=lambda: InfraService.model_construct(name="seaweedfs-s3"))
    """Where the server is reached."""
    storage: SeaweedfsStorage
    """The volume that holds the buckets."""


class SeaweedfsFile(FileModel):
    """The whole file."""

    seaweedfs: Seaweedfs
    """The S3 server of the local environment."""

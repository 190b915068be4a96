"""confs/admin/local/seaweedfs.yaml: the S3 server of the local environment."""

from pydantic import Field

from pgaas.config.models.base import FileModel
from pgaas.config.models.types import DnsLabel, Line, Port, Size


class SeaweedfsS3(FileModel):
    """The keys that clients use, and the port inside Kubernetes."""

    access_key: Line
    secret_key: Line
    port: Port = 8333


class InfraService(FileModel):
    """Where a part of the local infrastructure is reached."""

    name: DnsLabel
    namespace: DnsLabel = "local-infra"


class SeaweedfsStorage(FileModel):
    """The volume that holds the buckets."""

    size: Size


class Seaweedfs(FileModel):
    """One server, shared by both local datacenters."""

    s3: SeaweedfsS3
    service: InfraService = Field(default_factory=lambda: InfraService.model_construct(name="seaweedfs-s3"))
    storage: SeaweedfsStorage


class SeaweedfsFile(FileModel):
    """The whole file."""

    seaweedfs: Seaweedfs

"""confs/admin/ENV/clients.yaml: who is a client, where, with which size, bucket and rights."""

from typing import Annotated, Literal

from pydantic import Field

from pgaas.config.models.base import FileModel, unset
from pgaas.config.models.types import Bucket, Cidr, DistinguishedName, DnsLabel, DnsName, Line

Generation = Annotated[int, Field(ge=1, le=9999)]


class S3Credentials(FileModel):
    """The name of a Secret that exists; in local only, the keys themselves."""

    secret_name: DnsName | None = None
    access_key: Line | None = None
    secret_key: Line | None = None


class LdapCredentials(FileModel):
    """How a client's pgAdmin binds: the password is in a Secret; in local only, it may stand here."""

    bind_dn: DistinguishedName
    bind_password_secret: DnsName | None = None
    bind_password: Line | None = None


class Replication(FileModel):
    """Whether a client's datacenters follow one another, and where a replica reads the other's archive."""

    enabled: bool = False
    replica_source: Literal["archive", "mirror"] = "archive"


class NetworkPolicy(FileModel):
    """Who may reach a client's instances besides its own namespace."""

    allowed_namespaces: list[DnsLabel] = Field(default=[])
    allowed_cidrs: list[Cidr] = Field(default=[], alias="allowedCIDRs")


class Allow(FileModel):
    """What a client may give its own roles beyond what every client may."""

    superuser: bool = False
    replication: bool = False
    bypassrls: bool = False
    createrole: bool = False
    in_roles: list[Line] = Field(default=[])


class Client(FileModel):
    """One client in one environment.

    `archive_generations` maps a cluster's name to which life it is in, `recovered_from` a cluster that was
    rebuilt to the datacenter it was recovered from. `lost_datacenters` were given up in a promotion without
    a token: what is still there must take no writes, until it is rebuilt.
    """

    datacenters: Annotated[list[Line], Field(min_length=1)]
    primary_datacenter: Line | None = None
    origin_datacenter: Line | None = None
    s3_bucket: Bucket
    storage_profile: Line
    s3_credentials: S3Credentials
    ldap_credentials: LdapCredentials | None = None
    replication: Replication = unset(Replication)
    network_policy: NetworkPolicy = unset(NetworkPolicy)
    archive_generations: dict[str, Generation] = Field(default={})
    recovered_from: dict[str, Line] = Field(default={})
    lost_datacenters: list[Line] = Field(default=[])
    allow: Allow = unset(Allow)

    @property
    def primary(self) -> str:
        """Return the datacenter that takes the writes, as the file has it."""
        return self.primary_datacenter or self.datacenters[0]

    @property
    def origin(self) -> str:
        """Return the datacenter whose cluster was the first: all others were recovered from it.

        It has nothing to do with where the primary is now, which moves.
        """
        return self.origin_datacenter or self.datacenters[0]

    def generation(self, cluster: str) -> int:
        """Return which life of a cluster archives now; the first is 1."""
        return self.archive_generations.get(cluster, 1)


class ClientsFile(FileModel):
    """The whole file: clients by their INS code."""

    clients: dict[str, Client]

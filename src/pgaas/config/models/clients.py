"""confs/admin/ENV/clients.yaml: who is a client, where, with which size, bucket and rights."""

from typing import Annotated, Literal

from pydantic import Field

from pgaas.config.models.base import FileModel, unset
from pgaas.config.models.types import Bucket, Cidr, DistinguishedName, DnsLabel, DnsName, Line, Owner

Generation = Annotated[int, Field(ge=1, le=9999)]


class S3Credentials(FileModel):
    """The name of a Secret that exists; in local only, the keys themselves."""

    secret_name: DnsName | None = None
    """A Secret in the client's namespace with the keys accessKey and secretKey."""
    access_key: Line | None = None
    """The access key itself; in local only."""
    secret_key: Line | None = None
    """The secret key itself; in local only."""


class LdapCredentials(FileModel):
    """How a client's pgAdmin binds: the password is in a Secret; in local only, it may stand here."""

    bind_dn: DistinguishedName
    """The entry that the client's pgAdmin binds as."""
    bind_password_secret: DnsName | None = None
    """A Secret in the client's namespace with the key password."""
    bind_password: Line | None = None
    """The password itself; in local only."""


class Replication(FileModel):
    """Whether a client's datacenters follow one another, and where a replica reads the other's archive."""

    enabled: bool = False
    """Whether the client's datacenters follow one another."""
    replica_source: Literal["archive", "mirror"] = "archive"
    """Where a replica reads: the other datacenter's own archive, or a mirror of it (the -replica/ prefix)."""


class NetworkPolicy(FileModel):
    """Who may reach a client's instances besides its own namespace."""

    allowed_namespaces: list[DnsLabel] = Field(default=[])
    """Namespaces whose pods may connect."""
    allowed_cidrs: list[Cidr] = Field(default=[], alias="allowedCIDRs")
    """Networks outside Kubernetes that may connect, such as 10.0.0.0/8."""


class Allow(FileModel):
    """What a client may give its own roles beyond what every client may."""

    superuser: bool = False
    """Whether a role may be a superuser."""
    replication: bool = False
    """Whether a role may stream the WAL and take base backups."""
    bypassrls: bool = False
    """Whether a role may pass by row level security."""
    createrole: bool = False
    """Whether a role may make other roles."""
    in_roles: list[Line] = Field(default=[])
    """Further roles that the client's roles may be members of, such as pg_create_subscription."""


class Client(FileModel):
    """One client in one environment.

    `archive_generations` maps a cluster's name to which life it is in, `recovered_from` a cluster that was
    rebuilt to the datacenter it was recovered from. `lost_datacenters` were given up in a promotion without
    a token: what is still there must take no writes, until it is rebuilt.
    """

    datacenters: Annotated[list[Line], Field(min_length=1)]
    """The datacenters that the client has a cluster in; the first is the default of --dc."""
    primary_datacenter: Line | None = None
    """Which of them takes writes; pgaas writes it at a switchover. By default the first."""
    origin_datacenter: Line | None = None
    """Whose cluster was the first, from which all others were recovered; pgaas writes it. By default the
    first.
    """
    s3_bucket: Bucket
    """The bucket of the client's archives."""
    storage_profile: Line
    """The size: a name from storageProfiles in postgresql.yaml."""
    s3_credentials: S3Credentials
    """How the bucket is reached."""
    ldap_credentials: LdapCredentials | None = None
    """How the client's pgAdmin asks the directory; without it, the client has no pgAdmin."""
    replication: Replication = unset(Replication)
    """Whether and how the client's datacenters replicate."""
    network_policy: NetworkPolicy = unset(NetworkPolicy)
    """Who may connect besides the client's own namespace."""
    archive_generations: dict[str, Generation] = Field(default={})
    """Which life each cluster is in, by its name; pgaas writes it. The first is 1."""
    recovered_from: dict[str, Line] = Field(default={})
    """From which datacenter each rebuilt cluster was recovered, by its name; pgaas writes it."""
    lost_datacenters: list[Line] = Field(default=[])
    """Datacenters that were given up in a promotion without a token; pgaas writes it."""
    allow: Allow = unset(Allow)
    """What the client may give its own roles beyond what every client may."""
    owners: list[Owner] = Field(default=[])
    """Who approves changes to the client's folder in the users' repository, as CODEOWNERS has it: @user,
    @group/team or an e-mail address.
    """

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

    owners: list[Owner] = Field(default=[])
    """Who approves changes to everything in the users' repository: the platform team."""
    clients: dict[str, Client]
    """The clients by their INS code."""

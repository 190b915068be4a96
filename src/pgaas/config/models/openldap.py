"""confs/admin/local/openldap.yaml: the directory of the local environment."""

from pgaas.config.models.base import FileModel, unset
from pgaas.config.models.types import DistinguishedName, DnsLabel, DnsName, Line, Port


class LdapService(FileModel):
    """Where the directory is reached."""

    name: DnsLabel = "openldap-openldap"
    """The name of the Service."""
    namespace: DnsLabel = "local-infra"
    """The namespace of the Service."""
    port: Port = 389
    """The port of the Service."""


class Openldap(FileModel):
    """One directory for each local datacenter, with one user for each client."""

    organization: Line
    """The organization's name."""
    domain: DnsName
    """The directory's domain."""
    base_dn: DistinguishedName
    """The directory's root entry."""
    admin_password: Line
    """The password of the directory's administrator."""
    config_password: Line
    """The password of the administrator of cn=config."""
    service: LdapService = unset(LdapService)
    """Where the directory is reached."""


class OpenldapFile(FileModel):
    """The whole file."""

    openldap: Openldap
    """The directory of the local environment."""

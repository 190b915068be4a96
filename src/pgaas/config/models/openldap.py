"""confs/admin/local/openldap.yaml: the directory of the local environment."""

from pgaas.config.models.base import FileModel, unset
from pgaas.config.models.types import DistinguishedName, DnsLabel, DnsName, Line, Port


class LdapService(FileModel):
    """Where the directory is reached."""

    name: DnsLabel = "openldap-openldap"
    namespace: DnsLabel = "local-infra"
    port: Port = 389


class Openldap(FileModel):
    """One directory for each local datacenter, with one user for each client."""

    organization: Line
    domain: DnsName
    base_dn: DistinguishedName
    admin_password: Line
    config_password: Line
    service: LdapService = unset(LdapService)


class OpenldapFile(FileModel):
    """The whole file."""

    openldap: Openldap

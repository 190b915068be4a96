"""confs/admin/ENV/ldap.yaml: the directory that pgAdmin's users log in with; not in local."""

from pgaas.config.models.base import FileModel
from pgaas.config.models.types import DistinguishedName, LdapUrl, SearchFilter


class Ldap(FileModel):
    """A directory shared by all clients; how each of them binds is in clients.yaml."""

    server_uri: LdapUrl
    base_dn: DistinguishedName
    search_filter: SearchFilter = "(objectclass=*)"


class LdapFile(FileModel):
    """The whole file."""

    ldap: Ldap

"""confs/admin/ENV/ldap.yaml: the directory that pgAdmin's users log in with; not in local."""

from pgaas.config.models.base import FileModel
from pgaas.config.models.types import DistinguishedName, DnsName, LdapUrl, SearchFilter


class Ldap(FileModel):
    """A directory shared by all clients; how each of them binds is in clients.yaml.

    `{ins}` in the filter stands for the client's code. `ca_config_map` is a ConfigMap, in the client's
    namespace, whose ca.crt the directory's certificate is from; without it, a public authority.
    """

    server_uri: LdapUrl
    base_dn: DistinguishedName
    search_filter: SearchFilter = "(objectclass=*)"
    any_user: bool = False
    ca_config_map: DnsName | None = None


class LdapFile(FileModel):
    """The whole file."""

    ldap: Ldap

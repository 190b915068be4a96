"""confs/admin/ENV/ldap.yaml: the directory that pgAdmin's users log in with; not in local."""

from pgaas.config.models.base import FileModel
from pgaas.config.models.types import DistinguishedName, DnsName, LdapUrl, SearchFilter


class Ldap(FileModel):
    """A directory shared by all clients; how each of them binds is in clients.yaml.

    `{ins}` in the filter stands for the client's code. `ca_config_map` is a ConfigMap, in the client's
    namespace, whose ca.crt the directory's certificate is from; without it, a public authority.
    """

    server_uri: LdapUrl
    """The directory, such as ldaps://ldap.example.com:636."""
    base_dn: DistinguishedName
    """The entry below which people are looked up."""
    search_filter: SearchFilter = "(objectclass=*)"
    """Which of them may log in; {ins} stands for the client's code."""
    any_user: bool = False
    """Whether a filter without {ins} is meant: everyone it finds may log in to every client's pgAdmin."""
    ca_config_map: DnsName | None = None
    """A ConfigMap in the client's namespace whose ca.crt vouches for the directory; without it, a public
    authority does.
    """


class LdapFile(FileModel):
    """The whole file."""

    ldap: Ldap
    """The directory that pgAdmin's users log in with."""

"""pgAdmin's settings: what differs from client to client stands in settings.json, and secrets in files.

pgAdmin reads this once, when it starts.
"""

import json
from pathlib import Path

SETTINGS = Path("/pgadmin4/pgaas")
SECRETS = Path("/pgadmin4/secrets")
LDAP_CA = Path("/pgadmin4/ldap-ca/ca.crt")

_ldap = json.loads((SETTINGS / "settings.json").read_text())

# People come from the directory, and nobody from elsewhere: not the account either that owns the shared
# servers, whose failed logins pgAdmin would not count.
AUTHENTICATION_SOURCES = ["ldap"]
LDAP_AUTO_CREATE_USER = True
LDAP_SERVER_URI = _ldap["serverUri"]
LDAP_USERNAME_ATTRIBUTE = "uid"
LDAP_BASE_DN = _ldap["baseDn"]
LDAP_SEARCH_BASE_DN = _ldap["baseDn"]
LDAP_SEARCH_SCOPE = "SUBTREE"
# ANDed with (uid=LOGIN): who is not found by it does not get in, whatever the password.
LDAP_SEARCH_FILTER = _ldap["searchFilter"]
LDAP_BIND_USER = _ldap["bindDn"]
LDAP_BIND_PASSWORD = (SECRETS / "ldap-bind" / "password").read_text().rstrip("\n")
LDAP_ANONYMOUS_BIND = False
LDAP_CERT_VALIDATE = True
if LDAP_CA.is_file():
    LDAP_CA_CERT_FILE = str(LDAP_CA)
# Otherwise a person whose mail is in such a domain is told that the password is wrong.
ALLOW_SPECIAL_EMAIL_DOMAINS = ["local"]
CHECK_EMAIL_DELIVERABILITY = False

# There is no password to keep: PostgreSQL is reached by a certificate.
ALLOW_SAVE_PASSWORD = False
ALLOW_SAVE_TUNNEL_PASSWORD = False
MASTER_PASSWORD_REQUIRED = False

# What the network policy would not let through anyway.
UPGRADE_CHECK_ENABLED = False
ENABLE_PSQL = False
LLM_ENABLED = False
SHOW_GRAVATAR_IMAGE = False

SESSION_COOKIE_SECURE = True
SESSION_COOKIE_SAMESITE = "Lax"
CONSOLE_LOG_LEVEL = 30

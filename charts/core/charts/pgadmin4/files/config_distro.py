"""What the image writes into this file where it is empty; here it is not, so its disk can be read-only."""

from pathlib import Path

CA_FILE = "/etc/ssl/certs/ca-certificates.crt"
LOG_FILE = "/dev/null"
HELP_PATH = "../../docs"
# pg_dump and the like, a folder for each major version.
DEFAULT_BINARY_PATHS = {
    folder.name.replace("pgsql-", "pg-"): str(folder) for folder in sorted(Path("/usr/local").glob("pgsql-*"))
}

#!/bin/sh
# Starts pgAdmin with the variables and files that the image dpage/pgadmin4 takes, as far as pgaas's chart uses them.
set -eu
cd /pgadmin4
export CONFIG_DISTRO_FILE_PATH=/pgadmin4/config_distro.py

if [ ! -e /var/lib/pgadmin/pgadmin4.db ]; then
    PGADMIN_SETUP_EMAIL=$PGADMIN_DEFAULT_EMAIL
    PGADMIN_SETUP_PASSWORD=$(cat "$PGADMIN_DEFAULT_PASSWORD_FILE")
    export PGADMIN_SETUP_EMAIL PGADMIN_SETUP_PASSWORD
    python3 setup.py setup-db
    python3 setup.py load-servers "$PGADMIN_SERVER_JSON_FILE" --user "$PGADMIN_DEFAULT_EMAIL"
    unset PGADMIN_SETUP_PASSWORD
fi

# One worker: sessions are kept in its memory.
set -- --bind "0.0.0.0:${PGADMIN_LISTEN_PORT:-443}" --workers 1 --threads 25 --timeout 86400 --access-logfile -
if [ -n "${PGADMIN_ENABLE_TLS:-}" ]; then
    set -- "$@" --certfile /certs/server.cert --keyfile /certs/server.key
fi
exec python3 -m gunicorn "$@" pgAdmin4:app

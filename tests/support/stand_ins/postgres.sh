#!/bin/bash
# Makes a new cluster with the password of the file, runs the scripts, and becomes the server.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    mkdir -p -m 700 "$PGDATA"
    initdb --username=postgres --pwfile="$POSTGRES_PASSWORD_FILE" --auth-host=scram-sha-256 \
        --auth-local=trust --encoding=UTF8 --locale=C.UTF-8
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    export PGHOST=/tmp PGUSER=postgres
    pg_ctl --wait --options="-c listen_addresses='' -k /tmp" start
    for script in /docker-entrypoint-initdb.d/*.sh; do
        [ ! -e "$script" ] || bash "$script"
    done
    pg_ctl --wait --mode=fast stop
fi
exec postgres -c listen_addresses='*' -k /tmp

#!/bin/sh
# Makes Temporal's two databases and updates their schemas. A repeat changes nothing.
set -eu
SQL_PASSWORD=$(cat /run/secrets/temporal_db_password)
export SQL_PASSWORD
for database in temporal temporal_visibility; do
    tool="temporal-sql-tool --plugin postgres12 --ep postgres -p 5432 -u temporal --db $database"
    # It fails if the database is there. If it fails for another reason, the next step fails too.
    $tool create || true
    $tool setup-schema -v 0.0
    schema=temporal
    [ "$database" = temporal ] || schema=visibility
    $tool update-schema -d "/etc/temporal/schema/postgresql/v12/$schema/versioned"
done

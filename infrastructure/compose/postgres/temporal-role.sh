#!/bin/bash
# Makes Temporal's role once, when the cluster is new. The pipeline makes its own roles.
set -eu
psql --quiet --set ON_ERROR_STOP=1 --set "secret=$(cat /run/secrets/temporal_db_password)" <<'SQL'
CREATE ROLE temporal LOGIN CREATEDB PASSWORD :'secret';
SQL

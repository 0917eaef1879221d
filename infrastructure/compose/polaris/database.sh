#!/bin/sh
# Makes the role and the database of Polaris unless they are there, and sets the role's password.
set -eu
secrets=${SECRETS_FOLDER:-/run/secrets}
PGPASSWORD=$(cat "$secrets/postgres_admin_password")
export PGPASSWORD PGUSER=postgres PGDATABASE=postgres
# psql reads the password from its environment, so that no argument shows it.
POLARIS_PASSWORD=$(cat "$secrets/postgres_polaris_password") psql --quiet --set ON_ERROR_STOP=1 <<'SQL'
\getenv secret POLARIS_PASSWORD
SELECT 'CREATE ROLE polaris LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'polaris') \gexec
ALTER ROLE polaris PASSWORD :'secret';
SELECT 'CREATE DATABASE polaris OWNER polaris' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'polaris') \gexec
REVOKE ALL ON DATABASE polaris FROM PUBLIC;
SQL

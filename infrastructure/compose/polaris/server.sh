#!/bin/sh
# Becomes Polaris. The image takes secrets from its environment alone, so a shell reads the files.
set -eu
secrets=${SECRETS_FOLDER:-/run/secrets}
QUARKUS_DATASOURCE_PASSWORD=$(cat "$secrets/postgres_polaris_password")
POLARIS_BOOTSTRAP_CREDENTIALS="POLARIS,root,$(cat "$secrets/catalog_admin_secret")"
AWS_ACCESS_KEY_ID=$(cat "$secrets/s3_access_key")
AWS_SECRET_ACCESS_KEY=$(cat "$secrets/s3_secret_key")
export QUARKUS_DATASOURCE_PASSWORD POLARIS_BOOTSTRAP_CREDENTIALS AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
exec /opt/jboss/container/java/run/run-java.sh

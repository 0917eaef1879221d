#!/bin/sh
# Asks for a token as the administrator. The secret is on standard input, not among the arguments.
set -eu
secret=$(cat "${SECRETS_FOLDER:-/run/secrets}/catalog_admin_secret")
printf 'grant_type=client_credentials&client_id=root&scope=PRINCIPAL_ROLE:ALL&client_secret=%s' "$secret" |
    curl --silent --fail --output /dev/null --data @- http://localhost:8181/api/catalog/v1/oauth/tokens

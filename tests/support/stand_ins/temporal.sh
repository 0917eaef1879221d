#!/bin/sh
# Becomes the server, or with TEMPORAL_UI_PORT an empty page in the UI's place.
if [ -n "${TEMPORAL_UI_PORT:-}" ]; then
    cd "$(mktemp -d)" && exec python3 -m http.server "$TEMPORAL_UI_PORT"
fi
exec temporal server start-dev --ip "${BIND_ON_IP:-127.0.0.1}" --headless --log-level warn \
    --db-filename /var/lib/temporal/temporal.sqlite

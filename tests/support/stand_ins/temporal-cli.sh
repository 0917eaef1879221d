#!/bin/sh
# The containers of a test have no name server outside. The client would ask one for a service
# configuration and wait. The prefix keeps it from asking.
[ -z "${TEMPORAL_ADDRESS:-}" ] || export TEMPORAL_ADDRESS="passthrough:///$TEMPORAL_ADDRESS"
exec /opt/temporal "$@"

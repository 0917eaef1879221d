#!/bin/sh
# Makes the namespace of the workflows, which are kept for three days after their end.
set -eu
name=${PAYMENTS_TEMPORAL_NAMESPACE:-default}
temporal operator namespace describe --namespace "$name" >/dev/null 2>&1 ||
    temporal operator namespace create --namespace "$name" --retention 72h

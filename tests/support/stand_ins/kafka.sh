#!/bin/bash
# Writes each variable KAFKA_A_B as the property a.b, formats a new log folder, and becomes the broker.
set -eu
properties=/opt/kafka/config/server.properties
env | sed -n 's/^KAFKA_\([A-Z_]*\)=/\1=/p' | grep -v '^HEAP_OPTS=' |
    while IFS='=' read -r name value; do
        echo "$(echo "$name" | tr 'A-Z_' 'a-z.')=$value"
    done >"$properties"
java=(/opt/java/bin/java -XX:TieredStopAtLevel=1 -cp "/opt/kafka/libs/*")
[ -e "$KAFKA_LOG_DIRS/meta.properties" ] ||
    "${java[@]}" kafka.tools.StorageTool format --cluster-id="$CLUSTER_ID" --config "$properties"
exec "${java[@]}" ${KAFKA_HEAP_OPTS:-} kafka.Kafka "$properties"

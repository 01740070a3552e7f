#!/bin/sh
# Waits until Temporal really answers, then creates the namespace if it is not there. Runs in the admin-tools image.
set -eu

namespace=${TEMPORAL_NAMESPACE:-default}
tries=0
until temporal operator cluster health >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt 60 ] || { echo "create-namespace: Temporal did not answer in two minutes" >&2; exit 1; }
    sleep 2
done

if temporal operator namespace describe -n "$namespace" >/dev/null 2>&1; then
    echo "create-namespace: $namespace is there"
    exit 0
fi
# Finished rollouts stay readable as long as servers keep their undo records.
temporal operator namespace create -n "$namespace" --retention 30d
echo "create-namespace: $namespace is created"

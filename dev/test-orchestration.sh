#!/usr/bin/env bash
# Runs dev/test-plan-orchestrator.json on server-1, server-2 and server-3, from nothing, and shows what happened.
#
#   dev/test-orchestration.sh                      in containers (docker compose); they stay up afterwards
#   dev/test-orchestration.sh --embedded           on this machine, without Docker; nothing stays
#   dev/test-orchestration.sh --embedded --keep    the same, and everything stays up until Ctrl-C
#
# BIN=folder names the folder of `kitsune` and `temporal` to use with --embedded; by default `make setup` makes .venv.
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
plan=$repository/dev/test-plan-orchestrator.json
rollout=test-orchestration-$(date -u +%Y%m%dT%H%M%S)-$$
workers=(kitsune-orchestrator kitsune-mock-server-1 kitsune-mock-server-2 kitsune-mock-server-3)
patience=180

say() { printf '\n== %s\n' "$*"; }
die() {
    printf 'test-orchestration: %s\n' "$*" >&2
    exit 1
}

embedded=''
keep=''
for argument in "$@"; do
    case $argument in
        --embedded) embedded=yes ;;
        --keep) keep=yes ;;
        -h | --help)
            sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
            exit 0
            ;;
        *) die "no such option: $argument (see --help)" ;;
    esac
done

# --- in containers ----------------------------------------------------------------------------------------------------

compose() { docker compose --file "$repository/dev/docker-compose.yaml" "$@"; }

health_of() { docker inspect --format '{{.State.Health.Status}}' "$1" 2>/dev/null || echo missing; }

wait_for_containers() {
    local deadline=$((SECONDS + patience)) worker
    for worker in "${workers[@]}"; do
        until [[ $(health_of "$worker") == healthy ]]; do
            if ((SECONDS > deadline)); then
                compose ps --all >&2
                die "$worker is $(health_of "$worker") after ${patience}s; see: docker logs $worker"
            fi
            sleep 1
        done
        echo "$worker is healthy"
    done
}

run_in_containers() {
    docker compose version >/dev/null 2>&1 || die "docker compose is missing; without Docker: dev/test-orchestration.sh --embedded"
    say "starting Temporal, the orchestration worker and three mock servers"
    compose up --build --detach
    say "waiting for the workers"
    wait_for_containers
    say "running $(basename "$plan") as $rollout"
    compose run --rm --no-deps --no-TTY --volume "$plan:/plan.json:ro" --entrypoint temporal namespace \
        workflow start "${start_arguments[@]}" --input-file /plan.json
    local code=0
    compose exec --no-TTY kitsune-orchestrator kitsune watch "$rollout" || code=$?
    say "look at it: http://localhost:8080/namespaces/default/workflows/$rollout"
    echo "end it:     docker compose -f dev/docker-compose.yaml down --volumes"
    return "$code"
}

# --- on this machine --------------------------------------------------------------------------------------------------

end_embedded() {
    # A signal may come before `dev` is set, and may get lost while bash becomes kitsune: hence $! and the second try.
    local started=${dev:-${!:-}} try tenths
    for try in 1 2; do
        [[ -n $started ]] && kill -TERM "$started" 2>/dev/null || break
        for ((tenths = 0; tenths < 150; tenths++)); do
            kill -0 "$started" 2>/dev/null || break 2
            sleep 0.1
        done
    done
    rm -rf "$work"
}

# What `kitsune dev` announced: "  Temporal UI  http://..."
fact() { sed -n "s/^ *$1   *//p" "$work/dev.out"; }

run_embedded() {
    if [[ -z ${BIN:-} ]]; then
        make --silent --directory "$repository" setup
        BIN=$repository/.venv/bin
    fi
    work=$(mktemp -d "${TMPDIR:-/tmp}/kitsune-test-orchestration-XXXXXX")
    trap end_embedded EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM

    say "starting Temporal, the orchestration worker and three local workers"
    : >"$work/dev.out"
    "$BIN/kitsune" dev --ephemeral --servers 3 --port 0 --ui-port 0 >"$work/dev.out" 2>"$work/dev.err" &
    dev=$!
    # It says so when every worker polls.
    local deadline=$((SECONDS + patience))
    until grep -q '^Type next' "$work/dev.out"; do
        if ! kill -0 "$dev" 2>/dev/null || ((SECONDS > deadline)); then
            cat "$work/dev.err" >&2
            die "kitsune dev did not get ready"
        fi
        sleep 0.2
    done
    sed '/^Type next/,$d' "$work/dev.out"
    local ui
    TEMPORAL_ADDRESS=$(fact 'Temporal') TEMPORAL_NAMESPACE=default TEMPORAL_CONFIG_FILE=/dev/null
    ui=$(fact 'Temporal UI')
    export TEMPORAL_ADDRESS TEMPORAL_NAMESPACE TEMPORAL_CONFIG_FILE

    # The three servers share this machine's disk: what they write goes where this script cleans up.
    sed "s#/tmp/kitsune-test-orchestration#$work/files#" "$plan" >"$work/plan.json"
    say "running $(basename "$plan") as $rollout"
    "$BIN/temporal" workflow start "${start_arguments[@]}" --input-file "$work/plan.json"
    local code=0
    "$BIN/kitsune" watch "$rollout" || code=$?
    say "look at it: $ui/namespaces/default/workflows/$rollout"
    if [[ -n $keep ]]; then
        echo "Ctrl-C ends everything"
        wait "$dev" || true
    else
        echo "(it ends with this script; --keep leaves everything up)"
    fi
    return "$code"
}

# ----------------------------------------------------------------------------------------------------------------------

start_arguments=(--task-queue execution-orchestrator --type OrchestrationWorkflow --workflow-id "$rollout")

if [[ -n $embedded ]]; then
    run_embedded
else
    [[ -z $keep ]] || die "--keep goes with --embedded; containers stay up anyway"
    run_in_containers
fi

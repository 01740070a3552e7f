#!/bin/sh
# Creates Temporal's two databases and their tables, or brings them up to date. Runs in the admin-tools image.
#
# Safe to run again. That needs care: on a database that has a schema, `setup-schema` would set its version back to 0
# and ruin it. So ask for an update first, and set up only when the answer says that there is nothing yet.
set -eu

: "${SQL_HOST:?}" "${SQL_USER:?}" "${SQL_PASSWORD:?}"
root=${SCHEMA_ROOT:-/etc/temporal/schema/postgresql/v12}

tool() {
    database=$1
    shift
    temporal-sql-tool --plugin postgres12 --ep "$SQL_HOST" -p "${SQL_PORT:-5432}" -u "$SQL_USER" --db "$database" "$@"
}

bring_up_to_date() {
    database=$1
    folder=$root/$2/versioned
    # Pointed at a folder without updates the tool does nothing and calls that a success.
    [ -d "$folder" ] || { echo "create-schema: no folder $folder in this image" >&2; exit 1; }
    if answer=$(tool "$database" update-schema -d "$folder" 2>&1); then
        echo "create-schema: $database is up to date"
        return
    fi
    case $answer in
        *"database \"$database\" does not exist"*) tool "$database" create ;;
        *'relation "schema_version" does not exist'* | *'no rows in result set'*) ;;
        *)
            echo "$answer" >&2
            exit 1
            ;;
    esac
    tool "$database" setup-schema -v 0.0
    tool "$database" update-schema -d "$folder"
    echo "create-schema: $database is set up"
}

bring_up_to_date temporal temporal
bring_up_to_date temporal_visibility visibility

"""dev/create-schema.sh against a stand-in of temporal-sql-tool that keeps its databases as folders."""

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "dev" / "create-schema.sh"

# Behaves like the real one where it matters, `setup-schema` putting an existing version back to 0 included.
FAKE_TOOL = """#!/bin/sh
set -eu
while [ "$1" != --db ]; do shift; done
name=$2; db=$DATABASES/$2; shift 2
echo "$1 $name" >>"$DATABASES/calls"
if [ -e "$DATABASES/down" ]; then echo 'dial tcp: connection refused'; exit 1; fi
case $1 in
create) mkdir "$db" ;;
setup-schema) [ -d "$db" ] || exit 1; echo 0.0 >"$db/version" ;;
update-schema)
    [ -d "$db" ] || { echo "pq: database \\"$name\\" does not exist" >&2; exit 1; }
    [ -f "$db/version" ] || { echo 'ERROR: relation "schema_version" does not exist (SQLSTATE 42P01)' >&2; exit 1; }
    if [ "$(cat "$db/version")" = 0.0 ] && [ -f "$db/tables" ]; then echo 'relation "executions" already exists'; exit 1; fi
    touch "$db/tables"; echo 1.19 >"$db/version" ;;
esac
"""


@pytest.fixture
def databases(tmp_path):
    folder = tmp_path / "databases"
    folder.mkdir()
    return folder


@pytest.fixture
def create_schema(tmp_path, databases):
    tool = tmp_path / "bin" / "temporal-sql-tool"
    tool.parent.mkdir()
    tool.write_text(FAKE_TOOL)
    tool.chmod(0o755)
    for schema in ("temporal", "visibility"):
        (tmp_path / "schema" / schema / "versioned").mkdir(parents=True)
    environment = {
        "PATH": f"{tool.parent}:/usr/bin:/bin",
        "DATABASES": str(databases),
        "SCHEMA_ROOT": str(tmp_path / "schema"),
        "SQL_HOST": "postgresql",
        "SQL_USER": "temporal",
        "SQL_PASSWORD": "secret",
    }

    def run():
        return subprocess.run(
            ["sh", SCRIPT], env=environment, capture_output=True, text=True, check=False
        )

    return run


def versions(databases):
    return {path.parent.name: path.read_text().strip() for path in databases.glob("*/version")}


BOTH = {"temporal": "1.19", "temporal_visibility": "1.19"}


def test_new_databases_are_set_up(create_schema, databases):
    assert create_schema().returncode == 0
    assert versions(databases) == BOTH


def test_a_second_run_changes_nothing(create_schema, databases):
    create_schema()
    (databases / "calls").unlink()
    assert create_schema().returncode == 0
    assert versions(databases) == BOTH
    assert "setup-schema" not in (databases / "calls").read_text()


def test_a_database_that_the_image_made_by_itself_is_set_up_too(create_schema, databases):
    (databases / "temporal").mkdir()
    assert create_schema().returncode == 0
    assert versions(databases) == BOTH


def test_a_database_that_does_not_answer_is_never_set_up_again(create_schema, databases):
    create_schema()
    (databases / "down").touch()
    done = create_schema()
    assert done.returncode != 0
    assert "connection refused" in done.stderr
    assert versions(databases) == BOTH


def test_an_image_without_the_updates_is_an_error(create_schema, tmp_path):
    (tmp_path / "schema" / "visibility" / "versioned").rmdir()
    done = create_schema()
    assert done.returncode != 0
    assert "no folder" in done.stderr


def test_the_password_never_stands_on_a_command_line(create_schema, databases):
    create_schema()
    assert "secret" not in (databases / "calls").read_text()

#!/bin/sh
# Makes the development environment: finds a Python, creates the environment, installs the locked dependencies
# and Kitsune itself. Called by the Makefile.
#
#   dev/setup.sh VENV            make it, or mend it
#   dev/setup.sh --check VENV    exit 0 when it is whole and belongs to this checkout
#
# PYTHON=... asks for one Python; without it the newest that works is taken.
set -eu

# What a Python must have to be of use here. Prints what it lacks.
probe='
import importlib.util, sys
if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    sys.exit("is Python %d.%d; Kitsune runs on 3.11 to 3.13" % sys.version_info[:2])
lacks = [name for name in ("venv", "ensurepip", "sqlite3", "ssl") if importlib.util.find_spec(name) is None]
if lacks:
    sys.exit("lacks %s (on Debian and Ubuntu: apt install python%d.%d-venv)" % (", ".join(lacks), *sys.version_info[:2]))
'

# The stamp holds what the environment was made for: this checkout, and the PYTHON that was asked for.
belongs() {
    [ "$(sed -n 1p "$1")" = "$(pwd -P)" ] && { [ -z "${PYTHON:-}" ] || [ "$(sed -n 2p "$1")" = "$PYTHON" ]; }
}

works() {
    "$1/bin/python" -c "$probe" >/dev/null 2>&1
}

if [ "${1:-}" = --check ]; then
    venv=$2
    [ -f "$venv/.kitsune-ready" ] && belongs "$venv/.kitsune-ready" && works "$venv"
    exit
fi
venv=$1
stamp=$venv/.kitsune-ready
begun=$venv/.kitsune-begun

find_python() {
    candidates=${PYTHON:-python3.13 python3.12 python3.11 python3 python}
    found=
    for candidate in $candidates; do
        command -v "$candidate" >/dev/null 2>&1 || continue
        if complaint=$("$candidate" -c "$probe" 2>&1); then
            echo "$candidate"
            return 0
        fi
        found="$found
  $candidate $(echo "$complaint" | tail -n 1)"
    done
    echo "kitsune: no Python from 3.11 to 3.13 that can make an environment.${found:-
  there is no $candidates on PATH}
Install one (on Debian and Ubuntu: apt install python3 python3-venv), or name it: make PYTHON=/path/to/python3.12" >&2
    return 1
}

# Where an older set-up was cut short, or was made for something else, begin anew: half an environment is worse than none.
if ! works "$venv" || [ -f "$begun" ] || { [ -f "$stamp" ] && ! belongs "$stamp"; }; then
    python=$(find_python)
    echo "kitsune: making $venv with $("$python" --version 2>&1)"
    rm -rf "$venv"
    "$python" -m venv "$venv"
fi
rm -f "$stamp"
: >"$begun"
echo "kitsune: installing the locked dependencies"
# The lock names everything. Left to resolve, an older pip asks for the newest `coverage[toml]`, which the lock does not hold.
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/dev.txt
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
rm -f "$begun"
printf '%s\n' "$(pwd -P)" "${PYTHON:-}" >"$stamp"

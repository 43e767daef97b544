#!/usr/bin/env bash
# Starts MC Hub on this machine: ./run.sh
#
#   ./run.sh                 set up what is missing, then run sandbox cloud, nodes and hub until Ctrl-C
#   ./run.sh python [--dev]  only make .venv and install Python's packages (--dev: those of the tests too)
#
# Settings by environment (docs/settings.md): MCHUB_DATA, MCHUB_BIND, MCHUB_PORT, MCHUB_SANDBOX_PORT,
# MCHUB_SANDBOX_FLOATING_RANGE, and OS_CLOUD or OS_* for a cloud of yours in place of the sandbox.
set -euo pipefail

export MCHUB_DATA
MCHUB_DATA=$(realpath -m -- "${MCHUB_DATA:-$(dirname -- "${BASH_SOURCE[0]}")/data}")
cd -- "$(dirname -- "${BASH_SOURCE[0]}")"
log=$MCHUB_DATA/logs/setup.log
child=

fail() {
    printf 'run.sh: %s\n' "$@" >&2
    exit 1
}

logged() { # COMMAND...: its output goes to the log; it ends with us
    "$@" >>"$log" 2>&1 &
    child=$!
    local code=0
    wait "$child" || code=$?
    child=
    return "$code"
}

stop_child() {
    [ -z "$child" ] || kill -TERM "$child" 2>/dev/null || true
    exit 143
}

find_python() { # the path of a Python >= 3.11 that can make a virtual environment
    local name
    for name in python3 python3.14 python3.13 python3.12 python3.11 python; do
        if command -v "$name" >/dev/null &&
            "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            "$name" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    fail "Python 3.11 or later is needed, with its venv module." \
        "On Debian and Ubuntu: apt-get install python3 python3-venv. Then start ./run.sh again."
}

fingerprint() { # of everything that decides what is in .venv
    { "$1" -c 'import sys; print(sys.version)'; sha256sum pyproject.toml requirements.txt; [ -z "$2" ] || sha256sum requirements-dev.txt; } |
        sha256sum | cut -d' ' -f1
}

install_python() { # [--dev]: .venv with the pinned packages; quick when nothing changed, continues where it was interrupted
    local dev=${1:-} python=.venv/bin/python stamp=.venv/.installed wanted began=$SECONDS requirements=requirements.txt
    [ -z "$dev" ] || requirements=requirements-dev.txt
    if ! $python -m pip --version >/dev/null 2>&1; then
        local system
        system=$(find_python)
        echo "Making .venv with $system ..."
        # A half made one is completed; one that can't be (its Python is gone) is made anew.
        { logged "$system" -m venv .venv && logged $python -m pip --version; } ||
            logged "$system" -m venv --clear .venv ||
            fail "The virtual environment .venv could not be made. The output is in $log." \
                "On Debian and Ubuntu: apt-get install python3-venv. Then start ./run.sh again."
    fi
    wanted=$(fingerprint $python "$dev")
    # What the tests need contains what the hub needs: a .venv for both is right for either.
    if grep -qs -- "$wanted" "$stamp"; then return; fi
    echo "Installing Python packages ($requirements) ..."
    logged $python -m pip install --disable-pip-version-check --no-input -r "$requirements" &&
        logged $python -m pip install --disable-pip-version-check --no-input --no-deps -e . ||
        fail "The Python packages could not be installed: $(tail -n 1 "$log")" "The whole output is in $log." \
            "Without a way to the package index, set PIP_INDEX_URL or HTTPS_PROXY; then start ./run.sh again, it goes on from there."
    { fingerprint $python ""; [ -z "$dev" ] || echo "$wanted"; } >"$stamp.$$"
    mv "$stamp.$$" "$stamp"
    echo "  done in $((SECONDS - began)) s"
}

case ${1:-} in '' | python) ;; *) sed -n '2,8s/^# \{0,1\}//p' run.sh; exit 2 ;; esac
trap stop_child TERM INT HUP
umask 077
mkdir -p "$MCHUB_DATA/logs" || fail "The data folder $MCHUB_DATA can't be made; choose another: MCHUB_DATA=... ./run.sh"
umask 022

# One set-up at a time in a checkout: the lock is on the folder itself, and free when its holder is gone.
exec 9<.
if ! flock -n 9; then
    echo "Another ./run.sh sets up this checkout: waiting for it ..."
    flock 9
fi
install_python "$([ "${1:-}" = python ] && [ "${2:-}" = --dev ] && echo --dev || true)"
exec 9<&-

[ "${1:-}" = python ] || exec .venv/bin/python -m app.setup up --spent "$SECONDS"

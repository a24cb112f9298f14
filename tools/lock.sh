#!/bin/sh
# Pins what development installs, with hashes and for every supported Python, in tools/locks:
#
#   tools/lock.sh          the newest of everything (make lock)
#   tools/lock.sh audit    asks the vulnerability service about what is pinned (make audit; needs the network)
#
# Only uv knows how to write one file for all Pythons and machines; it is not needed to install from them.
set -eu
exec >&2
tools=${VENV:-.venv}-lock

[ -x "$tools/bin/uv" ] || {
    "${PYTHON:-python3}" -m venv "$tools"
    "$tools/bin/python" -m pip install -q --disable-pip-version-check --no-input uv pip-audit
}

if [ "${1:-}" = audit ]; then
    for lock in tools/locks/*.txt; do
        # Without --strict, a service that cannot be reached counts as no vulnerability.
        "$tools/bin/pip-audit" --strict --disable-pip --require-hashes -r "$lock"
    done
    exit
fi

# pin NAME WHAT...: neither comments nor an index's address, so that a change shows what changed.
pin() {
    name=$1
    shift
    "$tools/bin/uv" pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
        --no-annotate --no-emit-index-url --no-emit-find-links "$@" -o "tools/locks/$name.txt"
    echo "kwsd: tools/locks/$name.txt: $(grep -c == "tools/locks/$name.txt") packages"
}
pin development pyproject.toml --all-extras --group build
pin fuzz --group fuzz
pin tflite --group tflite

#!/bin/sh
# Makes .venv with everything in requirements.lock and the project itself; does nothing if that is already so.
#   tools/setup.sh [--browser]     with --browser also looks for Chromium, and installs it where that is possible
# PYTHON=... names the interpreter to use. On failure: one line that says what is missing and what to type, exit status 1.
set -u
cd "$(dirname "$0")/.." || exit 1
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PYTHONNOUSERSITE=1
unset PYTHONHOME PYTHONPATH
stamp=.venv/installed
log=.venv/install.log
needed_kb=${SETUP_NEEDS_KB:-3000000} # the environment takes 1.5 GB, pip as much again while it unpacks
as_root=sudo
[ "$(id -u)" = 0 ] && as_root=

stop() {
    printf '%s\n' "$*" >&2
    exit 1
}

recent() { # is this an interpreter, and of version 3.11 or newer?
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

how_to_install() { # what to type for a Debian package $1 or a Homebrew formula $2
    if command -v apt-get >/dev/null; then
        echo "${as_root:+$as_root }apt-get install $1"
    elif command -v brew >/dev/null; then
        echo "brew install $2"
    else
        echo "conda env create -f environment.yml && conda activate manifold-integrators, and then make PYTHON=python"
    fi
}

find_python() { # sets $python; 3.11 first, because the lock is made with it
    if [ -n "${PYTHON:-}" ]; then
        recent "$PYTHON" || stop "PYTHON=$PYTHON is not a Python 3.11 or newer; type the command without it, or name another one."
        python=$PYTHON
        return
    fi
    for python in python3.11 python3.12 python3.13 python3 python; do
        recent "$python" && return
    done
    stop "Python 3.11 or newer is missing; type: $(how_to_install 'python3 python3-venv' python@3.11)"
}

state() { # fingerprint of what has to be installed, and where
    "$1" -c 'import hashlib, sys
print(hashlib.sha256(b"".join(open(name, "rb").read() for name in sys.argv[1:])).hexdigest())' requirements.lock pyproject.toml
    pwd
}

explain() { # why pip failed, in one line
    if grep -q "No space left on device" "$log"; then
        stop "The disk is full: the environment needs about 3 GB here and in ${TMPDIR:-/tmp}; make room, then type the command again."
    elif grep -qE "NewConnectionError|NameResolutionError|name resolution|ConnectTimeout|Connection refused|Network is unreachable|ProxyError|SSLError|Read timed out" "$log"; then
        stop "No network: pip cannot reach its package index (details in $log); connect, then type the command again."
    elif grep -q "No matching distribution" "$log"; then
        stop "pip finds no $(sed -n 's/^ERROR: No matching distribution found for //p' "$log" | tail -n 1) for $("$python" --version); type the command with PYTHON=python3.11 after it."
    fi
    stop "pip failed: $(grep -E '^ *(ERROR|error)' "$log" | tail -n 1) (details in $log)"
}

install() { # install "what, for the reader" arguments-of-pip...
    echo "Installing $1"
    shift
    .venv/bin/python -m pip install --retries 2 "$@" >>"$log" 2>&1 || explain
}

make_environment() {
    find_python
    "$python" -c 'import venv, ensurepip' 2>/dev/null ||
        stop "$("$python" --version) has no venv module; type: $(how_to_install "$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')" python@3.11)"
    free=$(df -Pk . | awk 'NR == 2 {print $4}')
    [ "$free" -ge "$needed_kb" ] ||
        stop "Not enough disk space: $((free / 1000)) MB are free and $((needed_kb / 1000)) MB are needed; make room, then type the command again."
    # an environment that does not run, or that stood elsewhere when it was made, is of no use
    if ! recent .venv/bin/python || { [ -f $stamp ] && [ "$(sed -n 2p $stamp)" != "$(pwd)" ]; }; then
        rm -rf .venv
        echo "Making .venv with $("$python" --version)"
        "$python" -m venv .venv >/dev/null || stop "$python could not make .venv here; look at the message above."
    fi
    rm -f $stamp
    : >"$log"
    install "$(sed -n 's/^torch==/torch /p' requirements.lock) (1 of 3)" "$(grep '^torch==' requirements.lock)"
    install "the other $(($(grep -c == requirements.lock) - 1)) packages of requirements.lock (2 of 3)" -r requirements.lock
    install "this project (3 of 3)" --no-deps --no-build-isolation -e .
    state .venv/bin/python >$stamp
}

find_browser() {
    command -v chromium >/dev/null && return
    if [ -z "$as_root" ] && command -v apt-get >/dev/null; then
        echo "Installing Chromium for the browser tests"
        if { apt-get update && apt-get install -y --no-install-recommends chromium fonts-dejavu-core; } >.venv/apt.log 2>&1; then
            return
        fi
    fi
    echo "Chromium is missing, so browser tests will be skipped; type: $(how_to_install chromium '--cask chromium')"
}

if ! recent .venv/bin/python || [ "$(cat $stamp 2>/dev/null)" != "$(state .venv/bin/python)" ]; then
    make_environment
fi
[ "${1:-}" != --browser ] || find_browser

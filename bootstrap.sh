# Read by ./demo and ./run-tests: installs what is missing, and makes virtual environments.
# shellcheck shell=sh

CACHE=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/overlayd
MISSING=""

# need_programs PROGRAM:PACKAGE ... : as root on Debian installs the packages of missing programs;
# elsewhere it says what is missing and goes on: what needs them says so.
need_programs() {
    packages=""
    for pair in "$@"; do
        command -v "${pair%%:*}" >/dev/null 2>&1 || packages="$packages ${pair##*:}"
    done
    [ -n "$packages" ] || return 0
    need_packages $packages
}

need_packages() {
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "installing with apt-get: $*" >&2
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq >&2
        apt-get install -y -qq --no-install-recommends "$@" >&2
    else
        MISSING="$MISSING $*"
        echo "missing, and not installed (that takes root, and Debian's apt-get): $*" >&2
    fi
}

# Debian ships venv apart from Python. Python must be 3.11 or newer.
need_venv() {
    python3 -c 'import ensurepip, venv' 2>/dev/null || need_packages python3-venv
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
        echo "Python 3.11 or newer is needed; python3 is $(python3 --version 2>&1)" >&2
        exit 1
    }
}

# make_venv NAME WHAT... : makes a virtual environment in the cache and installs WHAT; sets VENV.
make_venv() {
    VENV=$CACHE/venv-$1
    shift
    wanted="$(python3 --version) $*"
    if [ "$(cat "$VENV/made-of" 2>/dev/null)" != "$wanted" ]; then
        rm -rf "$VENV"
        mkdir -p "$CACHE"
        python3 -m venv "$VENV"
        "$VENV/bin/python" -m pip install -q --disable-pip-version-check "$@"
        echo "$wanted" >"$VENV/made-of"
    fi
}

# shellcheck shell=sh
# For ./demo and ./benchmark, which run namespaces with nodes in them: what the machine must have, and
# a virtual environment with exactly this source, as operators install it, so without the extras.
#
# The caller sets `name`, which messages and the environment bear, and `here`, the checkout; and `also`, if
# it needs more programs: each with its Debian package, as in wg:wireguard-tools. What this leaves behind is
# `environment`, a folder. It installs as root on Debian; elsewhere it says what is missing.

say() { printf '%s: %s\n' "$name" "$*" >&2; }
give_up() { say "$@"; exit 1; }

[ "$(uname -s)" = Linux ] || give_up "needs Linux: it is made of network namespaces"
[ "$(id -u)" = 0 ] || give_up "needs root, to make network namespaces: sudo ./$name"

# --- what the machine must have ---------------------------------------------------------------

missing_packages() {
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || echo python3
    python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
    command -v wg >/dev/null || echo wireguard-tools
    command -v wireguard-go >/dev/null || echo wireguard-go
    command -v ip >/dev/null || echo iproute2
    command -v ping >/dev/null || echo iputils-ping
    for program in ${also:-}; do
        command -v "${program%%:*}" >/dev/null || echo "${program#*:}"
    done
}

packages=$(missing_packages | tr '\n' ' ')
if [ -n "$packages" ]; then
    if ! [ -e /etc/debian_version ] || ! command -v apt-get >/dev/null; then
        give_up "needs Python 3.11 or newer with venv, wg, wireguard-go, ip (iproute2) and ping;" \
            "missing here, by their Debian names: $packages"
    fi
    say "installing $packages"
    # shellcheck disable=SC2086  # a list
    if ! output=$({ apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y \
        --no-install-recommends $packages; } 2>&1 </dev/null); then
        printf '%s\n' "$output" >&2
        give_up "could not install $packages"
    fi
    packages=$(missing_packages | tr '\n' ' ')
    [ -z "$packages" ] || give_up "this Debian's packages are too old: still missing $packages" \
        "(Debian 12 or newer has them)"
fi
for tool in nsenter setpriv unshare; do
    command -v $tool >/dev/null || give_up "needs $tool, of util-linux 2.32 or newer"
done
[ -c /dev/net/tun ] || modprobe tun 2>/dev/null || true
[ -c /dev/net/tun ] || give_up "needs /dev/net/tun, for wireguard-go: modprobe tun, or give the" \
    "container that device"
unshare --net --mount --propagation unchanged --pid --fork true 2>/dev/null ||
    give_up "may not make namespaces here; in a container it needs --privileged"

# --- a virtual environment for exactly this source --------------------------------------------

sources() { find pyproject.toml setup.py overlayd twisted -name '*.py' -o -name '*.toml'; }
contents() { python3 --version && sources | LC_ALL=C sort | xargs cat; }
key=$(cd "$here" && contents | sha256sum | cut -c1-12)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/overlayd
environment=$cache/installed-$key

build() { # in a copy of the source: pip leaves folders behind where it builds
    copy=$environment/source
    rm -rf "$environment" &&
        mkdir -p "$cache" &&
        python3 -m venv "$environment" &&
        mkdir "$copy" &&
        (cd "$here" && cp -R pyproject.toml setup.py README.md LICENSE overlayd twisted "$copy") &&
        "$environment/bin/pip" install --quiet --disable-pip-version-check "$copy" &&
        # Twisted finds plugins by a file that the first start writes.
        (cd / && "$environment/bin/twistd" --help >/dev/null) &&
        rm -rf "$copy" &&
        : >"$environment/complete"
}

if ! [ -e "$environment/complete" ]; then
    say "installing overlayd and its Python packages into $environment"
    build >&2 || give_up "could not install overlayd's Python packages; the reason is above"
    # Those of older sources: the three newest stay.
    ls -dt "$cache"/installed-* | tail -n +4 | xargs -r rm -rf
fi

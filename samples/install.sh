# shellcheck shell=sh
# Sourced by quickstart.sh and tests/run.sh: installs the Debian packages that are missing, as root or through sudo.
#   "$@"        required packages
#   $optional   packages used if they are installed
# Without root and sudo: exits with code 69 if a required package is missing; prints a line for missing optional
# packages and continues. Without dpkg, installs nothing and prints all package names.

# is_missing PACKAGE...: prints the packages that are not installed.
is_missing() {
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || printf ' %s' "$package"
    done
}

# can_install: succeeds if apt-get can run as root; sets $as_root. sudo may ask for a password only at a terminal.
can_install() {
    as_root=''
    [ "$(id -u)" -ne 0 ] || return 0
    command -v sudo >/dev/null || return 1
    as_root=sudo
    [ -t 0 ] || sudo -n true 2>/dev/null
}

install_packages() {
    $as_root apt-get update -q >&2 || return
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@" >&2
}

absent=''
if ! command -v dpkg-query >/dev/null; then
    echo "no Debian system: needed are $*; used where they are installed: ${optional:-}" >&2
else
    needed=$(is_missing "$@")
    # shellcheck disable=SC2086  # a list of words, here and below
    absent=$(is_missing ${optional:-})
    if [ -n "$needed$absent" ] && can_install; then
        echo "installing:$needed$absent" >&2
        # shellcheck disable=SC2086
        install_packages $needed $absent || echo "apt-get failed" >&2
        needed=$(is_missing "$@")
        # shellcheck disable=SC2086
        absent=$(is_missing ${optional:-})
    fi
    if [ -n "$needed" ]; then
        echo "please install as root: apt-get install$needed" >&2
        exit 69
    fi
    [ -z "$absent" ] || echo "going on without optional packages; as root: apt-get install$absent" >&2
fi

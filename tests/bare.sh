#!/bin/sh
# Runs the two commands of README.md in a minimal Debian, each alone, as a stranger would: as root, where they install
# everything, and as an ordinary user with the needed packages only: no nvcc, no OpenCL, no Python.
# usage: sh tests/bare.sh FOLDER [NAME...]   as root; needs debootstrap, apt-get's sources, unshare
#   NAME       quickstart-root, tests-root, quickstart-user, tests-user; without one all four; prepare: only the two
#              systems below
#   FOLDER/base, FOLDER/compiler       the minimal Debian, and with the needed packages: kept for the next call
#   FOLDER/NAME.log                    what each of the four runs printed
# Exit code 1: a command failed, no text was written, or tests were skipped that could have run.
set -eu
cd "$(dirname "$0")/.."
[ $# -ge 1 ] || { echo "usage: sh tests/bare.sh FOLDER [NAME...]" >&2; exit 64; }
mkdir -p "$1"
folder=$(cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- quickstart-root tests-root quickstart-user tests-user
[ "$(id -u)" = 0 ] || { echo "bare.sh: only root can make a Debian and enter it" >&2; exit 69; }
for program in debootstrap unshare chroot; do
    command -v $program >/dev/null || { echo "bare.sh: there is no $program (Debian: debootstrap, util-linux)" >&2; exit 69; }
done
mkdir -p "$folder/archives/partial"

# inside SYSTEM USER COMMAND: runs it there, in $HOME of that user, with nothing of this environment.
# Mounts end with the command.
inside() {
    system=$1 user=$2
    shift 2
    # shellcheck disable=SC2016  # the inner shell expands them
    unshare --mount --pid --fork --kill-child sh -eu -c '
        system=$1 user=$2 home=$3 command=$4
        mount -t proc proc "$system/proc"
        mount -t sysfs -o ro sys "$system/sys"
        mount --bind /dev/pts "$system/dev/pts"
        mount --bind "$5" "$system/var/cache/apt/archives"
        exec chroot --userspec="$user:$user" "$system" env -i HOME="$home" LANG=C.UTF-8 \
            PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin sh -eu -c "cd $home && $command"
    ' inside "$system" "$user" "$([ "$user" = root ] && echo /root || echo "/home/$user")" "$*" "$folder/archives"
}

# A minimal Debian of this machine's release, from this machine's mirror and through its proxy.
make_base() {
    # shellcheck disable=SC2016  # apt expands them
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | head -n 1)
    if [ -z "$mirror" ]; then # the label stands in the lists
        apt-get update -q >&2
        # shellcheck disable=SC2016
        mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | head -n 1)
    fi
    release=$(. /etc/os-release && echo "$VERSION_CODENAME")
    [ -n "$mirror" ] || { echo "bare.sh: apt-get names no mirror of Debian" >&2; return 69; }
    rm -rf "$folder/base" "$folder/base.new" "$folder/compiler"
    debootstrap --variant=minbase "$release" "$folder/base.new" "$mirror" >"$folder/base.log" 2>&1 ||
        { tail -n 20 "$folder/base.log" >&2; return 1; }
    echo "deb $mirror $release main" >"$folder/base.new/etc/apt/sources.list"
    apt-config dump | grep -E '^Acquire::(https?::|Check-|Retries)' >"$folder/base.new/etc/apt/apt.conf.d/90host" || true
    cp /etc/resolv.conf /etc/hosts "$folder/base.new/etc/"
    mv "$folder/base.new" "$folder/base"
}

# The same with the needed packages and an ordinary user.
make_compiler() {
    rm -rf "$folder/compiler" "$folder/compiler.new"
    cp -a "$folder/base" "$folder/compiler.new"
    inside "$folder/compiler.new" root "apt-get update -q && apt-get install -q -y --no-install-recommends $needed &&
        useradd -m stranger" >"$folder/compiler.log" 2>&1 || { tail -n 20 "$folder/compiler.log" >&2; return 1; }
    echo "$needed" >"$folder/compiler.new/needed"
    mv "$folder/compiler.new" "$folder/compiler"
}

# try NAME SYSTEM USER COMMAND: in a copy of that system with a copy of this tree, and how long it took.
try() {
    name=$1 system=$folder/$2 user=$3 command=$4 begin=$(date +%s) got=0
    copy=$folder/try
    rm -rf "$copy"
    cp -a "$system" "$copy"
    home=$([ "$user" = root ] && echo /root || echo "/home/$user")
    mkdir "$copy$home/bptt"
    git ls-files -z --cached --others --exclude-standard | tar -c --null -T - --ignore-failed-read |
        tar -x -C "$copy$home/bptt"
    chroot "$copy" chown -R "$user:$user" "$home/bptt"
    inside "$copy" "$user" "cd bptt && exec timeout 1500 $command" >"$folder/$name.log" 2>&1 </dev/null || got=$?
    now=$(date +%s)
    printf 'bare Debian: %-28s %-5s exit code %d, %d s%s\n' "$command" "$user" $got $((now - begin)) \
        "$(sed -n 's/^tests: /, /p' "$folder/$name.log" | tail -n 1)"
    [ $got != 0 ] || return 0
    tail -n 60 "$folder/$name.log"
    failed=$((failed + 1))
    return 0
}

wrong() {
    echo "bare.sh: $1; see $folder/$2.log" >&2
    failed=$((failed + 1))
}

# skips NAME KIND...: only tests of these kinds were skipped, and of the first kind some were.
skips() {
    name=$1
    grep -q "^[0-9]* $2 tests skipped: " "$folder/$name.log" || wrong "no $2 test was skipped" "$name"
    shift
    grep -E '^[0-9]+ .* tests? skipped: ' "$folder/$name.log" | sort -u >"$folder/skipped"
    sed 's/^/    /' "$folder/skipped"
    for kind in "$@"; do
        grep -v "^[0-9]* $kind tests* skipped: " "$folder/skipped" >"$folder/rest" || true
        mv "$folder/rest" "$folder/skipped"
    done
    [ ! -s "$folder/skipped" ] || wrong "more was skipped than $*: $(head -n 1 "$folder/skipped")" "$name"
    rm -f "$folder/skipped"
}

writes() {
    sed '1,/^== what it writes ==/d' "$folder/$1.log" | head -c 400 | grep -q '[a-z][a-z]* [a-z]' || wrong "no text was written" "$1"
}

failed=0
needed=$(sh tests/run.sh --needed)
[ -e "$folder/base/etc/debian_version" ] || make_base
[ "$(cat "$folder/compiler/needed" 2>/dev/null)" = "$needed" ] || make_compiler
for name in "$@"; do
    case $name in
    quickstart-root) try "$name" base root "sh samples/quickstart.sh" && writes "$name" ;;
    tests-root) try "$name" base root "sh tests/run.sh" && skips "$name" CUDA ;;
    quickstart-user) try "$name" compiler stranger "sh samples/quickstart.sh" && writes "$name" ;;
    tests-user) try "$name" compiler stranger "sh tests/run.sh" && skips "$name" CUDA OpenCL Python Consumer ;;
    prepare) ;;
    *) echo "bare.sh: there is no run $name" >&2; exit 64 ;;
    esac
done
rm -rf "$folder/try"
[ $failed = 0 ] || exit 1

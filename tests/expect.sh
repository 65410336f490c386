# shellcheck shell=sh
# For scripts that test programs from outside; read with `. expect.sh`, which makes the folder $work and removes it at
# the end. Failures are counted; the last line of such a script is [ "$failures" = 0 ].
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

fail() {
    echo "$(basename "$0"): $1" >&2
    failures=$((failures + 1))
}

# code WANTED COMMAND...: its exit code; what it says goes to $work/out and $work/err.
code() {
    wanted=$1
    shift
    got=0
    "$@" >"$work/out" 2>"$work/err" </dev/null || got=$?
    [ "$got" = "$wanted" ] || { fail "exit code $got, not $wanted: $*"; cat "$work/out" "$work/err" >&2; }
}

# unwrap: lines that were wrapped between words, as one line.
unwrap() { tr '\n' ' ' | sed 's/  */ /g'; }

# says FILE PATTERN: the file of $work has a line like that.
says() { grep -q -- "$2" "$work/$1" || { fail "no \"$2\" in $1:"; cat "$work/$1" >&2; }; }

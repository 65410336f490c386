#!/bin/sh
# The backends of bptt beside each other on this machine, in turn (A B A B ...): time of a training step, and where it
# goes. A Markdown table on stdout, what is being run on stderr.
#
#   sh bench/backends.sh [build/bptt [BACKEND...]]     the first backend is what the others are compared with
#
# BACKEND   cpu, opencl, or with options after commas: opencl,--lowering,never (default: cpu opencl
#           opencl,--lowering,never)
# ROUNDS    how often each is run (5)      SECONDS_EACH   for the timed steps of one run (2)
set -eu

bptt=${1:-build/bptt}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- cpu opencl opencl,--lowering,never
rounds=${ROUNDS:-5}
seconds=${SECONDS_EACH:-2}
die() { echo "backends.sh: $1" >&2; exit 1; }
case $rounds in '' | *[!0-9]* | 0) die "ROUNDS is a count, not '$rounds'" ;; esac
[ -x "$bptt" ] || die "$bptt: no such program; build it, or name it: sh bench/backends.sh PATH"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# run BACKEND[,OPTION...] SIZES...: bench's JSON on stdout.
run() {
    words=$(echo "$1" | tr ',' ' ')
    shift
    # shellcheck disable=SC2086  # the options are words
    "$bptt" bench --cell tanh --vocab 65 --optimizer sgd --json --backend $words "$@" || die "failed: $words $*"
}

# part JSON NAME...: per cent that these take of a profile.
part() {
    file=$1
    shift
    for name in "$@"; do
        tr '}' '\n' <"$file" | sed -n 's/.*"name":"'"$name"'",.*"share":\([0-9.eE+-]*\).*/\1/p'
    done | awk '{ s += $1 } END { printf "%.1f", 100 * s }'
}

# shape HIDDEN LAYERS BATCH STEPS BACKEND...: a line of the table each.
shape() {
    sizes="--hidden $1 --layers $2 --batch $3 --steps $4"
    name="H=$1 L=$2 B=$3 T=$4"
    shift 4
    rm -f "$work"/time.*
    round=1
    while [ "$round" -le "$rounds" ]; do
        echo "$name: round $round of $rounds" >&2
        for b in "$@"; do
            # shellcheck disable=SC2086
            run "$b" $sizes --seconds "$seconds" | sed -n 's/.*"ms_per_step":\([0-9.eE+-]*\).*/\1/p' >>"$work/time.$b"
        done
        round=$((round + 1))
    done
    first=''
    for b in "$@"; do
        # shellcheck disable=SC2086
        run "$b" $sizes --seconds 1 --profile >"$work/profile"
        line=$(sort -g "$work/time.$b" | awk '{ x[NR] = $1 }
            END { print NR % 2 ? x[(NR + 1) / 2] : (x[NR / 2] + x[NR / 2 + 1]) / 2, x[1], x[NR] }')
        [ -n "$first" ] || first=${line%% *}
        echo "$line $first" | awk -v row="$name | $(echo "$b" | tr ',' ' ')" \
            -v gemm="$(part "$work/profile" gemm)" \
            -v windows="$(part "$work/profile" window_forward window_backward window_output)" \
            -v moved="$(part "$work/profile" transfer_in transfer_out)" \
            '{ printf "| %s | %.2f (%.2f..%.2f) | %.2f | %s | %s | %s |\n", row, $1, $2, $3, $1 / $4, gemm, windows, moved }'
    done
}

cpu=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo 2>/dev/null | head -n 1)
echo "${cpu:-unknown processor}; $("$bptt" --version | head -n 1); tanh, V=65, SGD, $rounds rounds of $seconds s."
"$bptt" devices
echo
echo "| shape | backend | ms per step, median (min..max) | beside the first | gemm % | windows % | transfers % |"
echo "|---|---|---|---|---|---|---|"
shape 128 2 50 50 "$@"
shape 512 1 64 64 "$@"

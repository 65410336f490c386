#!/bin/sh
# bptt against PyTorch on this CPU: both peers in turn (A B A B ...), so that a slow minute of the machine hits both.
# Three cells, two shapes, one and two threads. A Markdown table on stdout, what is being run on stderr.
#
#   PYTHON=v/bin/python sh bench/compare.sh [build/bptt]
#
# PYTHON   a Python with torch (default python3); how to get one: bench/peers/torch_rnn.py
# CELLS    words of tanh, relu, gru, lstm ("tanh gru lstm")      THREADS   numbers of threads ("1 2")
# ROUNDS   how often each is run (5)      SECONDS_EACH   for the timed steps of one run (3)
# The median is that of the rounds' medians, in wall-clock ms per step; the spread is their smallest and largest. Both
# ratios are printed, of medians and of smallest. They disagree when something else wanted the cores: two threads that
# wait for each other by spinning (PyTorch's) then lose a hundredfold, and the table says nothing about either peer.
set -eu

bptt=${1:-build/bptt}
python=${PYTHON:-python3}
rounds=${ROUNDS:-5}
seconds=${SECONDS_EACH:-3}
peer=$(dirname "$0")/peers/torch_rnn.py

die() { echo "compare.sh: $1" >&2; exit 1; }
case $rounds in '' | *[!0-9]* | 0) die "ROUNDS is a count, not '$rounds'" ;; esac
[ -x "$bptt" ] || die "$bptt: no such program; build it, or name it: sh bench/compare.sh PATH"
"$python" -c 'import torch' 2>/dev/null || die "$python has no torch; set PYTHON (see $peer)"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# field NAME: that number out of one JSON object on stdin; nothing if it is missing or no number.
field() { sed -n 's/.*"'"$1"'": *\([0-9][0-9.eE+-]*\)[^0-9.eE+-].*/\1/p'; }

# once OUT COMMAND...: runs a peer, appends its median time to OUT.
once() {
    out=$1
    shift
    "$@" >"$work/json" || die "failed: $*"
    ms=$(field ms_per_step <"$work/json")
    case $ms in
    '' | *[!0-9.eE+-]*) die "no ms_per_step from: $*" ;;
    esac
    echo "$ms" >>"$out"
}

# summary FILE: "median min max" of its numbers.
summary() {
    sort -g "$1" | awk '{ x[NR] = $1 }
        END { m = NR % 2 ? x[(NR + 1) / 2] : (x[NR / 2] + x[NR / 2 + 1]) / 2; print m, x[1], x[NR] }'
}

# shape CELL THREADS HIDDEN LAYERS BATCH STEPS: one line of the table.
shape() {
    cell=$1
    threads=$2
    shift
    sizes="--cell $cell --hidden $2 --layers $3 --batch $4 --steps $5 --vocab 65 --optimizer adam --clip 5"
    rm -f "$work/bptt" "$work/torch"
    round=1
    while [ "$round" -le "$rounds" ]; do
        echo "$cell H=$2 L=$3 B=$4 T=$5, $threads thread(s): round $round of $rounds" >&2
        # shellcheck disable=SC2086  # the options are words
        once "$work/bptt" "$bptt" bench $sizes --threads "$threads" --backend cpu --seconds "$seconds" --json
        # shellcheck disable=SC2086
        once "$work/torch" env OMP_NUM_THREADS="$threads" \
            "$python" "$peer" $sizes --threads "$threads" --seconds "$seconds" --json
        round=$((round + 1))
    done
    echo "$(summary "$work/bptt") $(summary "$work/torch")" | awk -v row="$cell | H=$2 L=$3 B=$4 T=$5 | $threads" '
        { printf "| %s | %.2f (%.2f..%.2f) | %.2f (%.2f..%.2f) | %.2f | %.2f |\n",
              row, $1, $2, $3, $4, $5, $6, $4 / $1, $5 / $2 }'
}

cpu=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo 2>/dev/null | head -n 1)
about=$("$python" "$peer" --hidden 8 --layers 1 --iterations 2 --json |
    sed -n 's/.*"version": *"\([^"]*\)", *"blas": *"\([^"]*\)".*/\1, \2/p')
echo "${cpu:-unknown CPU}; $("$bptt" --version | head -n 1); torch $about; V=65, Adam, clipped norm, $rounds rounds of $seconds s."
echo
echo "| cell | shape | threads | bptt ms per step, median (min..max) | torch ms per step | torch / bptt | of smallest |"
echo "|---|---|---|---|---|---|---|"
for c in ${CELLS:-tanh gru lstm}; do
    for n in ${THREADS:-1 2}; do
        shape "$c" "$n" 128 2 50 50
        shape "$c" "$n" 512 1 64 64
    done
done

#!/bin/sh
# bptt against PyTorch and oneDNN on this CPU: the programs in turn (A B C A B C ...), so that a slow minute of the machine
# hits all. A Markdown table on stdout, what is being run on stderr.
#
#   PYTHON=v/bin/python ONEDNN=./onednn_rnn sh bench/compare.sh [build/bptt]
#
# PYTHON   a Python with torch (default python3); how to get one: bench/peers/torch_rnn.py; "": without PyTorch
# ONEDNN   the program of bench/peers/onednn_rnn.cpp, which says how to build it; "" (default): without oneDNN
# CELLS    words of tanh, gru, lstm, and without oneDNN relu ("tanh gru lstm")    THREADS  numbers of threads ("1 2")
# SHAPES   H,L,B,T ("128,2,50,50 512,1,64,64")
# ISA      instructions of bptt (auto); of the peers: ONEDNN_MAX_CPU_ISA=AVX2, MKL_ENABLE_INSTRUCTIONS=AVX2 and
#          ATEN_CPU_CAPABILITY=avx2 in the environment
# ROUNDS   how often each is run (5)      SECONDS_EACH   for the timed steps of one run (3)
# The median is that of the rounds' medians, in wall-clock ms per step; the spread is their smallest and largest. Ratios
# (peer / bptt) are printed of medians and of smallest. They disagree when something else wanted the cores: two threads
# that wait for each other by spinning (PyTorch's, oneDNN's) then lose a hundredfold, and the table says nothing.
set -eu

bptt=${1:-build/bptt}
python=${PYTHON-python3}
onednn=${ONEDNN:-}
rounds=${ROUNDS:-5}
seconds=${SECONDS_EACH:-3}
peer=$(dirname "$0")/peers/torch_rnn.py

die() { echo "compare.sh: $1" >&2; exit 1; }
case $rounds in '' | *[!0-9]* | 0) die "ROUNDS is a count, not '$rounds'" ;; esac
[ -x "$bptt" ] || die "$bptt: no such program; build it, or name it: sh bench/compare.sh PATH"
peers=''
if [ -n "$python" ]; then
    "$python" -c 'import torch' 2>/dev/null || die "$python has no torch; set PYTHON (see $peer)"
    peers=torch
fi
if [ -n "$onednn" ]; then
    [ -x "$onednn" ] || die "$onednn: no such program; ONEDNN is that of bench/peers/onednn_rnn.cpp"
    peers="$peers onednn"
fi
[ -n "$peers" ] || die "no peer: set PYTHON or ONEDNN"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# field NAME: that number out of one JSON object on stdin; nothing if it is missing or no number.
field() { sed -n 's/.*"'"$1"'": *\([0-9][0-9.eE+-]*\)[^0-9.eE+-].*/\1/p'; }

# once OUT COMMAND...: runs a peer, appends its median time to OUT.
once() {
    out=$1
    shift
    "$@" >"$work/json" || die "failed: $* $sizes"
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

# run NAME: one run of bptt or a peer, of the options in $sizes.
run() {
    # shellcheck disable=SC2086  # the options are words
    case $1 in
    bptt) "$bptt" bench $sizes --backend cpu --isa "${ISA:-auto}" ;;
    torch) OMP_NUM_THREADS=$threads "$python" "$peer" $sizes ;;
    onednn) OMP_NUM_THREADS=$threads "$onednn" $sizes ;;
    esac
}

# shape CELL THREADS H,L,B,T: a line of the table for each peer.
shape() {
    cell=$1 threads=$2 of=$3
    sizes=$(echo "$3" | awk -F, 'NF == 4 { print "--hidden", $1, "--layers", $2, "--batch", $3, "--steps", $4 }')
    [ -n "$sizes" ] || die "SHAPES has words H,L,B,T, not $3"
    sizes="--cell $cell $sizes --vocab 65 --optimizer adam --clip 5 --threads $threads --seconds $seconds --json"
    rm -f "$work/bptt" "$work/torch" "$work/onednn"
    round=1
    while [ "$round" -le "$rounds" ]; do
        for name in bptt $peers; do
            echo "$cell $of, $threads thread(s): round $round of $rounds, $name" >&2
            once "$work/$name" run "$name"
        done
        round=$((round + 1))
    done
    for name in $peers; do
        echo "$(summary "$work/bptt") $(summary "$work/$name")" | awk -v row="$cell | $of | $threads" -v name="$name" '
            { printf "| %s | %.2f (%.2f .. %.2f) | %s | %.2f (%.2f .. %.2f) | %.2f | %.2f |\n",
                  row, $1, $2, $3, name, $4, $5, $6, $4 / $1, $5 / $2 }'
    done
}

# version PEER: what it says of itself.
version() {
    threads=1
    sizes='--hidden 8 --layers 1 --batch 2 --steps 2 --vocab 65 --seconds 0.1 --json'
    run "$1" | sed -n 's/.*"version": *"\([^"]*\)"\(, *"blas": *"\([^"]*\)"\)\{0,1\}.*/\1 \3/p' | sed 's/ $//'
}

cpu=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo 2>/dev/null | head -n 1)
printf '%s; %s' "${cpu:-unknown CPU}" "$("$bptt" --version | head -n 1)"
for name in $peers; do printf '; %s %s' "$name" "$(version "$name")"; done
echo "; V=65, Adam, clipped norm, $rounds rounds of $seconds s."
echo
echo "| cell | H, L, B, T | threads | bptt ms per step, median (min .. max) | peer | ms per step | peer / bptt | of smallest |"
echo "|---|---|---|---|---|---|---|---|"
for c in ${CELLS:-tanh gru lstm}; do
    for n in ${THREADS:-1 2}; do
        for shape in ${SHAPES:-128,2,50,50 512,1,64,64}; do shape "$c" "$n" "$shape"; done
    done
done

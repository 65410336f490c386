#!/bin/sh
# The validation loss that a first run reaches in so many seconds of CPU time on one thread: `bptt train TEXT` with its
# defaults, then PyTorch with the same network, with one LSTM layer of the same width, and with char-rnn's LSTM, one after
# another (bench/peers/torch_minutes.py). A Markdown table on stdout.
#
#   PYTHON=v/bin/python sh bench/minutes.sh TEXT [build/bptt]
#
# PYTHON        a Python with torch (default python3); how to get one: bench/peers/torch_rnn.py
# CPU_SECONDS   for the training of each (120)        SEED   of first weights (1)
# bptt is interrupted (SIGINT) when it has used its time, saves, and `bptt score --valid 0.05` reads the file. Its time
# includes reading the text and scheduled validations; PyTorch's counts from the first update.
set -eu
text=${1:?usage: sh bench/minutes.sh TEXT [BPTT]}
bptt=${2:-build/bptt}
python=${PYTHON:-python3}
limit=${CPU_SECONDS:-120}
seed=${SEED:-1}
peer=$(dirname "$0")/peers/torch_minutes.py
die() { echo "minutes.sh: $1" >&2; exit 1; }
[ -x "$bptt" ] || die "$bptt: no such program; build it, or name it: sh bench/minutes.sh TEXT PATH"
"$python" -c 'import torch' 2>/dev/null || die "$python has no torch; set PYTHON (see bench/peers/torch_rnn.py)"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# CPU time of a process in hundredths of a second: utime and stime of /proc/PID/stat, whose second field has no blanks.
used() { awk '{ print $14 + $15 }' "/proc/$1/stat" 2>/dev/null || echo 0; }
ticks=$(getconf CLK_TCK)
# A command started with & by a script ignores SIGINT; Python gives it back its default.
"$python" -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])' "$bptt" train "$text" --threads 1 --backend cpu --seed "$seed" -o "$work/m.safetensors" \
    --log "$work/log.jsonl" 2>"$work/err" </dev/null &
process=$!
while kill -0 $process 2>/dev/null && [ "$(used $process)" -lt $((limit * ticks)) ]; do sleep 0.2; done
kill -INT $process 2>/dev/null || true
wait $process || true
updates=$(sed -n 's/.*"event":"step","iteration":\([0-9]*\).*/\1/p' "$work/log.jsonl" | tail -n 1)
loss=$("$bptt" score "$work/m.safetensors" "$text" --valid 0.05 --backend cpu -q | sed -n 's/^nats //p')
sizes=$(sed -n 's/.*"hidden":\([0-9]*\),"layers":\([0-9]*\).*/\1 \2/p' "$work/log.jsonl" | head -n 1)
if [ -z "$loss" ] || [ -z "$updates" ] || [ -z "$sizes" ]; then
    cat "$work/err" >&2
    die "bptt train ended without a model"
fi
hidden=${sizes% *} layers=${sizes#* }
sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1
echo
echo "| after $limit s of CPU time, one thread | updates | validation loss, nats |"
echo "|---|---|---|"
printf '| bptt train, its defaults: tanh %sx%s | %s | %.3f |\n' "$layers" "$hidden" "$updates" "$loss"

# torch NAME OPTION...
torch() {
    name=$1
    shift
    "$python" "$peer" "$text" --cpu-seconds "$limit" --seed "$seed" "$@" >"$work/json"
    sed 's/.*"updates": \([0-9]*\),.*"valid_loss": \([0-9.]*\).*/\1 \2/' "$work/json" |
        { read -r n x; printf '| PyTorch, %s | %s | %.3f |\n' "$name" "$n" "$x"; }
}
torch "tanh ${layers}x$hidden" --hidden "$hidden" --layers "$layers"
torch "LSTM 1x$hidden" --cell lstm --hidden "$hidden" --layers 1
torch "LSTM 2x128, B 50, T 50 (char-rnn's sizes)" --cell lstm --hidden 128 --layers 2 --batch 50 --steps 50

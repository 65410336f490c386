#!/bin/sh
# The error-to-signal ratio of samples/amp.c and of the same network in PyTorch (bench/peers/torch_amp.py), trained on the
# same signals with as many updates; one thread each. A Markdown table on stdout.
#
#   PYTHON=v/bin/python UPDATES=400 sh bench/amp.sh [build/amp]
#
# PYTHON   a Python with torch and numpy (default python3); how to get one: bench/peers/torch_rnn.py
set -eu
amp=${1:-build/amp}
python=${PYTHON:-python3}
updates=${UPDATES:-400}
peer=$(dirname "$0")/peers/torch_amp.py
die() { echo "amp.sh: $1" >&2; exit 1; }
[ -x "$amp" ] || die "$amp: no such program; build it, or name it: sh bench/amp.sh PATH"
"$python" -c 'import torch, numpy' 2>/dev/null || die "$python has no torch or numpy; set PYTHON (see bench/peers/torch_rnn.py)"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

"$amp" --write "$work/signals"
"$amp" "$updates" >"$work/bptt" 2>/dev/null || true # above the goal is a result too
"$python" "$peer" "$work/signals" --updates "$updates" >"$work/torch"
bptt=$(sed -n 's/.*ratio \([0-9.]*\),.* \([0-9]*\) s$/\1 | \2/p' "$work/bptt")
torch=$(sed -n 's/.*"cpu_seconds": \([0-9.]*\), "error_to_signal": \([0-9.]*\).*/\2 | \1/p' "$work/torch")
if [ -z "$bptt" ] || [ -z "$torch" ]; then die "a run ended without a result"; fi
sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1
echo
echo "| LSTM 1x16, $updates updates | error-to-signal ratio | CPU s |"
echo "|---|---|---|"
echo "| samples/amp.c | $bptt |"
echo "| PyTorch | $torch |"

#!/bin/sh
# Trains a small model and scores it twice: by bptt, and by PyTorch from the file alone. The two must agree to 1e-5 nats.
# usage: tests/interop.sh BPTT PYTHON
set -eu
bptt=$1 python=$2
here=$(dirname "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat "$here"/../host/*.c >"$work/text"
for cell in tanh relu; do
    "$bptt" train "$work/text" --cell "$cell" --hidden 48 --layers 2 --biases 2 --iterations 200 --lr 1e-3 --valid 0.1 --quiet \
        -o "$work/$cell.safetensors" >/dev/null
    ours=$("$bptt" score "$work/$cell.safetensors" "$work/text" --valid 0.1 --json)
    theirs=$("$python" "$here/interop.py" "$work/$cell.safetensors" "$work/text")
    "$python" - "$cell" "$ours" "$theirs" <<'P'
import json, sys
ours, theirs = (json.loads(x) for x in sys.argv[2:4])
apart = abs(ours["nats"] - theirs["loss"])
print(f"interop: {sys.argv[1]}: bptt {ours['nats']:.9f}, PyTorch {theirs['loss']:.9f}, apart {apart:.1e}")
sys.exit(0 if apart <= 1e-5 and ours["n"] == theirs["n"] else 1)
P
done

#!/bin/sh
# Trains small nets with two builds and compares what they wrote: all tensors must be equal, byte for byte. For changes
# that must not change a number. The metadata of the files may differ.
#   sh tests/same_bits.sh BEFORE AFTER    the two programs, each beside its modules
# Exit code 0: all files are equal; 1: some differ. Backends: ref, cpu, and opencl if BEFORE has a device.
set -eu
[ $# = 2 ] || { echo "usage: sh tests/same_bits.sh BEFORE AFTER" >&2; exit 64; }
before=$1
after=$2
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
text=$here/data/curve.txt

backends='ref cpu'
if "$before" train "$text" --backend opencl --hidden 2 --layers 1 --iterations 1 -o "$folder/x" >/dev/null 2>&1; then
    backends="$backends opencl:never opencl:always"
else
    echo "not tested: no OpenCL device"
fi

# Cell, layers, hidden, batch, steps, biases, optimizer and clipping.
nets='tanh 1 7 1 5 1 --optimizer_adam
tanh 2 33 3 33 2 --optimizer_adam_--clip-mode_value_--clip_0.1
tanh 3 20 7 50 1 --optimizer_sgd_--momentum_0.9_--clip_1
relu 1 16 5 100 2 --optimizer_rmsprop
relu 2 65 13 17 1 --optimizer_rmsprop_--clip_0.05
relu 3 9 2 300 1 --optimizer_adam_--clip_0
tanh 1 128 50 50 1 --optimizer_adam
tanh 2 50 1 64 2 --optimizer_sgd_--lr_0.1_--clip-mode_value_--clip_0.01
relu 1 130 9 31 1 --optimizer_sgd_--momentum_0.5
tanh 3 24 11 8 2 --optimizer_rmsprop_--clip-mode_value_--clip_0.5
tanh 1 256 3 20 1 --optimizer_adam_--init_uniform
relu 2 40 4 65 2 --optimizer_adam_--clip_0.2'

# The tensors of a safetensors file, and which they are: its header without metadata, then the data.
tensors() {
    python3 - "$1" <<'PYTHON'
import hashlib, json, sys
data = open(sys.argv[1], "rb").read()
length = int.from_bytes(data[:8], "little")
header = json.loads(data[8:8 + length])
header.pop("__metadata__", None)
kept = sorted((name, t["dtype"], t["shape"], hashlib.sha256(
    data[8 + length + t["data_offsets"][0]:8 + length + t["data_offsets"][1]]).hexdigest())
    for name, t in header.items())
print(hashlib.sha256(json.dumps(kept).encode()).hexdigest())
PYTHON
}

# train PROGRAM OUTPUT BACKEND CELL LAYERS HIDDEN BATCH STEPS BIASES OPTIONS...
train() {
    program=$1
    output=$2
    lowering=${3#*:}
    [ "$lowering" != "$3" ] || lowering=auto
    backend=${3%%:*}
    cell=$4 layers=$5 hidden=$6 batch=$7 steps=$8 biases=$9
    shift 9
    "$program" train "$text" --backend "$backend" --lowering "$lowering" --cell "$cell" --layers "$layers" \
        --hidden "$hidden" --batch "$batch" --steps "$steps" --biases "$biases" --iterations 25 --valid-every 10 \
        -o "$output" "$@" >/dev/null 2>"$folder/words" || { cat "$folder/words" >&2; return 1; }
    tensors "$output"
}

files=0
unlike=0
for backend in $backends; do
    while read -r net; do
        # shellcheck disable=SC2046,SC2086  # lists of words
        set -- $net
        options=$(echo "$7" | tr _ ' ')
        # shellcheck disable=SC2086
        one=$(train "$before" "$folder/one" "$backend" "$1" "$2" "$3" "$4" "$5" "$6" $options)
        # shellcheck disable=SC2086
        two=$(train "$after" "$folder/two" "$backend" "$1" "$2" "$3" "$4" "$5" "$6" $options)
        files=$((files + 1))
        [ "$one" = "$two" ] || { unlike=$((unlike + 1)); echo "unlike: $backend $net"; }
    done <<NETS
$nets
NETS
done
echo "$files pairs of files, $unlike unlike"
[ "$unlike" = 0 ]

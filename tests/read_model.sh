#!/bin/sh
# A model file, read byte by byte by a reader that shares no code with bptt: rules of the format, checksums, PyTorch's
# names; and a file with one byte changed is refused. usage: tests/read_model.sh BPTT
set -eu
bptt=$1
reader=$(dirname "$0")/read_model.py
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat "$(dirname "$0")"/../host/*.c >"$work/text"
"$bptt" train "$work/text" --hidden 8 --layers 2 --iterations 3 --quiet -o "$work/m.safetensors" >/dev/null
python3 "$reader" --data-crc "$work/m.safetensors" >"$work/tensors"
for name in rnn.weight_ih_l0 rnn.weight_hh_l0 rnn.bias_ih_l0 rnn.bias_hh_l0 rnn.weight_ih_l1 decoder.weight decoder.bias \
    train.state; do
    grep -q "^$name F32 " "$work/tensors" || { echo "no tensor $name"; exit 1; }
done
grep -q '^rnn.bias_hh_l0 F32 \[8\] 0.0$' "$work/tensors" || { echo "bias_hh is not zeros"; exit 1; }
size=$(wc -c <"$work/m.safetensors")
printf '\377' | dd of="$work/m.safetensors" bs=1 seek=$((size - 2)) conv=notrunc 2>/dev/null
if python3 "$reader" --data-crc "$work/m.safetensors" >/dev/null 2>&1; then
    echo "a changed byte was not noticed"
    exit 1
fi
echo "read_model: the file keeps the rules; a changed byte is noticed"

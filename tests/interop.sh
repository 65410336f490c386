#!/bin/sh
# Models of bptt in PyTorch and models of PyTorch in bptt: the losses must agree to 1e-5 nats. Models of cells that
# PyTorch does not have must be refused by it.
# usage: tests/interop.sh BPTT PYTHON
set -eu
bptt=$1 python=$2
here=$(dirname "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat "$here"/../host/model.c >"$work/text"
for cell in tanh relu gru lstm mlstm mingru gru-before; do
    for layers in 1 2; do
        for biases in 1 2; do
            "$bptt" train "$work/text" --cell $cell --hidden 24 --layers $layers --biases $biases --iterations 40 \
                --lr 3e-3 --batch 4 --steps 16 --threads 1 --valid 0.1 -q \
                -o "$work/bptt-$cell-$layers-$biases.safetensors" >/dev/null
        done
    done
done
rm -f "$work"/*.best.safetensors
"$python" "$here/interop.py" make "$work" "$work/text"
"$python" "$here/interop.py" score "$work" "$work/text" --valid 0.1 >"$work/theirs"
while read -r file loss n; do
    case $loss,$file in
    refused,bptt-mlstm* | refused,bptt-mingru* | refused,bptt-gru-before*) echo "interop: $file: refused by PyTorch" ;;
    *)
        "$bptt" score "$work/$file" "$work/text" --valid 0.1 --json --quiet >"$work/ours"
        awk -F'[:,}]' -v file="$file" -v loss="$loss" -v n="$n" '{ # {"nats":X,"bpc":X,"n":N}
            apart = $2 > loss ? $2 - loss : loss - $2
            printf "interop: %s: bptt %.9f, PyTorch %.9f, apart %.1e\n", file, $2, loss, apart
            exit !($2 > 0 && apart <= 1e-5 && $6 == n)
        }' "$work/ours"
        ;;
    esac
done <"$work/theirs"
[ "$(wc -l <"$work/theirs")" = 56 ] # 28 of bptt, 28 of PyTorch

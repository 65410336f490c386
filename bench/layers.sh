#!/bin/sh
# bptt_layers over a list of shapes: one JSON object a line on stdout, what is being run on stderr.
#
#   sh bench/layers.sh [build/bptt_layers [OPTIONS...]] > rows.jsonl
#
# OPTIONS  of bptt_layers: --contestants, --rounds, --seconds-each, ...
# SHAPES   CELL,H,L,B,T words instead of the list below     PRECISIONS  fp32,tf32,bf16,fp16
#
# The list: where cuDNN has kernels of its own (H up to 384; fp16, one layer, up to 1024) and where it has none (other
# types, more layers), DeepBench's vanilla shapes, and one GRU and LSTM as anchors to published numbers.
set -eu

program=${1:-build/bptt_layers}
[ $# -eq 0 ] || shift
[ -x "$program" ] || { echo "layers.sh: $program: no such program; build it, or name it" >&2; exit 1; }
shapes=${SHAPES:-"
    tanh,128,1,32,100  tanh,128,2,50,50   tanh,256,1,32,100  tanh,256,2,64,100
    tanh,512,1,64,100  tanh,512,1,128,100 tanh,512,2,128,100 tanh,1024,1,64,100  tanh,1024,2,64,100
    relu,1760,1,16,50  relu,1760,1,64,50  relu,2560,1,32,50
    gru,256,1,64,100   lstm,768,1,16,1024"}
one() { # CELL H L B T OPTIONS...
    cell=$1 H=$2 L=$3 B=$4 T=$5
    shift 5
    "$program" --cell "$cell" --hidden "$H" --layers "$L" --batch "$B" --steps "$T" \
        --precision "${PRECISIONS:-fp32,tf32,bf16,fp16}" --json "$@" || [ $? -eq 69 ] # no contestant could run
}

for shape in $shapes; do
    echo "layers.sh: $shape" >&2
    # shellcheck disable=SC2046  # the parts of a shape are words
    one $(echo "$shape" | tr ',' ' ') "$@"
done

#!/bin/sh
# bench/gpu_micro.cu compiles without a warning, and says in one sentence that there is no GPU, with exit code 69.
# Where there is one, every row it prints has a number. usage: tests/gpu_micro.sh CMAKE BUILD
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
die() { echo "gpu_micro.sh: $1" >&2; cat "$work"/* >&2; exit 1; }
"$1" --build "$2" --target bptt_gpu_micro >"$work/build" 2>&1 || die "it does not compile"
for option in '' --identify; do
    code=0
    "$2/bench/gpu_micro" ${option:+"$option"} >"$work/out" 2>"$work/err" || code=$?
    if [ "$code" = 0 ]; then
        [ -s "$work/out" ] || die "no row"
        if grep -q '"error"' "$work/out"; then die "a row has an error"; fi
        continue
    fi
    [ "$code" = 69 ] || die "exit code $code, not 69"
    [ ! -s "$work/out" ] || die "rows without a GPU"
    [ "$(wc -l <"$work/err")" = 1 ] || die "not one sentence"
    grep -q '^gpu_micro: no NVIDIA GPU here: ' "$work/err" || die "not the sentence"
done
code=0
"$2/bench/gpu_micro" --everything >"$work/out" 2>"$work/err" || code=$?
[ "$code" = 64 ] || die "exit code $code for an unknown option, not 64"
echo "gpu_micro: passed"

#!/bin/sh
# bptt_layers: rows of the host's backends, rows that say why there are no numbers, refusals. layers_bench.sh PROGRAM
set -eu
program=$1
small="--hidden 8 --layers 2 --batch 3 --steps 4 --rounds 3 --seconds-each 0.001"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# shellcheck disable=SC2086  # the options are words
"$program" $small --precision fp32 --json \
    --contestants bptt:cpu,bptt:ref:never,cudnn:standard,cudnn:small:graph,bptt:abacus > "$work/rows"
python3 - "$work/rows" <<'PYTHON'
import json, sys
rows = [json.loads(line) for line in open(sys.argv[1])]
names = ["bptt:cpu", "bptt:ref:never", "cudnn:standard:eager", "cudnn:standard:graph", "cudnn:small:graph", "bptt:abacus"]
assert [r["contestant"] for r in rows] == names, [r["contestant"] for r in rows]
assert [r["kind"] for r in rows] == ["graph", "eager", "eager", "graph", "graph", "graph"]
keys = set(rows[0])
for r in rows:
    assert set(r) == keys, set(r) ^ keys
    assert (r["H"], r["L"], r["B"], r["T"], r["cell"], r["precision"]) == (8, 2, 3, 4, "tanh", "fp32"), r
for r in rows[:2]:
    assert r["error"] is None and r["same"] is True and len(r["hash"]) == 16, r
    assert max(r["error_y"], r["error_dx"], r["error_dw"]) < 1e-5, r
    assert 0 < r["ms_forward_q1"] <= r["ms_forward"] <= r["ms_forward_q3"] and 0 < r["ms_both"], r
    assert abs(r["us_per_step"] / (1e3 * r["ms_forward"] / 8) - 1) < 1e-4, r
    assert r["ms_data"] is None and r["clock"] == "host" and r["ms_forward_runs"] >= 1, r
for r in rows[2:]:
    assert r["error"] is None or (len(r["error"]) > 20 and r["ms_forward"] is None and r["error_y"] is None), r
assert "abacus" in rows[5]["error"], rows[5]
PYTHON

# A program that nobody can compete in is not a success; what is not understood is refused.
# shellcheck disable=SC2086
expect() { want=$1; shift; got=0; "$program" "$@" > "$work/out" 2> "$work/err" || got=$?; [ "$got" = "$want" ] || {
    echo "exit status $got, not $want: $*" >&2; cat "$work/err" >&2; exit 1; }; }
# shellcheck disable=SC2086
expect 69 $small --cell gru --contestants bptt:cpu
grep -q "bptt has no cell gru" "$work/out"
# shellcheck disable=SC2086
expect 69 $small --contestants bptt:cpu:sometimes
for wrong in "--cell sru" "--hidden 0" "--hidden -3" "--rounds 1000" "--precision fp8" "--contestants abacus" "--speed 3" \
    "--contestants" "--seconds-each 0"; do
    # shellcheck disable=SC2086
    expect 64 $wrong
done

#!/bin/sh
# The first losses of bptt train beside a reference curve: the same text, protocol and seed, from another program.
#
#   sh bench/curve.sh TEXT CURVE.json BPTT [OPTION...]
#
# CURVE.json   {"train_loss_nats": [..], "protocol": {"seed": 1, "H": 256, "L": 1, "B": 32, "T": 64, "lr": 2e-3, "clip": 5,
#              "frac": 0.95}}: losses in nats of updates 1, 2, ..., Adam, tanh, one bias, protocol of bptt_trainer.h
# OPTION       of bptt train: --backend, --device, --threads, ...
# UPDATES      how many are compared (50)        NEAR   the most a loss may be off (2e-5)
# Prints the largest |loss - curve| and where it is. Exit status 1 if it is above NEAR, or is not a number.
set -eu

die() { echo "curve.sh: $1" >&2; exit 1; }
[ $# -ge 3 ] || die "usage: sh bench/curve.sh TEXT CURVE.json BPTT [OPTION...]"
text=$1 curve=$2 bptt=$3
shift 3
updates=${UPDATES:-50}
near=${NEAR:-2e-5}
[ -r "$text" ] || die "$text: cannot be read"
[ -r "$curve" ] || die "$curve: cannot be read"
[ -x "$bptt" ] || die "$bptt: no such program; build it, or name it"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# field NAME: that number of the curve's protocol.
field() {
    value=$(tr -d '\n' <"$curve" | sed -n 's/.*"'"$1"'": *\([0-9][0-9.eE+-]*\)[^0-9.eE+-].*/\1/p')
    [ -n "$value" ] || die "$curve: no number called $1"
    echo "$value"
}
tr -d '\n' <"$curve" | sed -n 's/.*"train_loss_nats": *\[\([^]]*\)\].*/\1/p' | tr ',' '\n' | head -n "$updates" >"$work/want"
[ "$(wc -l <"$work/want")" -ge "$updates" ] || die "$curve: fewer than $updates losses in train_loss_nats"

seed=$(field seed) hidden=$(field H) layers=$(field L) batch=$(field B) steps=$(field T)
rate=$(field lr) clip=$(field clip) train=$(field frac)
"$bptt" train "$text" --quiet --cell tanh --biases 1 --optimizer adam --seed "$seed" --hidden "$hidden" --layers "$layers" \
    --batch "$batch" --steps "$steps" --lr "$rate" --clip "$clip" --valid "$(echo "$train" | awk '{ print 1 - $1 }')" \
    --valid-every 0 --iterations "$updates" --output "$work/out" --log "$work/log" "$@" ||
    die "bptt train failed"

sed -n 's/.*"event": *"step".*"loss": *\([^,}]*\).*/\1/p' "$work/log" >"$work/got"
paste -d ' ' "$work/want" "$work/got" | awk -v near="$near" -v n="$updates" '
    function off(a, b) { return a > b ? a - b : b - a }
    { d = off($1, $2); if (NF == 2 && d <= near) good++; if (!(d <= most)) { most = d; at = NR } }
    END { printf "largest |loss - curve| over %d updates: %.3g, at update %d; at most %g\n", NR, most, at, near
          exit !(NR == n && good == n) }'

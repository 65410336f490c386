#!/bin/sh
# Installs missing packages, builds bptt, trains it on its own source text and samples from the model. Downloads only
# Debian packages. usage: sh samples/quickstart.sh [TEXT]
set -eu
cd "$(dirname "$0")/.."
text=${1:-}
set -- gcc libc6-dev cmake make
# shellcheck source=samples/install.sh
. samples/install.sh

echo "== building =="
cmake -S . -B build/quickstart -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF >/dev/null
cmake --build build/quickstart -j 2 >/dev/null
bptt=build/quickstart/bptt
model=build/quickstart/model.safetensors

echo "== training on ${text:-the source text of bptt itself} =="
if [ -n "$text" ]; then
    set -- # no prompt: the text need not contain its characters
    $bptt train "$text" -o $model
else
    # Fewer parameters and more epochs than the defaults for this text: about a minute on two cores.
    set -- --prime "static bptt_status "
    $bptt train --hidden 128 --layers 2 --epochs 15 -o $model </dev/null # a pipe would be read as the text
fi
echo "== what it writes =="
$bptt sample $model "$@" --length 500 --temperature 0.8 --seed 1
echo
echo "== done: $bptt sample $model writes more, $bptt train --help says what else there is =="

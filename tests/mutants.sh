#!/bin/sh
# Plants mistakes, one at a time, in a copy of the tree, and sees that the tests notice: tests/README.md, "Mutants".
#   sh tests/mutants.sh             all of mutants.txt; minutes. Exit code 0: each was noticed as the table says
#   sh tests/mutants.sh NAME...     these
#   sh tests/mutants.sh --brief     runs only the parts of `bptt verify` that must fail, not those that must hold
#   sh tests/mutants.sh --share=K/N every N-th from number K on, 0 <= K < N
#   sh tests/mutants.sh --list      their names, what each does, which test and which parts of verify must notice it
#   sh tests/mutants.sh --check     builds nothing: each can still be planted
set -eu
cd "$(dirname "$0")/.."
exec python3 tests/mutants.py "$@"

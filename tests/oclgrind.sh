#!/bin/sh
# Every kernel under Oclgrind, which watches each access to memory: none outside a buffer, none that races another, none
# of what was never written. And that it would notice: three bugs planted in a copy of the program must be reported.
#   sh tests/oclgrind.sh SMALL_OPENCL [CLASS...]     CLASS: of small_opencl.c; none: one of each kind
# Exit status 77 where Oclgrind is not installed, but 1 if BPTT_NEED_OPENCL is set.
set -eu
small=$1
shift
case $small in /*) ;; *) small=$PWD/$small ;; esac
runtime=/usr/lib/oclgrind/liboclgrind-rt-icd.so
if [ ! -e "$runtime" ]; then
    echo "skipped: Oclgrind: there is no $runtime (Debian: oclgrind)"
    [ -z "${BPTT_NEED_OPENCL:-}" ] && exit 77
    exit 1
fi
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
trap 'exit 1' HUP INT TERM
cd "$here"

# The only platform there is: libOpenCL.so.1 reads the folder of drivers from the environment.
mkdir drivers
echo "$runtime" >drivers/oclgrind.icd
export OCL_ICD_VENDORS="$here/drivers" OCLGRIND_DATA_RACES=1 OCLGRIND_UNINITIALIZED=1 BPTT_TEST_PLAIN=1
export BPTT_RIGS=opencl BPTT_NEED_OPENCL=1
unset BPTT_DEVICE BPTT_TEST_PROGRAM OCLGRIND_LOG # a log holds what the last device said
failures=0

say() { # say TRUTH SENTENCE
    if [ "$1" = 0 ]; then echo "ok      $2"; else
        failures=$((failures + 1))
        echo "FAILED  $2"
    fi
}

# watch FEW CLASS: the kernels of that class; what Oclgrind says is in the file log, what the program says in out.
watch() {
    watched=0
    CK_RUN_CASE=$2 BPTT_TEST_FEW=$1 "$small" >out 2>all || watched=1
    grep -v '^[0-9]* warnings* generated' all >log || :
    return $watched
}

[ $# -gt 0 ] || set -- "lanes 8 wide" "groups of 64"
for class in "$@"; do
    truth=0
    watch some "$class" || truth=1
    grep -q '^100%: Checks: 1,' out || truth=1
    [ ! -s log ] || truth=1
    say $truth "$class: every kernel gives the bits of the host build and touches only what it may"
    [ $truth = 0 ] || head -n 30 log out
done

# plant SENTENCE WORDS SED: that bug in the program is reported with those words.
plant() {
    "$small" --text >whole
    sed "$3" whole >planted
    truth=0
    if cmp -s whole planted; then
        echo "oclgrind.sh: the program has nothing that matches: $3"
        truth=1
    fi
    BPTT_TEST_PROGRAM=$here/planted watch one "groups of 64" || :
    grep -q "$2" log || truth=1
    say $truth "$1 is reported"
    [ $truth = 0 ] || head -n 10 log out
}
plant "a write outside a buffer" "Invalid write" 's/AT(y, i, j) = o.value/AT(y, i + 1000000, j) = o.value/'
plant "a missing barrier" "data race" '/^INLINE float sum_of_lanes/,/^}/s/^ *BARRIER;//'
plant "a sum that starts from what is there" "Uninitialized value" \
    '/^INLINE void sum_pieces/,/^}/s/EACH_LANE (l, WIDTH)//; /^INLINE void sum_pieces/,/^}/s/part.l. = 0.0f;//'

[ $failures = 0 ] || exit 1

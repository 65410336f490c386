#!/bin/sh
# Tasks that need memory, by the programs in samples/: the adding problem, copying, running parity; cells in turn. A
# Markdown table on stdout, progress on stderr. Not a benchmark of speed: one run of each, one thread, CPU seconds.
#
#   sh bench/tasks.sh [BUILD [TASK...]]      # BUILD (build) holds adding, copy_memory, parity; TASK: one or more of these
#
# A row is "missed" where the updates given here did not suffice. Exit code 1 if a run failed for another reason.
set -eu
build=${1:-build}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- parity adding copy_memory
for program; do [ -x "$build/$program" ] || { echo "tasks.sh: $build/$program: no such program; build it" >&2; exit 1; }; done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# The runs: a program and its options.
runs() {
    sed -n "s/^$1 /&/p" <<-END
	parity --cell tanh
	parity --cell gru --rate 1e-2
	parity --cell lstm
	parity --cell mlstm
	parity --cell mingru --rate 1e-2
	parity --cell gru-before --rate 1e-2
	adding --cell tanh --steps 30
	adding --cell gru --steps 30 --rate 2e-3
	adding --cell lstm --steps 30 --rate 2e-3
	adding --cell tanh --steps 100
	adding --cell gru --steps 100 --rate 2e-3
	adding --cell lstm --steps 100 --rate 2e-3
	adding --cell mlstm --steps 100 --rate 2e-3 --updates 3000
	adding --cell mingru --steps 100 --rate 2e-3 --updates 3000
	adding --cell gru-before --steps 100 --rate 2e-3 --updates 3000
	copy_memory --cell tanh --steps 10
	copy_memory --cell gru --steps 10 --symbols 10 --rate 5e-3 --updates 16000
	copy_memory --cell lstm --steps 10 --symbols 10 --rate 8e-3 --updates 24000
	copy_memory --cell tanh --steps 100
	copy_memory --cell gru --steps 100 --rate 5e-3
	copy_memory --cell lstm --steps 100 --rate 5e-3
	copy_memory --cell gru --steps 100 --symbols 10 --rate 5e-3 --updates 16000
	copy_memory --cell lstm --steps 100 --symbols 10 --rate 8e-3 --updates 32000
	END
}

sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1
echo
echo "| task | cell | result | | updates | CPU s |"
echo "|---|---|---|---|---|---|"
failed=0
for program; do
    runs "$program" >"$work/runs"
    while read -r run; do
        echo "$run" >&2
        # shellcheck disable=SC2086 # a program and its options
        "$build"/$run >"$work/out" 2>"$work/err" </dev/null || true
        sed -n 's/^\([^,]*\), \([^:]*\): \([^:]*\): \([a-z]*\) after \([0-9]*\) updates.*, \([0-9]*\) s$/| \1 | \2 | \3 | \4 | \5 | \6 |/p' \
            "$work/out" >"$work/row"
        [ -s "$work/row" ] || { failed=1; cat "$work/err" >&2; }
        cat "$work/row"
    done <"$work/runs"
done
exit $failed

#!/bin/sh
# bptt on this machine's NVIDIA GPU, in at most ten minutes and without a network: what the GPU is, the tests and the
# sanitizers on it, its latencies, layers beside cuDNN, training steps beside PyTorch. One JSON line a row, the table last.
#
#   sh bench/gpu.sh [--prediction FILE | --no-prediction] [--parts LIST] [BUILD]
#
# BUILD     a folder with a build of bptt (default build/gpu). Where it has no bptt it is built there with this machine's
#           cmake and nvcc; sh bench/gpu_pack.sh makes one that can be carried here.
# --prediction FILE   what tier 1 will show, written down before (device/results/README.md); it goes into the rows
# --parts LIST        of identify,tests,sanitize,micro,tier1,train,tier2, with commas: these alone
# OUT_FILE  where rows go (build/gpu/results.jsonl); beside it a .log of all that was said, and the table as .md
# BUDGET    seconds in all (570)      ROW_SECONDS   the most that one program may take (what its part gives it)
# PYTHON    a Python with torch, for the peer of the training steps (python3)
# SANITIZE  programs for the sanitizers, with ; between them (tests labelled cuda_tiny, else small_cuda, test_battery, test_run)
# Exit code 0: it ran; 1: a test or a sanitizer failed; 64: usage; 69: no GPU; 128 + signal: stopped, the table was printed.
# A row that fails never ends it, so no -e here.
set -u
LC_ALL=C
export LC_ALL

start=$(date +%s)
root=$(cd "$(dirname "$0")/.." && pwd) || exit 1
budget=${BUDGET:-570}
most=${ROW_SECONDS:-600}
python=${PYTHON:-python3}
every=identify,tests,sanitize,micro,tier1,train,tier2
parts=$every
prediction=''
predicted=''
build=''
die() { echo "gpu.sh: $2" >&2; exit "$1"; }

while [ $# -gt 0 ]; do
    case $1 in
    --prediction)
        [ $# -gt 1 ] || die 64 "--prediction takes a file"
        prediction=$2 predicted=yes
        shift
        ;;
    --no-prediction) predicted=yes ;;
    --parts)
        [ $# -gt 1 ] || die 64 "--parts takes a list"
        parts=$2
        shift
        ;;
    -*) die 64 "no option $1; there are --prediction, --no-prediction, --parts" ;;
    *)
        [ -z "$build" ] || die 64 "one BUILD, not $build and $1"
        build=$1
        ;;
    esac
    shift
done
case $budget$most in *[!0-9]*) die 64 "BUDGET and ROW_SECONDS are whole seconds, not '$budget', '$most'" ;; esac
for p in $(echo "$parts" | tr ',' ' '); do
    case ,$every, in *",$p,"*) ;; *) die 64 "there is no part $p" ;; esac
done
wants() { case ",$parts," in *",$1,"*) ;; *) return 1 ;; esac; }
if [ -n "$prediction" ]; then [ -s "$prediction" ] || die 64 "$prediction: no prediction in it"; fi

# ---- is there a GPU -----------------------------------------------------------------------------

has_driver() {
    { ldconfig -p || /sbin/ldconfig -p; } 2>/dev/null | grep -q 'libcuda\.so\.1 ' && return 0
    for folder in $(echo "${LD_LIBRARY_PATH:-}" | tr ':' ' ') /usr/lib64 /usr/local/nvidia/lib64 /usr/lib/wsl/lib; do
        [ -e "$folder/libcuda.so.1" ] && return 0
    done
    return 1
}

# In one sentence why there is none; nothing where there is.
no_gpu() {
    if command -v nvidia-smi >/dev/null; then
        list=$(timeout 30 nvidia-smi -L 2>&1) || true
        case $list in *GPU\ [0-9]*) ;; *) echo "nvidia-smi lists none: $(echo "$list" | tail -n 1)" ;; esac
    elif ! has_driver; then
        echo "nvidia-smi not found and libcuda.so.1 is not installed"
    elif [ ! -e /dev/nvidiactl ] && [ ! -e /dev/dxg ]; then
        echo "nvidia-smi not found, and there is no /dev/nvidiactl"
    fi
}

why=$(no_gpu)
[ -z "$why" ] || die 69 "no NVIDIA GPU here: $why"
if wants tier1 && [ -z "$predicted" ]; then
    die 64 "no prediction: write down what tier 1 will show and give it with --prediction FILE, or say --no-prediction"
fi

# ---- rows ---------------------------------------------------------------------------------------

rows=${OUT_FILE:-$root/build/gpu/results.jsonl}
mkdir -p "$(dirname "$rows")" || die 73 "$(dirname "$rows"): no such folder"
rows=$(cd "$(dirname "$rows")" && pwd)/$(basename "$rows")
log=${rows%.jsonl}.log
[ ! -s "$rows" ] || mv "$rows" "$rows.before"
if ! { true >"$rows" && true >"$log"; }; then die 73 "$rows: cannot be written"; fi
work=$(mktemp -d) || exit 1
mkfifo "$work/pipe" || exit 1
end=$((start + budget - 10)) # the rest is for the table
part_end=$end # until when the part that runs may take
child=''
reader=''

# quote TEXT: as a JSON string.
quote() {
    printf '"%s"' "$(printf '%s\n' "$1" | tr '\t\r' '  ' | tr -d '\000-\011\013-\037' |
        sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' | awk '{ printf "%s%s", (NR > 1 ? "\\n" : ""), $0 }')"
}

# row PART MEMBERS: one line, at once. Our members stand last: they win over a program's own.
row() {
    line="{$2,\"row\":$(($(wc -l <"$rows") + 1)),\"part\":\"$1\"}"
    printf '%s\n' "$line" >>"$rows"
    printf '%s\n' "$line"
}

left() { echo $((part_end - $(date +%s))); }

# part NAME SECONDS: what follows may take so long; false if it is not wanted or there is no time.
part() {
    wants "$1" || return 1
    part_end=$(($(date +%s) + $2))
    [ "$part_end" -le "$end" ] || part_end=$end
    echo "gpu.sh: $1, $(left) s" >&2
    [ "$(left)" -ge 3 ] || { row "$1" '"name":"all of it","skipped":"no time left"'; return 1; }
}

# Readers: what a program prints becomes rows (and is logged). They outlive the signals that end the program.
# shellcheck disable=SC2317  # they are called by name
each_line() {
    trap '' HUP INT TERM USR1
    while IFS= read -r line || [ -n "$line" ]; do
        printf '%s\n' "$line" >>"$log"
        "$@" "$line"
    done
}
# shellcheck disable=SC2317
json() { case $2 in '{'?*'}') said=${2#?} && row "$1" "$label,${said%?}" ;; esac; }
# shellcheck disable=SC2317
nothing() { :; }
# shellcheck disable=SC2317
last_summary() { case $2 in *SUMMARY:*) printf '%s\n' "${2#*SUMMARY: }" >"$work/summary" ;; esac; }
# shellcheck disable=SC2317
tested() { # a line of ctest: " 3/57 Test  #12: test_run .......   Passed    0.12 sec"
    case $2 in *Test\ *\#*:\ *\ sec) ;; *) return ;; esac
    name=$(echo "$2" | sed 's/^[^#]*#[0-9]*: \([^ ]*\).*/\1/')
    seconds=$(echo "$2" | sed 's/.* \([0-9.]*\) sec$/\1/')
    case $2 in
    *\ Passed\ *) result=passed ;;
    *\*\*\*Skipped*) result=skipped ;;
    *\*\*\*Timeout*) result='failed: timed out' ;;
    *) result=failed ;;
    esac
    row "$1" "\"name\":$(quote "$name"),\"result\":\"$result\",\"seconds\":${seconds:-0}"
}

# run READER PART SECONDS COMMAND...: sets code, and reason if it failed.
run() {
    reads=$1 of=$2 limit=$3
    shift 3
    [ "$limit" -le "$most" ] || limit=$most
    [ "$limit" -le "$(left)" ] || limit=$(left)
    reason='no time left'
    code=124
    [ "$limit" -ge 1 ] || return 0
    echo "== $*" >>"$log"
    before=$(wc -l <"$rows")
    each_line "$reads" "$of" <"$work/pipe" &
    reader=$!
    timeout -k 2 "$limit" "$@" >"$work/pipe" 2>"$work/err" </dev/null &
    child=$!
    wait "$child"
    code=$?
    child=''
    wait "$reader"
    reader=''
    cat "$work/err" >>"$log"
    reason=$(grep -v '^[[:space:]]*$' "$work/err" | tail -n 1)
    case $code in
    0) reason='' ;;
    124 | 137) reason="stopped after $limit s${reason:+: $reason}" ;;
    *) reason=${reason:-exit code $code} ;;
    esac
}

# measure PART SECONDS LABEL COMMAND...: a program that prints JSON rows; LABEL, members, stands first in each, so what
# the program says itself wins, and says which it is if it fails.
measure() {
    part=$1 label=$3
    limit=$2
    shift 3
    run json "$part" "$limit" "$@"
    [ "$code" != 0 ] || [ "$(wc -l <"$rows")" -gt "$before" ] || reason='it printed no row'
    [ -z "$reason" ] || row "$part" "$label,\"error\":$(quote "$reason")"
}

fact() { [ -z "$2" ] || row identify "\"name\":$(quote "$1"),\"value\":$(quote "$2")"; }

alive() { [ -d "/proc/$1" ] && ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status"; }

# Up to SECONDS for a process to end.
await() {
    n=0
    while alive "$1" && [ "$n" -lt "$2" ]; do
        sleep 1
        n=$((n + 1))
    done 2>/dev/null
}

# finish CODE WHY: ends what runs, prints the table of what there is.
finish() {
    trap '' HUP INT TERM USR1
    if [ -n "$child" ]; then
        kill -TERM "$child" 2>/dev/null
        await "$child" 4
    fi
    if [ -n "$reader" ]; then
        await "$reader" 1
        kill -KILL "$reader" 2>/dev/null
    fi
    [ -z "$2" ] || fact stopped "$2"
    fact 'the run took' "$(($(date +%s) - start)) s"
    if python3 "$root/bench/gpu_table.py" "$rows" >"$work/table" 2>>"$log"; then
        cp "$work/table" "${rows%.jsonl}.md"
        echo
        cat "$work/table"
    else
        echo "gpu.sh: no table (is there a python3?); the rows are in $rows" >&2
    fi
    rm -rf "$work"
    exit "$1"
}
trap 'finish 129 "by SIGHUP"' HUP
trap 'finish 130 "by SIGINT"' INT
trap 'finish 143 "by SIGTERM"' TERM
trap 'finish 0 "after all of $budget s"' USR1
# The last resort: a program that even KILL does not end.
(
    exec >/dev/null 2>&1 </dev/null
    while [ "$(date +%s)" -lt "$((end + 4))" ] && kill -0 $$; do sleep 1; done
    kill -USR1 $$
) &

# shellcheck source=bench/gpu_parts.sh
. "$root/bench/gpu_parts.sh"
if [ -n "$prediction" ]; then row prediction "\"text\":$(quote "$(cat "$prediction")")"; fi
find_build
identify
run_tests
sanitize
micro
tier1
train
tier2
failed=0
if grep -Eq '"result":"failed' "$rows"; then failed=1; fi
finish "$failed" ''

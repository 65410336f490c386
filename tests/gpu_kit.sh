#!/bin/sh
# bench/gpu.sh on a machine that is made up: programs that answer, fail, hang, are cut off. Every result is a row, every
# failure too, no part stops the next, and the table shows them.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
kit=$root/bench/gpu.sh
# shellcheck source=tests/expect.sh
. "$(dirname "$0")/expect.sh"

# ---- the table of a dozen rows --------------------------------------------------------------------------------------

python3 "$root/bench/gpu_table.py" "$root/tests/data/gpu_rows.jsonl" >"$work/table" 2>"$work/err" || fail "no table"
line() { grep -qxF -- "$1" "$work/table" || { fail "no line: $1"; cat "$work/table" >&2; }; }
line '> fast | "so"'
line '| clocks | 1755 to 1980 MHz |'
who='| bptt:cuda | cudnn:standard:graph | cudnn:small:graph |'
line "| shape $who best peer / bptt | bptt / model | predicted | bptt / predicted |"
times='500 (490..520) e 0.002 | 600 OTHER BITS | 250 (249..251)'
line "| tanh H=256 L=1 B=32 T=100 bf16 | $times | 0.50 | 2.00 | 400 | 1.25 |"
line '| tanh H=256 L=1 B=32 T=100 bf16 | 1200 e 0.003 | 1300 OTHER BITS |  | 1.08 | 2.00 |  |  |'
line '| tanh H=256 L=1 B=32 bf16 |  | 5 |  |'
line '| tanh H=512 L=1 B=128 T=100 bf16 | bptt:cuda | 0.5 (0.49..0.53) | 2.56e+07 |'
line '1 of 2 passed.'
line '| cuda_run | ***Failed | 1.5 |'
line '| memcheck | 0 errors |'
line '| bptt:cuda | cell | 2 | 1500 | ns |'
line '- error: no backward: anchors: cudnn:small:graph, tanh H=256 L=1 B=32 T=100 bf16'
line '- no time: anchors: cudnn:static:graph, tanh H=256 L=1 B=32 T=100 bf16'
line '- failed: stopped after 20 s: anchors: lstm H=512; bptt: tanh H=512'
line '- skipped: no time left: sanitize: racecheck'
says err 'line 20 is no JSON object: left out'
if grep -Eqi 'nan|inf\b|true|none' "$work/table"; then fail "no number is shown as one"; fi

# ---- refusals -------------------------------------------------------------------------------------------------------

program() { cat >"$1" && chmod +x "$1"; }
mkdir -p "$work/bin" "$work/broken" "$work/build/tests" "$work/site/nvidia/cudnn/lib"
program "$work/broken/nvidia-smi" <<'END'
#!/bin/sh
echo 'NVIDIA-SMI has failed: made up' >&2
exit 9
END
OUT=$work/out.d
export OUT
code 64 sh "$kit"
says err 'usage: '
code 64 sh "$kit" run anchors tier1
says err "no part 'tier1'"
code 64 env BUDGET=ten sh "$kit" run
says err "not 'ten'"
code 69 env PATH="$work/broken:$PATH" sh "$kit" run
says err '^gpu.sh: no NVIDIA GPU here: nvidia-smi: NVIDIA-SMI has failed: made up$'
[ ! -e "$OUT" ] || fail "a refused run left files"

# ---- a machine that is made up --------------------------------------------------------------------------------------

program "$work/bin/nvidia-smi" <<'END'
#!/bin/sh
case $* in
-L) echo 'GPU 0: made up (UUID: none)' ;;
-q) echo 'all of nvidia-smi -q' ;;
*-lms*) while :; do echo '2026/01/31 10:00:00.000, 1980, 300.5, 0x0000000000000004'; sleep 0.2; done ;;
*) printf '%s\n' 'made up "GPU" \1, 580' ;;
esac
END
program "$work/bin/ctest" <<'END'
#!/bin/sh
[ "${BPTT_GPU:-}" = 1 ] || exit 3
case $* in
*-R*)
    echo "LD_LIBRARY_PATH $LD_LIBRARY_PATH" >&2
    echo '      Start  3: cuda_run_graph'
    echo ' 1/3 Test  #3: cuda_run_graph .................   Passed    0.12 sec'
    echo ' 2/3 Test #14: cuda_battery_graph .............***Failed    1.50 sec'
    echo 'a line of the test that failed: Test #2: no'
    echo ' 3/3 Test #15: cuda_x .........................***Exception: SegFault  0.01 sec'
    echo 'Errors while running CTest' >&2
    exit 8
    ;;
*) echo 'No tests were found!!!' ;;
esac
END
program "$work/bin/compute-sanitizer" <<'END'
#!/bin/sh
[ "${BPTT_TEST_FEW:-}${BPTT_RIGS:-}${BPTT_GPU:-}" = 1cuda1 ] || exit 3
case $* in
*memcheck*/small_cuda) echo '========= ERROR SUMMARY: 0 errors' ;;
*racecheck*) echo '========= RACECHECK SUMMARY: 1 hazard displayed (1 error, 0 warnings)'; exit 9 ;;
*) echo 'Target application returned an error' >&2; exit 1 ;;
esac
END
program "$work/bin/ncu" <<'END'
#!/bin/sh
echo '==PROF== Connected to process 1'
case $* in
*bptt:cuda:never*)
    echo '"ID","Kernel Name","Metric Name","Metric Unit","Metric Value"'
    echo '"0","bptt_cell, made up","gpu__time_duration.sum","ns","1,500"' ;;
esac
END
program "$work/bin/python-made-up" <<END
#!/bin/sh
case \$* in
*glob*) echo "$work/site/nvidia/cudnn/lib" ;;
'-c import torch') ;;
*gpu_table.py*) exec python3 "\$@" ;;
*torch_layers.py*' --hidden 512 --layers 2 '*)
    echo '{"contestant":"torch","kind":"train","precision":"bf16","H":512,"L":2,"B":128,"T":100,"ms_per_step":1.5}' ;;
*) exit 1 ;;
esac
END
program "$work/build/bptt" <<'END'
#!/bin/sh
row() {
    echo '{"backend":"cuda","cell":"tanh","hidden":512,"layers":2,"batch":128,"steps":100,"precision":"'"$1"'",' \
        '"lowering":"'"$2"'","ms_per_step":0.5}'
}
case $* in
--version) echo 'bptt made up' ;;
devices) echo 'cuda  *0  made up' ;;
*fp32*never*) row fp32 never ;;
*fp32*) echo 'bptt: the capture failed' >&2; exit 69 ;;
*--hidden\ 512\ --layers\ 2\ *) row bf16 auto ;;
*) echo 'bptt: no' >&2; exit 64 ;;
esac
END
program "$work/build/bptt_layers" <<'END'
#!/bin/sh
row() {
    echo '{"contestant": "'"$1"'", "cell": "tanh", "precision": "bf16", "H": 512, "L": 1, "B": 128, "T": 100,' \
        '"ms_forward": '"$2"', "same": true, "error": null}'
}
case $* in
*cudnn*bptt* | *bptt*cudnn*) echo 'both in one process' >&2; exit 3 ;;
*cudnn:dynamic*) row cudnn:dynamic:graph 0.7 ;;
*'tanh --hidden 512 --layers 1 --batch 128 --steps 100 '*cudnn*--one-by-one)
    row cudnn:standard:graph 0.18
    echo 'words that are no row'
    printf '{"contestant": "cut o'
    echo $$ >"$HANGS"
    trap '' TERM
    while :; do sleep 1; done ;;
*'tanh --hidden 512 --layers 1 --batch 128 --steps 100 '*bptt*) row bptt:cuda 0.09 ;;
*lstm*)
    echo '{"contestant":"cudnn:static:graph","cell":"lstm","H":1,"L":1,"B":1,"T":1,"error":"not supported"}'
    exit 69 ;;
*'--hidden 256'*--batch\ 128*) echo 'an illegal "address" \ here' >&2; exit 1 ;;
*) ;;
esac
END
printf '/elsewhere\n/elsewhere/build/gpu\n' >"$work/build/carried"
echo 'add_test(x "/elsewhere/build/gpu/test_x" "/elsewhere/tests/x.sh")' >"$work/build/CTestTestfile.cmake"
printf '| H, B | bf16 |\n|---|---|\n| 512, 128 | 1.8 |\n"that" is all\n' >"$work/prediction"
export PATH="$work/bin:$PATH" HANGS="$work/hangs" PYTHON=python-made-up PREDICTION="$work/prediction"
export BUILD="$work/build" LIMIT=2

# ---- all parts, of which all fail in places -------------------------------------------------------------------------

code 1 sh "$kit" run
OUT_FILE=$OUT/gpu.jsonl
rows() { grep -q -- "$1" "$OUT_FILE" || fail "no row with $1"; }
none() { if grep -q -- "$1" "$OUT_FILE"; then fail "a row with $1"; fi; }
rows '"part":"prediction","text":"| H, B | bf16 |.*\\n\\"that\\" is all"'
rows '"value":"made up \\"GPU\\" \\\\1, 580"'
rows '"part":"anchors","contestant": "cudnn:standard:graph".*0.18'
rows '"part":"anchors","name":"tanh H=512 L=1 B=128 T=100","failed":"stopped after 2 s"'
rows '"part":"anchors","name":"tanh H=256 L=1 B=128 T=100","failed":"exit code 1: an illegal \\"address\\" \\\\ here"'
rows '"part":"anchors","name":"tanh H=128 L=1 B=32 T=100","failed":"it printed no row"'
rows '"part":"anchors","contestant":"cudnn:static:graph","cell":"lstm".*"error":"not supported"'
none '"name":"lstm .*failed'
rows '"part":"anchors","contestant": "cudnn:dynamic:graph"'
rows '"part":"anchors","name":"clocks during anchors","value":"1980 to 1980 MHz; 0x0000000000000004 in'
rows '"part":"bptt","contestant": "bptt:cuda".*0.09'
rows '"part":"bptt","name":"tanh H=256 L=1 B=128 T=100","failed":"exit code 1: an illegal'
rows '"part":"train","backend":"cuda".*"precision":"bf16", "lowering":"auto"'
rows '"name":"bptt bench --hidden 512 --layers 2 .*fp32","failed":"exit code 69: bptt: the capture failed"'
rows '"part":"train","backend":"cuda".*"precision":"fp32", "lowering":"never"'
rows '"part":"train","contestant":"torch"'
rows '"part":"tests","name":"cuda_run_graph","result":"Passed","seconds":0.12'
rows '"part":"tests","name":"cuda_battery_graph","result":"\*\*\*Failed","seconds":1.50'
rows '"part":"tests","name":"cuda_x","result":"\*\*\*Exception: SegFault","seconds":0.01'
rows '"part":"tests","name":"ctest, the telling tests","failed":"exit code 8: Errors while running CTest"'
rows '"part":"tests","name":"ctest, the other tests","failed":"it printed no row"'
rows '"part":"sanitize","name":"memcheck","result":"0 errors"'
rows '"part":"sanitize","name":"racecheck","result":"1 hazard displayed (1 error, 0 warnings)"'
rows '"part":"sanitize","name":"racecheck small_cuda","failed":"exit code 9"'
rows '"part":"sanitize","name":"synccheck small_cuda","failed":"exit code 1: Target application returned an error"'
rows '"part":"kernels","contestant":"bptt:cuda:never","csv":\["0","bptt_cell, made up"'
rows '"part":"kernels","name":"ncu cudnn:standard:eager","failed":"it printed no row"'
rows '"name":"the run took"'
python3 -c 'import json, sys
for line in open(sys.argv[1]): json.loads(line)["part"]' "$OUT_FILE" || fail "a line is no row"
while IFS= read -r line; do
    grep -qxF -- "$line" "$work/out" || fail "not on stdout: $line"
done <"$OUT_FILE"
tail -n "$(wc -l <"$OUT/gpu.md")" "$work/out" | cmp -s - "$OUT/gpu.md" || fail "the table is not what is printed last"
says out '^| tanh H=512 L=1 B=128 T=100 bf16 | 90 | 180 | 700 | 2.00 |  | 180 | 0.50 |$'
found="LD_LIBRARY_PATH .*/lib64:$work/site/nvidia/cudnn/lib"
grep -q "$found" "$OUT/gpu.log" || fail "not in the log: $found"
grep -qxF "add_test(x \"$work/build/test_x\" \"$root/tests/x.sh\")" "$work/build/CTestTestfile.cmake" ||
    fail "a carried build still names its tests by the folders they came from"

# ---- nothing fails; short of time; stopped --------------------------------------------------------------------------

OUT_FILE=$work/one/rows.jsonl
export OUT_FILE
printf '#!/bin/sh\necho "========= ERROR SUMMARY: 0 errors"\n' >"$work/bin/compute-sanitizer"
code 0 sh "$kit" run sanitize
says out '^| synccheck | 0 errors |$'
code 0 env BUDGET=9 sh "$kit" run sanitize tests
rows '"part":"tests","name":"ctest, the other tests","skipped":"no time left"'
rm -f "$HANGS"
env LIMIT=60 sh "$kit" run anchors >"$work/out" 2>"$work/err" </dev/null &
running=$!
n=0
until [ -s "$HANGS" ] || [ "$n" -ge 20 ]; do sleep 1; n=$((n + 1)); done
kill -TERM "$running"
got=0
wait "$running" || got=$?
[ "$got" = 130 ] || fail "exit code $got after SIGTERM, not 130"
rows '"contestant": "cudnn:standard:graph".*0.18'
rows '"part":"machine","name":"the run","failed":"stopped by a signal"'
says out '^## Layers$'
alive='^State:[[:space:]]*[^Z[:space:]]'
if grep -q "$alive" "/proc/$(cat "$HANGS")/status" 2>/dev/null; then fail "a program outlives the run"; fi

[ "$failures" = 0 ] || { cat "$OUT/gpu.jsonl" >&2; echo "gpu_kit.sh: $failures failures" >&2; exit 1; }
echo "gpu_kit.sh: passed"

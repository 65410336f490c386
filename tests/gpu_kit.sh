#!/bin/sh
# bench/gpu.sh where there is no GPU, and on a machine that is made up: programs that answer, fail, hang, are cut off.
# What it must never do is lose a row, or end because a program did.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
kit=$root/bench/gpu.sh
# shellcheck source=tests/expect.sh
. "$(dirname "$0")/expect.sh"
silent() {
    says err "$1"
    [ "$(wc -l <"$work/err")" = 1 ] || { fail "not one line:"; cat "$work/err" >&2; }
    [ ! -s "$work/out" ] || fail "something on stdout"
    [ ! -e "$work/gone" ] || fail "a file was left"
}
OUT_FILE=$work/gone/rows.jsonl
export OUT_FILE

# ---- without a GPU ------------------------------------------------------------------------------

if nvidia-smi -L >/dev/null 2>&1; then
    echo "gpu_kit.sh: there is a GPU, so its absence is not tested" >&2
else
    before=$(find "$root/bench" "$root/device" "$root/tests" | sort)
    code 69 sh "$kit"
    silent '^gpu.sh: no NVIDIA GPU here: '
    code 69 sh "$kit" --no-prediction "$work/no/such/build"
    silent '^gpu.sh: no NVIDIA GPU here: '
    [ "$(find "$root/bench" "$root/device" "$root/tests" | sort)" = "$before" ] || fail "files were left in the tree"
fi
mkdir "$work/broken"
printf '#!/bin/sh\necho first; echo "NVIDIA-SMI has failed: made up" >&2; exit 9\n' >"$work/broken/nvidia-smi"
chmod +x "$work/broken/nvidia-smi"
code 69 env PATH="$work/broken:$PATH" sh "$kit" --no-prediction
silent '^gpu.sh: no NVIDIA GPU here: nvidia-smi lists none: NVIDIA-SMI has failed: made up$'

# ---- a machine that is made up ------------------------------------------------------------------

program() { cat >"$1" && chmod +x "$1"; }
mkdir -p "$work/bin" "$work/build/bench" "$work/build/tests" "$work/build/lib"
program "$work/bin/nvidia-smi" <<'END'
#!/bin/sh
case $1 in
-L) echo 'GPU 0: made up (UUID: none)' ;;
--query-gpu=name) printf '%s\n' 'made up "GPU" \1' ;;
--query-gpu=pstate) echo 'Field "pstate" is not a valid field to query.' ;;
--query-gpu=clocks.sm) echo '[N/A]' ;;
--query-gpu=*,*) [ -n "${KNOWS_ALL:-}" ] && echo 'made up, 1.0, 9.0, 3 MiB, P0, 345 MHz, [N/A], 1980 MHz' && exit
    echo 'Field "pstate" is not a valid field to query.' ;;
--query-gpu=*) echo 'made up' ;;
*) echo '| NVIDIA-SMI 1.0    Driver Version: 1.0    CUDA Version: 13.0 |' ;;
esac
END
program "$work/bin/ctest" <<'END'
#!/bin/sh
case "$*" in
*-N*) printf '%s\n' '7: Test command: /made/up/tiny "--small"' '7: Working Directory: /made/up' \
    '7: Environment variables: ' '7:  BPTT_LOWERING=never' 'Labels: cuda_tiny' '  Test #7: tiny' '' 'Total Tests: 1' ;;
*)
    [ "${BPTT_GPU:-}" = 1 ] || exit 3
    echo "LD_LIBRARY_PATH $LD_LIBRARY_PATH" >&2
    echo '      Start  3: cuda_run'
    echo ' 1/3 Test  #3: cuda_run .......................   Passed    0.12 sec'
    echo ' 2/3 Test #14: cuda_battery ...................***Failed    1.50 sec'
    echo 'a line of the test that failed: Test #2: no'
    echo ' 3/3 Test #15: cuda_trainer ...................***Timeout  60.00 sec'
    exit 8
    ;;
esac
END
program "$work/bin/compute-sanitizer" <<'END'
#!/bin/sh
[ "${BPTT_LOWERING:-}${BPTT_RIGS:-}${BPTT_GPU:-}" = nevercuda1 ] || exit 3
case "$*" in
*memcheck*/made/up/tiny\ --small) echo '========= ERROR SUMMARY: 0 errors' ;;
*racecheck*) echo '========= RACECHECK SUMMARY: 1 hazard displayed (1 error, 0 warnings)'; exit 9 ;;
*) echo 'Target application returned an error' >&2; exit 1 ;;
esac
END
program "$work/bin/ldconfig" <<'END'
#!/bin/sh
echo '	libcublas.so.13 (libc6,x86-64) => /made/up/libcublas.so.13'
END
mkdir -p "$work/site/nvidia/cudnn/lib" "$work/site/nvidia/cublas/lib"
touch "$work/site/nvidia/cudnn/lib/libcudnn.so.9" "$work/site/nvidia/cublas/lib/libcublas.so.13"
program "$work/bin/python-made-up" <<END
#!/bin/sh
[ "\$1" = -c ] && printf '%s\n' "$work/site/nvidia/cublas/lib" "$work/site/nvidia/cudnn/lib"
END
program "$work/build/bptt" <<'END'
#!/bin/sh
case "$*" in
--version) echo 'bptt made up' ;;
*bf16*) echo '{"backend":"cuda","cell":"tanh","hidden":512,"layers":2,"batch":128,"steps":100,"precision":"bf16","ms_per_step":0.5}' ;;
*) echo 'bptt: no such precision' >&2; exit 64 ;;
esac
END
program "$work/build/bench/gpu_micro" <<'END'
#!/bin/sh
[ $# = 0 ] || exec echo '{"name":"multiprocessors","value":"132"}'
echo '{"name":"grid.sync","value":1097,"unit":"ns","part":"micro"}'
printf '{"name":"cut off","val'
echo 'an illegal address' >&2
exit 3
END
program "$work/build/bptt_layers" <<'END'
#!/bin/sh
size='"cell":"tanh","hidden":512,"layers":1,"batch":128,"steps":100'
case "$*" in
*tanh\ --hidden\ 512\ --layers\ 1\ --batch\ 128\ --steps\ 100\ --precision\ bf16*)
    echo "{$size,\"precision\":\"bf16\",\"kind\":\"forward\",\"contestant\":\"bptt:cuda\",\"us\":90,\"part\":\"mine\",\"row\":1}"
    echo "words that are no row"
    echo "{$size,\"precision\":\"bf16\",\"kind\":\"forward\",\"contestant\":\"cudnn:static\",\"us\":180}"
    echo $$ >"$HANGS"
    trap '' TERM
    while :; do sleep 1; done ;;
*--hidden\ 256*) ;;
*--hidden\ 2048*--batch\ 64*--no-reference*) echo 'not judged' >&2; exit 2 ;;
*--hidden\ 128\ *--no-reference* | *--hidden\ 2048*--batch\ 64*) echo 'judged where it should not be, or not' >&2; exit 2 ;;
*) echo 'out of "memory" \ here' >&2; exit 2 ;;
esac
END
printf '/elsewhere\n/elsewhere/build/gpu\n' >"$work/build/carried"
echo 'add_test(x "/elsewhere/build/gpu/test_x" "/elsewhere/tests/x.sh")' >"$work/build/CTestTestfile.cmake"
echo library | gzip >"$work/build/lib/libmade.so.gz"
printf 'bptt 0.5 of "cudnn"\nthat is all\n' >"$work/prediction"
PATH=$work/bin:$PATH
HANGS=$work/hangs
PYTHON=python-made-up
CUDA_PATH=$work/no/toolkit
export PATH HANGS PYTHON CUDA_PATH

code 64 sh "$kit" "$work/build"
silent 'no prediction'
code 64 sh "$kit" --prediction /dev/null "$work/build"
silent 'no prediction in it'
code 64 sh "$kit" --predict
silent 'no option'
code 64 sh "$kit" --no-prediction --parts micro,macro
silent 'no part macro'
code 64 env BUDGET=ten sh "$kit" --no-prediction
silent 'whole seconds'

# ---- all parts, of which many fail --------------------------------------------------------------

OUT_FILE=$work/all/rows.jsonl
code 1 env BUDGET=60 ROW_SECONDS=1 sh "$kit" --prediction "$work/prediction" "$work/build"
rows() { grep -q -- "$1" "$OUT_FILE" || fail "no row with $1"; }
rows '"value":"made up \\"GPU\\" \\\\1"'
rows '"name":"temperature.gpu","value":"made up"'
rows '"name":"after tier 1: temperature.gpu","value":"made up"'
if grep -Eq '"name":"(clocks.sm|pstate)"' "$OUT_FILE"; then fail "what is not known was told"; fi
rows '"text":"bptt 0.5 of \\"cudnn\\"\\nthat is all"'
rows '"name":"cuda_run","result":"passed","seconds":0.12'
rows '"name":"cuda_battery","result":"failed"'
rows '"name":"cuda_trainer","result":"failed: timed out"'
rows '"tool":"memcheck","name":"tiny --small BPTT_LOWERING=never","result":"0 errors"'
rows '"tool":"racecheck","name":"tiny --small BPTT_LOWERING=never","result":"failed: 1 hazard'
rows '"tool":"synccheck","name":"tiny --small BPTT_LOWERING=never","error":"Target application returned an error"'
rows '"name":"gpu_micro","name":"grid.sync","value":1097'
rows '"name":"gpu_micro","error":"an illegal address"'
rows '"contestant":"bptt:cuda","us":90,"part":"mine","row":1,"row":[0-9]*,"part":"tier1"'
rows '"contestant":"cudnn:static","us":180'
rows '"name":"tanh H=512 L=1 B=128 T=100 bf16,fp32,tf32,fp16","error":"stopped after 1 s'
rows '"name":"tanh H=2048 .*"error":"not judged'
if grep -q 'judged where it should not' "$OUT_FILE"; then fail "the double reference is asked for at the wrong shapes"; fi
rows '"name":"lstm H=512 .*"error":"out of \\"memory\\" \\\\ here"'
rows '"name":"tanh H=256 .*"error":"it printed no row"'
rows '"contestant":"bptt:cuda","backend":"cuda".*"ms_per_step":0.5,"row":[0-9]*,"part":"train"'
rows '"kind":"train","precision":"fp32","contestant":"bptt:cuda","error":"bptt: no such precision"'
rows '"name":"the run took"'
if grep -q 'cut off' "$OUT_FILE"; then fail "half a row was kept"; fi
python3 -c 'import json, sys
for n, line in enumerate(open(sys.argv[1]), 1): assert json.loads(line)["row"] == n, line' "$OUT_FILE" ||
    fail "a line is no row, or rows are not counted"
while IFS= read -r line; do
    grep -qxF -- "$line" "$work/out" || fail "not on stdout: $line"
done <"$OUT_FILE"
python3 "$root/bench/gpu_table.py" "$OUT_FILE" >"$work/table"
cmp -s "$work/table" "$work/all/rows.md" || fail "the table is not that of the rows"
tail -n "$(wc -l <"$work/table")" "$work/out" | cmp -s - "$work/table" || fail "the table is not what is printed last"
says table '| tanh H=512 L=1 B=128 T=100 bf16 | 90 | 180 | 2.00 |'
says table '| tanh H=512 L=2 B=128 T=100 bf16 | bptt:cuda | 0.5 | 2.56e+07 |'
grep -q "LD_LIBRARY_PATH $work/build/lib" "$work/all/rows.log" || fail "the build's own libraries are not found"
grep -q "LD_LIBRARY_PATH .*:$work/site/nvidia/cudnn/lib" "$work/all/rows.log" || fail "Python's cuDNN was not found"
if grep -q "$work/site/nvidia/cublas" "$work/all/rows.log"; then fail "a library that is there was looked for"; fi
grep -qxF "add_test(x \"$work/build/test_x\" \"$root/tests/x.sh\")" "$work/build/CTestTestfile.cmake" ||
    fail "a carried build still names its tests by the folders they came from"
[ "$(cat "$work/build/lib/libmade.so")" = library ] || fail "a carried library was not unpacked"

OUT_FILE=$work/knows/rows.jsonl
code 0 env KNOWS_ALL=1 sh "$kit" --parts identify "$work/build"
rows '"name":"name","value":"made up"'
rows '"name":"clocks.sm","value":"345 MHz"'
rows '"name":"clocks.max.sm","value":"1980 MHz"'
if grep -Eq '"name":"(clocks.mem|power.draw)"' "$OUT_FILE"; then fail "what is not known was told"; fi

# ---- stopped in the middle ----------------------------------------------------------------------

# stopped SIGNAL CODE: while a program hangs that ignores the signal.
stopped() {
    OUT_FILE=$work/stopped.$1/rows.jsonl
    rm -f "$HANGS"
    env BUDGET=60 sh "$kit" --parts tier1 --no-prediction "$work/build" >"$work/out" 2>"$work/err" </dev/null &
    running=$!
    n=0
    until [ -s "$HANGS" ] || [ "$n" -ge 20 ]; do sleep 1; n=$((n + 1)); done
    kill -"$1" "$running"
    got=0
    wait "$running" || got=$?
    [ "$got" = "$2" ] || fail "exit code $got after SIG$1, not $2"
    rows '"contestant":"cudnn:static","us":180'
    rows "\"value\":\"by SIG$1\""
    says out '| tanh H=512 L=1 B=128 T=100 bf16 | 90 | 180 | 2.00 |'
    if grep -q '^State:[[:space:]]*[^Z[:space:]]' "/proc/$(cat "$HANGS")/status" 2>/dev/null; then fail "what ran outlives SIG$1"; fi
}
stopped TERM 143
stopped HUP 129

# ---- short of time ------------------------------------------------------------------------------

OUT_FILE=$work/short/rows.jsonl
began=$(date +%s)
code 0 env BUDGET=16 sh "$kit" --parts micro,tier1,tier2 --no-prediction "$work/build"
[ $(($(date +%s) - began)) -le 17 ] || fail "BUDGET=16 took $(($(date +%s) - began)) s"
rows '"name":"tanh H=512 .*"error":"stopped after [0-9]* s'
rows '"name":"[0-9]* more shapes","skipped":"no time left","row":[0-9]*,"part":"tier1"'
rows '"name":"all of it","skipped":"no time left","row":[0-9]*,"part":"tier2"'
says out '^| grid.sync | 1097 | ns |$'

[ "$failures" = 0 ] || { cat "$work/all/rows.jsonl" >&2; echo "gpu_kit.sh: $failures failures" >&2; exit 1; }
echo "gpu_kit.sh: passed"

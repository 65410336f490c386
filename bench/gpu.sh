#!/bin/sh
# bptt on an NVIDIA GPU beside cuDNN and PyTorch: times, tests, sanitizers; no network, at most ten minutes.
#
#   sh bench/gpu.sh pack            where there is a compiler and no GPU: makes BUILD, which can be carried
#   sh bench/gpu.sh run [PART...]   where the GPU is; all parts, in this order, or these alone:
#       anchors   cuDNN's recurrent layers, without bptt in the process
#       bptt      bptt's layers at the same shapes
#       train     updates of a character RNN: bptt bench, PyTorch where it is installed
#       tests     ctest -L cuda on the GPU
#       sanitize  memcheck, racecheck, synccheck of compute-sanitizer over small_cuda
#       kernels   names and durations of bptt's and cuDNN's kernels, by ncu
#
# BUILD       a folder with a build of bptt (build/gpu)
# OUT_FILE    the rows, a JSON object a line ($OUT/gpu.jsonl, without OUT build/gpu.jsonl). Beside it: .log (all that
#             programs said), .clocks.csv (of the GPU, twice a second), .md (the table, as bench/gpu_table.py prints it)
# PREDICTION  a file that says before the run what it will show (device/results/PREDICTION.md)
# BUDGET      seconds in all (570)          LIMIT   seconds of one program at most (600)
# PYTHON      a Python, best with torch (python3)
# ARCH, JOBS, MOST_MIB   of pack: CMAKE_CUDA_ARCHITECTURES (90-real), compilers at once (2), MiB at most (64)
# Exit code 0: nothing failed; 1: something did, and has a row; 64: usage; 69: no GPU; 130: stopped by a signal.
set -u # and no -e: a part that fails does not end the run
LC_ALL=C
export LC_ALL
root=$(cd "$(dirname "$0")/.." && pwd) || exit 1
build=${BUILD:-$root/build/gpu}
case $build in /*) ;; *) build=$PWD/$build ;; esac
python=${PYTHON:-python3}
die() { echo "gpu.sh: $2" >&2; exit "$1"; }

# ---- pack -----------------------------------------------------------------------------------------------------------

archive() {
    file=$(cc -print-file-name="$1")
    [ -f "$file" ] || die 1 "$1 is not installed (Debian: check, libsubunit-dev)"
    echo "$file"
}

# Removes files that running does not need: objects, makefiles, tests without the label cuda, and the stand-ins for
# CUDA's libraries (so that no test can pass on them there).
pack_less() {
    find "$build" -name CMakeFiles -prune -exec rm -rf {} +
    find "$build" \( -name '*.[oa]' -o -name '*ninja*' -o -name Makefile -o -name '*.cmake' ! -name 'CTest*' \
        -o -name '*_text.c' -o -name cuda_image.c -o -name CMakeCache.txt \) -type f -exec rm -f {} +
    find "$build/tests" -mindepth 1 ! -name CTestTestfile.cmake -delete
    used=$(ctest --test-dir "$build" -L cuda -N -V)
    rm -rf "$build/static" "$build/Testing" "$build/standin" "$build"/test_standin*
    for program in "$build"/test_* "$build"/small_*; do
        case $used in *"/${program##*/}\""*) ;; *) rm -f "$program" ;; esac
    done
    find "$build" -type f \( -perm -100 -o -name '*.so*' \) -exec strip --strip-unneeded {} + 2>/dev/null || true
}

pack() {
    set -e
    case $build in "$root"/?*) ;; *) die 1 "$build is not within $root, and tests find their data from there" ;; esac
    for tool in cmake ctest pkg-config strip ldd realpath; do
        command -v "$tool" >/dev/null || die 1 "$tool is not installed"
    done
    [ ! -e "$build" ] || [ -e "$build/pack.log" ] || die 1 "$build exists and is not of gpu.sh pack: remove it"
    rm -rf "$build"
    mkdir -p "$build/static"
    # The machine there may have no libcheck: a static one, found before any other.
    cp "$(archive libcheck_pic.a)" "$(archive libsubunit.a)" "$build/static"
    {
        printf 'Name: check\nDescription: static\nVersion: %s\n' "$(pkg-config --modversion check)"
        echo "Libs: -L$build/static -lcheck_pic -lsubunit -lrt -lm -lpthread"
        echo "Cflags: $(pkg-config --cflags check)"
    } >"$build/static/check.pc"
    PKG_CONFIG_PATH=$build/static cmake -S "$root" -B "$build" -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=ON \
        "-DCMAKE_CUDA_ARCHITECTURES=${ARCH:-90-real}" \
        "-DBPTT_TEST_ROOT=$(realpath --relative-to="$build/tests" "$root")" >"$build/pack.log" 2>&1 ||
        { tail -n 20 "$build/pack.log" >&2; die 1 "cmake failed"; }
    cmake --build "$build" -j "${JOBS:-2}" >>"$build/pack.log" 2>&1 ||
        { tail -n 40 "$build/pack.log" >&2; die 1 "the build failed"; }
    pack_less
    commit=$(git -C "$root" describe --always --dirty 2>/dev/null || echo unknown)
    printf '%s\n%s\n' "$root" "$build" >"$build/carried"
    echo "$commit, for ${ARCH:-90-real}, $(cc --version | sed -n 1p)" >"$build/about"
    if ldd "$build"/test_* | grep -E 'check|subunit' >&2; then die 1 "the tests still want libcheck at run time"; fi
    size=$(($(du -sk "$build" | cut -f 1) / 1024 + 1))
    echo "gpu.sh: $build, $size MiB, $(find "$build" -maxdepth 1 -name 'test_*' | wc -l) test programs, $commit"
    [ "$size" -le "${MOST_MIB:-64}" ] || die 1 "$size MiB are more than ${MOST_MIB:-64}"
}

# ---- rows -----------------------------------------------------------------------------------------------------------

# quote TEXT: prints TEXT as a JSON string.
quote() {
    printf '"%s"' "$(printf '%s\n' "$1" | tr '\t\r' '  ' | tr -d '\000-\011\013-\037' |
        sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' | awk '{ printf "%s%s", (NR > 1 ? "\\n" : ""), $0 }')"
}

row() { printf '{"part":"%s",%s}\n' "$part" "$1" | tee -a "$rows"; }
fact() { [ -z "$2" ] || row "\"name\":$(quote "$1"),\"value\":$(quote "$2")"; }
skip() { row "\"name\":$(quote "$1"),\"skipped\":$(quote "$2")"; }
left() { echo $((part_end - $(date +%s))); }

fault() {
    row "\"name\":$(quote "$1"),\"failed\":$(quote "$2")"
    failed=1
}

# run SECONDS NAME FILTER COMMAND...: the sed script FILTER turns lines that COMMAND prints into rows, as they come. A
# COMMAND that fails, hangs or prints no row has a row that says so. Sets code.
run() {
    limit=$1 name=$2 filter=$3
    shift 3
    [ "$limit" -le "$most" ] || limit=$most
    [ "$limit" -le "$(left)" ] || limit=$(left)
    code=124
    if [ "$limit" -lt 2 ]; then skip "$name" 'no time left'; return; fi
    echo "== $*" >>"$log"
    before=$(wc -l <"$rows")
    {
        timeout -k 2 "$limit" "$@" 2>"$work/err" </dev/null &
        echo $! >"$work/pid"
        wait $!
        echo $? >"$work/code"
    } | tee -a "$log" | sed -un "$filter" | tee -a "$rows" &
    pipeline=$!
    wait "$pipeline" # not in the foreground: a signal's trap would wait for its end
    pipeline=''
    code=$(cat "$work/code")
    cat "$work/err" >>"$log"
    reason=$(grep -v '^[[:space:]]*$' "$work/err" | tail -n 1)
    new=$(($(wc -l <"$rows") - before))
    case $code in
    0) [ "$new" -gt 0 ] || fault "$name" 'it printed no row' ;;
    124 | 137) fault "$name" "stopped after $limit s${reason:+: $reason}" ;;
    69) # bptt_layers where no contestant could run: the row of each says why
        if [ "$new" = 0 ]; then fault "$name" "exit code 69${reason:+: $reason}"; fi
        ;;
    *) fault "$name" "exit code $code${reason:+: $reason}" ;;
    esac
}

# run_json SECONDS NAME COMMAND...: of a program that prints rows.
run_json() {
    limit=$1 name=$2
    shift 2
    run "$limit" "$name" "s/^{\(..*\)}\$/{\"part\":\"$part\",\1}/p" "$@"
}

finish() {
    trap '' HUP INT TERM USR1
    part=machine
    if [ -n "$pipeline" ]; then
        kill -TERM "$(cat "$work/pid")" 2>/dev/null
        n=0
        while kill -0 "$pipeline" && [ "$n" -lt 4 ]; do sleep 1; n=$((n + 1)); done 2>/dev/null
    fi
    [ -z "$sampler" ] || kill "$sampler" 2>/dev/null
    [ -z "$2" ] || fault 'the run' "$2"
    fact 'the run took' "$(($(date +%s) - start)) s"
    if "$python" "$root/bench/gpu_table.py" "$rows" >"$work/table" 2>>"$log"; then
        cp "$work/table" "${rows%.jsonl}.md"
        echo
        cat "$work/table"
    else
        echo "gpu.sh: no table ($log says why); the rows are in $rows" >&2
    fi
    rm -rf "$work"
    exit "$1"
}

# ---- the machine ----------------------------------------------------------------------------------------------------

# A build that was made elsewhere names its tests by the folders there.
settle() {
    [ -f "$build/carried" ] || return 0
    { read -r old_root && read -r old_build; } <"$build/carried"
    find "$build" -name CTestTestfile.cmake | while read -r file; do
        sed -e "s|$old_build|@BUILD@|g" -e "s|$old_root|$root|g" -e "s|@BUILD@|$build|g" "$file" >"$work/ctest" &&
            cp "$work/ctest" "$file"
    done
    printf '%s\n%s\n' "$root" "$build" >"$build/carried"
    fact build "carried: $(cat "$build/about" 2>/dev/null)"
}

# CUDA's libraries are loaded by name: from the toolkit, or from those that came with PyTorch.
find_libraries() {
    plain_libraries=${LD_LIBRARY_PATH:-}
    folders=$(timeout 20 "$python" -c 'import glob, sys
print(":".join(d for p in sys.path for d in sorted(glob.glob(p + "/nvidia/*/lib"))))' 2>>"$log")
    LD_LIBRARY_PATH=${plain_libraries:+$plain_libraries:}${CUDA_PATH:-/usr/local/cuda}/lib64
    LD_LIBRARY_PATH=$LD_LIBRARY_PATH${folders:+:$folders}
    export LD_LIBRARY_PATH
    PATH=$PATH:${CUDA_PATH:-/usr/local/cuda}/bin
}

machine() {
    part=machine
    settle
    fact when "$(date -u +%Y-%m-%d)"
    fact bptt "$("$build/bptt" --version 2>/dev/null | head -n 1)"
    fact tree "$(git -C "$root" describe --always --dirty 2>/dev/null)"
    fact processors "$(nproc) x $(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)"
    fact 'libraries from' "$LD_LIBRARY_PATH"
    asked=name,driver_version,memory.total,pstate,clocks.sm,clocks.max.sm,clocks.mem,power.draw,power.limit
    asked=$asked,temperature.gpu,mig.mode.current,ecc.mode.current
    fact "$asked" "$(timeout 10 nvidia-smi --format=csv,noheader --query-gpu=$asked 2>&1 | head -n 1)"
    timeout 10 nvidia-smi -q >>"$log" 2>&1
    fact nvcc "$(nvcc --version 2>/dev/null | sed -n 's/.*release //p')"
    fact devices "$(timeout 20 "$build/bptt" devices 2>&1 | grep cuda | head -n 1)"
    env | grep -E '^(NVIDIA|CUDA|CUBLAS|CUDNN|BPTT)_[A-Z_0-9]*=' >"$work/env"
    while IFS= read -r line; do fact "environment ${line%%=*}" "${line#*=}"; done <"$work/env"
    nvidia-smi --query-gpu=timestamp,clocks.sm,power.draw,clocks_event_reasons.active --format=csv,noheader,nounits \
        -lms 500 >"$clocks" 2>/dev/null </dev/null &
    sampler=$!
}

# The SM clock while the part ran, and the masks of reasons that held it down.
tell_clocks() {
    fact "clocks during $part" "$(awk -F', *' -v first="$sampled" 'NR > first && $2 + 0 > 0 {
            if (!n++ || $2 < low) low = $2 + 0
            if ($2 > high) high = $2 + 0
            masks[$4]++ }
        END {
            if (n) printf "%d to %d MHz;", low, high
            for (m in masks) printf " %s in %d of %d", m, masks[m], n
        }' "$clocks")"
    sampled=$(wc -l <"$clocks")
}

# ---- parts ----------------------------------------------------------------------------------------------------------

# Shapes as cell,H,L,B,T, the most informative first.
shapes='tanh,512,1,128,100 tanh,256,1,128,100 tanh,128,1,32,100 lstm,512,1,128,100 tanh,1024,1,128,100
    tanh,512,2,128,100 tanh,256,1,32,100 tanh,512,1,128,400 tanh,384,1,64,100 tanh,512,1,64,100 lstm,128,1,32,100
    gru,512,1,128,100 tanh,768,1,128,100 tanh,2048,1,64,50 tanh,640,1,64,100 lstm,1024,1,64,100 relu,512,1,128,100'

# layers SHAPE CONTESTANTS OPTION...
layers() {
    words=$(echo "$1" | tr ',' ' ')
    contestants=$2
    shift 2
    # shellcheck disable=SC2086  # words
    layers_of $words "$@"
}
layers_of() {
    cell=$1 hidden=$2 deep=$3 batch=$4 steps=$5
    shift 5
    # The reference in double precision takes seconds at H=512: larger shapes are timed only.
    case $cell in gru) gates=3 ;; lstm) gates=4 ;; *) gates=1 ;; esac
    [ $((gates * hidden * hidden * deep * batch * steps)) -le 3400000000 ] || set -- --no-reference "$@"
    run_json 40 "$cell H=$hidden L=$deep B=$batch T=$steps" "$build/bptt_layers" --json --cell "$cell" \
        --hidden "$hidden" --layers "$deep" --batch "$batch" --steps "$steps" --precision fp32,tf32,bf16,fp16 \
        --rounds 5 --seconds-each 0.01 --warm-up 0.2 --threads "$(nproc)" --contestants "$contestants" "$@"
}

# Graphs everywhere, and at the first shape eager calls and packed sequences as well. SMALL_H ends at H 384; the
# run-time compiler of PERSIST_DYNAMIC takes seconds, so it comes last and at two shapes.
part_anchors() {
    more=cudnn:standard:eager,cudnn:standard:graph:packed,
    for shape in $shapes; do
        small=cudnn:small:graph,cudnn:small+standard:graph,
        case $shape in *,[5-9]??,*,*,* | *,????,*,*,*) small='' ;; esac
        layers "$shape" "cudnn:standard:graph,$more${small}cudnn:static:graph" --one-by-one
        more=''
    done
    for shape in tanh,512,1,128,100 tanh,256,1,128,100; do
        layers "$shape" cudnn:dynamic:graph --one-by-one --precision fp32,fp16 --no-reference
    done
}

part_bptt() {
    for shape in $shapes; do
        case $shape in tanh,* | relu,*) layers "$shape" bptt:cuda,bptt:cuda:never ;; esac
    done
}

# train_of H L B T PRECISION...
train_of() {
    sizes="--hidden $1 --layers $2 --batch $3 --steps $4 --vocab 96"
    shift 4
    for precision in "$@"; do
        set -- --json --backend cuda --seconds 1 --precision "$precision"
        # shellcheck disable=SC2086  # words
        run_json 10 "bptt bench $sizes --precision $precision" "$build/bptt" bench "$@" $sizes
        case $code in 0 | 124 | 137) continue ;; esac
        # A graph that cannot be captured leaves kernel by kernel.
        # shellcheck disable=SC2086
        run_json 10 "bptt bench $sizes --precision $precision --lowering never" \
            "$build/bptt" bench "$@" $sizes --lowering never
    done
    [ -n "$torch" ] || return 0
    # shellcheck disable=SC2086
    run_json 30 "torch_layers.py $sizes" env LD_LIBRARY_PATH="$plain_libraries" \
        "$python" "$root/bench/peers/torch_layers.py" --train --precision bf16,fp32 $sizes
}

part_train() {
    torch=yes
    if ! LD_LIBRARY_PATH=$plain_libraries timeout 40 "$python" -c 'import torch' 2>>"$log"; then
        skip torch "$python has no torch"
        torch=''
    fi
    train_of 512 2 128 100 bf16 fp32
    train_of 512 1 128 100 bf16 fp32
    train_of 128 2 50 50 fp32 bf16
}

# BPTT_GPU: the GPU, not the stand-ins of its libraries. CK_FORK: one process a program; a context takes long to make.
ctest_on_gpu() {
    found='^ *[0-9]*\/[0-9]* Test *#[0-9]*: \([^ ]*\) [ .]*\([^."\\]*[^ ."\\]\)  *\([0-9.]*\) sec.*'
    run 300 "$1" "s/$found/{\"part\":\"tests\",\"name\":\"\1\",\"result\":\"\2\",\"seconds\":\3}/p" \
        env BPTT_NEED_CUDA=1 BPTT_GPU=1 CK_FORK=no ctest --test-dir "$build" -L cuda -LE cuda_archs -j 8 \
        --output-on-failure "$2" "$3"
}

# The stand-ins' own tests and their orders of nodes say nothing here.
part_tests() {
    telling='^(small_cuda_fifo|cuda_battery|cuda_(layers|run)_graph|cuda_run_nodes|cuda_verify_device)$'
    ctest_on_gpu 'ctest, the telling tests' -R "$telling"
    ctest_on_gpu 'ctest, the other tests' -E "^test_standin|^small_cuda_(lifo|7|eager|tiny)\$|$telling"
}

# In racecheck and synccheck only our kernels: cuBLAS's take too long. Refusals of the driver are asked for by tests.
part_sanitize() {
    cd "$build/tests" || { fault small_cuda "$build has no tests"; return; } # test data is found from there
    for tool in memcheck racecheck synccheck; do
        case $tool in memcheck) only='--report-api-errors no' ;; *) only='--kernel-name kns=bptt_' ;; esac
        found='^=* .*SUMMARY: \([^"\\]*\)$'
        # shellcheck disable=SC2086  # words
        run 60 "$tool small_cuda" "s/$found/{\"part\":\"sanitize\",\"name\":\"$tool\",\"result\":\"\1\"}/p" \
            env CK_FORK=no BPTT_TEST_FEW=1 BPTT_RIGS=cuda BPTT_NEED_CUDA=1 BPTT_GPU=1 \
            compute-sanitizer --tool $tool $only --target-processes all --error-exitcode 9 "$build/small_cuda"
    done
    cd "$root" || return
}

# A row holds a line of ncu's CSV, of which every field is quoted.
part_kernels() {
    for who in bptt:cuda:never cudnn:standard:eager; do
        run 20 "ncu $who" 's/^"[^\\]*"$/{"part":"kernels","contestant":"'$who'","csv":[&]}/p' \
            ncu --clock-control none --metrics gpu__time_duration.sum --launch-count 80 --csv "$build/bptt_layers" \
            --hidden 512 --batch 128 --steps 30 --precision bf16 --no-reference --rounds 1 --contestants $who
    done
}

seconds_of() {
    case $1 in
    anchors) echo 150 ;;
    tests) echo 110 ;;
    bptt | sanitize) echo 90 ;;
    train) echo 60 ;;
    *) echo 40 ;;
    esac
}

run_parts() {
    budget=${BUDGET:-570} most=${LIMIT:-600} prediction=${PREDICTION:-$root/device/results/PREDICTION.md}
    case $budget$most in *[!0-9]*) die 64 "BUDGET and LIMIT are whole seconds, not '$budget', '$most'" ;; esac
    for p in "$@"; do
        case $p in anchors | bptt | train | tests | sanitize | kernels) ;; *) die 64 "there is no part '$p'" ;; esac
    done
    [ $# -gt 0 ] || set -- anchors bptt train tests sanitize kernels
    list=$(timeout 30 nvidia-smi -L 2>&1)
    case $list in GPU\ [0-9]*) ;; *) die 69 "no NVIDIA GPU here: nvidia-smi: $(echo "$list" | tail -n 1)" ;; esac
    [ -x "$build/bptt" ] || die 64 "$build has no bptt: build there, or carry it from where 'gpu.sh pack' made it"
    [ -s "$prediction" ] || die 64 "$prediction: no prediction in it"

    rows=${OUT_FILE:-${OUT:-$root/build}/gpu.jsonl}
    mkdir -p "$(dirname "$rows")" && rows=$(cd "$(dirname "$rows")" && pwd)/$(basename "$rows")
    log=${rows%.jsonl}.log clocks=${rows%.jsonl}.clocks.csv
    [ ! -s "$rows" ] || mv "$rows" "$rows.before"
    { : >"$rows" && : >"$log" && : >"$clocks"; } || die 73 "$rows: cannot be written"
    work=$(mktemp -d) || exit 1
    start=$(date +%s) pipeline='' sampler='' sampled=0 failed=0
    end=$((start + budget - 8)) # the rest is for the table
    part_end=$end
    trap 'finish 130 "stopped by a signal"' HUP INT TERM
    trap 'finish 1 "stopped after $budget s"' USR1
    # For a program that even KILL does not end.
    (
        while sleep 1 && kill -0 $$; do [ "$(date +%s)" -lt $((end + 4)) ] || kill -USR1 $$; done
    ) >/dev/null 2>&1 </dev/null &
    part=prediction
    row "\"text\":$(quote "$(cat "$prediction")")"
    find_libraries
    machine
    for part in "$@"; do
        part_end=$(($(date +%s) + $(seconds_of "$part")))
        [ "$part_end" -le "$end" ] || part_end=$end
        echo "gpu.sh: $part, $(left) s" >&2
        "part_$part"
        tell_clocks
    done
    finish "$failed" ''
}

verb=${1:-}
[ $# -eq 0 ] || shift
case $verb in
pack) pack ;;
run) run_parts "$@" ;;
*) die 64 "usage: sh bench/gpu.sh pack | run [PART...]; the head of the script says more" ;;
esac

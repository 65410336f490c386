#!/bin/sh
# Sourced by gpu.sh: the build and the parts, in the order they run in.
# shellcheck disable=SC2154,SC2034  # what gpu.sh sets, what it reads

# ---- the build ----------------------------------------------------------------------------------

# A build that was made elsewhere names its tests by the folders there.
settle() {
    [ -f "$build/carried" ] || return 0
    find "$build/lib" -name '*.gz' -exec gzip -df {} +
    { read -r old_root && read -r old_build; } <"$build/carried"
    if [ "$old_root" != "$root" ] || [ "$old_build" != "$build" ]; then
        find "$build" -name CTestTestfile.cmake | while read -r file; do
            sed -e "s|$old_build|@BUILD@|g" -e "s|$old_root|$root|g" -e "s|@BUILD@|$build|g" "$file" >"$work/ctest" &&
                cp "$work/ctest" "$file"
        done
        printf '%s\n%s\n' "$root" "$build" >"$build/carried"
    fi
    fact build "carried: $(sed -n 3p "$build/about" 2>/dev/null)"
}

find_nvcc() {
    for nvcc in "$(command -v nvcc)" /usr/local/cuda/bin/nvcc; do
        [ -x "$nvcc" ] && return 0
    done
    nvcc=''
}

# CUDA's libraries are loaded by name. Those that the loader would not find by itself are looked for in the toolkit, then in
# $PYTHON's packages, and their folders told to the loader; PyTorch, which brings its own, is run without that.
find_libraries() {
    plain_libraries=${LD_LIBRARY_PATH:-}
    LD_LIBRARY_PATH=$build/lib${plain_libraries:+:$plain_libraries}
    { ldconfig -p || /sbin/ldconfig -p; } >"$work/known" 2>/dev/null
    {
        for folder in lib64 lib targets/x86_64-linux/lib; do echo "${CUDA_PATH:-/usr/local/cuda}/$folder"; done
        timeout 20 "$python" -c 'import glob, sys
print("\n".join(d for p in sys.path for d in sorted(glob.glob(p + "/nvidia/*/lib"))))' 2>>"$log"
    } >"$work/folders"
    for library in 'libcudart.so.1[23]' 'libcublas.so.1[23]' 'libcudnn.so.9'; do
        if grep -q "$library" "$work/known"; then continue; fi
        while IFS= read -r folder; do
            # shellcheck disable=SC2086  # a pattern
            set -- "$folder"/$library
            [ -e "$1" ] || continue
            case :$LD_LIBRARY_PATH: in *":$folder:"*) ;; *) LD_LIBRARY_PATH=$LD_LIBRARY_PATH:$folder ;; esac
            break
        done <"$work/folders"
    done
    export LD_LIBRARY_PATH
}

# make_target NAME: nothing is said of one that this tree does not have.
make_target() {
    run nothing identify 200 cmake --build "$build" -j "$(nproc)" --target "$1"
    [ -z "$reason" ] || [ "$1" != all ] || row identify "\"name\":\"build\",\"error\":$(quote "$reason")"
}

find_build() {
    part_end=$end
    "$python" -c 'import torch' >/dev/null 2>&1 & # into the cache, for later
    build=${build:-$root/build/gpu}
    case $build in /*) ;; *) build=$PWD/$build ;; esac
    find_libraries
    if [ -x "$build/bptt" ]; then
        settle
        return
    fi
    find_nvcc
    [ -z "$nvcc" ] || PATH=$PATH:$(dirname "$nvcc")
    echo "gpu.sh: building in $build" >&2
    testing=ON
    if ! pkg-config --exists check 2>/dev/null; then
        testing=OFF
        row tests '"name":"all of it","skipped":"libcheck is not installed, so no test was built"'
    fi
    ninja=''
    if command -v ninja >/dev/null; then ninja='-G Ninja'; fi
    capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -n 1 | tr -cd '0-9')
    # shellcheck disable=SC2086  # two words or none
    run nothing identify 60 cmake -S "$root" -B "$build" $ninja -DCMAKE_BUILD_TYPE=Release "-DBUILD_TESTING=$testing" \
        "-DCMAKE_CUDA_ARCHITECTURES=${capability:-90}-real"
    [ -z "$reason" ] || row identify "\"name\":\"cmake\",\"error\":$(quote "$reason")"
    for target in all bptt_gpu_micro bptt_layers; do make_target "$target"; done
    fact build "made here: $(cmake --version | head -n 1), nvcc ${nvcc:-not found}"
}

# ---- what the machine is ------------------------------------------------------------------------

# smi PREFIX FIELD...: what nvidia-smi says. One question, which may take a second; it fails as a whole if one field is
# not known there, and then each is asked for alone.
smi() {
    prefix=$1
    shift
    said=$(timeout 10 nvidia-smi --query-gpu="$(echo "$*" | tr ' ' ',')" --format=csv,noheader 2>&1 | head -n 1)
    case $said in
    *'not a valid'*)
        [ $# -gt 1 ] || return 0
        for field in "$@"; do [ "$(left)" -lt 2 ] || smi "$prefix" "$field"; done
        return
        ;;
    esac
    for field in "$@"; do
        value=${said%%, *}
        said=${said#"$value"}
        said=${said#, }
        case $value in *'N/A'*) ;; *) fact "$prefix$field" "$value" ;; esac
    done
}

identify() {
    part identify 20 || return 0
    fact when "$(date -u +%Y-%m-%d)"
    fact bptt "$("$build/bptt" --version 2>/dev/null | head -n 1)"
    fact tree "$(git -C "$root" log -1 --format=%h 2>/dev/null)"
    fact 'libraries from' "$LD_LIBRARY_PATH"
    fact processor "$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)"
    smi '' name driver_version compute_cap memory.total pstate clocks.sm clocks.mem clocks.max.sm power.draw power.limit \
        temperature.gpu clocks_event_reasons.active mig.mode.current ecc.mode.current persistence_mode
    fact 'CUDA of the driver' "$(timeout 5 nvidia-smi 2>/dev/null | sed -n 's/.*CUDA Version: *\([0-9.]*\).*/\1/p' | head -n 1)"
    find_nvcc
    [ -z "$nvcc" ] || fact nvcc "$("$nvcc" --version | sed -n 's/.*release //p')"
    env | grep -E '^(NVIDIA|CUDA|CUBLAS|CUDNN|BPTT)_[A-Z_0-9]*=' | sort >"$work/env"
    while IFS= read -r line; do fact "environment ${line%%=*}" "${line#*=}"; done <"$work/env"
    if [ -x "$build/bench/gpu_micro" ]; then
        measure identify 10 '"name":"gpu_micro --identify"' "$build/bench/gpu_micro" --identify
    fi
}

# ---- the tests ----------------------------------------------------------------------------------

run_tests() {
    part tests 80 || return 0
    if [ ! -f "$build/CTestTestfile.cmake" ] || [ ! -d "$build/tests" ]; then
        grep -q '"part":"tests"' "$rows" || row tests '"name":"all of it","skipped":"the build has no tests"'
        return 0
    fi
    telling='^(small_cuda_fifo|cuda_layers_graph|cuda_run_graph|cuda_verify_device)$'
    ctest_on_the_gpu -R "$telling"
    # Of the stand-ins' own tests and their orders of nodes nothing is left here.
    ctest_on_the_gpu -E "^test_standin|^small_cuda_(lifo|7|eager|tiny)\$|$telling"
}

# BPTT_GPU: on the GPU, not on the stand-ins of its libraries. One process a program (a context takes long to make), and
# not so many at a time that they wait for each other.
ctest_on_the_gpu() {
    run tested tests 80 env BPTT_NEED_CUDA=1 BPTT_GPU=1 CK_FORK=no ctest --test-dir "$build" -L cuda -LE cuda_archs \
        "$@" -j 4 --output-on-failure
    [ "$code" != 0 ] || [ "$(wc -l <"$rows")" -gt "$before" ] || reason='ctest knows no test labelled cuda'
    [ "$code" = 8 ] || [ -z "$reason" ] || row tests "\"name\":\"ctest\",\"error\":$(quote "$reason")"
}

# Programs for the sanitizers, a line each: settings, program, arguments, as a shell would take them.
tiny_commands() {
    if [ -n "${SANITIZE:-}" ]; then
        echo "$SANITIZE" | tr ';' '\n'
        return
    fi
    ctest --test-dir "$build" -L cuda_tiny -N -V 2>/dev/null | tr -d '"' | awk '
        sub(/^[0-9]+: Test command: /, "") { command = $0; settings = "" }
        sub(/^[0-9]+:  /, "") && /=/ { settings = settings $0 " " }
        /^ *Test +#/ && command { print settings command; command = "" }' >"$work/tiny"
    for program in small_cuda test_battery test_run; do
        [ -s "$work/tiny" ] || [ ! -x "$build/$program" ] || echo "$build/$program"
    done
    cat "$work/tiny"
}

# sanitize_one TOOL LINE
sanitize_one() {
    tool=$1 program=$2 settings=''
    while case ${program%% *} in *=*) ;; *) false ;; esac do
        settings="$settings ${program%% *}"
        program=${program#* }
    done
    rm -f "$work/summary"
    label="\"tool\":\"$tool\",\"name\":$(quote "${program##*/}$settings")"
    then=$(date +%s)
    # Of cuBLAS's kernels only what they read and write; what the driver refuses is asked for by tests on purpose.
    case $tool in memcheck) only='--report-api-errors no' ;; *) only='--kernel-name kns=bptt_' ;; esac
    # shellcheck disable=SC2086  # words
    run last_summary sanitize 40 env CK_FORK=no BPTT_RIGS=cuda BPTT_NEED_CUDA=1 BPTT_GPU=1 $settings \
        "$sanitizer" --tool "$tool" $only --target-processes all --error-exitcode 9 $program
    seconds=$(($(date +%s) - then))
    summary=$(cat "$work/summary" 2>/dev/null)
    case $code in
    0) row sanitize "$label,\"result\":$(quote "${summary:-passed}"),\"seconds\":$seconds" ;;
    9) row sanitize "$label,\"result\":$(quote "failed: ${summary:-see the log}"),\"seconds\":$seconds" ;;
    *) row sanitize "$label,\"error\":$(quote "$reason")" ;;
    esac
}

sanitize() {
    part sanitize 90 || return 0
    sanitizer=''
    for tool in "$(command -v compute-sanitizer)" /usr/local/cuda/bin/compute-sanitizer; do
        [ -n "$sanitizer" ] || [ ! -x "$tool" ] || sanitizer=$tool
    done
    if [ -z "$sanitizer" ]; then
        row sanitize '"name":"all of it","skipped":"compute-sanitizer is not installed"'
        return 0
    fi
    tiny_commands >"$work/commands"
    cd "$build/tests" 2>/dev/null || cd "$root" || return 0 # where ctest runs them
    while IFS= read -r tiny; do
        for tool in memcheck racecheck synccheck; do
            [ -z "${tiny# }" ] || sanitize_one "$tool" "${tiny# }"
        done
    done <"$work/commands"
    cd "$root" || return 0
}

micro() {
    part micro 45 || return 0
    if [ -x "$build/bench/gpu_micro" ]; then
        measure micro 45 '"name":"gpu_micro"' "$build/bench/gpu_micro"
    else
        row micro '"name":"gpu_micro","skipped":"it was not built: no nvcc"'
    fi
}

# ---- layers -------------------------------------------------------------------------------------

# layers PART CELL H L B T PRECISION...: every contestant at one shape, in one process: its precisions are judged by one
# reference, and are rows as each is done. Without time they are counted, not measured.
layers() {
    of=$1 cell=$2 hidden=$3 deep=$4 batch=$5 steps=$6
    shift 6
    if [ "$(left)" -lt 5 ]; then
        late=$((late + $#))
        return
    fi
    precisions=$(echo "$*" | tr ' ' ',')
    # One thread computes the reference, in seconds at H=512: larger shapes are timed, not judged.
    case $cell in gru) gates=3 ;; lstm) gates=4 ;; *) gates=1 ;; esac
    judged=''
    [ $((gates * hidden * hidden * deep * batch * steps)) -le 3400000000 ] || judged=--no-reference
    measure "$of" 40 "\"name\":\"$cell H=$hidden L=$deep B=$batch T=$steps $precisions\"" \
        "$build/bptt_layers" --cell "$cell" --hidden "$hidden" --layers "$deep" --batch "$batch" --steps "$steps" \
        --precision "$precisions" --rounds 7 --seconds-each 0.01 --threads "$(nproc)" --json ${judged:+"$judged"} \
        --contestants bptt:cuda,bptt:cuda:never,cudnn:standard,cudnn:small,cudnn:static,cudnn:dynamic
}

# The most telling shapes come first.
tier1() {
    part tier1 180 || return 0
    if [ ! -x "$build/bptt_layers" ]; then
        row tier1 '"name":"bptt_layers","skipped":"the build has no bptt_layers"'
        return 0
    fi
    late=0
    layers tier1 tanh 512 1 128 100 bf16 fp32 tf32 fp16
    layers tier1 tanh 256 1 32 100 bf16 fp32 tf32 fp16
    layers tier1 lstm 512 1 128 100 fp16 bf16
    layers tier1 tanh 512 1 128 50 bf16 fp32
    layers tier1 tanh 512 1 128 200 bf16 fp32
    layers tier1 tanh 2048 1 64 50 bf16 fp32 tf32 fp16
    layers tier1 tanh 512 2 128 100 bf16 fp32 tf32 fp16
    layers tier1 tanh 128 1 32 100 bf16 fp32 tf32 fp16
    layers tier1 tanh 1024 1 128 100 bf16 fp32 tf32 fp16
    layers tier1 lstm 128 1 32 100 fp16 bf16 fp32 tf32
    layers tier1 lstm 512 1 128 100 fp32 tf32
    for h in 128 256; do layers tier1 tanh "$h" 1 128 100 bf16 fp32 tf32 fp16; done
    for h in 512 1024; do layers tier1 tanh "$h" 1 32 100 bf16 fp32 tf32 fp16; done
    layers tier1 tanh 512 1 128 50 tf32 fp16
    layers tier1 tanh 512 1 128 200 tf32 fp16
    [ "$late" = 0 ] || row tier1 "\"name\":\"$late more shapes\",\"skipped\":\"no time left\""
    smi 'after tier 1: ' pstate clocks.sm power.draw temperature.gpu clocks_event_reasons.active
}

# step CELL H L B T PRECISION...: a whole training step of each peer.
step() {
    sizes="--cell $1 --hidden $2 --layers $3 --batch $4 --steps $5 --vocab 96"
    shape="\"cell\":\"$1\",\"hidden\":$2,\"layers\":$3,\"batch\":$4,\"steps\":$5,\"kind\":\"train\""
    shift 5
    [ "$(left)" -ge 3 ] || { row train "$shape,\"name\":\"$sizes\",\"skipped\":\"no time left\""; return; }
    for precision in "$@"; do
        # shellcheck disable=SC2086  # the options are words
        measure train 10 "$shape,\"precision\":\"$precision\",\"contestant\":\"bptt:cuda\"" \
            "$build/bptt" bench --json --backend cuda --seconds 1 --optimizer adam --precision "$precision" $sizes
    done
    [ -n "$torch" ] || return 0
    # shellcheck disable=SC2086
    measure train 40 "$shape,\"name\":\"torch\"" env LD_LIBRARY_PATH="$plain_libraries" \
        "$python" "$torch" --train --precision "$(echo "$*" | tr ' ' ',')" $sizes
}

train() {
    part train 60 || return 0
    torch=$root/bench/peers/torch_layers.py
    if [ ! -f "$torch" ]; then
        row train '"name":"torch","skipped":"bench/peers/torch_layers.py is not in this tree"'
        torch=''
    elif ! LD_LIBRARY_PATH=$plain_libraries timeout 40 "$python" -c 'import torch' 2>>"$log"; then
        row train "\"name\":\"torch\",\"skipped\":$(quote "$python has no torch")"
        torch=''
    fi
    step tanh 512 2 128 100 bf16 fp32
    step tanh 128 2 50 50 fp32 bf16
    step tanh 512 1 64 64 fp32 bf16
}

# While time lasts.
tier2() {
    part tier2 "$budget" || return 0
    if [ ! -x "$build/bptt_layers" ]; then
        row tier2 '"name":"bptt_layers","skipped":"the build has no bptt_layers"'
        return 0
    fi
    late=0
    for h in 256 512; do layers tier2 gru "$h" 1 128 100 fp16 bf16 fp32; done
    for h in 384 768; do layers tier2 tanh "$h" 1 128 100 bf16 fp32; done
    for b in 16 128; do layers tier2 tanh 2048 1 "$b" 50 bf16 fp32; done
    for b in 8 256; do layers tier2 tanh 512 1 "$b" 100 bf16 fp32; done
    for h in 1760 2560; do layers tier2 tanh "$h" 1 64 50 bf16 fp32; done
    layers tier2 relu 512 1 128 100 bf16 fp32
    layers tier2 lstm 1024 1 128 100 fp16 bf16 fp32
    [ "$late" = 0 ] || row tier2 "\"name\":\"$late more shapes\",\"skipped\":\"no time left\""
}

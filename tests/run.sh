#!/bin/sh
# Installs what the tests need, builds, runs ctest. Tests whose compiler, driver or program is not there are skipped and
# counted in the closing lines, by kind and with the reason.
#   sh tests/run.sh             release build, all tests
#   sh tests/run.sh --interop   also reads a trained model with PyTorch (installs python3-torch: about 300 MB)
#   sh tests/run.sh --ci        also layout, warnings as errors under gcc and clang, the tests under ASan and UBSan, an
#                               eighth of the planted bugs (tests/mutants.sh), both README commands in a bare Debian
#                               (tests/bare.sh)
#   sh tests/run.sh --ci --quick   the same without the bare Debian
#   sh tests/run.sh --needed    prints the packages without which it cannot go on, and installs nothing
set -eu
cd "$(dirname "$0")/.."
needed='gcc libc6-dev cmake make check'
optional='g++ pkg-config python3 opencl-c-headers ocl-icd-libopencl1 pocl-opencl-icd libsndfile1-dev'
interop=''
ci=''
quick=''
for option in "$@"; do
    case $option in
    --interop) interop=yes ;;
    --ci) ci=yes ;;
    --quick) quick=yes ;;
    --needed) echo "$needed"; exit ;;
    *) echo "tests/run.sh: no option $option; there are --interop, --ci and --quick" >&2; exit 64 ;;
    esac
done
# shellcheck disable=SC2086  # a list of words
set -- $needed
[ -z "$ci" ] || set -- "$@" clang clang-format git shellcheck oclgrind debootstrap
[ -z "$interop" ] || set -- "$@" python3-torch
# shellcheck source=samples/install.sh
. samples/install.sh

# phase NAME: prints it, and notes the seconds of the one before.
phase_name=''
phases=''
phase() {
    now=$(date +%s)
    [ -z "$phase_name" ] || phases="$phases$(printf '%5d s  %s' $((now - phase_start)) "$phase_name")
"
    phase_name=$1
    phase_start=$now
    [ -z "$1" ] || echo "== $1 ==" >&2
}

# build NAME OPTION...: into build/NAME.
build() {
    name=$1
    shift
    phase "build $name"
    cmake -S . -B "build/$name" "$@" >"build/$name.log" 2>&1 || { cat "build/$name.log"; return 1; }
    cmake --build "build/$name" -j 2 >"build/$name.log" 2>&1 || { cat "build/$name.log"; return 1; }
}

# run_tests NAME OPTION...: those of build/NAME, and what was skipped.
run_tests() {
    name=$1
    shift
    status=0
    phase "test $name"
    ctest --test-dir "build/$name" -j 2 --output-on-failure "$@" || status=$?
    sh tests/count.sh "build/$name" || status=1
    return $status
}

mkdir -p build
if [ -z "$ci" ]; then
    build release -DCMAKE_BUILD_TYPE=Release
    run_tests release -LE 'oclgrind|cuda_archs'
    echo "Oclgrind, CUDA kernels for each GPU, mutants: not run (sh tests/run.sh --ci)"
else
    # Every package is there, so a device of OpenCL must be found.
    BPTT_NEED_OPENCL=1
    export BPTT_NEED_OPENCL
    if [ -z "$quick" ]; then # mostly waits for packages
        sh tests/bare.sh build/bare prepare >build/bare.log 2>&1 &
        prepares=$!
        trap 'kill $prepares 2>/dev/null || true' EXIT
    fi
    build release -DCMAKE_BUILD_TYPE=Release -DBPTT_WERROR=ON
    if [ -n "$quick" ]; then
        run_tests release
    else # the bare Debian runs all the others, and so do the sanitizers on this machine
        run_tests release -L '^cuda|oclgrind|consumers|bench' -E '^cuda_faults$'
    fi
    phase "layout, scripts"
    git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror
    git ls-files '*.sh' .ci/run | xargs shellcheck -x -s sh
    build clang-werror -DCMAKE_BUILD_TYPE=Debug -DBPTT_WERROR=ON -DCMAKE_C_COMPILER=clang -DBPTT_NVCC=
    # With -O3, as RelWithDebInfo has for some sources, this build took twice as long. The stand-ins take kernels for any
    # GPU.
    build asan -DCMAKE_BUILD_TYPE=None -DCMAKE_CUDA_ARCHITECTURES=90-real \
        "-DCMAKE_C_FLAGS=-O2 -g1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"
    # On OpenCL and CUDA one lowering and one precision will do, and what Oclgrind and small_cuda do not cover; the host
    # build of the kernels runs all of them. The slowest repeat on CUDA what they do on the CPU, or repeat the same calls
    # for minutes.
    CK_FORK=no
    # Without the last, the leak checker of gcc 13 and older may crash: it takes a block of a thread's variables for one
    # with a header of glibc 2.24 where its address happens to match.
    ASAN_OPTIONS=allocator_may_return_null=1:intercept_tls_get_addr=0
    LSAN_OPTIONS="suppressions=$PWD/tests/lsan.txt:print_suppressions=0"
    export CK_FORK ASAN_OPTIONS LSAN_OPTIONS
    repeats='opencl_(battery|gates|pointwise|.*_never|(curve|documents|layers|learned|losses|predict|trace)_always)$'
    repeats="$repeats|small_opencl|small_cuda_(lifo|7|eager)|cuda_.*_(nodes|tf32|bf16|fp16)"
    repeats="$repeats|cuda_(curve|documents|layers|learned|lengths|losses|promises|resume)_graph"
    repeats="$repeats|cuda_(cells|gates|pointwise|program|verify_device)|opencl_verify_device|gpu_kit|layers_bench"
    repeats="$repeats|test_curve|test_verify_device|sample_(adding|copy_memory|sine|amp)"
    run_tests asan -LE 'oclgrind|cuda_archs' -E "$repeats"
    unset CK_FORK ASAN_OPTIONS LSAN_OPTIONS
    phase mutants
    # One of eight shares by the count of commits, so that all this stays below half an hour.
    sh tests/mutants.sh --brief --share=$(($(git rev-list --count HEAD 2>/dev/null || echo 0) % 8))/8
    if [ -z "$quick" ]; then
        phase "bare Debian"
        wait "$prepares" || cat build/bare.log
        trap - EXIT
        sh tests/bare.sh build/bare
    fi
fi
if [ -n "$interop" ]; then
    phase interop
    sh tests/interop.sh build/release/bptt /usr/bin/python3
else
    echo "interop: not run (sh tests/run.sh --interop)"
fi
phase ''
printf '%s' "$phases"
sh tests/count.sh build/release # the closing lines

#!/bin/sh
# Installs what the tests need, builds, runs ctest.
#   sh tests/run.sh             release build, all tests
#   sh tests/run.sh --interop   also reads a trained model with PyTorch (installs python3-torch: about 300 MB)
#   sh tests/run.sh --ci        also layout, warnings as errors under gcc and clang, and the tests under ASan, UBSan,
#                               and the mutants (tests/mutants.sh)
set -eu
cd "$(dirname "$0")/.."
interop=''
ci=''
for option in "$@"; do
    case $option in
    --interop) interop=yes ;;
    --ci) ci=yes ;;
    *) echo "tests/run.sh: no option $option; there are --interop and --ci" >&2; exit 64 ;;
    esac
done
set -- gcc g++ libc6-dev cmake make pkg-config check libopenblas0-pthread python3 opencl-c-headers ocl-icd-libopencl1 \
    pocl-opencl-icd
[ -z "$ci" ] || set -- "$@" clang clang-format git shellcheck oclgrind
[ -z "$interop" ] || set -- "$@" python3-torch
# shellcheck source=samples/install.sh
. samples/install.sh

# build NAME OPTION...: into build/NAME.
build() {
    name=$1
    shift
    echo "== build $name ==" >&2
    cmake -S . -B "build/$name" "$@" >"build/$name.log" 2>&1 || { cat "build/$name.log"; return 1; }
    cmake --build "build/$name" -j 2 >"build/$name.log" 2>&1 || { cat "build/$name.log"; return 1; }
}
mkdir -p build
build release -DCMAKE_BUILD_TYPE=Release
without='' # Oclgrind and nvcc for every GPU are for --ci
[ -n "$ci" ] || without='-LE oclgrind|cuda_archs'
# shellcheck disable=SC2086  # two words or none
BPTT_NEED_OPENCL=1 ctest --test-dir build/release -j 2 --output-on-failure $without

if [ -n "$ci" ]; then
    echo "== layout, scripts ==" >&2
    git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror
    git ls-files '*.sh' .ci/run | xargs shellcheck -x -s sh
    build gcc-werror -DCMAKE_BUILD_TYPE=Debug -DBPTT_WERROR=ON
    build clang-werror -DCMAKE_BUILD_TYPE=Debug -DBPTT_WERROR=ON -DCMAKE_C_COMPILER=clang
    build asan -DCMAKE_BUILD_TYPE=RelWithDebInfo \
        "-DCMAKE_C_FLAGS=-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"
    # On OpenCL and CUDA one lowering will do, and what small_opencl does not cover; the twin runs all kernels.
    CK_FORK=no BPTT_NEED_OPENCL=1 ASAN_OPTIONS=allocator_may_return_null=1 ctest --test-dir build/asan -j 2 \
        --output-on-failure -LE 'oclgrind|cuda_archs' \
        -E 'opencl_.*_never|opencl_(battery|pointwise)_always|cuda_.*_nodes|cuda_program|gpu_kit'
fi
if [ -z "$ci" ]; then
    echo "cuda_kernels: not run (sh tests/run.sh --ci)"
elif ctest --test-dir build/release -N -L cuda_archs | grep -q 'Total Tests: 0'; then
    echo "cuda_kernels: NOT RUN: there is no nvcc, so nothing was compiled for CUDA"
fi
if [ -n "$ci" ]; then
    echo "== mutants ==" >&2
    sh tests/mutants.sh
else
    echo "mutants: not run (sh tests/run.sh --ci)"
fi
if [ -n "$interop" ]; then
    sh tests/interop.sh build/release/bptt /usr/bin/python3
else
    echo "interop: not run (sh tests/run.sh --interop)"
fi

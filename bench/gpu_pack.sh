#!/bin/sh
# A build of bptt for bench/gpu.sh that can be carried to another machine with the repository: made on a Debian machine
# without a GPU, run where there is one and perhaps neither libcheck nor a compiler.
#
#   sh bench/gpu_pack.sh [BUILD]      default build/gpu; keep it within this repository, at the same place on both sides
#
# ARCH      CMAKE_CUDA_ARCHITECTURES (90-real)      JOBS      compilers at once (2)
# MOST_MIB  the most it may be (64)
# In it: bptt, its modules, the tests of CUDA with libcheck linked statically, gpu_micro and bptt_layers where they can
# be built, and lib/ with OpenBLAS. Object files are gone, so the next pack compiles all of it again.
set -eu

die() { echo "gpu_pack.sh: $1" >&2; exit 1; }
root=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "${1:-$root/build/gpu}"
build=$(cd "${1:-$root/build/gpu}" && pwd)
case $build in "$root"/?*) ;; *) die "$build is not within $root, and tests find their data from there" ;; esac
for tool in cmake pkg-config strip ldd realpath gzip; do
    command -v "$tool" >/dev/null || die "$tool is not installed"
done
pkg-config --exists check || die "libcheck is not installed (Debian: check)"
archive() {
    file=$(cc -print-file-name="$1")
    [ -f "$file" ] || die "$1 is not installed (Debian: check, libsubunit-dev)"
    echo "$file"
}

# A folder with nothing but the static libraries, and a check.pc that names it: no other is found there.
rm -rf "$build"
mkdir -p "$build/static"
cp "$(archive libcheck_pic.a)" "$(archive libsubunit.a)" "$build/static"
{
    echo "Name: check"
    echo "Description: libcheck, static"
    echo "Version: $(pkg-config --modversion check)"
    echo "Libs: -L$build/static -lcheck_pic -lsubunit -lrt -lm -lpthread"
    echo "Cflags: $(pkg-config --cflags check)"
} >"$build/static/check.pc"

generator=''
if command -v ninja >/dev/null; then generator='-G Ninja'; fi
# shellcheck disable=SC2086  # two words or none
PKG_CONFIG_PATH=$build/static cmake -S "$root" -B "$build" $generator -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=ON \
    "-DCMAKE_CUDA_ARCHITECTURES=${ARCH:-90-real}" "-DBPTT_TEST_ROOT=$(realpath --relative-to="$build/tests" "$root")" \
    >"$build/pack.log" 2>&1 || { tail -n 20 "$build/pack.log" >&2; die "cmake failed"; }
cmake --build "$build" -j "${JOBS:-2}" >>"$build/pack.log" 2>&1 ||
    { tail -n 40 "$build/pack.log" >&2; die "the build failed"; }
for target in bptt_gpu_micro bptt_layers; do
    cmake --build "$build" --target "$target" >>"$build/pack.log" 2>&1 ||
        echo "gpu_pack.sh: no $target (pack.log says why)" >&2
done

# OpenBLAS is loaded at run time, by name; what it needs itself comes along, but for the C library.
mkdir -p "$build/lib"
blas=$(cc -print-file-name=libopenblas.so.0)
[ -f "$blas" ] || blas=$(find /usr/lib -name libopenblas.so.0 2>/dev/null | head -n 1)
if [ -n "$blas" ]; then
    cp -L "$blas" "$build/lib/libopenblas.so.0"
    ldd "$blas" | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | while read -r needed; do
        case ${needed##*/} in
        libc.so* | libm.so* | libpthread.so* | libdl.so* | librt.so*) ;;
        *) cp -L "$needed" "$build/lib" ;;
        esac
    done
else
    echo "gpu_pack.sh: no OpenBLAS here: bptt's cpu backend will be slow there (Debian: libopenblas0-pthread)" >&2
fi

find "$build" -name CMakeFiles -prune -exec rm -rf {} +
find "$build" \( -name '*.o' -o -name '*.a' -o -name '*.ninja' -o -name '.ninja*' -o -name Makefile \) -exec rm -f {} +
used=$(ctest --test-dir "$build" -L cuda -N -V) # gpu.sh runs no others
for program in "$build"/test_* "$build"/small_*; do
    case $used in *"/${program##*/}\""*) ;; *) rm -f "$program" ;; esac
done
(cd "$build" && rm -rf static Testing DartConfiguration.tcl default_text.c program_text.c cuda_image.c \
    CMakeCache.txt cmake_install.cmake tests/cmake_install.cmake)
find "$build" -type f \( -perm -100 -o -name '*.so*' \) -exec strip --strip-unneeded {} + 2>/dev/null || true
find "$build/lib" -type f -exec gzip -9n {} + # gpu.sh undoes it
printf '%s\n%s\n' "$root" "$build" >"$build/carried"
commit=$(git -C "$root" rev-parse --short HEAD 2>/dev/null || echo unknown)
if [ -n "$(git -C "$root" status --porcelain 2>/dev/null)" ]; then commit="$commit with changes"; fi
{
    "$build/bptt" --version | sed -n 1p
    cc --version | sed -n 1p
    echo "commit $commit, for ${ARCH:-90-real}"
} >"$build/about"

if ldd "$build"/test_* | grep -E 'check|subunit' >&2; then die "the tests still want libcheck at run time"; fi
size=$(($(du -sk "$build" | cut -f 1) / 1024 + 1))
echo "gpu_pack.sh: $build, $size MiB, $(find "$build" -maxdepth 1 -name 'test_*' | wc -l) test programs, commit $commit"
[ "$size" -le "${MOST_MIB:-64}" ] || die "$size MiB are more than ${MOST_MIB:-64}"

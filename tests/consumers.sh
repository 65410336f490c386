#!/bin/sh
# Programs that use bptt from outside: by find_package, pkg-config, FetchContent and a plain Makefile, static and
# shared, C11 and C++17; statically linked, with musl, and with names of their own that bptt uses inside. Each trains
# the same few updates, and all must print the same loss. The script also checks the installed files, a moved
# installation, DESTDIR, uninstalling, and the targets and files of a subproject.
# usage: tests/consumers.sh CMAKE CC SOURCE BUILD; exit status 77: nothing here can be built
set -eu
cmake=$1
cc=$2
source=$(cd "$3" && pwd)
build=$(cd "$4" && pwd)
# shellcheck source=tests/expect.sh
. "$(dirname "$0")/expect.sh"
command -v make >/dev/null || { echo "skipped: Consumer: no make"; exit 77; }
unset DESTDIR BPTT_MODULES CFLAGS CXXFLAGS LDFLAGS CMAKE_GENERATOR CMAKE_PREFIX_PATH PKG_CONFIG_PATH 2>/dev/null || true
LC_ALL=C
export LC_ALL
if grep -q '^BUILD_SHARED_LIBS:[A-Z]*=\(ON\|1\|TRUE\)$' "$build/CMakeCache.txt"; then
    echo "skipped: Consumer: the build's own library is shared"
    exit 77
fi
if grep -q '^CMAKE_C_FLAGS:.*-\(fsanitize\|coverage\|fprofile\)' "$build/CMakeCache.txt"; then
    echo "skipped: Consumer: the build's library needs its compiler's run-time library"
    exit 77
fi
strict="-Wall -Wextra -Wpedantic -Werror"
cxx=$(command -v c++ || command -v g++ || command -v clang++ || true)
pkgconfig=$(command -v pkg-config || true)
loss=''

# ---- the program, and the table -----------------------------------------------------------------

cp "$source/tests/consumer.c" "$work/app.c"
cp "$source/tests/consumer.c" "$work/app.cpp"
printf '%-14s %-8s %-8s %-6s %s\n' consumer library language loss 'what else'

# row CONSUMER LIBRARY LANGUAGE PROGRAM NOTE: the program runs, and its loss is that of the first row.
row() {
    got=$("$4" 2>"$work/err") || { fail "$1 $2 $3: it fails"; cat "$work/err" >&2; return 0; }
    : "${loss:=$got}"
    [ "$got" = "$loss" ] || fail "$1 $2 $3: the loss is $got, not $loss"
    printf '%-14s %-8s %-8s %-6s %s\n' "$1" "$2" "$3" "$got" "$5"
}
skip() {
    printf '%-14s %-8s %-8s %-6s %s\n' "$1" "$2" "$3" - "not built: $4"
    echo "not tested: $1 $2 $3: $4" >>"$work/untested"
}

# The build's owner may need the list of what was installed.
manifest=$build/install_manifest.txt
[ ! -e "$manifest" ] || cp -p "$manifest" "$work/kept"
restore() {
    rm -f "$manifest"
    [ ! -e "$work/kept" ] || cp -p "$work/kept" "$manifest"
    rm -rf "$work"
}
trap restore EXIT

# quietly COMMAND...: what it says is shown if it fails.
quietly() { "$@" >"$work/log" 2>&1 || { fail "it fails: $*"; tail -n 30 "$work/log" >&2; return 1; }; }

# ---- projects -----------------------------------------------------------------------------------

# A project of one program in both languages; without a C++ compiler in C.
languages=C
[ -z "$cxx" ] || languages="C CXX"
project() { # FOLDER TEXT...: its CMakeLists.txt, where TEXT makes bptt::bptt known
    folder=$1
    shift
    mkdir -p "$folder"
    {
        echo 'cmake_minimum_required(VERSION 3.21)'
        echo "project(app LANGUAGES $languages)"
        echo 'set(CMAKE_C_STANDARD 11)'
        echo 'set(CMAKE_CXX_STANDARD 17)'
        printf '%s\n' "$@"
        echo "add_executable(app_c $work/app.c)"
        echo 'target_link_libraries(app_c PRIVATE bptt::bptt)'
        [ -z "$cxx" ] || echo "add_executable(app_cxx $work/app.cpp)"
        [ -z "$cxx" ] || echo 'target_link_libraries(app_cxx PRIVATE bptt::bptt)'
    } >"$folder/CMakeLists.txt"
}
made() { # FOLDER OPTION...: configures and builds it
    folder=$1
    shift
    quietly "$cmake" -S "$folder" -B "$folder/build" -G "Unix Makefiles" -DCMAKE_C_COMPILER="$cc" \
        "-DCMAKE_C_FLAGS=$strict" "-DCMAKE_CXX_FLAGS=$strict" "$@" && quietly "$cmake" --build "$folder/build" -j 2
}
both() { # CONSUMER LIBRARY FOLDER NOTE: rows of a project
    row "$1" "$2" C11 "$3/app_c" "$4"
    if [ -n "$cxx" ]; then row "$1" "$2" C++17 "$3/app_cxx" "$4"; else skip "$1" "$2" C++17 "no C++ compiler"; fi
}

# ---- a subproject -------------------------------------------------------------------------------

for kind in static shared; do
    shared=OFF
    [ $kind = static ] || shared=ON
    project "$work/fetch-$kind" 'include(FetchContent)' "FetchContent_Declare(bptt SOURCE_DIR $source)" \
        'FetchContent_MakeAvailable(bptt)' 'if(CMAKE_BUILD_TYPE OR CMAKE_RUNTIME_OUTPUT_DIRECTORY)' \
        '  message(FATAL_ERROR "bptt changes its parent")' 'endif()'
    # The shared one is installed from here, which a parent may ask for.
    made "$work/fetch-$kind" -DBPTT_NVCC= -DBUILD_SHARED_LIBS=$shared -DBPTT_INSTALL=$shared -DBUILD_TESTING=ON
    both FetchContent $kind "$work/fetch-$kind/build" "no build type"
done
quietly "$cmake" --build "$work/fetch-static/build" --target help
names=$(sed -n 's/^\.\.\. \([^ ]*\).*/\1/p' "$work/log" | grep -v '\.[ois]$' | grep -Ev \
    '^(all|clean|depend|edit_cache|rebuild_cache|app_c|app_cxx|bptt|bptt[_-][a-z_]*)$' || true)
[ -z "$names" ] || fail "a subproject has targets $names"
built=$(cd "$work/fetch-static/build" && find . -type f ! -path '*/CMakeFiles/*' ! -path './_deps/bptt-subbuild/*' \
    ! -name Makefile ! -name '*.cmake' ! -name CMakeCache.txt ! -name 'app_c*' ! -name bptt_whole.o ! -name libbptt.a)
[ -z "$built" ] || fail "a subproject builds $built"
quietly "$cmake" --build "$work/fetch-static/build" --target bptt-cuda # a module is there for who asks
[ -s "$work/fetch-static/build/_deps/bptt-build/bptt-cuda.so" ] || fail "the module that was asked for is not built"

# ---- installing: the static library is that of the build under test -----------------------------

mkdir "$work/moved" # an installation can be moved
quietly "$cmake" --install "$work/fetch-shared/build" --prefix "$work/first"
mv "$work/first" "$work/moved/shared"
quietly "$cmake" --install "$build" --prefix "$work/first"
mv "$work/first" "$work/moved/static"
for file in bin/bptt include/bptt.h include/bptt_trainer.h share/doc/bptt/LICENSE share/doc/bptt/README.md \
    share/doc/bptt/CHANGELOG.md share/doc/bptt/host/README.md share/doc/bptt/device/README.md \
    share/doc/bptt/verify/README.md \
    share/doc/bptt/device/DESIGN.md share/doc/bptt/device/RESULTS.md share/doc/bptt/bench/README.md \
    share/doc/bptt/samples/hello.c share/doc/bptt/samples/quickstart.sh share/man/man1/bptt.1; do
    [ -s "$work/moved/static/$file" ] || fail "$file is not installed"
done
for file in include/bptt_cells.h share/doc/bptt/samples/joints.c; do # libbptt has not what they declare or call
    [ ! -e "$work/moved/static/$file" ] || fail "$file is installed"
done
# shellcheck disable=SC2086  # words
quietly "$cc" -std=c11 $strict -fsyntax-only -x c "$source/host/include/bptt_trainer.h" # alone
# shellcheck disable=SC2086  # words
[ -z "$cxx" ] || quietly "$cxx" -std=c++17 $strict -fsyntax-only -x c++ -I "$source/host/include" \
    "$source/verify/cells/bptt_cells.h"

# With DESTDIR the same is installed. Uninstalling leaves nothing, and is refused where nothing was installed.
quietly env DESTDIR="$work/staged" "$cmake" --install "$build" --prefix "$work/first"
(cd "$work/staged/$work/first" && find . | sort) >"$work/is"
(cd "$work/moved/static" && find . | sort) >"$work/wanted"
cmp -s "$work/is" "$work/wanted" || fail "DESTDIR installs other files"
quietly env DESTDIR="$work/staged" "$cmake" --build "$build" --target uninstall
left=$(find "$work/staged" ! -type d -o -path "$work/staged/$work/first/*bptt*")
[ -z "$left" ] || fail "uninstalling leaves $left"
if "$cmake" --build "$build" --target uninstall >"$work/log" 2>&1; then fail "uninstalling twice succeeds"; fi
grep -q 'nothing to uninstall' "$work/log" || fail "uninstalling twice is not refused in words"

# ---- names --------------------------------------------------------------------------------------

library() { find "$work/moved/$1" -name "$2" | head -n 1; }
archive=$(library static libbptt.a)
libdir=$(dirname "$archive")
nm -g --defined-only "$archive" | awk 'NF == 3 { print $3 }' | sort >"$work/names"
foreign=$(grep -v '^bptt_' "$work/names" | head -n 5 | tr '\n' ' ')
[ -z "$foreign" ] || fail "libbptt.a defines $(grep -cv '^bptt_' "$work/names") names without bptt_: $foreign..."
nm -D --defined-only "$(library shared libbptt.so)" | awk '{ print $3 }' | sort >"$work/exports"
cmp -s "$work/names" "$work/exports" ||
    fail "libbptt.a and libbptt.so have other functions: $(diff "$work/names" "$work/exports" | head -n 5)"

# The proofs of verify/ are in the program alone.
if nm "$archive" | grep -E ' (verify_|bptt_(elman|chain_(forward|jvp|vjp)|ref_(fp|dual|c128)))'; then
    fail "libbptt.a holds proofs"
fi
nm "$work/moved/static/bin/bptt" | grep -q ' verify_' || fail "nm does not see the proofs in the program"

# Only the library knows the folder of its installation: a program of the build must not load another build's modules.
prefix=$(sed -n 's/^CMAKE_INSTALL_PREFIX:[A-Z]*=//p' "$build/CMakeCache.txt")
folder="^$prefix/.*/bptt\$"
strings -a "$archive" | grep -q "$folder" || fail "libbptt.a does not know where its modules are installed"
if strings -a "$work/moved/static/bin/bptt" | grep "$folder"; then fail "the program knows an absolute folder"; fi

# ---- find_package, pkg-config, a Makefile -------------------------------------------------------

for kind in static shared; do
    prefix=$work/moved/$kind
    where=$(dirname "$(library $kind 'libbptt.*')")
    flags="-I$prefix/include -L$where -Wl,-rpath,$where"
    project "$work/package-$kind" 'find_package(bptt 0.1 REQUIRED)'
    made "$work/package-$kind" "-DCMAKE_PREFIX_PATH=$prefix"
    both find_package $kind "$work/package-$kind/build" "moved prefix"

    mkdir "$work/make-$kind"
    sed "s|@APP@|$work/app|; s|@STRICT@|$strict|" <<'MAKEFILE' >"$work/make-$kind/Makefile"
app_c: @APP@.c
	$(CC) -std=c11 @STRICT@ -o $@ $< $(FLAGS) -lbptt -lm -lpthread -ldl
app_cxx: @APP@.cpp
	$(CXX) -std=c++17 @STRICT@ -o $@ $< $(FLAGS) -lbptt -lm -lpthread -ldl
MAKEFILE
    # shellcheck disable=SC2086  # words
    quietly make app_c ${cxx:+app_cxx} -C "$work/make-$kind" CC="$cc" CXX="${cxx:-c++}" FLAGS="$flags"
    both Makefile $kind "$work/make-$kind" "-lbptt -lm -lpthread -ldl"

    if [ -z "$pkgconfig" ]; then
        skip pkg-config $kind both "no pkg-config"
        continue
    fi
    told=$(PKG_CONFIG_PATH=$where/pkgconfig pkg-config --cflags --libs bptt)
    case $told in *//*) fail "bptt.pc's paths are not tidy: $told" ;; esac
    mkdir "$work/pc-$kind"
    # shellcheck disable=SC2086  # words
    quietly "$cc" -std=c11 $strict -o "$work/pc-$kind/app_c" "$work/app.c" $told "-Wl,-rpath,$where"
    # shellcheck disable=SC2086
    [ -z "$cxx" ] ||
        quietly "$cxx" -std=c++17 $strict -o "$work/pc-$kind/app_cxx" "$work/app.cpp" $told "-Wl,-rpath,$where"
    both pkg-config $kind "$work/pc-$kind" "moved prefix"
done

# ---- statically linked, another C library, other people's names ---------------------------------

said() { "$1" 2>&1 >/dev/null | tr '\n' ' '; }
flags="-std=c11 -I$work/moved/static/include -L$libdir"
system="-lm -lpthread -ldl"
libraries="-lbptt $system"
# shellcheck disable=SC2086
if "$cc" -static -o "$work/app-static" "$work/app.c" $flags $libraries >"$work/log" 2>&1; then
    row -static static C11 "$work/app-static" "$(said "$work/app-static")"
else
    skip -static static C11 "no static C library"
fi

if command -v musl-gcc >/dev/null; then
    kept=$cxx
    cxx=''
    languages=C
    project "$work/musl" "add_subdirectory($source bptt)"
    quietly "$cmake" -S "$work/musl" -B "$work/musl/build" -G "Unix Makefiles" -DCMAKE_C_COMPILER=musl-gcc \
        "-DCMAKE_C_FLAGS=$strict" -DBPTT_NVCC= && quietly "$cmake" --build "$work/musl/build" -j 2
    row subdirectory static C11 "$work/musl/build/app_c" musl-gcc
    cxx=$kept
else
    skip subdirectory static C11 "no musl-gcc (Debian: musl-tools)"
fi

# Its own functions by names that bptt uses inside; the state it saves must hold the digest that bptt computes.
# shellcheck disable=SC2086
quietly "$cc" $strict -o "$work/app-names" "$source/tests/consumer_names.c" "$work/app.c" -DOWN_NAMES \
    "-DSAVED=\"$work/saved\"" $flags $libraries
row "own names" static C11 "$work/app-names" "sha256_hex, crc32c, choose, write_all, machine_memory"
digest=$(sed -n 's/.*"train\.text_sha256":"\([0-9a-f]*\)".*/\1/p' "$work/saved" | head -n 1)
[ "$digest" = "$("$work/app-names" text | sha256sum | cut -d ' ' -f 1)" ] || fail "the saved digest is \"$digest\""

[ ! -e "$work/untested" ] || cat "$work/untested"
[ "$failures" = 0 ] || { echo "consumers.sh: $failures failures" >&2; exit 1; }
echo "consumers.sh: passed"

#!/bin/sh
# The CUDA program under nvcc for every kind of GPU, which needs none: no warning, no spill, no stack, every kernel
# there, nothing fused or relaxed. Prints what each kernel takes. And that it would notice: bugs planted in copies must
# be reported.
#   sh tests/cuda_kernels.sh NVCC
set -eu
nvcc=$1
root=$(cd "$(dirname "$0")/.." && pwd)
kinds='75 80 86 89 90 100 120'
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
trap 'exit 1' HUP INT TERM
cd "$here"
failures=0

say() { # say TRUTH SENTENCE
    if [ "$1" = 0 ]; then echo "ok      $2"; else
        failures=$((failures + 1))
        echo "FAILED  $2"
    fi
}

# compile TEXT OUT OPTION...: the program in the folder TEXT, with the flags of the build (cmake/cuda.cmake).
compile() {
    text=$1
    out=$2
    shift 2
    "$nvcc" -std=c++17 -O3 -fmad=false -Xptxas -v,-warn-spills,-warn-lmem-usage -Werror all-warnings -I"$text" "$@" \
        -o "$out" "$text/cuda/kernels.cu" >"$out.log" 2>&1
}

# table KIND...: from the logs of ptxas, one line a kernel: registers/shared memory/stack/spills for each kind.
table() {
    for kind in "$@"; do
        sed -n "s/^ptxas info *: Compiling entry function '\(bptt_\)*\([a-z0-9_]*\)'.*/kernel $kind \2/p
            s/^ *\([0-9]*\) bytes stack frame, \([0-9]*\) bytes spill stores, \([0-9]*\) bytes spill loads/stack \1 \2 \3/p
            s/^ptxas info *: Used \([0-9]*\) registers\(.*\)/used \1\2/p" "sm_$kind.log"
    done | awk '
        $1 == "kernel" { kind = $2; name = $3; if (!(name in seen)) { seen[name] = 1; order[++n] = name }
                         if (!(kind in known)) { known[kind] = 1; kinds[++k] = kind } }
        $1 == "stack" { stack = $2; spills = $3 + $4 }
        $1 == "used" { shared = 0; if (match($0, /[0-9]+ bytes smem/)) shared = substr($0, RSTART) + 0
                       cell[name, kind] = $2 + 0 "/" shared "/" stack "/" spills; if (stack + spills > 0) bad = 1 }
        END { printf "%-20s", "reg/shared/stack/sp"; for (i = 1; i <= k; i++) printf " %12s", "sm_" kinds[i]; print ""
              for (j = n; j > 0; j--) { printf "%-20s", order[j]
                  for (i = 1; i <= k; i++) printf " %12s", cell[order[j], kinds[i]]
                  print "" }
              exit bad }'
}

# Exact instructions: ptxas neither fuses nor relaxes them, and they round to nearest or not at all.
exact='^(add|sub|mul|fma|cvt)\.rn\.f32$|^(mov|selp|neg|abs|copysign|(setp|ld|st)(\.[a-z0-9]+)*)\.f32$'
inexact() { # inexact PTX: operations on floats that are not exact or rounded once, as the text says
    grep -oE '\b[a-z][a-z0-9]*(\.[a-z0-9]+)*\.f(16|16x2|32|64)\b|\b[a-z0-9]+(\.[a-z0-9]+)*\.bf16(x2)?\b' "$1" |
        grep -vE "$exact" | sort | uniq -c
}

# ---- every kind of GPU ----------------------------------------------------------------------------------------------
known=$("$nvcc" --list-gpu-code)
asked=$kinds
kinds=''
for kind in $asked; do
    case "$known " in
    *"sm_$kind"[!0-9]*) kinds="$kinds $kind" ;;
    *) echo "        this nvcc does not know sm_$kind: not compiled for it" ;;
    esac
done
newest=${kinds##* }
at_once=0
for kind in $kinds; do
    compile "$root/device" "sm_$kind" -cubin -arch="sm_$kind" || touch "sm_$kind.failed" &
    at_once=$((at_once + 1))
    [ $((at_once % 2)) = 1 ] || wait
done
compile "$root/device" ptx -ptx -arch="compute_$newest" || touch ptx.failed
wait
for kind in $kinds; do
    truth=0
    if [ -e "sm_$kind.failed" ] || grep -iq warning "sm_$kind.log"; then truth=1; fi
    say $truth "sm_$kind: compiled without a warning"
    [ $truth = 0 ] || head -n 20 "sm_$kind.log"
done
truth=0
[ ! -e ptx.failed ] || truth=1
say $truth "PTX of compute_$newest: compiled without a warning"

truth=0
# shellcheck disable=SC2086  # a list of words
table $kinds >taken || truth=1
cat taken
say $truth "no kernel spills or has a stack"

truth=0
sed -n 's/^ *X(\([a-z0-9_]*\), "[fih]*", "[01]*").*/\1/p' "$root/device/lower/launch.h" >names
[ -s names ] || truth=1
while read -r name; do
    grep -q "^$name  *[0-9]" taken || {
        truth=1
        echo "        no kernel $name"
    }
done <names
say $truth "every kernel of launch.h is there"

# ---- the same bits as the host's ------------------------------------------------------------------------------------
truth=0
inexact ptx >odd || :
[ ! -s odd ] || truth=1
say $truth "every operation on floats is exact, or rounded once to the nearest"
[ $truth = 0 ] || head odd

# copy NAME FILE SED: the text with a change, in the folder NAME.
copy() {
    mkdir "$1"
    cp -r "$root/device/"*.h "$root/device/cuda" "$1"
    sed "$3" "$1/$2" >changed
    if cmp -s changed "$1/$2"; then
        failures=$((failures + 1))
        echo "FAILED  cuda_kernels.sh: $2 has nothing that matches: $3"
    fi
    mv changed "$1/$2"
}
copy apart f32.h 's/__fmaf_rn(a, b, c)/((a) * (b) + (c))/'
truth=0
compile apart apart.ptx -ptx -arch="compute_$newest" || truth=1
if [ ! -s apart.ptx ] || grep -q 'fma\.' apart.ptx; then truth=1; fi
say $truth "no multiplication and addition are fused but by F32_FMA"

# ---- what is declared of the driver ---------------------------------------------------------------------------------
truth=0
grep -oE '\b[A-Z][A-Z0-9_]+ = ' "$root/device/cuda/cu_api.h" | sed 's/ = //' >values
[ -s values ] || truth=1
while read -r name; do
    grep -qE "^VALUE\((ours_)?$name," "$root/device/cuda/cu_headers.c" || {
        truth=1
        echo "        cu_headers.c does not compare $name"
    }
done <values
say $truth "cu_headers.c compares every value of cu_api.h"

# ---- planted bugs ---------------------------------------------------------------------------------------------------
# noticed SENTENCE WORDS TEXT OPTION...: that program is refused, with those words.
noticed() {
    sentence=$1
    words=$2
    shift 2
    truth=0
    if compile "$1" planted "$2" "$3" "$4"; then truth=1; fi
    grep -q "$words" planted.log || truth=1
    say $truth "$sentence is reported"
    [ $truth = 0 ] || head -n 10 planted.log
}
# And the table would show it, whatever nvcc calls an error.
shown() {
    truth=0
    mv planted.log sm_0.log
    if table 0 >/dev/null; then truth=1; fi
    say $truth "$1 is seen in the table"
}
copy stack kernels_lowered.h \
    's/const float by = scale_of(scale, scale_view);/float kept[64]; for (int k = 0; k < 64; k++) kept[k] = x[k]; const float by = kept[o.half_kind \& 63];/'
noticed "a local array" "Local memory used" stack -cubin -arch=sm_90 -lineinfo
shown "a local array"
noticed "a spill" "spilled to local memory" "$root/device" -cubin -arch=sm_90 -maxrregcount=24
shown "a spill"
copy unused kernels_lowered.h 's/const float by = scale_of(scale, scale_view);/& int never;/'
noticed "a warning" "never" unused -cubin -arch=sm_90 -lineinfo

truth=0
"$nvcc" -std=c++17 -O3 -I"$root/device" -ptx -arch="compute_$newest" -o fused.ptx "$root/device/cuda/kernels.cu" || truth=1
inexact fused.ptx >odd || :
[ -s odd ] || truth=1
say $truth "a build without -fmad=false is reported"

[ $failures = 0 ] || exit 1

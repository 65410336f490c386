#!/bin/sh
# Behaviour without a device: unused libraries are not loaded. If the OpenCL driver or bptt's module is missing, the
# program names it, falls back if the backend is auto, and else exits with code 69.
# usage: sh tests/no_device.sh BPTT INSTALLED; INSTALLED: where this build installs modules, which it must not use
set -eu
bptt=$1
installed=$2
# shellcheck source=tests/expect.sh
. "$(dirname "$0")/expect.sh"

# loads NONE|SOME PATTERN COMMAND...: which libraries the loader has touched.
loads() {
    wanted=$1
    pattern=$2
    shift 2
    LD_DEBUG=libs LD_DEBUG_OUTPUT="$work/ld" "$@" >"$work/out" 2>"$work/err" || true
    cat "$work"/ld.* >"$work/loaded" 2>/dev/null || true
    rm -f "$work"/ld.*
    grep -q 'libc\.so' "$work/loaded" || fail "the loader said nothing about: $*"
    found=NONE
    if grep -qiE "$pattern" "$work/loaded"; then found=SOME; fi
    [ "$found" = "$wanted" ] || fail "loads $found of $pattern: $*"
}

any='opencl|libcuda|cublas|blas|libpocl'
loads NONE "$any" "$bptt" --help
loads NONE "$any" "$bptt" train --help
loads NONE "$any" "$bptt" --version
head -c 3000 "$0" >"$work/text"
small="--hidden 5 --batch 2 --steps 5 --iterations 3"
# shellcheck disable=SC2086  # the options are words, here and below
loads NONE 'opencl|libcuda|cublas|bptt-cuda|libpocl' "$bptt" train "$work/text" $small --backend cpu -o "$work/m"
[ -s "$work/m" ] || fail "no model was written"
loads NONE "$any" "$bptt" inspect "$work/m"
rm "$work/m"

# The module for NVIDIA's GPUs where there is no driver.
module=$(dirname "$bptt")/bptt-cuda.so
if [ ! -e "$module" ]; then
    echo "not tested: the words of bptt-cuda.so without a driver: it is not beside the program"
elif ldconfig -p 2>/dev/null | grep -q 'libcuda\.so\.1'; then
    echo "not tested: the words of bptt-cuda.so without a driver: there is a libcuda.so.1"
else
    # shellcheck disable=SC2086
    code 69 "$bptt" train "$work/text" $small --backend cuda -o "$work/m"
    says err 'libcuda\.so\.1'
    [ ! -e "$work/m" ] || fail "a file was written by a run that had no device"
    code 0 "$bptt" devices
    says out '^cuda .*not usable: '
    says out 'libcuda\.so\.1'
fi

# No OpenCL driver at all: what is missing first is told, the module where OpenCL's headers were missing at build time.
reason='OpenCL has no platform\|libOpenCL.so.1 was not found\|no bptt-opencl.so'
OCL_ICD_VENDORS=/nonexistent
CUDA_VISIBLE_DEVICES=-1 # and no GPU for cuda
export OCL_ICD_VENDORS CUDA_VISIBLE_DEVICES
code 0 "$bptt" devices
says out '^opencl.*not usable'
unwrap <"$work/out" >"$work/told"
says told "$reason"
# shellcheck disable=SC2086
code 69 "$bptt" train "$work/text" $small --backend opencl -o "$work/m"
says err "$reason"
[ ! -e "$work/m" ] || fail "a file was written by a run that had no device"
# shellcheck disable=SC2086
code 0 "$bptt" train "$work/text" $small -o "$work/m"
says err 'backend cpu'
[ -s "$work/m" ] || fail "the fallback wrote no model"
code 69 "$bptt" sample "$work/m" --backend opencl -n 5
code 69 "$bptt" bench --backend opencl --seconds 0.1
unset OCL_ICD_VENDORS CUDA_VISIBLE_DEVICES

# No module beside the program.
mkdir "$work/alone"
cp "$bptt" "$work/alone/bptt"
code 0 "$work/alone/bptt" devices
says out '^opencl.*not usable'
says out 'bptt-opencl'
unwrap <"$work/out" >"$work/told"
says told 'cuda - not usable: backend cuda is not installed: there is no bptt-cuda'
if grep -F "$installed" "$work/out"; then fail "the program looks in the folder of an installation"; fi
# shellcheck disable=SC2086
code 69 "$work/alone/bptt" train "$work/text" $small --backend opencl -o "$work/n"
says err 'bptt-opencl'
# shellcheck disable=SC2086
code 69 "$work/alone/bptt" train "$work/text" $small --backend cuda -o "$work/n"
says err 'backend cuda is not installed: there is no bptt-cuda.so in'
# shellcheck disable=SC2086
code 0 "$work/alone/bptt" train "$work/text" $small -o "$work/n"
says err 'no GPU was found: cuda is not installed; opencl is not installed'
cmp -s "$work/m" "$work/n" || fail "the fallback gave other bytes without the module"

# A backend that there is not: every command names those that there are.
code 69 "$bptt" verify device --backend abacus
says err 'unknown backend "abacus"; available names: cpu, ref, cuda, opencl'

[ "$failures" = 0 ] || { echo "no_device.sh: $failures failures" >&2; exit 1; }
echo "no_device.sh: passed"

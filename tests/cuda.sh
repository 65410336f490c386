#!/bin/sh
# The program on CUDA, that is on the stand-ins for it: training ends in the same bytes however it is cut; a device that
# is lost costs no more than what came after the last save; what is said, and exit codes.
# usage: with_cuda.sh STANDIN_FOLDER sh cuda.sh BPTT
set -eu
bptt=$1
if [ "${BPTT_GPU:-0}" = 1 ]; then
    echo "skipped: stand-in: a GPU cannot be made to fail"
    exit 77
fi
# shellcheck source=tests/expect.sh
. "$(dirname "$0")/expect.sh"
same() { cmp -s "$work/$1" "$work/$2" || fail "$1 and $2 differ"; }

head -c 6000 "$0" >"$work/text"
cat "$0" >>"$work/text"
small="--hidden 16 --layers 2 --batch 4 --steps 8 --iterations 60 --valid-every 20 --save-every 10"

for precision in fp32 fp16; do
    # shellcheck disable=SC2086  # the options are words, here and below
    code 0 "$bptt" train "$work/text" $small --backend cuda --precision $precision -o "$work/whole"
    # shellcheck disable=SC2086
    STANDIN_FAIL=GraphLaunch:50:719 code 69 "$bptt" train "$work/text" $small --backend cuda --precision $precision \
        -o "$work/cut"
    says err 'cuGraphLaunch failed for a window: CUDA_ERROR_LAUNCH_FAILED'
    says err 'start again from the last saved file'
    [ -s "$work/cut" ] || fail "the last save is gone"
    code 0 "$bptt" inspect "$work/cut"
    code 0 "$bptt" train "$work/text" --resume "$work/cut" --backend cuda -o "$work/cut"
    same whole cut
done

# Device that auto selects, and the message about it.
# shellcheck disable=SC2086
code 0 "$bptt" train "$work/text" $small -o "$work/m"
says err 'Stand-in 0'
code 0 "$bptt" devices
says out 'cuda  *0  Stand-in 0'
says out 'bit-identical to the host but for products'
STANDIN_FAIL=Init:0:100 code 69 "$bptt" train "$work/text" --backend cuda -o "$work/n"
says err 'CUDA_ERROR_NO_DEVICE'
[ ! -e "$work/n" ] || fail "a file was written"
# shellcheck disable=SC2086
STANDIN_FAIL=ModuleLoadData:0:209 code 0 "$bptt" train "$work/text" $small -o "$work/m"
says err 'did not open'

# A model of one precision goes on in another where that is asked for.
code 0 "$bptt" train "$work/text" --resume "$work/whole" --backend cpu --precision fp32 --iterations 70 -o "$work/m"
code 69 "$bptt" train "$work/text" --resume "$work/whole" --backend cpu --iterations 70 -o "$work/n"
says err '--precision fp32'

# The profile adds up what kernels took.
code 0 "$bptt" bench --backend cuda --hidden 8 --batch 2 --steps 4 --seconds 0.1 --profile
says out 'gemm'
says out 'transfer_in'

# Of two cuBLAS a driver of CUDA 12 takes that of CUDA 12: here one that does not load.
mkdir "$work/both"
ln -s "${LD_LIBRARY_PATH%%:*}"/lib* "$work/both"
echo 'no library' >"$work/both/libcublas.so.12"
LD_LIBRARY_PATH=$work/both:$LD_LIBRARY_PATH
bench="bench --backend cuda --hidden 8 --batch 2 --steps 4 --seconds 0.1"
# shellcheck disable=SC2086
code 0 env STANDIN_DRIVER=13000 "$bptt" $bench
# shellcheck disable=SC2086
code 69 env STANDIN_DRIVER=12080 "$bptt" $bench
says err 'libcublas.so.12 was not found: install cuBLAS of CUDA 12, as the driver is'

[ $failures = 0 ] || exit 1
echo "cuda.sh: ok"

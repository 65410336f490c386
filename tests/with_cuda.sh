#!/bin/sh
# Runs a program on the stand-ins for CUDA; with BPTT_GPU=1 in the environment, on this machine's driver and GPU.
# BPTT_CUDA_LACKS: the reason why bptt-cuda.so holds no kernels; the program is then skipped (exit code 77).
# usage: with_cuda.sh STANDIN_FOLDER PROGRAM [ARGUMENT...]
set -eu
folder=$1
shift
if [ -n "${BPTT_CUDA_LACKS:-}" ]; then
    echo "skipped: CUDA: $BPTT_CUDA_LACKS"
    exit 77
fi
if [ "${BPTT_GPU:-0}" != 1 ]; then
    [ -e "$folder/libcuda.so.1" ] || { echo "with_cuda.sh: $folder holds no stand-in" >&2; exit 1; }
    LD_LIBRARY_PATH=$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    STANDIN_LEAKS=${STANDIN_LEAKS:-1}
    export LD_LIBRARY_PATH STANDIN_LEAKS
fi
exec "$@"

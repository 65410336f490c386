#!/bin/sh
# Sequences of numbers on the command line: files of floats, WAV files, and what is no such file.
# usage: cli_dense.sh BPTT DENSE_FILES yes|no   yes: the program was built with libsndfile
bptt=$1 make=$2 wav=$3
# shellcheck source=tests/expect.sh
. "$(dirname "$0")/expect.sh"
trap 'test -z "${pid:-}" || kill -9 "$pid" 2>/dev/null; rm -rf "$work"' EXIT
cd "$work" || exit 1

small="--hidden 5 --layers 1 --batch 4 --steps 16 --threads 1"
own="$small --valid-every 8"
data="--data d.f32 --inputs 3 --targets 2"

# refused CODE PATTERN ARGUMENT...: bptt exits with that code, says so, and writes no bad.safetensors.
refused() {
    wanted=$1 pattern=$2
    shift 2
    code "$wanted" "$bptt" "$@"
    unwrap <err >flat
    says flat "$pattern"
    [ ! -e bad.safetensors ] || { fail "a file was written: $*"; rm -f bad.safetensors; }
}

same() { cmp -s "$1" "$2" || fail "$3: $1 and $2 differ"; }

# near NAME A B: two numbers, of rounding errors apart.
near() { awk -v a="$2" -v b="$3" 'BEGIN { d = a - b; if (d < 0) d = -d; exit !(a != "" && b != "" && d <= 1e-6 * (1 + b)) }' ||
    fail "$1: $2 instead of $3"; }

"$make" floats d.f32 600 3 2
"$make" floats x.f32 600 3 0

# ---- training -------------------------------------------------------------------------------------------------------
# shellcheck disable=SC2086
code 0 "$bptt" train $data $own --iterations 24 --cell gru --skip --burn-in 5 --log log -o m.safetensors
says out '^24 updates, validation loss [0-9.]*, ESR [0-9.]*$'
says err '^bptt: data: 600 steps of 3 inputs and 2 targets; the last 30 held out$'
says err '^bptt: batch 4 x 16 steps; 8 updates an epoch, 24 in all$'
says err 'ESR'
says err 'step/s'
says log '"event":"start".*"data":"d.f32".*"inputs":3,"targets":2,"loss":"squared","skip":1.*"burn_in":5.*"n_steps":600'
says log '"event":"step","iteration":24,"loss":.*"steps_per_s":'
says log '"event":"valid","iteration":16,"loss":.*"esr":.*,"best":true'
! grep -q 'bpc\|char' log out err || fail "numbers are called characters"
# shellcheck disable=SC2086
code 0 "$bptt" train $data $own --iterations 13 --cell gru --skip --burn-in 5 -o r.safetensors
code 0 "$bptt" train --data d.f32 --resume r.safetensors --iterations 24
same m.safetensors r.safetensors "a resumed run is one without a stop"
same m.best.safetensors r.best.safetensors "and its best model too"
# shellcheck disable=SC2086
"$bptt" train --data - --inputs 3 --targets 2 $own --iterations 24 --cell gru --skip --burn-in 5 -q -o p.safetensors \
    <d.f32 >out 2>err || fail "standard input"
same m.safetensors p.safetensors "standard input"
mkfifo fifo
cat d.f32 >fifo &
feeder=$!
code 0 "$bptt" train --data fifo --resume r.safetensors --iterations 25
kill "$feeder" 2>/dev/null # nobody may have read
# shellcheck disable=SC2086
code 0 "$bptt" train $data $small --iterations 25 --cell gru --skip --burn-in 5 --valid 0 -o v.safetensors
says out '^25 updates$'
for loss in absolute binary; do
    # shellcheck disable=SC2086
    code 0 "$bptt" train $data $own --iterations 3 --loss $loss -o $loss.safetensors
    says out '^3 updates, validation loss [0-9.]*$'
    code 0 "$bptt" score $loss.safetensors --data d.f32
    ! grep -q esr out || fail "an ESR of loss $loss"
done
code 0 "$bptt" inspect m.safetensors
says out '^gru, 1 layer of 5, 3 inputs, 2 targets, squared loss, skip, '
# shellcheck disable=SC2086
code 0 "$bptt" train $data --iterations 1 -o sizes.safetensors # sizes chosen from the data
says err '^bptt: batch 1 x 128 steps; 4 updates an epoch'
# shellcheck disable=SC2086
code 0 "$bptt" train $data --iterations 1 --burn-in 100 --valid 0.3 -o sizes.safetensors
says err '^bptt: batch 1 x 128 steps; '

# A shell that is not interactive starts a command in the background with SIGINT ignored, and so it stays. SIGTERM
# saves, and the command that is printed goes on.
# shellcheck disable=SC2086
"$bptt" train $data $own --iterations 9000000 -o i.safetensors --log i.log >out 2>err &
pid=$!
for _ in $(seq 100); do
    sleep 0.1
    [ ! -s i.log ] || [ "$(wc -l <i.log)" -lt 3 ] || break
done
kill -INT "$pid"
steps=$(wc -l <i.log)
for _ in $(seq 100); do
    sleep 0.1
    [ "$(wc -l <i.log)" -le $((steps + 100)) ] || break
done
[ "$(wc -l <i.log)" -gt $((steps + 100)) ] || fail "a signal that was ignored at the start ends the run"
kill -TERM "$pid"
wait "$pid" && fail "an interrupted run ends by the signal"
pid=
says err "^  bptt train --resume i.safetensors .*--data d.f32"
made=$("$bptt" inspect i.safetensors | sed -n 's/^train.iteration: //p')
code 0 "$bptt" train --resume i.safetensors --data d.f32 --iterations $((made + 1))

# ---- scores and predictions -----------------------------------------------------------------------------------------
code 0 "$bptt" predict m.safetensors --data x.f32 -o y.f32
[ "$(wc -c <y.f32)" = 4800 ] || fail "600 steps of 2 outputs have $(wc -c <y.f32) bytes"
code 0 "$bptt" predict m.safetensors --data d.f32 --targets 2
same out y.f32 "targets are passed over, outputs go to standard output"
for burn_in in 0 301; do
    code 0 "$bptt" score m.safetensors --data d.f32 --burn-in $burn_in
    "$make" loss y.f32 d.f32 3 2 $burn_in >want
    near "loss after $burn_in" "$(sed -n 's/^loss //p' out)" "$(sed -n 1p want)"
    near "ESR after $burn_in" "$(sed -n 's/^esr  //p' out)" "$(sed -n 2p want)"
    says out "^n    $((600 - burn_in))\$"
done
code 0 "$bptt" score m.safetensors --data d.f32 --valid 0.05 --burn-in 5 --json
near "the validation part" "$(sed 's/.*"esr":\([^,]*\),.*/\1/' out)" "$(sed -n 's/.*"iteration":24,"loss.*"esr":\([^,]*\),.*/\1/p' log)"
says out '"n":25}$'

# ---- what is refused ------------------------------------------------------------------------------------------------
printf 'the quick brown fox jumps over the lazy dog, again and again and again' >text
code 0 "$bptt" train text --hidden 3 --layers 1 --batch 1 --steps 4 --iterations 2 -q -o t.safetensors
bad="$own --iterations 2 -o bad.safetensors"
: >empty
head -c 11999 d.f32 >shorter
cp d.f32 nan && "$make" put nan 1004 nan
cp d.f32 inf && "$make" put inf 0 inf
cp d.f32 high && "$make" put high 8 1.5
cp d.f32 other && "$make" put other 7 0.25
"$make" floats short 9 3 2
mkdir folder
widths="--inputs 3 --targets 2"
# shellcheck disable=SC2086
{
    refused 65 'empty is empty, but must hold rows of 3 inputs and 2 targets' train --data empty $widths $bad
    refused 65 'shorter has 11999 bytes, .* 3 inputs and 2 targets (20 bytes each): .*cut the last 19 bytes' train --data shorter $widths $bad
    refused 65 'nan: row 201, column 5 (of 5) is -*nan, but must be a finite number' train --data nan $widths $bad
    refused 65 'inf: row 1, column 1 (of 5) is inf' train --data inf $widths $bad
    refused 65 'is 1.5 at step 1, column 0, .*the binary loss needs 0 to 1' train --data high $widths $bad --loss binary
    refused 65 'training part of 8 steps is too short for batch 4 x steps 16; with --batch 4, --steps can be' train --data short $widths $bad
    refused 66 'folder is a folder, not a file' train --data folder $widths $bad
    refused 66 'cannot open none' train --data none $widths $bad
    refused 73 'nowhere' train $data $own -o nowhere/bad.safetensors
    refused 64 'd.f32 is the data; name another file' train $data $own -o d.f32
    refused 64 'log d.f32 is also the data' train $data $bad --log d.f32
    refused 64 'inputs 0 is out of range' train --data d.f32 --inputs 0 --targets 2 $bad
    refused 78 'data needs .*--inputs N --targets M' train --data d.f32 $bad
    refused 78 'data needs .*--inputs N --targets M' train --data d.f32 --inputs 3 $bad
    refused 78 'data is read instead of TEXT' train text $data $bad
    refused 78 'data and --wav both name the data' train $data --wav d.wav $bad
    refused 78 'the WAV file of the targets is missing' train --wav d.wav $bad
    refused 78 'inputs 3 has no effect with --wav' train --wav d.wav e.wav --inputs 3 $bad
    refused 78 'inputs 3 has no effect with a text' train text --inputs 3 $bad
    refused 78 'loss squared has no effect with a text' train text --loss squared $bad
    refused 78 'skip has no effect with a text' train text --skip $bad
    refused 78 'burn-in 3 has no effect with a text' train text --burn-in 3 $bad
    refused 78 'documents line has no effect with --data' train $data --documents line $bad
    refused 78 'sample-every 1 has no effect with --data: samples are text' train $data --sample-every 1 $bad
    refused 78 'trace folder has no effect with --data: a trace' train $data --trace folder $bad
    refused 78 'loss is softmax' train $data --loss softmax $bad
    refused 78 'skip adds .*--inputs (1) must be at least --targets (4)' train --data d.f32 --inputs 1 --targets 4 --skip $bad
    refused 78 'burn-in is 16, but must be below --steps (16)' train $data --burn-in 16 $bad
    refused 65 'validation part has 6 steps, but must be longer than --burn-in (7)' train $data --burn-in 7 --valid 0.01 $bad
    refused 78 'inputs cannot be given with --resume' train --resume m.safetensors $data
}
cp m.safetensors before
refused 65 'data differ from those the run started with' train --resume m.safetensors --data other --iterations 30
refused 65 'data differ .* 9 steps instead of 600' train --resume m.safetensors --data short --iterations 30
refused 65 't.safetensors is no checkpoint of a run on --data' train --resume t.safetensors --data d.f32 --iterations 30
refused 65 'run on a sequence of floats, but it is resumed on a text' train --resume m.safetensors text --iterations 30
refused 64 'd.f32 is the data, not a model' train --resume d.f32 --data d.f32
same m.safetensors before "a run that cannot go on keeps its file"
refused 65 't.safetensors is a model of text: name a TEXT instead of --data' score t.safetensors --data d.f32
refused 65 'has no vocabulary' score m.safetensors text
refused 65 'predicts 2 numbers, not characters; see bptt predict' sample m.safetensors
refused 65 'burn-in is 600, but must be below the 600 steps' score m.safetensors --data d.f32 --burn-in 600
refused 78 'data is read instead of TEXT' score m.safetensors text --data d.f32
refused 64 'an argument is missing: bptt score MODEL TEXT' score m.safetensors
refused 65 't.safetensors is a model of text' predict t.safetensors --data x.f32 -o z.f32
refused 78 'the inputs are missing' predict m.safetensors -o z.f32
refused 64 'x.f32 is the model or the input' predict m.safetensors --data x.f32 -o x.f32
refused 64 'm.safetensors is the model or the input' predict m.safetensors --data x.f32 -o m.safetensors
refused 65 'nan: row 335, column 3' predict m.safetensors --data nan -o z.f32
refused 65 'shorter has 11999 bytes' predict m.safetensors --data shorter -o z.f32
refused 73 'nowhere' predict m.safetensors --data x.f32 -o nowhere/z.f32
[ ! -e z.f32 ] || fail "a refused prediction wrote a file"

# ---- WAV files ------------------------------------------------------------------------------------------------------
"$make" wav x.wav 16 1 44100 700 x
"$make" wav y.wav 24 1 44100 700 y
refused 65 'x.wav is a WAV file: give it with --wav' train --data x.wav --inputs 1 --targets 1
if [ "$wav" = no ]; then
    # shellcheck disable=SC2086
    refused 69 'x.wav: this bptt was built without libsndfile, .*Debian: libsndfile1-dev' train --wav x.wav y.wav $bad
    refused 69 'built without libsndfile' predict m.safetensors --wav x.wav -o z.wav
    [ "$failures" = 0 ]
    exit
fi
"$make" wav x2.wav 32 2 44100 700 x
"$make" wav y2.wav 16 2 44100 700 y
"$make" wav long.wav 16 1 44100 701 y
"$make" wav fast.wav 16 1 48000 700 y
"$make" wav none.wav 16 1 44100 0 y
head -c 20 x.wav >header.wav
cp x2.wav nan.wav && "$make" put nan.wav 16 nan
# shellcheck disable=SC2086
{
    code 0 "$bptt" train --wav x.wav y.wav $own --iterations 20 --burn-in 4 --log wav.log -o a.safetensors
    says err '^bptt: data: 700 steps of 1 input and 1 target; the last 35 held out$'
    says wav.log '"data":"x.wav","target":"y.wav"'
    code 0 "$bptt" train --wav x.wav y.wav $own --iterations 11 --burn-in 4 -o b.safetensors
    code 0 "$bptt" train --wav x2.wav y2.wav $own --iterations 3 --skip -o two.safetensors
    says err ' 700 steps of 2 inputs and 2 targets'
    refused 65 'x.wav has 700 samples, but long.wav has 701' train --wav x.wav long.wav $bad
    refused 65 'x.wav has 44100 samples a second, but fast.wav has 48000' train --wav x.wav fast.wav $bad
    refused 65 'none.wav has no samples' train --wav none.wav none.wav $bad
    refused 65 'header.wav: ' train --wav header.wav y.wav $bad
    refused 65 'text: ' train --wav text y.wav $bad
    refused 65 'empty: ' train --wav empty y.wav $bad
    refused 65 'nan.wav: frame 3, channel 2 is -*nan' train --wav nan.wav y2.wav $bad
    refused 66 'folder: is not a file' train --wav folder y.wav $bad
    refused 66 'fifo: is not a file' train --wav x.wav fifo $bad
    refused 66 'cannot open nothing.wav' train --wav nothing.wav y.wav $bad
    refused 64 'y.wav is the data; name another' train --wav x.wav y.wav $own -o y.wav
}
code 0 "$bptt" train --resume b.safetensors --wav x.wav y.wav --iterations 20
same a.safetensors b.safetensors "a resumed run on audio is one without a stop"
refused 65 'the input has 2 channels, but the model b.safetensors has 1 input' train --resume b.safetensors --wav x2.wav y.wav
refused 65 'the target has 2 channels, but the model b.safetensors has 1 output' score b.safetensors --wav x.wav y2.wav
code 0 "$bptt" predict a.safetensors --wav x.wav -o o.wav
! grep -q PEAK o.wav || fail "a WAV file of outputs holds the time of day"
code 0 "$bptt" score a.safetensors --wav x.wav o.wav
says out '^loss 0.000000000$'
code 0 "$bptt" predict two.safetensors --wav x2.wav -o o2.wav
code 0 "$bptt" score two.safetensors --wav x2.wav o2.wav
says out '^loss 0.000000000$'
refused 64 'needs a file for the outputs' predict a.safetensors --wav x.wav
refused 65 'has 2 channels, but the model a.safetensors has 1 input' predict a.safetensors --wav x2.wav -o z.wav
refused 73 'nowhere' predict a.safetensors --wav x.wav -o nowhere/z.wav
# 16 bits are 1/32767 apart: the floats of the same samples have nearly the same loss
"$make" floats w.f32 700 1 1
code 0 "$bptt" score a.safetensors --data w.f32
loss=$(sed -n 's/^loss //p' out)
code 0 "$bptt" score a.safetensors --wav x.wav y.wav
awk -v a="$loss" -v b="$(sed -n 's/^loss //p' out)" 'BEGIN { d = a - b; if (d < 0) d = -d; exit !(a > 0 && b > 0 && d < 1e-3 * a + 1e-4) }' ||
    fail "samples are scaled otherwise: loss $(cat out) instead of $loss"

[ "$failures" = 0 ]

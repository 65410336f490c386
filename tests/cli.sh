#!/bin/sh
# The program from outside: exit codes, what goes to which stream, signals, logs.
# Usage: sh tests/cli.sh BPTT FAKE_OPENCL FAKE_CUDA (tests/fake_module.c)
# Each line "ok" or "FAILED" ends with the sentence that was proved or not.
set -u
bptt=$1
module=$2
cuda=$3
case $bptt in /*) ;; *) bptt=$PWD/$bptt ;; esac
case $module in /*) ;; *) module=$PWD/$module ;; esac
case $cuda in /*) ;; *) cuda=$PWD/$cuda ;; esac
tests_folder=$(cd "$(dirname "$0")" && pwd)
here=$(mktemp -d) || exit 1
child=
trap 'test -z "$child" || kill -9 "$child" 2>/dev/null; rm -rf "$here"' EXIT
cd "$here" || exit 1
OCL_ICD_VENDORS=/nonexistent # devices are made up here; loading a driver takes most of the time of a command
export OCL_ICD_VENDORS
failures=0
tests=0

say() {            # say TRUTH SENTENCE
    tests=$((tests + 1))
    if [ "$1" = 0 ]; then
        echo "ok      $2"
    else
        failures=$((failures + 1))
        echo "FAILED  $2"
        sed 's/^/        | /' err 2>/dev/null | head -5
    fi
}

exits() {          # exits CODE SENTENCE COMMAND...: output in the files out and err
    code=$1 sentence=$2
    shift 2
    "$@" >out 2>err </dev/null
    got=$?
    [ "$got" = "$code" ]
    say $? "$sentence (exit $got)"
}

same() { cmp -s "$1" "$2"; say $? "$3"; }
has_python() { python3 -c '' 2>/dev/null || { echo "not tested: $1: no python3"; return 1; }; }
has() { grep -q -e "$2" "$1"; say $? "$3"; }
empty() { [ ! -s "$1" ]; say $? "$2"; }

wait_for() {       # wait_for COMMAND...: until it succeeds, 20 seconds at most
    tries=0
    until "$@"; do
        tries=$((tries + 1))
        [ $tries -gt 200 ] && return 1
        sleep 0.1
    done
}

lines() { [ -f "$1" ] && [ "$(wc -l <"$1")" -ge "$2" ]; }

# 16 kB of text with 30 different bytes; a tiny model that is fast to train on it.
i=0
while [ $i -lt 160 ]; do
    echo "the quick brown fox jumps over the lazy dog $((i % 2)) and five boxing wizards jump quickly away in turn now"
    i=$((i + 1))
done >text
tiny="--hidden 8 --layers 1 --batch 2 --steps 8 --valid-every 25"
train() { # shellcheck disable=SC2086
    "$bptt" train text $tiny "$@"; }

# ---- help and usage -------------------------------------------------------------------------------------------------
exits 0 "help is asked for with --help" "$bptt" --help
has out '^Examples:' "help shows examples, on standard output"
has out '  64  ' "help tells the exit codes"
empty err "help leaves standard error alone"
for c in train sample score inspect devices bench help; do
    exits 0 "$c --help works" "$bptt" "$c" --help
    has out "Usage: bptt $c" "$c --help shows its usage"
done
exits 0 "--version works" "$bptt" --version
has out '^bptt [0-9]*\.[0-9]*\.[0-9]' "--version prints a version"
exits 0 "help --man works" "$bptt" help --man
has out '^\.Sh EXIT STATUS' "the man page tells the exit codes"
if command -v mandoc >/dev/null; then
    [ -z "$(mandoc -T lint out)" ]
    say $? "mandoc has nothing to say about the man page"
fi
exits 64 "no command is a usage error" "$bptt"
empty out "a usage error prints nothing on standard output"
exits 64 "an unknown command is a usage error" "$bptt" trian
has err 'did you mean train' "an unknown command brings a suggestion"
exits 64 "an unknown option is a usage error" train --hiden 3
has err 'did you mean --hidden' "an unknown option brings a suggestion"
exits 64 "a value out of range is a usage error" train --hidden 0
exits 64 "an option without its value is a usage error" train --hidden
exits 64 "an argument too many is a usage error" train text
exits 64 "a missing argument is a usage error" "$bptt" score x
exits 78 "--iterations and --epochs exclude each other" train --iterations 5 --epochs 5
exits 78 "an option without effect is refused" train --momentum 0.9 -o x.safetensors
has err '^bptt: --momentum 0.9 has no effect with --optimizer adam: it is for sgd; leave it out or choose --optimizer sgd$' \
    "and the words say why, and what to do"
[ ! -e x.safetensors ]
say $? "before any work"
exits 78 "bench refuses it too" "$bptt" bench --optimizer rmsprop --momentum 0.9
exits 78 "an option that the state decides is refused with --resume" "$bptt" train text --resume m --hidden 3
cp text copy
exits 64 "the text is not overwritten by the model" "$bptt" train text -o text --iterations 1
same text copy "the text is as it was"

# ---- training -------------------------------------------------------------------------------------------------------
exits 0 "training works" train --iterations 60 -o m.safetensors --log log
has err '; the last [0-9]* held out$' "the split is told"
has err ' MB of memory' "memory is told"
has out '^60 updates, validation loss [0-9]' "the last validation loss is a result, on standard output"
has err '^60/60 ' "progress that is no terminal's ends with a plain line"
[ -f m.safetensors ] && [ -f m.best.safetensors ]
say $? "the last state and the best model are there"
[ "$(grep -c '"event":"step"' log)" = 60 ]
say $? "every update is in the log"
has log '"event":"valid","iteration":25,' "a scheduled validation is in the log"
has log '"event":"end","iteration":60,"reason":"done"' "the end is in the log"
exits 0 "training with --quiet works" train --iterations 60 -o q.safetensors --quiet
empty err "--quiet says nothing"
same m.safetensors q.safetensors "neither a log nor --quiet changes the model"
"$bptt" train - --hidden 8 --layers 1 --batch 2 --steps 8 --valid-every 25 --iterations 60 -o s.safetensors \
    <text >out 2>err
say $? "a text comes from standard input"
same m.safetensors s.safetensors "where the text comes from changes nothing"
exits 0 "the built-in text needs no name" "$bptt" train --hidden 4 --layers 1 --batch 2 --steps 4 --iterations 3 \
    --valid-every 0 --valid 0 -o d.safetensors

exits 0 "every option of the model can be given" "$bptt" train text --cell relu --hidden 5 --layers 2 --batch 3 \
    --steps 7 --biases 2 --init uniform --optimizer sgd --lr 0.01 --momentum 0.5 --clip 0.25 --clip-mode value \
    --valid 0.25 --valid-every 2 --seed 9 --backend ref --iterations 4 --log o.log -o x.safetensors
for pair in cell:'"relu"' hidden:5 layers:2 batch:3 steps:7 biases:2 init:'"uniform"' optimizer:'"sgd"' lr:0.01 \
    momentum:0.5 clip:0.25 clip_mode:'"value"' valid:0.25 valid_every:2 seed:9 backend:'"ref"' precision:'"fp32"' iterations:4; do
    head -n 1 o.log | grep -q "\"${pair%%:*}\":${pair#*:}[,}]"
    say $? "and reaches the model: $pair"
done
exits 0 "the end can be given in epochs" train --epochs 2 --steps 400 -o x.safetensors
has out '^36 updates' "and is so many windows"
exits 0 "a sample can be asked for" train --iterations 4 --sample-every 2 -o x.safetensors --log o.log
has out '^---- after 2 updates' "samples go to standard output"
has o.log '"event":"sample","iteration":4,"text":"' "and to the log"
if has_python "the JSON of logs"; then
    python3 -c 'import json, sys
for name in sys.argv[1:]:
    for line in open(name, "rb"): json.loads(line)' log o.log 2>err
    say $? "every line of a log is JSON"
fi

# ---- resuming -------------------------------------------------------------------------------------------------------
exits 0 "a shorter run works" train --iterations 20 -o r.safetensors
head -n 40 log >r.log
printf '{"event":"step","iteration":1' >>r.log
exits 0 "it can be resumed" "$bptt" train text --resume r.safetensors --iterations 60 --log r.log
same m.safetensors r.safetensors "a resumed run ends with the bytes of one that never stopped"
grep -o '"event":"step","iteration":[0-9]*,"loss":[^,]*' log >steps
grep -o '"event":"step","iteration":[0-9]*,"loss":[^,]*' r.log >r.steps
same steps r.steps "the log has each update once: later lines and a torn one were dropped"
exits 0 "a finished run has nothing to resume" "$bptt" train text --resume m.safetensors
exits 65 "another text is refused" "$bptt" train log --resume r.safetensors
cp text no.log
exits 73 "a file that is no log is refused as a log" train --log no.log --iterations 1 -o x.safetensors
exits 73 "nor is it by a resumed run" "$bptt" train text --resume r.safetensors --iterations 70 --log no.log
exits 64 "the text is refused as a log" train --log text --iterations 1 -o x.safetensors
exits 64 "the output is refused as a log" train --log x.safetensors --iterations 1 -o x.safetensors
exits 64 "the best model is refused as a log" train --log x.best.safetensors --iterations 1 -o x.safetensors
cp text y.best.safetensors
exits 64 "a text in the place of the best model is refused" "$bptt" train y.best.safetensors --iterations 1 -o y.safetensors
same text y.best.safetensors "and is as it was"
exits 66 "a file to resume that is not there is missing input" "$bptt" train text --resume nosuch/m.safetensors
exits 64 "threads beyond reason are not the fault of the file" "$bptt" sample r.safetensors --threads 5000
exits 0 "with stderr closed the log gets only its own lines" sh -c \
    "\"$bptt\" train text $tiny --iterations 2 -o z.safetensors --log z.log 2>&-"
! grep -qv '^{' z.log
say $? "which begin with a brace"
same text copy "and it is as it was"

exits 0 "a resumed run may write elsewhere" "$bptt" train text --resume m.safetensors --iterations 70 -o y.safetensors
has err 'resumed after 60 of 70 updates' "it says where it resumes"
same m.safetensors q.safetensors "and leaves the old state alone"

# ---- signals --------------------------------------------------------------------------------------------------------
start() {          # start LOG ARGUMENTS...: in the background, until it has made 30 updates
    log=$1
    shift
    "$bptt" "$@" --log "$log" >out 2>err &
    child=$!
    wait_for lines "$log" 30
}
# shellcheck disable=SC2086
start t.log train text $tiny --valid-every 1000 --iterations 1000000000 -o t.safetensors
kill -TERM $child
wait $child
[ $? = 143 ]
say $? "SIGTERM ends the program as SIGTERM does"
child=
has err 'bptt train text --resume t.safetensors' "it says how to go on"
last=$(sed -n 's/.*"event":"end","iteration":\([0-9]*\),"reason":"signal".*"saved":true.*/\1/p' t.log)
[ -n "$last" ]
say $? "the log ends with the update that was saved"
last=$((${last:-1} + 30))
exits 0 "a run that was stopped can be resumed" "$bptt" train text --resume t.safetensors --iterations $last
exits 0 "the same run without a stop works" train --valid-every 1000 --iterations $last \
    -o u.safetensors
same t.safetensors u.safetensors "a signal leaves no trace in the model"

# shellcheck disable=SC2086
start v.log train text $tiny --valid-every 0 --save-every 1000000000 --iterations 1000000000 -o v.safetensors
[ ! -e v.safetensors ]
say $? "nothing is saved before it is due"
kill -USR1 $child
wait_for test -s v.safetensors
say $? "SIGUSR1 saves"
before=$(wc -l <v.log)
wait_for lines v.log $((before + 30))
say $? "and training goes on"
kill -TERM $child
wait $child
child=
exits 0 "what was saved is a model" "$bptt" sample v.safetensors -n 5

# A validation that takes a while: one stream over most of the text, with a large model.
"$bptt" train text --hidden 1024 --batch 1 --steps 8 --valid 0.9 --valid-every 1 --iterations 9 -o w.safetensors \
    --log w.log >out 2>err &
child=$!
wait_for lines w.log 2
kill -TERM $child
wait_for grep -q finishing err
say $? "SIGTERM during a validation waits for it, and says so"
kill -TERM $child
wait $child
[ $? = 143 ] && [ ! -e w.safetensors ]
say $? "a second SIGTERM ends the program at once"
child=

# ---- sampling, scoring, looking -------------------------------------------------------------------------------------
exits 0 "sampling works" "$bptt" sample m.safetensors --prime 'the ' --length 100 --seed 7
mv out one
[ "$(wc -c <one)" = 104 ]
say $? "a sample is its prime and as many bytes as asked for"
[ "$(head -c 4 one)" = "the " ]
say $? "a sample starts with its prime"
exits 0 "sampling works again" "$bptt" sample m.safetensors --prime 'the ' --length 100 --seed 7
same one out "the same seed gives the same sample"
exits 0 "sampling with another seed works" "$bptt" sample m.safetensors --prime 'the ' --length 100 --seed 8
! cmp -s one out
say $? "another seed gives another sample"
exits 0 "sampling needs no prime" "$bptt" sample m.safetensors --length 10 --temperature 0
exits 65 "a prime with an unknown byte is refused" "$bptt" sample m.safetensors --prime 'the%'
has err "0x25" "the unknown byte is named"
exits 0 "a best model can be sampled from" "$bptt" sample m.best.safetensors -n 5
exits 0 "scoring works" "$bptt" score m.safetensors text
has out '^bpc ' "a score tells bits per character"
has out "^n    $(($(wc -c <text) - 1))\$" "all bytes but the first are scored"
mv out one
"$bptt" score m.safetensors - <text >out 2>err
same one out "a score does not depend on where the text comes from"
exits 0 "the validation part can be scored" "$bptt" score m.safetensors text --valid 0.05 --json
has out '"nats":[0-9.]*,"bpc":[0-9.]*,"n":799}' "a score comes as JSON, and tells what was scored"
printf 'the \377' >odd
exits 65 "a text with an unknown byte is refused" "$bptt" score m.safetensors odd
exits 0 "inspecting works" "$bptt" inspect m.safetensors
exits 0 "inspecting as JSON works" "$bptt" inspect m.safetensors --json
has out '"shape":\[' "shapes come as JSON"
exits 0 "devices works" "$bptt" devices
has out '^cpu  *0  ' "there is a device, with its number"
has out 'CPU, [0-9.]* GB; results bit-identical to the host$' "its kind, memory and bits are told"
exits 0 "devices as JSON works" "$bptt" devices --json
for key in backend number usable platform device kind memory bits threads why_not; do
    has out "\"$key\":" "devices tells $key"
done
exits 0 "bench works" "$bptt" bench --seconds 0.1 --hidden 16 --batch 4 --steps 8 --json
for key in backend cell vocab hidden layers batch steps threads optimizer iterations ms_per_step ms_min ms_q1 ms_q3 \
    chars_per_s gflops sgemm_gflops share device platform why lowering product precision version; do
    has out "\"$key\":" "bench tells $key"
done
! grep -q '"profile"' out
say $? "a profile is not told unless asked for"
exits 0 "bench with --profile works" "$bptt" bench --seconds 0.1 --hidden 16 --batch 4 --steps 8 --profile --json
has out '"profile":\[{"name":"[a-z_]*","seconds":[^,]*,"share":0' "the profile is told"
if has_python "the JSON of a profile"; then
    python3 -c 'import json, sys
p = json.load(open("out"))["profile"]
s = [r["share"] for r in p]
assert s == sorted(s, reverse=True) and abs(sum(s) - 1) < 1e-9, p
names = [r["name"] for r in p]
assert len(set(names)) == len(p) and "transfer_in" in names and "transfer_out" in names, p' 2>err
    say $? "its shares are sorted and add up to one"
fi
exits 0 "and as a table" "$bptt" bench --seconds 0.1 --hidden 16 --batch 4 --steps 8 --profile
has out '^  gemm  *[0-9.]*  *[0-9.]*%$' "with a line for each kind of work"

exits 0 "verify works" "$bptt" verify cell
has out '^OK      cell        exact       ' "each claim has its line"
has out '^Not claimed: ' "and what is not claimed is said"
exits 0 "verify as JSON works" "$bptt" verify cell --json
has out '"part":"cell","evidence":"exact","claim":"[^"]*","found":"[^"]*","holds":true}$' "one object a line"
has out '^{"claims":[0-9]*,"failed":0,' "and they are counted"
exits 64 "a part that there is not is refused" "$bptt" verify everything
has err 'the parts are cell, unroll' "and the words name those that there are"

# ---- devices --------------------------------------------------------------------------------------------------------
exits 0 "the device of a backend can be given" train --backend cpu --device 0 --iterations 60 \
    -o e.safetensors --log e.log
same m.safetensors e.safetensors "which changes nothing"
tr '\n' ' ' <err | sed 's/  */ /g' >told
has told 'backend cpu: .* threads* (asked for) bptt: text' "the start tells backend, device and why"
head -n 1 e.log | grep -q '"backend":"cpu",.*"device":"[^"].*"why":"asked for"'
say $? "and so does the log"
exits 69 "a device that is not there is unavailable" train --backend cpu --device 1 --iterations 1 -o x.safetensors
has err 'one device' "and the words say what there is"
exits 69 "and to bench" "$bptt" bench --backend ref --device GPU
exits 69 "and to sample" "$bptt" sample m.safetensors --backend cpu --device 7
exits 69 "and to score" "$bptt" score m.safetensors text --backend cpu --device 7
exits 64 "lowering takes three words" train --lowering maybe
exits 64 "product takes two" train --product cublas
exits 64 "precision takes four" train --precision fp8
exits 64 "and is no business of sample" "$bptt" sample m.safetensors --precision fp32
exits 69 "a precision that a backend has not is unavailable" train --backend cpu --precision bf16 -o x.safetensors
has err 'backend cpu has no precision bf16; backend cuda' "and the words say which may have it"
exits 69 "and to bench" "$bptt" bench --backend ref --precision tf32
exits 64 "only bench has a profile" train --profile

# A copy of the program with a module beside it, and one with the module where an installation puts it.
mkdir -p prog/bin prog/lib/bptt other
cp "$bptt" prog/bin/bptt && cp "$bptt" other/bptt && cp "$module" other/bptt-opencl.so
exits 69 "a module that is not there is unavailable" prog/bin/bptt bench --backend opencl
has err 'not installed: there is no bptt-opencl.so in .*/prog/bin, ' "the words say where it was looked for"
exits 69 "a device of no backend in particular needs that module" prog/bin/bptt bench --device 0
exits 0 "a folder of modules can be told" env BPTT_MODULES="$here/other" prog/bin/bptt devices
has out 'Fake Graphics 8000' "and is used"
exits 69 "but not one that depends on where one is" env BPTT_MODULES=other prog/bin/bptt bench --backend opencl
if has_python "a program called by another name"; then
    exits 69 "nor does the name a program is called by count" env BPTT_FAKE_TELL=1 python3 -c '
import os, sys
os.execv(sys.argv[1], [sys.argv[2], "bench", "--backend", "opencl"])' prog/bin/bptt "$here/other/bptt"
    ! grep -q 'the fake module is here' err
    say $? "and nothing is loaded from there"
fi
cp "$module" prog/lib/bptt/bptt-opencl.so
for p in other/bptt prog/bin/bptt; do
    exits 0 "$p finds its module" "$p" devices
    has out '^opencl   2  Fake Graphics 8000' "and lists its devices"
    has out 'not usable: it has no memory' "and why one is no use"
done
fake="$here/other/bptt train text $tiny --iterations 60"
# shellcheck disable=SC2086
exits 0 "a GPU is chosen if nothing is said" $fake -o f.safetensors --log f.log
has err 'backend opencl: Fake Graphics 8000, Fake Platform 1.2 (a GPU)' "and the start says so"
has err "MB of the device's memory" "and how much of its memory is taken"
head -n 1 f.log | grep -q '"backend":"opencl",.*"device":"Fake Graphics 8000","platform":"Fake Platform 1.2","why":"a GPU"'
say $? "and so does the log"
exits 0 "the same on ref" train --backend ref --iterations 60 -o g.safetensors
same f.safetensors g.safetensors "gives the bytes of ref, which the fake computes with"
# shellcheck disable=SC2086
exits 0 "a device may be given by a part of its name" $fake --device 'fake cpu' -o f.safetensors
has err 'Fake CPU, Fake Platform 1.2 (asked for)' "and is taken"
# shellcheck disable=SC2086
exits 69 "one that cannot be used is unavailable" $fake --device 1 -o f.safetensors
has err 'it has no memory' "and the words say why"
# shellcheck disable=SC2086
exits 0 "a GPU that does not open gives way" env BPTT_FAKE_BROKEN=opencl:2 $fake -o f.safetensors
has err '^bptt: Fake Graphics 8000 did not open: its compiler is missing$' "to the CPU, which is told"
# shellcheck disable=SC2086
exits 69 "but not if it was asked for" env BPTT_FAKE_BROKEN=opencl:2 $fake --backend opencl --device 2 -o f.safetensors
for command in "--help" "train --help" "inspect m.safetensors" "sample m.safetensors -n 1 --backend cpu" \
    "bench --seconds 0.01 --backend ref --hidden 4 --batch 1 --steps 1" "--version" "help --man"; do
    # shellcheck disable=SC2086
    exits 0 "no module is wanted for: bptt $command" env BPTT_FAKE_TELL=1 other/bptt $command
    ! grep -q 'fake module is here' err
    say $? "and none is loaded"
done
exits 0 "a module is loaded to list it" env BPTT_FAKE_TELL=1 other/bptt devices
has err 'fake module is here' "which shows that this test sees it"
# shellcheck disable=SC2086
exits 69 "a precision that no GPU has is unavailable" $fake --precision bf16 -o x.safetensors
has err 'no GPU with precision bf16 was found: cuda is not installed; opencl has no bf16' "and nothing takes its place"

# Both modules.
cp "$cuda" other/bptt-cuda.so
exits 0 "both modules are listed" other/bptt devices
[ "$(sed -n 's/^\(cuda\|opencl\)  *\([0-9]\)  .*/\1\2/p' out | tr '\n' ' ')" = "cuda0 cuda1 cuda2 opencl0 opencl1 opencl2 " ]
say $? "with all their devices, cuda's first"
# shellcheck disable=SC2086
exits 0 "cuda's GPU is chosen before opencl's" $fake -o f.safetensors
has err 'backend cuda: Fake Tesla 9000, Fake Platform 1.2 (a GPU)' "and the start says so"
same f.safetensors g.safetensors "which computes as ref too"
# shellcheck disable=SC2086
exits 0 "without a driver for it" env BPTT_FAKE_ABSENT=cuda $fake -o f.safetensors
has err 'backend opencl: Fake Graphics 8000' "opencl's is chosen"
# shellcheck disable=SC2086
exits 0 "and where it does not open" env BPTT_FAKE_BROKEN=cuda:2 $fake -o f.safetensors
has err '^bptt: Fake Tesla 9000 did not open: its compiler is missing$' "with the reason"
# shellcheck disable=SC2086
exits 0 "a device of either is found by its name" $fake --device 'graphics 8' -o f.safetensors
has err 'backend opencl: Fake Graphics 8000' "where it is"
# shellcheck disable=SC2086
exits 69 "a device of neither is unavailable" $fake --device Radeon -o x.safetensors
has err 'no device "Radeon" was found: cuda has no device .*; opencl has no device' "and both say so"

# Precisions, on the fake cuda, where windows overflow at first.
# shellcheck disable=SC2086
exits 0 "fp16 works" $fake --precision fp16 -o h.safetensors --log h.log
has err '1 layer of 8, fp16, ' "the start tells the precision"
has err '^60/60 .*, [0-9]* skipped$' "progress tells how many updates were skipped"
head -n 1 h.log | grep -q '"precision":"fp16"'
say $? "the log tells the precision"
has h.log '"event":"step","iteration":1,"loss":[0-9.]*,"grad_norm":null,"skipped":true,' "and which updates were skipped"
[ "$(grep -c '"event":"step"' h.log)" = 60 ] && [ "$(grep -c '"skipped"' h.log)" -lt 30 ]
say $? "which count as updates"
exits 0 "a run in fp16 can be inspected" "$bptt" inspect h.safetensors
has out 'train.precision: fp16' "which shows the precision"
has out 'train.loss_scale: [0-9]' "and the loss scale"
# shellcheck disable=SC2086
exits 0 "a shorter run in fp16 works" other/bptt train text $tiny --iterations 7 --precision fp16 -o i.safetensors
exits 69 "a run in fp16 does not go on where there is none" "$bptt" train text --resume i.safetensors --backend cpu
has err 'cpu has no precision fp16.*the run was trained in fp16; --precision fp32 continues it in float' "and says how"
exits 0 "which works" "$bptt" train text --resume i.safetensors --backend cpu --precision fp32 -o j.safetensors
exits 0 "it goes on in fp16 by itself" other/bptt train text --resume i.safetensors --iterations 60
same h.safetensors i.safetensors "as if it never had been stopped"
exits 0 "bench takes a precision" other/bptt bench --precision tf32 --seconds 0.1 --hidden 4 --batch 1 --steps 2
has out '^model .*, adam, tf32$' "and tells it"

rm other/bptt-cuda.so
cp text other/bptt-opencl.so
# shellcheck disable=SC2086
exits 0 "a module that is damaged" $fake -o f.safetensors
has err '^bptt: no GPU was found: cuda is not installed; opencl cannot be loaded' "leaves the CPU"
exits 69 "unless it was asked for" other/bptt bench --backend opencl
has err 'cannot be loaded: .*other/bptt-opencl.so' "and then it is named"

# ---- failures -------------------------------------------------------------------------------------------------------
exits 66 "a missing text is no input" "$bptt" train nosuch
exits 66 "a folder is no input" "$bptt" train .
exits 66 "a missing model is no input" "$bptt" sample nosuch
exits 66 "a missing state is no input" "$bptt" train text --resume nosuch
head -c 200 m.safetensors >torn
exits 65 "a truncated model is refused" "$bptt" sample torn
exits 65 "a truncated model is not inspected" "$bptt" inspect torn
exits 65 "a text is not a model" "$bptt" inspect text
exits 65 "a truncated state is not resumed" "$bptt" train text --resume torn
exits 65 "a model alone is not resumed" "$bptt" train text --resume m.best.safetensors
head -c 10 text >short
exits 65 "a text that is too short for the sizes is refused" "$bptt" train short --batch 2 --steps 8 -o x.safetensors
: >none
exits 65 "an empty text is refused" "$bptt" train none
exits 69 "an unknown backend is unavailable" train --backend nosuch --iterations 1
exits 71 "a model beyond memory is refused" "$bptt" bench --hidden 65536 --layers 64 --batch 1048576
exits 78 "sizes that do not go together are refused" "$bptt" bench --hidden 1 --batch 65536 --steps 65536
exits 73 "an output in no folder is refused before training" train -o nosuch/m.safetensors --iterations 9
exits 73 "an output that is a folder is refused before training" train -o . --iterations 9
mkfifo pipe
exits 73 "an output that is no file is refused before training" train -o pipe --iterations 9
[ -p pipe ]
say $? "and is not replaced"
exits 73 "a log in no folder is refused before training" train --log nosuch/log -o x.safetensors --iterations 9
exits 70 "a loss that is not finite ends the training" train --cell relu --optimizer sgd --lr 1000 --clip 0 \
    --save-every 1 --iterations 100000 -o n.safetensors
has err 'is intact' "it says what is still good"
has err '--lr' "it says what may help"
exits 0 "the last good state can be used" "$bptt" inspect n.safetensors
exits 70 "so it does while another update is in flight" train --cell relu --optimizer sgd --lr 1000 --clip 0 \
    --iterations 100000 -o o.safetensors --log n.log
n=$(sed -n 's/^bptt: after \([0-9]*\) updates: the loss is not finite.*/\1/p' err)
[ "${n:-0}" -gt 0 ] && [ "$(grep -c '"event":"step"' n.log)" = "$n" ] &&
    tail -n 1 n.log | grep -q "\"event\":\"end\",\"iteration\":$n,\"reason\":\"not finite\""
say $? "the updates that were made are counted in words and log alike"
cp m.safetensors full.safetensors
(ulimit -f 0 && "$bptt" train text --hidden 8 --layers 1 --batch 2 --steps 8 --iterations 40 --save-every 10 \
    -o full.safetensors 2>&1 </dev/null; echo "exit $?") | cat >out
has out '^exit 74' "saves that fail are a failure in the end"
has out '^40 updates' "training goes on when a save fails"
same m.safetensors full.safetensors "a failed save leaves the old file alone"
if [ -c /dev/full ]; then
    "$bptt" sample m.safetensors >/dev/full 2>err </dev/null
    [ $? = 74 ]
    say $? "a full standard output is a failure of sample"
    has err 'standard output' "it says that standard output is the trouble"
    "$bptt" --help >/dev/full 2>err </dev/null
    [ $? = 74 ]
    say $? "a full standard output is a failure of help"
    exits 74 "a log that cannot be written is a failure in the end" train --iterations 40 --log /dev/full \
        -o x.safetensors
    has out '^40 updates' "but training goes on without it"
fi
("$bptt" sample m.safetensors -n 100000000 2>err; echo $? >code) | head -c 10 >out
[ "$(cat code)" = 74 ]
say $? "a closed pipe ends the sample as a failed write"
empty err "without a word"

# ---- the second part ------------------------------------------------------------------------------------------------
# shellcheck source=tests/cli_train.sh
. "$tests_folder/cli_train.sh"

rm -rf prog other
rest=$(find . -name '*.tmp*' -o -name '.*.*' -type f)
[ -z "$rest" ]
say $? "no temporary file is left behind"

echo "$tests tests, $failures failures"
[ $failures = 0 ]

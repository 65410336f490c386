# shellcheck shell=sh
# The second part of cli.sh, which reads it: where a text comes from, what training says, the update that is kept.
# Needs cli.sh's functions, text, and m.safetensors, 60 updates on it, with its log.
# shellcheck disable=SC2154  # bptt and tiny are of cli.sh

# ---- where the text comes from --------------------------------------------------------------------------------------
given() {          # given SENTENCE MODEL: training that read standard input made the bytes of m.safetensors
    same m.safetensors "$2" "$1"
    has err '^bptt: no TEXT was given: reading the text from standard input$' "and it says so"
}
rm -f err
# shellcheck disable=SC2086,SC2002
cat text | "$bptt" train $tiny --iterations 60 -o in.safetensors >out 2>err
given "without TEXT a pipe is read" in.safetensors
# shellcheck disable=SC2086
"$bptt" train $tiny --iterations 60 -o in.safetensors >out 2>err <text
given "without TEXT a file on standard input is read" in.safetensors
mkfifo fifo
cat text >fifo &
# shellcheck disable=SC2086
"$bptt" train $tiny --iterations 60 -o in.safetensors >out 2>err <fifo
given "without TEXT a named pipe on standard input is read" in.safetensors
rm fifo
if has_python "a socket on standard input"; then
    # shellcheck disable=SC2086
    python3 -c '
import socket, subprocess, sys
ours, theirs = socket.socketpair()
p = subprocess.Popen(sys.argv[1:], stdin=theirs)
theirs.close()
ours.sendall(open("text", "rb").read())
ours.close()
sys.exit(p.wait())' "$bptt" train $tiny --iterations 60 -o in.safetensors >out 2>err
    given "without TEXT a socket is read" in.safetensors
fi
# shellcheck disable=SC2086
"$bptt" train $tiny --iterations 20 -q -o in.safetensors >out 2>err <text
empty err "with --quiet nothing is said of it"
"$bptt" train --resume in.safetensors --iterations 60 >out 2>err <text
given "a resumed run reads it too" in.safetensors
: | "$bptt" train --iterations 1 -o in.safetensors >out 2>err
[ $? = 66 ]
say $? "an empty pipe is no input"
has err 'standard input is empty: name a TEXT, or give </dev/null for the built-in text$' "and the words say what to do"
"$bptt" train --iterations 1 -o in.safetensors >out 2>err <none
[ $? = 66 ]
say $? "nor is an empty file"
own="train --hidden 4 --layers 1 --batch 2 --steps 4 --iterations 3 --valid-every 0 --valid 0"
# shellcheck disable=SC2086
exits 0 "/dev/null stands for the built-in text" "$bptt" $own -o own.safetensors
has err "^bptt: no TEXT was given: training on the built-in text, bptt's own source" "and it says so"
has err '([0-9],[0-9]*,[0-9]* characters)$' "with its length"
same d.safetensors own.safetensors "and it is always the same"
# shellcheck disable=SC2086
"$bptt" $own -o own.safetensors >out 2>err <&-
same d.safetensors own.safetensors "so does a standard input that is closed"
exits 65 "the built-in text is not the one of another run" "$bptt" train --resume m.safetensors --iterations 70

# ---- what is said ---------------------------------------------------------------------------------------------------
exits 0 "a single update works" train --iterations 1 --backend cpu -o one.safetensors
has err '^bptt: text: [0-9]*,[0-9][0-9][0-9] characters, 30 distinct; the last [0-9]* held out$' "the text is told"
has err '^bptt: batch 2 x 8 characters; [0-9,]* updates an epoch, 1 in all$' "and how it is cut up"
has err '^bptt: tanh, 1 layer of 8, [0-9]* parameters, about .* MB of memory$' "and the model"
has out '^1 update, validation loss' "one is not plural"
exits 0 "so it is where an epoch is one" train --steps 7599 --iterations 1 -o one.safetensors
has err '; 1 update an epoch, 1 in all$' "update"
exits 71 "a run beyond memory is refused" "$bptt" train text --hidden 65536 --layers 60
has err '; lower --hidden, --layers, --batch or --steps$' "with the options that would help"
exits 0 "nothing is left to do" "$bptt" train text --resume m.safetensors
has err 'already trained for all 60 updates; raise --iterations or --epochs to continue$' "which is said"
exits 0 "less than nothing is left to do" "$bptt" train text --resume m.safetensors --iterations 10 -o one.safetensors
has err 'already trained for 60 updates, more than --iterations 10$' "which is said too"
exits 64 "a text is not resumed" "$bptt" train text --resume text
has err 'text is the TEXT, not a model' "and is not called the output"
exits 0 "a run that ends with a validation works" train --iterations 50 -o files.safetensors
has err '^bptt: files.safetensors: last state, loss [0-9.]*$' "the file of the last state is named"
best=$("$bptt" score files.best.safetensors text --valid 0.05 | sed -n 's/^nats //p')
has err "^bptt: files.best.safetensors: best, $(printf %.4f "${best:-0}") after 50 updates$" "and that of the best model"
[ "$(tail -n 1 err | cut -c 7-28)" = files.best.safetensors ]
say $? "in the last line"
exits 0 "a run without a validation before its end works" train --valid-every 0 --iterations 9 -o files.safetensors
! grep -q 'files.best' err
say $? "and speaks of no best model, though there is one of another run"
exits 0 "so does one that goes on elsewhere" "$bptt" train text --resume m.safetensors --iterations 61 -o files.safetensors
! grep -q 'files.best' err
say $? "and does not say that it has been better"
cp m.safetensors again.safetensors && cp m.best.safetensors again.best.safetensors
exits 0 "one that goes on in its place" "$bptt" train text --resume again.safetensors --iterations 61
has err '^bptt: again.best.safetensors: .* after 50 updates' "does"
rm files.best.safetensors
exits 0 "a log of many saves is written" train --hidden 64 --backend cpu --iterations 300 --save-every 10 --valid-every 25 \
    -o files.safetensors --log rate.log
sed -n 's/.*"chars_per_s":\([^,}]*\).*/\1/p' rate.log | awk '{ printf "%.0f\n", $1 }' | sort -n >rates
awk '{ x[NR] = $1 } END { exit !(NR == 300 && x[1] > 0 && x[NR] < 20 * x[150]) }' rates
say $? "no rate in it is 20 times the median"
has rate.log '"n_text":[0-9]\{5\}' "and no number has separators"
has_terminals() {
    python3 -c 'import os; os.openpty()' 2>/dev/null || { echo "not tested: progress on a terminal: no /dev/pts"; return 1; }
}
if has_python "progress on a terminal" && has_terminals; then
    cat >on_terminal.py <<'P'
# on_terminal.py COLUMNS COMMAND...: with standard input and error on a terminal; its lines of progress, one a line.
import fcntl, os, re, signal, struct, subprocess, sys, termios
signal.alarm(60)
us, them = os.openpty()
fcntl.ioctl(them, termios.TIOCSWINSZ, struct.pack("HHHH", 24, int(sys.argv[1]), 0, 0))
p = subprocess.Popen(sys.argv[2:], stdin=them, stdout=subprocess.DEVNULL, stderr=them, env={**os.environ, "TERM": "xterm"})
os.close(them)
said = b""
try:
    while part := os.read(us, 65536):
        said += part
except OSError:
    pass
for line in re.split("[\r\n]+|\033\\[K", said.decode()):
    if re.match(r"\d+/\d+ epoch|.*built-in", line):
        print(line)
sys.exit(p.wait())
P
    own="$own --iterations 400 --backend cpu -o own.safetensors"
    for columns in 30 50 80 200; do # shellcheck disable=SC2086
        python3 on_terminal.py $columns "$bptt" $own >lines 2>err
        awk -v n=$columns '/epoch/ { seen = 1; if (length($0) >= n) bad = 1 } END { exit !seen || bad }' lines
        say $? "progress is never wider than a terminal of $columns columns"
    done
    has lines 'grad [0-9.e-]* [0-9.]*[kM] char/s 0:00 left$' "a wide one has it all"
    has lines 'training on the built-in text' "no text is read from a terminal"
fi

exits 0 "--help with a command" "$bptt" --help train
has out '^Usage: bptt train' "explains the command"
exits 0 "a sample may be quiet, and letters stand together" "$bptt" sample m.safetensors -qn 5
[ "$(wc -c <out)" = 5 ]
say $? "in any order"
for command in "sample m.safetensors" "score m.safetensors text"; do # shellcheck disable=SC2086
    exits 78 "the cell of a file that names one is not chosen: $command" "$bptt" $command --cell relu
    has err '^bptt: --cell relu has no effect: m.safetensors tells its cell; leave it out$' "which is said"
done
exits 64 "which takes two words" "$bptt" score m.safetensors text --cell lstm
has err 'takes one of tanh|relu' "those of the networks whose files look the same"
exits 0 "a state can be inspected" "$bptt" inspect m.safetensors
has out '^tanh, 1 layer of 8, vocabulary 30, [0-9]* parameters; 60 of 60 updates; best validation loss [0-9.]* after 50$' \
    "in one line"
for pair in 'optimizer: adam' 'init: reference' 'clip_mode: norm'; do
    has out "^$pair\$" "and in words: $pair"
done
bytes=$(wc -c <m.safetensors)
head -c $((bytes - 100)) m.safetensors >torn
exits 65 "a file without its end is refused" "$bptt" inspect torn
has err 'torn: truncated: [0-9]* of [0-9]* bytes of tensors are there$' "as truncated"
(cat m.safetensors && echo x) >torn
exits 65 "a file with more behind its end is refused" "$bptt" inspect torn
has err 'torn: 2 bytes after the last tensor' "with the number of bytes"

# ---- an update that is kept -----------------------------------------------------------------------------------------
exits 0 "an update is kept in a folder that is made" train --iterations 60 -o k.safetensors --trace kept
same m.safetensors k.safetensors "and the result is the same bytes"
has err 'trace of update 60 written to kept' "it is the last one if none is named"
"$bptt" inspect kept/trace.safetensors | grep -q '^F32 *1 x 9 x 2 x 8 *trace.states'
say $? "with the states before and after each step"
exits 0 "another update is kept" train --iterations 60 -o k.safetensors --trace kept --trace-at 7
has err 'trace of update 7 written' "it says which"
same m.safetensors k.safetensors "and the result is the same bytes again"
exits 64 "an update past the end is refused" train --iterations 60 -o x.safetensors --trace kept --trace-at 61
exits 78 "so is one without a folder" train --iterations 60 -o x.safetensors --trace-at 4
exits 73 "a folder in no folder is refused before training" train -o x.safetensors --trace nosuch/kept --iterations 9
exits 64 "an output in the trace's place is refused" train -o kept/trace.safetensors --trace kept --iterations 9

# ---- a file that does not name its cell, as PyTorch writes it -------------------------------------------------------
if has_python "a file that does not name its cell"; then
    # shellcheck disable=SC2086
    exits 0 "a relu model is trained" "$bptt" train text $tiny --cell relu --iterations 20 -o relu.safetensors
    # shellcheck disable=SC2016
    python3 -c '
import json, struct, sys
data = open("relu.safetensors", "rb").read()
n = struct.unpack("<Q", data[:8])[0]
header = json.loads(data[8:8 + n])
header["__metadata__"] = {"vocabulary": header["__metadata__"]["vocabulary"]}
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
open("foreign.safetensors", "wb").write(struct.pack("<Q", len(text)) + text + data[8 + n:])'
    exits 0 "the model is scored" "$bptt" score relu.safetensors text
    cp out wanted
    exits 0 "and so is the file without a cell, as relu" "$bptt" score foreign.safetensors text --cell relu
    same out wanted "with the same loss"
    empty err "and nothing is said"
    exits 0 "without --cell it is taken for tanh" "$bptt" score foreign.safetensors text
    has err '^bptt: foreign.safetensors does not name its cell; assuming tanh (--cell relu for a relu network)$' "in words"
    ! cmp -s out wanted
    say $? "which is another loss"
    exits 0 "a sample says so too" "$bptt" sample foreign.safetensors --length 5
    has err '^bptt: foreign.safetensors does not name its cell' "in the same words"
fi

# ---- documents ------------------------------------------------------------------------------------------------------
own="--hidden 16 --layers 1 --batch 4 --steps 16 --valid-every 25 --documents line"
awk 'BEGIN { for (i = 0; i < 600; i++) print substr("abcdefgh", 1 + i % 5, 1 + i % 4) }' >names
# shellcheck disable=SC2086
exits 0 "a text of a document a line is trained on" "$bptt" train names $own --iterations 60 -o lines.safetensors --log doc.log
has err '^bptt: 571 documents to train on, one a line; the state starts anew at each$' "which is said"
has doc.log '"event":"start".*"documents":"line"' "also in the log"
# shellcheck disable=SC2086
"$bptt" train names $own --iterations 30 -q -o half.safetensors >out 2>err
exits 0 "it is resumed" "$bptt" train names --resume half.safetensors --iterations 60
same lines.safetensors half.safetensors "to the bytes of a run that was not stopped"
exits 78 "documents cannot change then" "$bptt" train names --resume half.safetensors --iterations 61 --documents none
exits 0 "without documents" "$bptt" train names --hidden 16 --layers 1 --batch 4 --steps 16 --valid-every 25 --iterations 60 \
    -o plain.safetensors
! cmp -s lines.safetensors plain.safetensors
say $? "another model is made"
exits 0 "it is inspected" "$bptt" inspect lines.safetensors
has out '^documents: line$' "with its documents"
valid=$(sed -n 's/.*"event":"valid","iteration":60,"loss":\([0-9.]*\).*/\1/p' doc.log)
exits 0 "it is scored" "$bptt" score lines.safetensors names --valid 0.05
has out "^nats $(printf %.9f "${valid:-0}")\$" "to the loss of validation, which starts anew too"
exits 0 "documents are counted in a sample" "$bptt" sample lines.safetensors --count 7 --seed 3
[ "$(wc -l <out)" = 7 ]
say $? "one a line"
cp out counted
exits 0 "a sample of as many characters" "$bptt" sample lines.safetensors --length "$(wc -c <counted)" --seed 3
same counted out "is the same text"
exits 0 "a prompt begins each document" "$bptt" sample lines.safetensors --count 5 --prime abc
[ "$(grep -c '^abc' out)" = 5 ]
say $? "of them"
exits 0 "a document that does not end is cut" "$bptt" sample lines.safetensors --count 3 --length 1 --temperature 0
[ "$(wc -l <out)" = 3 ]
say $? "and stays on its line"
has err '^bptt: 3 documents did not end within --length 1 and were cut$' "which is said"
exits 78 "documents of a model of one text are not counted" "$bptt" sample m.safetensors --count 2
has err '^bptt: --count has no effect: m.safetensors was trained without --documents; leave it out$' "in words"
exits 65 "lines are not separated by empty lines" "$bptt" train names --documents blank --iterations 1 -o x.safetensors
has err 'no empty line separates documents in the training part of .*; leave --documents out, or set it to line if' "in words"
exits 64 "there is no other kind of document" "$bptt" train names --documents page --iterations 1 -o x.safetensors
sed 's/$/\n/' names >blanks
# shellcheck disable=SC2086
exits 0 "documents between empty lines are trained on" "$bptt" train blanks $own --documents blank --iterations 60 \
    -o blanks.safetensors --trace kept
has err '^bptt: 571 documents to train on, separated by empty lines; ' "and counted"
exits 0 "an update of them holds" "$bptt" verify trace kept
exits 0 "they are sampled" "$bptt" sample blanks.safetensors --count 4 --seed 2
[ "$(tail -c 2 out | wc -l)" = 2 ]
say $? "each with its empty line"
cp out counted
exits 0 "a sample of as many characters" "$bptt" sample blanks.safetensors --length "$(wc -c <counted)" --seed 2
same counted out "is the same text again"

# ---- gated cells ----------------------------------------------------------------------------------------------------
for cell in gru lstm mlstm mingru gru-before; do
    exits 0 "$cell is trained" train --cell $cell --iterations 20 --log $cell.jsonl -o $cell.safetensors
    exits 0 "its file is inspected" "$bptt" inspect $cell.safetensors
    has $cell.jsonl "\"cell\":\"$cell\".*\"parameters\":$(sed -n 's/^.*, \([0-9,]*\) parameters.*$/\1/p' out | tr -d ,)," \
        "with the number of parameters that were trained"
    exits 0 "and scored" "$bptt" score $cell.safetensors text
done
exits 0 "a GRU's reset gate is chosen" train --cell gru --gru-reset before --iterations 20 -o reset.safetensors
same reset.safetensors gru-before.safetensors "before the product it is another cell"
exits 0 "or the same as without the option" train --cell gru --gru-reset after --iterations 20 -o reset.safetensors
same reset.safetensors gru.safetensors "after it the cell is gru"
exits 78 "other cells have none" train --cell gru-before --gru-reset before
has err '^bptt: --gru-reset before has no effect with --cell gru-before: it is for gru; leave it out or choose --cell gru$' \
    "in words"

# ---- the plan of a window -------------------------------------------------------------------------------------------
exits 0 "the plan of a window is printed" "$bptt" bench --plan --backend cpu --hidden 16 --layers 2 --batch 4 --steps 8
[ "$(grep -c '^  loop forward in time, 8 times$' out)" = 2 ]
say $? "with a loop forward in time for each layer"
has out '^    gemm  *h\[1\] 4x16(+4), rnn.weight_hh_l1 16x16 +-> h\[1\]@4 4x16(+4) ' "and its operations, indented"
! grep -q 'ms per' out
say $? "and nothing is measured"

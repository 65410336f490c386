#!/bin/sh
# Counts the tests of a ctest run and says why tests were skipped. A test that skips itself prints one line
# "skipped: KIND: REASON" and exits with 77. A part that a test leaves out is a line "not tested: REASON".
# usage: count.sh BUILD
# Prints the parts left out, "N KIND tests skipped: REASON" for each kind (the first reason of a kind), and
# "tests: N passed, N failed, N skipped".  Exit code 1: a test failed or was skipped without a reason, or none passed.
set -eu
log=$1/Testing/Temporary
touch "$log/LastTestsDisabled.log" # ctest writes it where a test was skipped: NUMBER:NAME
awk -v disabled="$log/LastTestsDisabled.log" '
function skip(kind, words) {
    if (!(kind in count)) { order[++kinds] = kind; reason[kind] = words }
    count[kind]++
    skipped++
}
function close_test() {
    if (name == "") return
    if (verdict != "passed") { failed++; failures = failures " " name }
    else if (why != "") skip(substr(why, 1, index(why, ": ") - 1), substr(why, index(why, ": ") + 2))
    else if (name in unrun) { failed++; failures = failures " " name }
    else passed++
    name = ""
}
BEGIN { while ((getline line < disabled) > 0) unrun[substr(line, index(line, ":") + 1)] = 1 }
# "3/122 Testing: NAME" opens the part of a test; a skipped test ends with "Test Passed." too.
/^[0-9]+\/[0-9]+ Testing: / { close_test(); name = $3; why = verdict = ""; next }
/^skipped: [^:]+: ./ { if (why == "") why = substr($0, 10); next }
/^not tested: ./ { print name ": " $0; next }
/^Test Passed\.$/ { verdict = "passed"; next }
END {
    close_test()
    for (i = 1; i <= kinds; i++)
        printf "%d %s test%s skipped: %s\n", count[order[i]], order[i], count[order[i]] == 1 ? "" : "s", reason[order[i]]
    if (failures != "") print "failed, or skipped without a reason:" failures
    printf "tests: %d passed, %d failed, %d skipped\n", passed, failed, skipped
    exit failed > 0 || passed == 0
}' "$log/LastTest.log"

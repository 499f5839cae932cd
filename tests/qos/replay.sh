#!/bin/bash
# qos-replay as a person meets it: replay.sh QOS-REPLAY TEST_QOS_TRACE. The second makes traces of random lives.
set -euo pipefail
replay=$1 make=$2
tmp=$(mktemp -d "${TMPDIR:-/tmp}/nzbfs-test.XXXXXX")
trap 'rm -rf -- "$tmp"' EXIT

fail() {
    printf '%s: FAILED: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

run() { # STATUS ARGUMENT...: standard output in $tmp/out, standard error in $tmp/err
    local expected=$1 status=0
    shift
    "$replay" "$@" >"$tmp/out" 2>"$tmp/err" || status=$?
    ((status == expected)) || fail "qos-replay $*: status $status, not $expected: $(head "$tmp/out" "$tmp/err")"
}

out() { # WORDS
    grep -qF -- "$1" "$tmp/out" || fail "standard output lacks '$1': $(<"$tmp/out")"
}

err() { # WORDS, on one line; none: nothing
    if [[ -z ${1:-} ]]; then
        [[ ! -s $tmp/err ]] || fail "standard error has: $(<"$tmp/err")"
    else
        [[ $(wc -l <"$tmp/err") == 1 && $(<"$tmp/err") == *"$1"* ]] || fail "standard error lacks '$1': $(<"$tmp/err")"
    fi
}

cd "$tmp"
"$make" 7 2000 >life || fail "no trace is made"
lines=$(wc -l <life)

run 0 life
out "all equal"
err
run 0 --check --stats life
out "all equal, no invariant broken"
out "leased 0 of"
out "waits to be sent"
run 0 - <life
err

# One order of each kind changed.
for kind in open start close end; do
    line=$(grep -nE " > $kind " life | sed -n 12p)
    line=${line%%:*}
    [[ -n $line ]] || fail "the life has no 12 orders of kind $kind"
    sed "${line}s/ > $kind \(.\)/ > $kind \19/" life >changed
    run 1 changed
    out "line $line, at "
    out "  expected  $(sed -n "${line}p" changed)"
    out "  got       $(sed -n "${line}p" life)"
    out "  $(printf %8d $((line - 20)))  $(sed -n "$((line - 20))p" life)"
    [[ $(grep -cE '^ +[0-9]+  [0-9]' out) == 20 ]] || fail "not 20 records are shown before it: $(<out)"
    out "p0 "
    run 0 --until $((line - 1)) changed
    err
    run 1 --until "$line" changed
    # Left out, it is the next line that differs.
    sed "${line}d" life >changed
    run 1 changed
    out "line $line, at "
done

# Cut anywhere, all that is whole is replayed.
size=$(stat -c %s life)
for ((at = size / 7; at < size; at += size / 7)); do
    head -c "$at" life >piece
    run 0 --check piece
    out "all equal"
    grep -q "has no last line" err || fail "it does not say that it was cut at $at: $(<err)"
    [[ $(tail -c 1 piece | wc -l) == 1 ]] || grep -q "line $(($(wc -l <piece) + 1)) is cut off" err || fail "cut at $at: $(<err)"
done
{ head -n $((lines - 1)) life && echo "lost No space left on device"; } >lost
run 0 lost
err "ends early: No space left on device"

# What it cannot use.
run 2
run 2 life life
run 2 --until
run 2 --until 12x life
run 2 --until 0 life
run 2 --check=yes life
run 2 none
err "No such file"
run 2 .
err "Is a directory"
run 2 - </dev/null
err "ends before its first record"
run 2 "$make"
err "line 1: column 1: byte \\x7f"
head -c 1000000 /dev/zero | tr '\0' a >long
run 2 long
err "longer than any line"
sed '30s/ .*/ nonsense/' life >nonsense
run 2 nonsense
err "nonsense: line 30: column"
sed 's/^config .* queue=[0-9]*/config total=0 reserve=0 rate=0 backoff=0 backoff_max=0 login=0 probe=0 linger=0 idle=0 attempts=0 cover=0 queue=9999/' life >impossible
run 2 impossible
err "its configuration is impossible: class queue: guaranteed 9999"
run 0 --help
out "usage: qos-replay"

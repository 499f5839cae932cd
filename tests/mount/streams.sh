#!/bin/bash
# Why a read waits: told while it does, and summed up when it has, by status --streams and by an attribute.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
skip_unless_fuse
need python3 getfattr

part=1000000 parts=12
size=$((part * parts - 4321))
film=$mnt/film.mkv source=$tmp/film.mkv
random_file "$source" $size

# told EXPRESSION: what is true of s, the list of open files
told() {
    "$NZBFS" status --streams --json "$mnt" | python3 -c '
import json, sys
m = json.load(sys.stdin)
s = m["streams"]
for f in s:
    w = f["waits"]
    stages = [w[k] for k in ("memory", "connection", "answer", "payload")]
    assert sum(k["us"] for k in stages) == w["all"]["us"], w
    for p in w["providers"]:
        assert p["answer_us"] <= w["answer"]["us"] and p["payload_us"] <= w["payload"]["us"], w
    assert all(k["longest_us"] >= k["us"] / max(k["count"], 1) for k in stages + [w["all"], w["reader"]]), w
sys.exit(0 if eval(sys.argv[1]) else 1)' "$1"
}
page_has() { # WORDS
    "$NZBFS" status --streams "$mnt" >"$tmp/page" && grep -Eq -- "$1" "$tmp/page"
}
expect_page() {
    page_has "$1" || fail "the page lacks '$1': $(<"$tmp/page")"
}
waits() { # KEY: of the attribute
    getfattr --absolute-names --only-values -n user.nzbfs.waits "$film" | sed -n "s/^$1=//p"
}
read_from() { # FD OFFSET: a page, in the background; its pid is in $reader
    python3 -c 'import os, sys; sys.stdout.buffer.write(os.pread(0, 4096, int(sys.argv[1])))' "$2" \
        <&"$1" >"$tmp/got.$2" 2>"$tmp/err.$2" &
    reader=$!
    pids+=("$reader")
}
expect_read() { # PID OFFSET
    wait "$1" || fail "the read at $2 failed"
    cmp -s -n 4096 -i "$2:0" "$source" "$tmp/got.$2" || fail "wrong bytes at $2"
}

start_newsd main --part-size $part --nzb "$tmp/x.nzb" "$source"
provider main connections=1 pipelining=1
mount_nzb "$tmp/x.nzb" "$mnt" -o readahead=0
wait_for_line "$tmp/mnt.log" "is mounted on"

say "nothing is open"
told "s == [] and m['untold'] == 0" || fail "somebody has opened something"
expect_page "^$mnt has 0 open files$"
! getfattr -n user.nzbfs.waits "$film" 2>/dev/null || fail "a file that nobody has opened waits"

say "an open file that nobody reads"
exec {one}<"$film"
told "len(s) == 1 and s[0]['file'] == 'film.mkv' and s[0]['comm'] == 'streams.sh' and s[0]['pid'] == $BASHPID" ||
    told "len(s) == 1 and s[0]['comm'] == 'bash' and s[0]['pid'] == $BASHPID" || fail "the opener is not told"
told "s[0]['now']['what'] == 'reader' and s[0]['reads'] == 0" || fail "it is read"
expect_page "nothing was asked for yet"

say "an article that has begun and stops: its bytes are waited for"
newsd_say main hold
last=$(((3 * part - 20000) / 4096 * 4096)) # in the third article, behind where it is held
read_from "$one" $last
first=$reader
wait_until "the read waits for bytes of main" 30 told "s[0]['now'] | {'us': 0} == {'what': 'payload', 'provider': 'main', 'us': 0}"
expect_page "^    now +waits for main's bytes, for "

say "the only connection is taken: another reader waits for one"
exec {two}<"$film"
other=$((8 * part / 4096 * 4096 + 4096))
read_from "$two" $other
second=$reader
wait_until "the read waits for a connection" 30 told "s[1]['now']['what'] == 'connection'"
expect_page "^    now +waits for a connection, for "
expect_page "has 2 open files"

say "when they have what they waited for, that is summed up"
newsd_say main release
expect_read "$first" $last
expect_read "$second" $other
told "s[0]['waits']['payload']['us'] > 0 and s[0]['waits']['providers'][0]['name'] == 'main'" || fail "the first has not waited for bytes"
told "s[1]['waits']['connection']['us'] > 0 and s[1]['waits']['connection']['count'] == 1" || fail "the second has not waited for a connection"
told "all(f['reads'] >= 1 and f['bytes'] >= 4096 and f['waits']['all']['us'] >= f['waits']['all']['longest_us'] > 0 for f in s)" ||
    fail "the sums are not there"
told "s[0]['position'] >= $last + 4096 and s[0]['now']['what'] == 'reader'" || fail "it is not where it read"
expect_page "^    waited +[0-9.]+ m?s in [0-9]+ of [0-9]+ reads, .* at most: .*for main's bytes"
expect_page "^    waited .*for a connection"
both=$(waits connection_us)
exec {two}<&-
wait_until "the second is closed" 30 told "len(s) == 1"
((both > $(waits connection_us))) || fail "the attribute is not of all that have the file open"
(($(waits payload_us.main) > 0 && $(waits waited_count) > 0 && $(waits reads) > 0)) || fail "the attribute lacks something"
! getfattr -d "$film" | grep -q waits || fail "the attribute is listed: copies would carry it"

say "a provider that does not answer is named, and what the next attempt brings does not take its place"
newsd_say main fault file/film.mkv/11 stall-first 1
at=$((10 * part / 4096 * 4096 + 4096))
read_from "$one" $at
third=$reader
wait_until "the read waits for main's answer" 30 told "s[0]['now'] | {'us': 0} == {'what': 'answer', 'provider': 'main', 'us': 0}"
expect_page "^    now +waits for main's first byte, for "
before=$(waits answer_us)
newsd_say main drop
expect_read "$third" $at
(($(waits answer_us.main) > before)) || fail "the time it did not answer is not among its own"

say "a read that ends in an error has waited as well"
newsd_say main fault file/film.mkv/5 430
read_from "$one" $((4 * part / 4096 * 4096 + 4096))
! wait "$reader" || fail "a missing article was read"
told "s[0]['errors'] >= 1" || fail "no error is told"
expect_page "reads failed"
exec {one}<&-
wait_until "all are closed" 30 told "s == []"
unmount "$mnt"

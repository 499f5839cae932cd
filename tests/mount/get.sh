#!/bin/bash
# ls, cat and get against a news server: what is fetched, kept, checked and told. No mount is needed.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
need openssl "$NZBFS"

posted=$tmp/posted to=$tmp/to
mkdir "$posted"
random_file "$posted/film.mkv" 30000000 1
random_file "$posted/a.bin" 100 2
start_newsd main --nzb "$tmp/x.nzb" "$posted"/*
provider main

run() { # COMMAND...: $status, $stdout, $stderr
    status=0
    "$NZBFS" "$@" -c "$conf" >"$tmp/stdout" 2>"$tmp/stderr" </dev/null || status=$?
    stdout=$(<"$tmp/stdout") stderr=$(<"$tmp/stderr")
}

say "ls costs nothing; with -l, an article a file"
run ls "$tmp/x.nzb"
[[ $status == 0 && $stdout == $'a.bin\nfilm.mkv' ]] || fail "ls: $status, $stdout, $stderr"
newsd_stat main body
((answer == 0)) || fail "ls asked for $answer articles"
run ls -l "$tmp/x.nzb"
[[ $status == 0 && $stdout =~ 100\ .*a.bin && $stdout =~ 30000000\ .*film.mkv ]] || fail "ls -l: $status, $stdout, $stderr"
newsd_stat main body
((answer == 2)) || fail "ls -l asked for $answer articles"
run ls "$tmp/x.nzb" nothing
[[ $status == 1 && $stderr == *"no such file or directory"* ]] || fail "ls nothing: $status, $stderr"

say "cat"
"$NZBFS" cat -c "$conf" "$tmp/x.nzb" film.mkv | cmp - "$posted/film.mkv" || fail "cat gave other bytes"
set +e
"$NZBFS" cat -c "$conf" "$tmp/x.nzb" film.mkv 2>"$tmp/stderr" | head -c 10 >/dev/null
status=${PIPESTATUS[0]}
set -e
[[ $status == 141 && ! -s $tmp/stderr ]] || fail "into a closed pipe: $status, $(<"$tmp/stderr")"
status=0
"$NZBFS" cat -c "$conf" "$tmp/x.nzb" film.mkv >/dev/full 2>"$tmp/stderr" || status=$?
[[ $status == 1 && $(<"$tmp/stderr") == *"No space left"* ]] || fail "to a full device: $status, $(<"$tmp/stderr")"
run cat "$tmp/x.nzb" film
[[ $status == 1 && $stderr == *"film: no such file"* ]] || fail "cat film: $status, $stderr"

say "get; what is there is left alone"
run get "$tmp/x.nzb" -d "$to"
[[ $status == 0 ]] || fail "get: $status, $stderr"
same "$to/film.mkv" "$posted/film.mkv"
same "$to/a.bin" "$posted/a.bin"
[[ $(ls "$to") == $'a.bin\nfilm.mkv' ]] || fail "get left: $(ls "$to")"
run get "$tmp/x.nzb" -d "$to"
[[ $status == 0 && $stderr == *"there already"* ]] || fail "get again: $status, $stderr"
echo changed >"$to/a.bin"
run get "$tmp/x.nzb" -d "$to" a.bin
[[ $status == 1 && $stderr == *"is something else"* ]] || fail "get over another file: $status, $stderr"
[[ $(<"$to/a.bin") == changed ]] || fail "get wrote over another file"
rm -r "$to"

say "what is missing is named, the rest is kept, and the next run fetches only what lacks"
newsd_say main fault file/film.mkv/20 430
run get "$tmp/x.nzb" -d "$to"
[[ $status == 1 && $stderr == *"film.mkv: bytes "*"pieces could not be had"* ]] || fail "a part missing: $status, $stderr"
[[ -e $to/film.mkv.part && -e $to/film.mkv.part.journal && ! -e $to/film.mkv ]] || fail "it left: $(ls "$to")"
same "$to/a.bin" "$posted/a.bin"
newsd_say main clear
newsd_say main fault file/film.mkv/5 430 # need not be asked for again
run get "$tmp/x.nzb" -d "$to"
[[ $status == 0 ]] || fail "the second get: $status, $stderr"
same "$to/film.mkv" "$posted/film.mkv"
newsd_say main clear
rm -r "$to"

say "killed in the middle, and a byte on disk changes: that piece is fetched again"
newsd_say main fault file/film.mkv/25 stall-first
"$NZBFS" get -c "$conf" "$tmp/x.nzb" -d "$to" film.mkv 2>"$tmp/get.log" &
victim=$!
pids+=("$victim")
wait_for_line "$to/film.mkv.part.journal" '^0 '
kill -KILL "$victim"
wait "$victim" || true
newsd_say main clear
printf 'X' | dd of="$to/film.mkv.part" conv=notrunc bs=1 seek=100 status=none
run get "$tmp/x.nzb" -d "$to" film.mkv
[[ $status == 0 ]] || fail "get after a kill: $status, $stderr"
same "$to/film.mkv" "$posted/film.mkv"
[[ $(ls "$to") == film.mkv ]] || fail "get after a kill left: $(ls "$to")"
rm -r "$to"

say "a .part of another post is not touched"
mkdir "$to"
echo "mine" >"$to/a.bin.part"
run get "$tmp/x.nzb" -d "$to" a.bin
[[ $status == 1 && $(<"$to/a.bin.part") == mine ]] || fail "a strange .part: $status, $stderr, $(<"$to/a.bin.part")"
rm -r "$to"

say "a damaged article never becomes a file"
newsd_say main fault file/film.mkv/10 bad-crc
run get "$tmp/x.nzb" -d "$to" film.mkv
[[ $status == 1 && ! -e $to/film.mkv ]] || fail "a damaged article: $status, $stderr"
newsd_say main clear
rm -r "$to"

say "interrupted, it says so"
newsd_say main silent
"$NZBFS" get -c "$conf" "$tmp/x.nzb" -d "$to" 2>"$tmp/get.log" &
victim=$!
pids+=("$victim")
newsd_stat main accepted
before=$answer
asked_more() {
    newsd_stat main accepted
    ((answer > before))
}
wait_until "get connects" 30 asked_more
kill -TERM "$victim"
status=0
wait "$victim" || status=$?
[[ $status == 143 && $(<"$tmp/get.log") == *"interrupted; the same command goes on from here"* ]] ||
    fail "after SIGTERM: $status, $(<"$tmp/get.log")"

#!/bin/bash
# A server that says nothing, goes away and comes back: no read hangs, what is known stays readable, and all
# is well again without a restart.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
skip_unless_fuse
need openssl

random_file "$tmp/film.mkv" 6000000 1
random_file "$tmp/known.bin" 3000000 2
random_file "$tmp/other.bin" 3000000 3
start_newsd main --part-size 200000 --nzb "$tmp/x.nzb" "$tmp"/*.{mkv,bin}
provider main connections=4
cp "$conf" "$tmp/base.conf"

# limits READ STALL: seconds, of a read and of a server's silence
limits() {
    cp "$tmp/base.conf" "$conf"
    setting mount "read_timeout=$1"
    setting timeouts connect=2 "stall=$2"
}

is_whole() {
    cmp -s "$mnt/film.mkv" "$tmp/film.mkv" 2>/dev/null
}

back() { # the server is used again, without a restart
    local began
    look_at_clock && began=$now_ms
    wait_until "the server is used again" 60 is_whole
    look_at_clock
    say "  back after $((now_ms - began)) ms"
}

known() { # what was read before is read again, from the kernel's cache and from ours
    same "$mnt/known.bin" "$tmp/known.bin"
}

begin() {
    up "$tmp/x.nzb"
    known
    ls -l "$mnt" >/dev/null
}

# ends_badly SECONDS COMMAND...: COMMAND fails, in less than that. The least it takes is none of its business.
ends_badly() {
    local limit=$1 began status=0
    shift
    look_at_clock && began=$now_ms
    timeout -k 5 "$limit" "$@" >"$tmp/stdout" 2>"$tmp/err" || status=$?
    look_at_clock
    ((status != 124 && status != 137)) || fail "still running after $limit s: $*"
    ((status != 0)) || fail "$* succeeded"
    grep -qE 'Input/output error|timed out' "$tmp/err" || fail "$*: $(<"$tmp/err")"
    say "  an error after $((now_ms - began)) ms"
}

# cat of the film, which waits for what does not come: $blocked, in a process group of its own (a script's
# children have SIGINT turned off unless it controls jobs).
blocked=
block() {
    set -m
    cat "$mnt/film.mkv" >/dev/null 2>"$tmp/blocked.err" &
    blocked=$!
    set +m
    pids+=("$blocked")
    wait_until "cat is blocked" 20 is_blocked
}

is_blocked() { # the file is open, and the process asleep in its read
    [[ $(readlink "/proc/$blocked/fd/"*) == *"$mnt/film.mkv"* ]] || return 1
    [[ $(<"/proc/$blocked/stat") == *") "[SD]" "* ]]
}

blocked_ends() { # SECONDS: it ends by itself, with an error; whatever ended it is $status
    local began
    look_at_clock && began=$now_ms
    status=0
    wait "$blocked" || status=$?
    look_at_clock
    ((status != 0)) || fail "a blocked cat ended well"
    ((now_ms - began < $1 * 1000)) || fail "a blocked cat took $((now_ms - began)) ms to end"
    say "  after $((now_ms - began)) ms"
}

for stall in 60 1; do
    say "no answers, read_timeout=5, stall=$stall: an error in time, and bytes as soon as it answers again"
    limits 5 "$stall"
    begin
    newsd_say main silent
    ends_badly 10 cat "$mnt/film.mkv"
    ends_badly 10 dd if="$mnt/other.bin" of=/dev/null bs=1M skip=1
    known
    newsd_say main loud
    back
    same "$mnt/other.bin" "$tmp/other.bin"
    down
done

say "articles stop in the middle: the same"
limits 5 60
begin
newsd_say main stall
ends_badly 10 cat "$mnt/film.mkv"
known
newsd_say main fault all none
newsd_say main drop
back
down

say "Ctrl-C ends a blocked cat"
limits 60 60
begin
newsd_say main silent
block
kill -INT -- "-$blocked"
blocked_ends 1
((status == 130)) || fail "after SIGINT, cat's status is $status"
say "KILL as well, and TERM"
for signal in KILL TERM; do
    block
    kill "-$signal" -- "-$blocked"
    blocked_ends 1
done

say "while one is blocked, others read what is known, and list"
block
within 10 cmp "$mnt/known.bin" "$tmp/known.bin" || fail "known bytes differ"
within 10 ls -l "$mnt" >/dev/null || fail "ls"
say "a blocked reader goes on when the server does"
newsd_say main loud
wait "$blocked" || fail "cat, blocked and let go: $(<"$tmp/blocked.err")"
same "$mnt/film.mkv" "$tmp/film.mkv"
down

say "unmounting lets go of a blocked reader"
begin
newsd_say main silent
block
! fusermount3 -u "$mnt" 2>/dev/null || fail "an open file does not keep the mount busy"
fusermount3 -uz "$mnt" || fail "it cannot be unmounted lazily"
is_running "$daemon" || fail "nzbfs went away under a reader"
kill -INT -- "-$blocked"
blocked_ends 1
wait_gone "$daemon" 10
say "so does SIGTERM, and nothing is left"
newsd_say main loud
begin
newsd_say main silent
block
kill -TERM "$daemon"
blocked_ends 5
wait_gone "$daemon" 10
! is_mounted "$mnt" || fail "a mount is left"
newsd_say main loud

say "a server that refuses connections: an error in time; then it is back"
limits 5 2
begin
newsd_say main down
ends_badly 10 cat "$mnt/film.mkv"
known
newsd_say main up
back
down

say "connections that the server has closed while they idled are no reader's business"
limits 30 15
begin
for off in 0 1000000 2000000 3000000 4000000; do
    newsd_say main drop
    reads_well "$mnt/film.mkv" "$off" 300000 "$tmp/film.mkv"
done
same "$mnt/film.mkv" "$tmp/film.mkv"
down

say "a start without a server is a mount; its files can be read once there is one"
limits 5 2
newsd_say main down
up "$tmp/x.nzb"
[[ $(ls "$mnt") == *film.mkv* ]] || fail "it lists: $(ls "$mnt")"
ends_badly 10 stat "$mnt/film.mkv"
newsd_say main up
back
down

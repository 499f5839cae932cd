#!/bin/bash
# The life of a mount: starts that fail, leaving the terminal, signals, a new configuration, directories.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
skip_unless_fuse

start_newsd main --nzb "$tmp/x.nzb" --generate film.mkv:2M --generate b.bin:100
provider main
cp "$conf" "$tmp/good.conf"

refused() { # WORDS ARGUMENT...: status 1, one line with these words, nothing mounted
    local words=$1 status=0
    shift
    "$NZBFS" mount "$@" 2>"$tmp/err" || status=$?
    ((status == 1)) || fail "mount $*: status $status"
    [[ $(wc -l <"$tmp/err") == 1 && $(<"$tmp/err") == *"$words"* ]] || fail "mount $* said: $(<"$tmp/err")"
    ! mountpoint -q "$mnt" || fail "mount $* left a mount"
}

say "starts that fail say why"
echo "<nzb" >"$tmp/broken.nzb"
mkdir "$tmp/empty"
printf '[provider a]\nhost = h\nport = 0\n' >"$tmp/bad.conf"
refused "No such file" "$tmp/none.nzb" "$mnt" -c "$conf"
refused "must be a directory that exists" "$tmp/x.nzb" "$tmp/nowhere" -c "$conf"
refused "$tmp/bad.conf:3: port" "$tmp/x.nzb" "$mnt" -c "$tmp/bad.conf"
refused "broken.nzb:1:" "$tmp/broken.nzb" "$mnt" -c "$conf"
refused "holds no .nzb" "$tmp/empty" "$mnt" -c "$conf"

say "a daemon has left its terminal and its directory"
cp "$tmp/x.nzb" "$tmp/relative.nzb"
mounts+=("$mnt")
(cd "$tmp" && "$NZBFS" mount relative.nzb mnt -c "${conf##*/}") || fail "relative paths"
pgrep -f -- "relative.nzb mnt" >"$tmp/pid" || fail "no process serves it"
read -r daemon <"$tmp/pid"
pids+=("$daemon")
[[ $(readlink "/proc/$daemon/cwd") == / ]] || fail "it stands in $(readlink "/proc/$daemon/cwd")"
for fd in 0 1 2; do
    [[ $(readlink "/proc/$daemon/fd/$fd") == /dev/null ]] || fail "its fd $fd is open"
done
kill -HUP "$daemon" # finds the configuration that was named relative to another place
cat "$mnt/b.bin" >/dev/null || fail "it cannot be read"
down

foreground() {
    mount_nzb "$tmp/x.nzb" "$mnt"
    wait_for_line "$tmp/mnt.log" "is mounted on"
}
ends_by() { # SIGNAL
    kill "-$1" "${mount_pid[$mnt]}"
    wait "${mount_pid[$mnt]}" || fail "after SIG$1 the status is $?"
    ! mountpoint -q "$mnt" || fail "after SIG$1 it is still mounted"
}

say "SIGTERM and SIGINT unmount"
foreground
[[ $(stat -c %s "$mnt/film.mkv") == 2097152 ]] || fail "the size"
ends_by TERM
foreground
ends_by INT

say "SIGHUP takes a good configuration, and tells of a bad one"
foreground
setting pool connections=3
kill -HUP "${mount_pid[$mnt]}"
wait_for_line "$tmp/mnt.log" "configuration read again: 1 providers, 3 connections"
echo "nonsense" >>"$conf"
kill -HUP "${mount_pid[$mnt]}"
wait_for_line "$tmp/mnt.log" "error: .*:[0-9]+: neither \[section\] nor key.*the configuration in use stays"
cat "$mnt/film.mkv" >"$tmp/copy"
[[ $(stat -c %s "$tmp/copy") == 2097152 ]] || fail "the copy is short"
ends_by TERM
cp "$tmp/good.conf" "$conf"

say "in a directory, a broken NZB is skipped, and each other is a directory"
mkdir "$tmp/dir"
cp "$tmp/x.nzb" "$tmp/dir/first.nzb"
gzip -c "$tmp/x.nzb" >"$tmp/dir/second.nzb.gz"
cp "$tmp/broken.nzb" "$tmp/dir/bad.nzb"
echo "not one" >"$tmp/dir/readme.txt"
up "$tmp/dir" 2>"$tmp/err"
grep -q 'bad.nzb:1:.*; skipped' "$tmp/err" || fail "the broken one was not told of: $(<"$tmp/err")"
shown=$(cd "$mnt" && echo */*)
[[ $shown == "first/b.bin first/film.mkv second/b.bin second/film.mkv" ]] || fail "it shows: $shown"
same "$mnt/first/film.mkv" "$mnt/second/film.mkv"
down
rm "$tmp"/dir/{first.nzb,second.nzb.gz}
if "$NZBFS" mount "$tmp/dir" "$mnt" -c "$conf" 2>"$tmp/err"; then
    fail "a directory of broken ones was mounted"
fi
grep -q 'none of its NZB files can be read' "$tmp/err" || fail "it said: $(<"$tmp/err")"

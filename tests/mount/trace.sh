#!/bin/bash
# What a mount's scheduler was told and what it decided is in the trace, all of it, and replays order for order;
# and a trace that cannot be written harms nothing.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
skip_unless_fuse
REPLAY=${REPLAY:-qos-replay}
need openssl "$REPLAY"

part=20000 parts=$(by_build 300 120)
size=$((part * parts - 1234))
film=$mnt/film.mkv source=$tmp/film.mkv trace=$tmp/x.trace
random_file "$source" $size

replay() { # STATUS ARGUMENT...: its output is in $tmp/replayed
    local expected=$1 status=0
    shift
    "$REPLAY" "$@" >"$tmp/replayed" 2>&1 || status=$?
    ((status == expected)) || fail "qos-replay $*: status $status, $(head -n 40 "$tmp/replayed")"
}

replayed() { # WORDS
    grep -qF -- "$1" "$tmp/replayed" || fail "qos-replay did not say '$1': $(head -n 40 "$tmp/replayed")"
}

traced() { # REGEX
    grep -qE -- "$1" "$trace" || fail "no '$1' in the trace"
}

start_newsd first --part-size $part --missing-every 9 --bad-crc-every 11 --user reader --password hunter2 \
    --latency 2 --nzb "$tmp/x.nzb" "$source" --generate other.mkv:1000000
start_newsd second --part-size $part --latency 3 "$source" --generate other.mkv:1000000
newsd_say first fault file/film.mkv/17 430
newsd_say second fault file/film.mkv/17 430
newsd_say first fault file/film.mkv/23 bad-crc
newsd_say second fault file/film.mkv/23 short
provider first username=reader password=hunter2 connections=6 pipelining=3
provider second connections=3
cp "$conf" "$tmp/before.conf"

say "a start that cannot have its trace says why"
starts_after() { # LINE
    tail -n +"$1" "$trace" | grep -qE ' > start '
}

refused() { # WORDS FILE
    local status=0
    "$NZBFS" mount "$tmp/x.nzb" "$mnt" -c "$conf" -o "trace=$2" 2>"$tmp/err" || status=$?
    ((status == 1)) && [[ $(<"$tmp/err") == *"trace $2: $1"* ]] || fail "trace=$2: $status, $(<"$tmp/err")"
    ! mountpoint -q "$mnt" || fail "trace=$2 left a mount"
}
ln -s "$tmp/elsewhere" "$tmp/link"
refused "No such file" "$tmp/none/x.trace"
refused "something else is there" "$tmp"
refused "something else is there" "$tmp/link"
refused "something else is there" /dev/null
[[ ! -e $tmp/elsewhere && -c /dev/null ]] || fail "a refused trace left its mark"

say "providers that die and return, articles missing and damaged, other shares, readers that go away"
refused "something else is there" "$tmp/x.nzb"
echo "nzbfs-trace 1, of another mount" >"$trace"
mounts+=("$mnt")
(cd "$tmp" && "$NZBFS" mount x.nzb mnt -c "${conf##*/}" -o trace=x.trace) || fail "a relative trace"
daemon=$(pgrep -f -- "mount x.nzb mnt -c") || fail "no process serves it"
pids+=("$daemon")
[[ $(stat -c %a "$trace") == 600 ]] || fail "others may read the trace: $(stat -c %a "$trace")"
wait_for_line "$trace" '^clock [0-9]+$'

read_all() { # around the two parts that nobody has
    reads_well "$film" 0 $((16 * part)) "$source"
    reads_well "$film" $((17 * part)) $((5 * part)) "$source"
    reads_well "$film" $((23 * part)) $((size - 23 * part)) "$source"
}
reads_badly "$film" $((16 * part)) 1
reads_badly "$film" $((22 * part)) 1
read_all &
reader=$!
wait_for_line "$trace" ' done o[0-9.]+ ok ' # it is written while the mount works
newsd_say first down
newsd_say first drop
wait "$reader" || fail "a provider's death was seen by the reader"
newsd_say first up
sed 's/^connections = 6/connections = 4/' "$tmp/before.conf" >"$conf"
setting "class streaming" guaranteed=2 burst=5 per_stream=3
kill -HUP "$daemon"
wait_for_line "$trace" ' resize ok .* streaming=2/5/[0-9]+/3(/[0-9]+)? p0=4/'
n=$(wc -l <"$trace")
newsd_say first stall
newsd_say second stall
cat "$mnt/other.mkv" >/dev/null 2>&1 &
reader=$!
wait_until "more is asked for" 30 starts_after "$n"
kill "$reader"
wait "$reader" || true
wait_for_line "$trace" ' cancel o'
newsd_say first unstall
newsd_say second unstall
cat "$mnt/other.mkv" >"$tmp/other"
[[ $(stat -c %s "$tmp/other") == 1000000 ]] || fail "the other file is $(stat -c %s "$tmp/other") bytes"
read_all
down
traced ' gone c[0-9.]+ (broken|refused|stale) '
traced ' done o[0-9.]+ not-here '
traced ' done o[0-9.]+ spoilt '
traced ' > end o[0-9.]+ missing$'
traced ' > end o[0-9.]+ corrupt$'
traced ' cancel o'
traced ' shut$'
[[ $(tail -n 1 "$trace") == whole ]] || fail "it is not whole: $(tail -n 1 "$trace")"
replay 0 --check --stats "$trace"
replayed "all equal, no invariant broken"
replayed "leased 0 of"

say "no secret and no name is in it"
for secret in hunter2 reader film first 127.0.0.1 @; do
    ! grep -qF -- "$secret" "$trace" || fail "'$secret' is in the trace: $(grep -F -- "$secret" "$trace" | head -n 3)"
done

say "one order changed: exactly that line is named"
line=$(grep -nE ' > start ' "$trace" | sed -n 40p)
line=${line%%:*}
sed "${line}s/> start o\([0-9]*\)/> start o9\1/" "$trace" >"$tmp/changed"
replay 1 "$tmp/changed"
replayed "line $line, at "
[[ $(grep -c '^line ' "$tmp/replayed") == 1 ]] || fail "more than one line is named"
replayed "$(sed -n "${line}p" "$trace")" # as what came instead
replay 0 --until $((line - 1)) "$tmp/changed"
replay 2 "$tmp/x.nzb"
replayed "line 1: "

say "a process that was killed leaves a trace up to there"
up "$tmp/x.nzb" -o "trace=$trace"
reads_well "$film" 0 $part "$source"
wait_for_line "$trace" ' > end o[0-9.]+ done$'
kill -KILL "$daemon"
wait_gone "$daemon"
fusermount3 -u "$mnt" 2>/dev/null || fusermount3 -uz "$mnt"
replay 0 --check "$trace"
replayed "has no last line"
head -c -3 "$trace" >"$tmp/cut"
replay 0 --check "$tmp/cut"
replayed "is cut off, and left out"

# Where FILE may not grow as it would: the mount does not mind.
ends_early() { # FILE WHY
    same "$film" "$tmp/small"
    down
    [[ $(tail -n 1 "$1") == "lost $2" ]] || fail "the trace ends with: $(tail -n 1 "$1")"
    replay 0 --check "$1"
    replayed "the trace ends early: $2"
    replayed "all equal"
}
random_file "$tmp/small" 4000000
start_newsd many --part-size 4000 --nzb "$tmp/many.nzb" "$tmp/small"
rm "$conf"
provider many
film=$mnt/small

say "a limit on the size of files"
(ulimit -f 20 && "$NZBFS" mount "$tmp/many.nzb" "$mnt" -c "$conf" -o "trace=$tmp/limited") || fail "status $?"
mounts+=("$mnt")
daemon_find
ends_early "$tmp/limited" "File too large"

mkdir "$tmp/disk"
if mount -t tmpfs -o size=48k none "$tmp/disk" 2>/dev/null; then
    say "a full disk"
    mounts+=("$tmp/disk")
    mount_nzb "$tmp/many.nzb" "$mnt" -o "trace=$tmp/disk/x.trace"
    daemon=${mount_pid[$mnt]}
    ends_early "$tmp/disk/x.trace" "No space left on device"
    [[ $(grep -c "x.trace: No space left on device; the trace ends there" "$tmp/mnt.log") == 1 ]] ||
        fail "the log says: $(<"$tmp/mnt.log")"
    umount "$tmp/disk"
fi

#!/bin/bash
# Sixteen readers of several files at once, in bounded memory; and mounts that are taken away from under them.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
skip_unless_fuse
need openssl python3

budget=64 # MiB of cache
room=40   # MiB for all else
size=$(by_build 200000000 24000000)
for i in 1 2 3 4; do
    random_file "$tmp/film$i.mkv" $((size / i)) "$i"
done
start_newsd main --nzb "$tmp/x.nzb" "$tmp"/film*.mkv
provider main connections=12
setting cache memory=${budget}M

# A reader, on its own: one pass in sequence, so many places, or one pass after the other until $tmp/enough is
# there; all compared with the source's bytes.
cat >"$tmp/reader.py" <<'END'
import os, random, sys
mounted, source, how, seed = sys.argv[1:5]
have, want = os.open(mounted, os.O_RDONLY), os.open(source, os.O_RDONLY)
print("open", flush=True)
size = os.fstat(have).st_size
assert size == os.fstat(want).st_size, size
random.seed(int(seed))
def compare(off, n):
    a, b = os.pread(have, n, off), os.pread(want, n, off)
    while len(a) < len(b):
        more = os.pread(have, n - len(a), off + len(a))
        assert more, f"{mounted} ends at {off + len(a)}"
        a += more
    assert a == b, f"{mounted}: other bytes at {off}"
if how.startswith("/"):
    while not os.path.exists(how):
        for off in range(0, size, 1 << 20):
            compare(off, 1 << 20)
elif how == "sequence":
    for off in range(0, size, 1 << 20):
        compare(off, 1 << 20)
else:
    for _ in range(int(how)):
        off = random.randrange(size)
        compare(off, random.randrange(1, 300000))
END

peak_mib() {
    awk '/^VmHWM:/ { print int($2 / 1024) + 1 }' "/proc/$daemon/status"
}

# readers_start COUNT HOW...: readers of all files, each HOW in turn; their ids are in $readers.
readers_start() {
    local i n count=$1
    local -a how=("${@:2}")
    readers=()
    rm -f "$tmp"/reader.[0-9]*
    for ((i = 0; i < count; i++)); do
        n=$((i % 4 + 1))
        python3 "$tmp/reader.py" "$mnt/film$n.mkv" "$tmp/film$n.mkv" "${how[i / 4 % ${#how[@]}]}" "$i" \
            >"$tmp/reader.$i.out" 2>"$tmp/reader.$i.log" &
        readers+=($!)
        pids+=($!)
    done
}

readers_end_well() {
    local i
    for i in "${!readers[@]}"; do
        wait "${readers[i]}" || fail "reader $i: $(tail -n 1 "$tmp/reader.$i.log")"
    done
}

# Memory of a sanitized build says nothing.
memory_is_bounded() {
    local peak
    peak=$(peak_mib)
    say "  peak of $peak MiB"
    [[ -n ${NZBFS_TEST_SANITIZER:-} ]] || ((peak <= budget + room)) ||
        fail "$1: $peak MiB resident, with a cache of $budget MiB"
}

say "one reader, in sequence"
up "$tmp/x.nzb"
readers_start 1 sequence
readers_end_well
memory_is_bounded "one reader"
down

say "sixteen readers, in sequence and at random"
up "$tmp/x.nzb"
readers_start 16 sequence 150 60 30
readers_end_well
memory_is_bounded "sixteen readers"
down

all_read() { # all have opened their file, and bytes have come since there were $before
    (($(cat "$tmp"/reader.*.out | wc -l) == 16)) || return 1
    newsd_stat main bytes_sent
    ((answer > before + 5000000))
}

reading() { # sixteen readers are at it until $tmp/enough is there
    newsd_stat main bytes_sent && before=$answer
    rm -f "$tmp/enough"
    readers_start 16 "$tmp/enough"
    wait_until "they read" 60 all_read
}

gone() { # the process ends by itself and well, and nothing is left
    wait_gone "$daemon" 20
    ! is_mounted "$mnt" || fail "$1: a mount is left"
    touch "$tmp/enough" # the kernel may go on serving what it has
    for i in "${readers[@]}"; do
        wait_gone "$i" 20
        wait "$i" 2>/dev/null || true
    done
    [[ -z $(ls -A "$mnt") ]] || fail "$1: something is left at the mountpoint"
}

say "a busy mount is not unmounted, unless lazily: then the readers finish first"
up "$tmp/x.nzb"
reading
! fusermount3 -u "$mnt" 2>/dev/null || fail "a busy mount was unmounted"
fusermount3 -uz "$mnt" || fail "fusermount3 -uz"
! is_mounted "$mnt" || fail "after fusermount3 -uz it is mounted"
is_running "$daemon" || fail "nzbfs went away under its readers"
touch "$tmp/enough"
readers_end_well
gone "fusermount3 -uz"

say "umount -l"
if ((EUID == 0)); then
    up "$tmp/x.nzb"
    reading
    umount -l "$mnt"
    touch "$tmp/enough"
    readers_end_well
    gone "umount -l"
fi

for signal in TERM INT; do
    say "SIG$signal while they read"
    mount_nzb "$tmp/x.nzb" "$mnt"
    daemon=${mount_pid[$mnt]}
    reading
    kill "-$signal" "$daemon"
    gone "SIG$signal"
    wait "$daemon" || fail "after SIG$signal the status is $?"
done

say "readers that are killed while they read"
up "$tmp/x.nzb"
reading
kill -KILL "${readers[@]}"
for i in "${readers[@]}"; do
    wait "$i" 2>/dev/null || true
done
reads_well "$mnt/film4.mkv" 1000000 3000000 "$tmp/film4.mkv"
memory_is_bounded "readers that were killed"
down

#!/bin/bash
# Players that seek in many files while articles are missing, damaged and misplaced, and servers fall silent,
# go away and come back: never a wrong byte or size, never a call that waits much longer than read_timeout.
# Afterwards all is readable, nothing was kept, and memory is within bounds.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
skip_unless_fuse
SEEKER=${SEEKER:-mount_seeker}
need "$SEEKER"
timeout_s=2

src=$tmp/src
mkdir "$src"
for k in 1 2 3 4 5 6; do
    random_file "$src/f$k" $((k * $(by_build 2500000 800000) + k * 777)) $k
done
random_file "$src/tiny" 1 9
shape=(--part-size "$(by_build 300000 100000)" --uneven)
start_newsd main "${shape[@]}" --nzb "$tmp/x.nzb" "$src"/*
start_newsd spare "${shape[@]}" "$src"/*
provider main connections=6
provider spare connections=4 tier=1
setting mount "read_timeout=$timeout_s"
setting cache memory=16M
setting timeouts connect=1 stall=1

seek() { # READS: four players; a call may take three timeouts, for the slowest of machines
    "$SEEKER" "$mnt" "$src" 4 "$1" $((timeout_s * 3)) >"$tmp/seeker" 2>"$tmp/seeker.log" || {
        tail -n 20 "$tmp/seeker.log" >&2
        fail "$(tail -n 1 "$tmp/seeker")"
    }
    tail -n 1 "$tmp/seeker"
}
goes_on() { # until it has made some more reads, or is at its end
    local before
    before=$(stat -c %s "$tmp/seeker")
    wait_until "the readers go on" 60 eval \
        "! is_running $seeker || (( \$(stat -c %s '$tmp/seeker') > $before ))"
}

mount_nzb "$tmp/x.nzb" "$mnt" -o early=no # every byte is proven before it is given out
say "in calm"
seek "$(by_build 400 150)"
[[ $(tail -n 1 "$tmp/seeker") == *" 0 errors"* ]] || fail "errors where nothing is wrong"

say "articles that lack, lie or are damaged at the first server are had from the second"
for k in 1 2 3 4 5 6; do
    newsd_say main fault "file/f$k/2" 430
    newsd_say main fault "file/f$k/4" bad-crc
    newsd_say main fault "file/f$k/5" bad-part
    newsd_say main fault "file/f$k/7" close-mid
done
seek "$(by_build 400 150)"
[[ $(tail -n 1 "$tmp/seeker") == *" 0 errors"* ]] || fail "errors where another server has it"

say "and the servers come and go"
seek "$(by_build 500 200)" &
seeker=$!
pids+=("$seeker")
: >>"$tmp/seeker"
while is_running "$seeker"; do
    for trouble in "down up" "stall unstall" "silent loud" "drop drop"; do
        newsd_say main "${trouble% *}"
        goes_on
        newsd_say spare "${trouble% *}"
        newsd_say main "${trouble#* }"
        goes_on
        newsd_say spare "${trouble#* }"
        goes_on
    done
done
wait "$seeker" || fail "in the storm"

say "afterwards all is there"
newsd_say main clear
for f in "$src"/*; do
    wait_until "${f##*/} is read again" 30 cmp -s "$f" "$mnt/${f##*/}"
done
if [[ -z ${NZBFS_TEST_SANITIZER:-} ]]; then
    peak=$(awk '/^VmHWM/ { print $2 }' "/proc/${mount_pid[$mnt]}/status")
    ((peak <= (16 + 40) * 1024)) || fail "it took $peak KiB"
fi
unmount "$mnt"

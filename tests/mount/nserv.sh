#!/bin/bash
# Files from a news server that is not ours, nzbget's, plain and over TLS: the same bytes by sha256, at random
# places, and with a first server that has not got everything. NZBFS_TEST_SIZE is the size of the large file
# (lib.sh tells what is peculiar about this server).
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
skip_unless_fuse
need nzbget openssl numfmt

size=$(numfmt --from=iec "${NZBFS_TEST_SIZE:-$(by_build 64M 12M)}")
data=$tmp/data
mkdir -p "$data/set" "$tmp/half/set"
random_file "$data/large.bin" "$size" 1
random_file "$data/set/a & b.bin" 1234567 2
random_file "$data/set/other.bin" 3000001 3
nserv_nzbs "$data" 500000
sum=$(sha256sum <"$data/large.bin")

# The first server has one file of the set and nothing else: 430 to all other articles.
cp "$data/set/other.bin" "$tmp/half/set/"

whole() {
    local off len i
    [[ $(stat -c %s "$mnt/large.bin") == "$size" ]] || fail "the size is $(stat -c %s "$mnt/large.bin")"
    for i in {1..20}; do
        pick $((size - 200000)) && off=$picked
        pick 200000 && len=$((picked + 1))
        reads_well "$mnt/large.bin" "$off" "$len" "$data/large.bin"
    done
    [[ $(sha256sum <"$mnt/large.bin") == "$sum" ]] || fail "sha256 differs"
}

set_of_two() {
    [[ $(ls "$mnt") == $'a & b.bin\nother.bin' ]] || fail "the set is: $(ls "$mnt")"
    same "$mnt/a & b.bin" "$data/set/a & b.bin"
    same "$mnt/other.bin" "$data/set/other.bin"
}

for how in plain tls; do
    tls=()
    [[ $how == plain ]] || tls=(tls)
    start_nserv "$how" "$data" "${tls[@]}"
    start_nserv "half-$how" "$tmp/half" "${tls[@]}"
    : >"$conf"
    provider "$how" connections=8

    say "$how: one file of $size bytes"
    up "$data/large.bin.nzb"
    whole
    down

    say "$how: a folder, and a first server that has half of it"
    : >"$conf"
    provider "half-$how" tier=0 connections=4
    provider "$how" tier=1 connections=4
    up "$data/set.nzb"
    set_of_two
    down
    if [[ $how == plain ]]; then
        say "with the first server alone, the file that it lacks is an error and the other is there"
        stop_nserv "$how"
        : >"$conf"
        provider "half-$how"
        up "$data/set.nzb"
        same "$mnt/other.bin" "$data/set/other.bin"
        if cat "$mnt/a & b.bin" >/dev/null 2>"$tmp/err"; then
            fail "a file that no server has was read"
        fi
        grep -q 'Input/output error' "$tmp/err" || fail "it said: $(<"$tmp/err")"
        down
    fi
done

say "segments missing at the first, present at the second"
part=$(by_build 750000 100000)
start_newsd first --part-size "$part" --missing-every 3 --nzb "$tmp/x.nzb" "$data/large.bin"
start_newsd second --part-size "$part" "$data/large.bin"
: >"$conf"
provider first tier=0
provider second tier=1
up "$tmp/x.nzb"
# Counted over one pass from beginning to end: a file larger than the cache may cost a segment twice when it is
# read here and there first.
[[ $(sha256sum <"$mnt/large.bin") == "$sum" ]] || fail "sha256 differs"
newsd_stat second body
lacking=$((size / part / 3)) # the last part, were it one of them, is no more than one
((answer >= lacking && answer <= lacking + 1)) || fail "the second was asked for $answer articles, not $lacking"
whole
down

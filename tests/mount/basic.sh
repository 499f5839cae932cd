#!/bin/bash
# What a mount is for: names, exact sizes, the same bytes in any order, by many readers; read-only; and an
# end without remains.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
skip_unless_fuse
need openssl

size=20000000
posted=$tmp/posted
mkdir "$posted"
random_file "$posted/film.mkv" $size 1
random_file "$posted/one byte.bin" 1 2
random_file "$posted/exactly one part.bin" 750000 3
seq 1 200000 >"$posted/numbers (1).csv"

sizes_and_contents() {
    local f
    (cd "$posted" && stat -c '%n %s' -- *) >"$tmp/want"
    (cd "$mnt" && stat -c '%n %s' -- *) >"$tmp/have"
    same "$tmp/want" "$tmp/have"
    for f in "$posted"/*; do
        same "$f" "$mnt/${f##*/}"
    done
    cp -- "$mnt/film.mkv" "$tmp/copy"
    same "$tmp/copy" "$posted/film.mkv"
}

# Any place and length, and around the boundaries of parts.
places() {
    local i off len
    for i in {1..60}; do
        pick $size && off=$picked
        pick 100000 && len=$((picked * (i % 7 + 1) + 1))
        ((i % 5)) || off=$((off / 750000 * 750000 + 749999))
        ((off < size)) || off=$((size - 1))
        ((off + len <= size)) || len=$((size - off))
        same_range "$mnt/film.mkv" "$posted/film.mkv" "$off" "$len"
    done
}

sixteen_readers() {
    local -a readers=()
    local i
    for i in {1..16}; do
        cmp -s -- "$mnt/film.mkv" "$posted/film.mkv" &
        readers+=($!)
    done
    for i in "${readers[@]}"; do
        wait "$i" || fail "one of sixteen readers saw other bytes"
    done
}

refused() { # COMMAND...: it fails, because the file system is read-only
    if "$@" 2>"$tmp/err"; then
        fail "$* succeeded"
    fi
    grep -q 'Read-only file system' "$tmp/err" || fail "$*: $(<"$tmp/err")"
}

for tls in "" --tls; do
    say "over ${tls:-plain TCP}"
    start_newsd "main$tls" ${tls:+"$tls"} --nzb "$tmp/posted.nzb" "$posted"/*
    : >"$conf"
    provider "main$tls"
    up "$tmp/posted.nzb"
    sizes_and_contents
    places
    sixteen_readers
    refused touch "$mnt/new"
    refused dd if=/dev/null of="$mnt/film.mkv" conv=notrunc
    refused rm -f "$mnt/film.mkv"
    refused mkdir "$mnt/dir"
    refused mv "$mnt/film.mkv" "$mnt/other"
    down
    [[ -z $(ls -A "$mnt") ]] || fail "something is left at the mountpoint"
done

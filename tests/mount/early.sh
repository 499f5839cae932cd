#!/bin/bash
# A reader that begins, or jumps, gets bytes while their article is still coming: the server stops in the
# middle of each, and the reader does not notice.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
skip_unless_fuse
need openssl getfattr

part=1000000 parts=12
size=$((part * parts - 4321))
film=$mnt/film.mkv source=$tmp/film.mkv
random_file "$source" $size

# Bytes of a held article, read with a time limit that only a reader who waits for its end would meet.
expect_piece() { # OFFSET LENGTH
    timeout 30 dd if="$film" bs="$2" count=1 skip="$1" iflag=skip_bytes,fullblock status=none >"$tmp/got" ||
        fail "bytes from $1 on did not come while their article was held"
    cmp -s -n "$2" -i "$1:0" "$source" "$tmp/got" || fail "wrong bytes from $1 on"
}

start_newsd main --part-size $part --nzb "$tmp/x.nzb" "$source"
provider main connections=4
newsd_say main hold

say "the size and the first bytes of a cold file, its article held in the middle"
up "$tmp/x.nzb" -o readahead=0,early=yes
[[ $(timeout 30 stat -c %s "$film") == "$size" ]] || fail "the size did not come"
expect_piece 0 65536

say "a jump into the middle of a file"
at=$((7 * part / 4096 * 4096 + 4096)) # the first page that is all in that article
expect_piece $at 65536
expect_piece $((at + 102400)) 4096
newsd_stat main body
((answer == 2)) || fail "$answer articles for two places"

say "the rest comes when the server goes on, and every byte is right"
newsd_say main release
same "$film" "$source"
newsd_stat main body
((answer == parts)) || fail "$answer articles asked for, not $parts"
down

say "a connection that breaks behind what was given out: another brings the rest"
newsd_say main fault file/film.mkv/1 close-mid 1
up "$tmp/x.nzb" -o readahead=0,early=yes
expect_piece 0 65536
same "$film" "$source"
! getfattr -n user.nzbfs.disowned "$film" 2>/dev/null || fail "true bytes are disowned"
down

say "early=no: nothing is given out of a held article"
newsd_say main clear
newsd_say main hold
up "$tmp/x.nzb" -o readahead=0,early=no,read_timeout=2
! timeout 30 dd if="$film" bs=4096 count=1 status=none >"$tmp/got" 2>"$tmp/err" || fail "bytes came"
newsd_say main release
down

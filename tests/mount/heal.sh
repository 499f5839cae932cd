#!/bin/bash
# What lacks or is damaged at one provider comes from the next. What none has is an error for the reads that
# need it, to the byte, and for nothing else. Every byte is proven before it is given out here (early=no); what
# happens otherwise is early.sh's story.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
skip_unless_fuse
need openssl getfattr

part=100000 parts=40
size=$((part * parts - 1234))
film=$mnt/film.mkv source=$tmp/film.mkv
random_file "$source" $size

asked() { # SERVER WHAT COUNT
    newsd_say "$1" asked "$2"
    ((answer == $3)) || fail "$1 was asked for $2 $answer times, not $3"
}

run() { # COMMAND...: $status, and standard error in $tmp/err
    status=0
    "$@" >"$tmp/stdout" 2>"$tmp/err" || status=$?
}

start_newsd first --part-size $part --missing-every 3 --nzb "$tmp/x.nzb" "$source"
start_newsd second --part-size $part "$source"
for n in 5 10 20 25 35 40; do
    newsd_say first fault "file/film.mkv/$n" bad-crc
done
newsd_say first fault file/film.mkv/7 short
newsd_say first fault file/film.mkv/8 no-yend
newsd_say first fault file/film.mkv/11 garbage
newsd_say first fault file/film.mkv/13 bad-part
newsd_say first fault file/film.mkv/14 uuencode
newsd_say first fault file/film.mkv/16 403

say "missing and damaged at the first, whole at the second"
provider first tier=0
provider second tier=1
setting "class streaming" hedge=0 # what is late is asked for twice, and who was asked how often is counted here
up "$tmp/x.nzb" -o early=no
same "$film" "$source"
for ((n = 1; n <= parts; n++)); do
    case $n in
    5 | 7 | 8 | 10 | 11 | 13 | 14 | 16 | 20 | 25 | 35 | 40) asked second "file/film.mkv/$n" 1 ;;
    *) asked second "file/film.mkv/$n" $((n % 3 == 0)) ;;
    esac
done
down

say "the first provider's connections break off in the middle: nobody sees it"
newsd_say first clear
newsd_say first fault file/film.mkv/4 close-mid 1
newsd_say first fault file/film.mkv/9 reset-mid 1
newsd_say first fault file/film.mkv/21 400 1
up "$tmp/x.nzb" -o early=no
same "$film" "$source"
down

# The bytes [bad, end) are those of one part.
n=17
bad=$((part * (n - 1))) end=$((part * n))

one_hole() { # KIND: what holds for a handle opened after the error has been seen
    local here=$1
    reads_badly "$film" $bad 1
    reads_well "$film" 0 $bad "$source"
    reads_well "$film" $end $((size - end)) "$source"
    reads_well "$film" $((bad - 1)) 1 "$source"
    reads_badly "$film" $((end - 1)) 1
    reads_badly "$film" $((bad - 1)) 2
    reads_well "$film" $end 1 "$source"
    run cp "$film" "$tmp/copy"
    ((status != 0)) || fail "cp over a $here part succeeded"
    grep -q 'Input/output error' "$tmp/err" || fail "cp over a $here part: $(<"$tmp/err")"
    same_range "$tmp/copy" "$source" 0 "$(stat -c %s "$tmp/copy")"
}

say "missing at both: EIO there and nowhere else"
newsd_say first fault "file/film.mkv/$n" 430
newsd_say second fault "file/film.mkv/$n" 430
up "$tmp/x.nzb" -o early=no
# Opened before anyone knew: the kernel fills whole pages, so only those that the part touches are lost.
exec {before}<"$film" {behind}<"$film"
reads_badly "$film" $bad $part
range_of /proc/self/fd/$before 0 $((bad / 4096 * 4096)) >"$tmp/bytes"
same_range "$tmp/bytes" "$source" 0 $((bad / 4096 * 4096))
dd bs=4096 skip=$((end / 4096 + 1)) count=10 status=none <&$behind |
    cmp -i "0:$(((end / 4096 + 1) * 4096))" -n 40960 - "$source" || fail "behind the hole: other bytes"
exec {before}<&- {behind}<&-
one_hole missing
[[ $(getfattr --absolute-names --only-values -n user.nzbfs.missing "$film") == 1 ]] || fail "user.nzbfs.missing does not tell"
run "$NZBFS" cat -c "$conf" "$tmp/x.nzb" film.mkv
((status == 1)) && grep -q "film.mkv" "$tmp/err" || fail "nzbfs cat: $status, $(<"$tmp/err")"
[[ $(stat -c %s "$tmp/stdout") == "$bad" ]] || fail "nzbfs cat stopped at $(stat -c %s "$tmp/stdout"), not $bad"
same_range "$tmp/stdout" "$source" 0 $bad
run "$NZBFS" get -c "$conf" "$tmp/x.nzb" -d "$tmp/to"
((status == 1)) && grep -q "film.mkv" "$tmp/err" || fail "nzbfs get: $status, $(<"$tmp/err")"
[[ ! -e $tmp/to/film.mkv ]] || fail "nzbfs get made a file with a hole"
down

say "missing at both, with missing=zeros"
up "$tmp/x.nzb" -o early=no,missing=zeros
cp "$film" "$tmp/copy"
{ range_of "$source" 0 $bad; head -c $part /dev/zero; range_of "$source" $end $((size - end)); } >"$tmp/zeroed"
same "$tmp/copy" "$tmp/zeroed"
[[ $(getfattr --absolute-names --only-values -n user.nzbfs.zeroed "$film") == "$part" ]] || fail "user.nzbfs.zeroed does not tell"
down

for kind in bad-crc short no-yend garbage uuencode; do
    say "$kind at both: the same, and never zeros"
    newsd_say first fault "file/film.mkv/$n" "$kind"
    newsd_say second fault "file/film.mkv/$n" "$kind"
    up "$tmp/x.nzb" -o early=no
    reads_badly "$film" $bad $part
    one_hole "$kind"
    down
    up "$tmp/x.nzb" -o early=no,missing=zeros
    reads_badly "$film" $bad $part
    reads_well "$film" $((end / 4096 * 4096 + 4096)) 200000 "$source"
    reads_well "$film" 0 $((bad / 4096 * 4096)) "$source"
    down
done

say "missing at one and damaged at the other is damaged, and heals when the post does"
newsd_say first fault "file/film.mkv/$n" 430
newsd_say second fault "file/film.mkv/$n" bad-crc
up "$tmp/x.nzb" -o early=no,missing=zeros
reads_badly "$film" $bad $part
newsd_say second clear
down
up "$tmp/x.nzb" -o early=no
same "$film" "$source"
down

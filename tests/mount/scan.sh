#!/bin/bash
# Programs that only look around cost the articles that hold what they read, and next to nothing else: whatever
# the kernel or a window would have liked to read ahead.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
skip_unless_fuse
need ffmpeg ffprobe strace openssl awk perl

part=100000

# What a program that was traced has read of the file on its descriptor, as "offset length" lines; what stood
# behind the end is not among them.
reads_of() { # TRACE FILE
    awk -v file="$2" '
        /^[0-9 ]*openat\(/ && index($0, "\"" file "\"") { fd = $NF; at[fd] = 0; next }
        { call = $0; sub(/^[0-9 ]+/, "", call); n = $NF }
        match(call, /^(read|lseek|pread64|close)\([0-9]+/) {
            f = substr(call, 1, RLENGTH); sub(/^[a-z0-9]+\(/, "", f)
            if (!(f in at)) next
            if (call ~ /^read\(/ && n > 0) { print at[f], n; at[f] += n }
            else if (call ~ /^lseek\(/ && n >= 0) at[f] = n
            else if (call ~ /^pread64\(/ && n > 0) { m = split(call, a, ", "); sub(/\).*/, "", a[m]); print a[m], n }
            else if (call ~ /^close\(/) delete at[f]
        }' "$1"
}

# Of such lines: how many articles hold these bytes, and in how many runs they were read.
cost_of() { # READS
    awk -v part=$part '
        { for (k = int($1 / part); k <= int(($1 + $2 - 1) / part); k++) if (!seen[k]++) articles++
          if (NR == 1 || $1 != end) runs++
          end = $1 + $2 }
        END { print articles + 0, runs + 0 }' "$1"
}

say "ffprobe, the index at the end (mp4) and cues at the end (mkv)"
ffmpeg -nostdin -v error -f lavfi -i "testsrc2=size=640x360:rate=25:duration=20" \
    -f lavfi -i "sine=frequency=440:duration=20" -c:v mpeg4 -b:v 4M -g 25 -c:a aac "$tmp/end.mp4" ||
    skip "this ffmpeg cannot make a video"
ffmpeg -nostdin -v error -i "$tmp/end.mp4" -c copy "$tmp/film.mkv"
(($(stat -c %s "$tmp/end.mp4") > 20 * part)) || fail "the video is short"
start_newsd main --part-size $part --nzb "$tmp/x.nzb" "$tmp/end.mp4" "$tmp/film.mkv"
provider main connections=6
probe() { # FILE: what a scanner asks, and a few packets from the middle, for which the cues are read
    ffprobe -v error -show_format -show_streams -show_packets -read_intervals 13%+0.2 "$1" | grep -v ^filename=
}
for name in end.mp4 film.mkv; do
    probe "$tmp/$name" >"$tmp/want"
    strace -f -qq -o "$tmp/trace" -e trace=openat,read,pread64,lseek,close \
        ffprobe -v error -show_format -show_streams -show_packets -read_intervals 13%+0.2 "$tmp/$name" \
        >"$tmp/traced" 2>"$tmp/err" || skip "strace cannot look at ffprobe here: $(<"$tmp/err")"
    reads_of "$tmp/trace" "$tmp/$name" >"$tmp/reads"
    read -r articles runs < <(cost_of "$tmp/reads")
    ((articles >= 3 && runs >= 3)) || fail "$name: ffprobe has read $articles articles in $runs runs?"
    newsd_stat main body
    before=$answer
    up "$tmp/x.nzb"
    probe "$mnt/$name" >"$tmp/have"
    same "$tmp/want" "$tmp/have"
    down
    newsd_stat main body
    cost=$((answer - before))
    say "  $name: $articles articles hold what it read in $runs runs; it cost $cost"
    ((cost <= articles + runs)) || fail "$name: $cost articles for $articles and $runs runs"
done
rm "$conf"

say "a scan of many files while a film is read: what they hold that was looked at, and the film"
many=$(by_build 200 40)
mkdir "$tmp/library"
for ((k = 0; k < many; k++)); do
    random_file "$tmp/library/$k.mkv" 350000 $((k + 2))
done
random_file "$tmp/library/film.mkv" 12000000 1
cp "$(command -v head)" "$tmp/mediainfo" # a scanner by its name
start_newsd library --part-size $part --latency 3 --nzb "$tmp/y.nzb" "$tmp"/library/*.mkv
provider library connections=6
up "$tmp/y.nzb"
dd if="$mnt/film.mkv" of="$tmp/seen" bs=64K status=none &
player=$!
for ((k = 0; k < many; k++)); do
    "$tmp/mediainfo" -c 70000 "$mnt/$k.mkv" >"$tmp/looked"
    cmp -s -n 70000 "$tmp/looked" "$tmp/library/$k.mkv" || fail "wrong bytes of $k.mkv"
done
wait $player || fail "the film could not be read"
same "$tmp/library/film.mkv" "$tmp/seen"
newsd_stat library body
say "  $answer articles for $many files and a film of 120"
((answer == many + 120)) || fail "$answer articles, not $((many + 120))"
down

say "a copy of a file that was looked at before costs each article once"
up "$tmp/y.nzb"
newsd_stat library body
before=$answer
same "$mnt/film.mkv" "$tmp/library/film.mkv"
newsd_stat library body
((answer == before + 120)) || fail "a copy cost $((answer - before)) articles, not 120"
down

say "a scanner that pauses, jumps and closes: what it touched, and nothing after any of it"
cp "$(command -v perl)" "$tmp/ffprobe" # another, by its name
cat >"$tmp/look.pl" <<'EOF'
use strict; use warnings; use Fcntl qw(SEEK_SET);
my ($name, $go) = @ARGV;
open(my $f, '<:raw', $name) or die "$name: $!";
open(my $turns, '<', $go) or die "$go: $!";
$| = 1;
sub told { my $what = shift; print "$what\n"; defined(<$turns>) or die 'nobody goes on' }
sub look { my ($at, $n) = @_; my $b = '';
    sysseek($f, $at, SEEK_SET) // die "seek: $!";
    while (length($b) < $n) { sysread($f, $b, $n - length($b), length($b)) or die "read: $!" }
    return unpack('%32C*', $b) }
told('sum ' . look(0, 350000));             # in sequence, over four articles
told('sum ' . look(5_000_000, 20000));      # one far away
close($f);
told('closed');
EOF
sum_of() { # OFFSET LENGTH
    perl -e 'open(F, "<:raw", $ARGV[0]) or die; seek(F, $ARGV[1], 0); read(F, $b, $ARGV[2]) == $ARGV[2] or die; print unpack("%32C*", $b)' \
        "$tmp/library/film.mkv" "$1" "$2"
}
printed() { # LINE
    [[ $(tail -n 1 "$tmp/looks" 2>/dev/null) == "$1" ]]
}
# Had it led to anything else, that would have been sent before this is answered: connections idle.
asked_since() { # BEFORE MARK: bodies since then, of which one is the mark's
    range_of "$mnt/$2.mkv" 0 1000 >"$tmp/bytes" || fail "the mark cannot be read"
    newsd_stat library body
    asked=$((answer - $1 - 1))
    before=$answer
}
mkfifo "$tmp/turns"
up "$tmp/y.nzb" -o readahead=32M
newsd_stat library body
before=$answer
"$tmp/ffprobe" "$tmp/look.pl" "$mnt/film.mkv" "$tmp/turns" >"$tmp/looks" 2>"$tmp/looks.err" &
looker=$!
exec 7>"$tmp/turns"
wait_until "it has read its first" 30 printed "sum $(sum_of 0 350000)"
asked_since "$before" 1
((asked == 4)) || fail "reading 350000 bytes and pausing cost $asked articles, not 4"
echo >&7
wait_until "it has read far away" 30 printed "sum $(sum_of 5000000 20000)"
asked_since "$before" 2
((asked == 1)) || fail "a jump cost $asked articles, not 1"
echo >&7
wait_until "it has closed" 30 printed closed
asked_since "$before" 3
((asked == 0)) || fail "after the close $asked articles came"
echo >&7
exec 7>&-
wait $looker || fail "the scanner: $(<"$tmp/looks.err")"
down

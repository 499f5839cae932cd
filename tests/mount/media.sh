#!/bin/bash
# A video behaves as it does on a disk: ffprobe tells the same of it, and ffmpeg finds the same frames, from the
# start and after a seek; with the index at the end (mp4) or all along (mkv).
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
skip_unless_fuse
need ffmpeg ffprobe

make() { # FILE [OPTION]...
    local to=$1
    shift
    ffmpeg -nostdin -v error -f lavfi -i "testsrc2=size=640x360:rate=25:duration=20" \
        -f lavfi -i "sine=frequency=440:duration=20" -c:v mpeg4 -b:v 4M -g 25 -c:a aac "$@" "$to" ||
        skip "this ffmpeg cannot make a video"
}
make "$tmp/end.mp4"
ffmpeg -nostdin -v error -i "$tmp/end.mp4" -c copy -movflags +faststart "$tmp/front.mp4"
ffmpeg -nostdin -v error -i "$tmp/end.mp4" -c copy "$tmp/film.mkv"
size=$(stat -c %s "$tmp/end.mp4")
((size > 3000000)) || fail "the video is $size bytes short"

probe() {
    ffprobe -v error -show_format -show_streams "$1" | grep -v '^filename='
}

# frames FILE SECONDS: checksums of ten decoded frames from there, and of the sound with them.
frames() {
    ffmpeg -nostdin -v error -ss "$2" -i "$1" -t 0.4 -f framemd5 -
}

start_newsd main --part-size 100000 --latency 5 --nzb "$tmp/x.nzb" "$tmp"/{end.mp4,front.mp4,film.mkv}
provider main connections=6
for name in end.mp4 front.mp4 film.mkv; do
    say "$name"
    up "$tmp/x.nzb" # each with nothing in any cache
    probe "$tmp/$name" >"$tmp/want"
    grep -q '^duration=20' "$tmp/want" || fail "ffprobe: $(<"$tmp/want")"
    probe "$mnt/$name" >"$tmp/have"
    same "$tmp/want" "$tmp/have"
    newsd_stat main body
    say "  probed after $answer articles in all"
    for at in 17.3 4.6 0 12; do
        frames "$tmp/$name" $at >"$tmp/want"
        (($(grep -c '^0,' "$tmp/want") >= 9)) || fail "at $at s there are too few frames: $(<"$tmp/want")"
        frames "$mnt/$name" $at >"$tmp/have"
        same "$tmp/want" "$tmp/have"
    done
    same "$mnt/$name" "$tmp/$name"
    down
done

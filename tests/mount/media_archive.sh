#!/bin/bash
# A video in a set of RAR volumes behaves as the video by itself: ffprobe tells the same of it, ffmpeg finds the same
# frames, all of them and after fifty seeks, and mpv plays it to the end; with the index at the end (mp4) or all along
# (mkv).
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
skip_unless_fuse
SETMAKER=${SETMAKER:-nzbfs-setmaker}
need ffmpeg ffprobe "$SETMAKER"

root=$tmp/root seeks=$(by_build 50 10)
mkdir "$root" "$tmp/set"
ffmpeg -nostdin -v error -f lavfi -i "testsrc2=size=480x270:rate=25:duration=20" \
    -f lavfi -i "sine=frequency=440:duration=20" -c:v mpeg4 -b:v 2M -g 25 -c:a aac "$root/end.mp4" ||
    skip "this ffmpeg cannot make a video"
ffmpeg -nostdin -v error -i "$root/end.mp4" -c copy "$root/film.mkv"
(($(stat -c %s "$root/film.mkv") > 2000000)) || fail "the video is too short for a test"

probe() {
    ffprobe -v error -show_format -show_streams "$1" | grep -v '^filename='
}

frames() { # FILE [ffmpeg's option]...
    ffmpeg -nostdin -v error "${@:2}" -i "$1" -t "${seconds:-0.2}" -f framemd5 -
}

"$SETMAKER" --volume-size 200K --recovery 1000 --root "$root" "$tmp/set" "$root" >"$tmp/volumes"
(($(wc -l <"$tmp/volumes") > 20)) || fail "there are few volumes: $(<"$tmp/volumes")"
start_newsd main --part-size 50000 --latency 5 --nzb "$tmp/x.nzb" "$tmp/set"/*
provider main connections=6

"$NZBFS" config check -c "$conf" | grep -q '^view = contents' || skip "this nzbfs shows no contents"
for name in end.mp4 film.mkv; do
    say "$name"
    up "$tmp/x.nzb" -o view=contents # each with nothing in any cache
    probe "$root/$name" >"$tmp/want"
    grep -q '^duration=20' "$tmp/want" || fail "ffprobe: $(<"$tmp/want")"
    probe "$mnt/$name" >"$tmp/have"
    same "$tmp/want" "$tmp/have"
    newsd_stat main body
    say "  probed after $answer articles in all"
    for ((i = 0; i < seeks; i++)); do
        pick 19000
        at=$((picked / 1000)).$((picked % 1000))
        frames "$root/$name" -ss "$at" >"$tmp/want"
        (($(grep -c '^0,' "$tmp/want") >= 4)) || fail "at $at s there are too few frames: $(<"$tmp/want")"
        frames "$mnt/$name" -ss "$at" >"$tmp/have"
        same "$tmp/want" "$tmp/have"
    done
    seconds=60 frames "$root/$name" >"$tmp/want"
    (($(grep -c '^0,' "$tmp/want") >= 490)) || fail "there are $(grep -c '^0,' "$tmp/want") frames"
    seconds=60 frames "$mnt/$name" >"$tmp/have"
    same "$tmp/want" "$tmp/have"
    same "$mnt/$name" "$root/$name"
    if command -v mpv >/dev/null; then
        within 120 mpv --no-config --vo=null --ao=null --untimed --no-terminal --msg-level=all=error \
            --log-file="$tmp/mpv.log" "$mnt/$name" || fail "mpv: $(tail -n 3 "$tmp/mpv.log")"
        grep -q 'EOF reached\|finished playback, success\|End of file' "$tmp/mpv.log" ||
            fail "mpv has not come to the end: $(tail -n 5 "$tmp/mpv.log")"
    fi
    down
done

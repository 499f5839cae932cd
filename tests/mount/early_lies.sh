#!/bin/bash
# heal.sh with early=yes: a first server whose articles have wrong checksums, break off or say that they are others.
# Bytes that were given out before that was known are what the second one has, so readers at random places see
# nothing of it; and an unmount in the middle ends, however it is asked for.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
skip_unless_fuse
need openssl python3 getfattr

part=100000 parts=60
film=$mnt/film.mkv source=$tmp/film.mkv
random_file "$source" $((part * parts - 1234))
start_newsd first --part-size $part --nzb "$tmp/x.nzb" "$source"
start_newsd second --part-size $part "$source"
kinds=(bad-crc close-mid short bad-part garbage no-yend)
for ((n = 1; n <= parts; n += 2)); do
    newsd_say first fault "file/film.mkv/$n" "${kinds[n / 2 % 6]}"
done
provider first tier=0
provider second tier=1

cat >"$tmp/read.py" <<'END'
import os, random, sys
film, source, part, seed, reads = sys.argv[1], open(sys.argv[2], "rb").read(), int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
random.seed(seed)
right = wrong = errors = 0
bad = set()
if os.stat(film).st_size != len(source):
    sys.exit("a wrong size")
fd = os.open(film, os.O_RDONLY)
for _ in range(reads):
    off, n = random.randrange(len(source)), random.choice((1, 5000, 70000, 200000))
    try:
        got = os.pread(fd, n, off)
    except OSError as e:
        if e.errno not in (5,):
            sys.exit(f"{e} at {off}" if e.errno not in (103, 107) else 0)
        errors += 1
        continue
    if got == source[off:off + n]:
        right += 1
        continue
    wrong += 1
    bad |= {k // part for k in range(off, min(off + n, len(source))) if got[k - off:k - off + 1] != source[k:k + 1]}
if os.stat(film).st_size != len(source):
    sys.exit("a wrong size is left")
print(f"{right} right, {wrong} wrong, {errors} errors; bad segments: {' '.join(map(str, sorted(bad)))}")
END

say "random readers see true bytes and no error"
up "$tmp/x.nzb" -o early=yes
python3 "$tmp/read.py" "$film" "$source" $part 1 "$(by_build 400 100)" >"$tmp/got" || fail "$(<"$tmp/got")"
cat "$tmp/got"
[[ $(<"$tmp/got") == *" 0 wrong, 0 errors;"* ]] || fail "what the second server has whole is not read well"
# An attempt that begins while a reply with bytes of the last one is being written does not write over them: they are
# then fetched anew, and count as disowned though they are true: one segment in one run of fourteen.
n=$(getfattr --absolute-names --only-values -n user.nzbfs.disowned "$film" 2>"$tmp/err") || n=0
((n <= 3)) || fail "true bytes of $n segments are disowned"
down

for how in TERM lazy TERM lazy; do
    say "unmounted in the middle: $how"
    up "$tmp/x.nzb" -o early=yes
    pid=$daemon readers=()
    for ((k = 0; k < 4; k++)); do
        python3 "$tmp/read.py" "$film" "$source" $part $k 100000 >"$tmp/reader.$k" 2>&1 &
        readers+=($!) pids+=($!)
    done
    asked_enough() { newsd_stat first body; ((answer > 20)); }
    wait_until "the readers are at it" 20 asked_enough
    case $how in
    TERM) kill -TERM "$pid" ;;
    lazy) fusermount3 -uz "$mnt" ;;
    esac
    [[ $how == TERM ]] || kill "${readers[@]}"
    wait_gone "$pid" 30 || fail "it does not end"
    for r in "${readers[@]}"; do
        kill "$r" 2>"$tmp/err" || :
        wait "$r" || :
    done
done

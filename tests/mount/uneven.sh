#!/bin/bash
# Parts of uneven size, with a size that no NZB tells: what =ypart says places every byte. And posts whose
# NZB has gaps, or whose parts lie about where they belong.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
skip_unless_fuse
need openssl

size=9876543
film=$mnt/film.mkv source=$tmp/film.mkv
random_file "$source" $size
random_file "$tmp/small.bin" 70000 2
start_newsd first --uneven --part-size 150000 --nzb "$tmp/x.nzb" "$source" "$tmp/small.bin"
start_newsd second --uneven --part-size 150000 "$source" "$tmp/small.bin"
provider first tier=0
provider second tier=1
parts=$(grep -c '<segment ' <(sed '/<\/file>/q' "$tmp/x.nzb"))
((parts > 60 && parts < 130)) || fail "only $parts parts"

# Fresh mounts, each with its first look at another place: nothing is known yet of any part but one.
say "the first look, anywhere"
for off in $((size - 1)) $((size / 2)) 1 $((size - 150001)) 2000000; do
    up "$tmp/x.nzb"
    [[ $(stat -c %s "$film") == "$size" ]] || fail "the size is $(stat -c %s "$film")"
    reads_well "$film" "$off" 1 "$source"
    len=$((size - off < 300000 ? size - off : 300000))
    reads_well "$film" "$off" "$len" "$source"
    down
done

say "in sequence, backwards, and at random"
up "$tmp/x.nzb"
same "$film" "$source"
same "$mnt/small.bin" "$tmp/small.bin"
down
up "$tmp/x.nzb"
for ((off = size - 98765; off >= 5000000; off -= 612345)); do
    reads_well "$film" "$off" 98765 "$source"
done
for _ in {1..40}; do
    pick $size && off=$picked
    pick 200000 && len=$((picked + 1))
    ((off + len <= size)) || len=$((size - off))
    reads_well "$film" "$off" "$len" "$source"
done
down

say "parts that lie about their place at one provider"
for n in 1 2 20 21 40 $((parts - 1)) "$parts"; do
    newsd_say first fault "file/film.mkv/$n" bad-part
done
for off in $((size / 3)) $((size - 1)) 0; do
    up "$tmp/x.nzb"
    reads_well "$film" "$off" 1 "$source"
    same "$film" "$source"
    down
done

say "the same when nobody tells the truth: an error, never other bytes"
newsd_say second fault file/film.mkv/20 bad-part
up "$tmp/x.nzb"
if cp "$film" "$tmp/copy" 2>"$tmp/err"; then
    fail "a file with a part of another place was copied"
fi
same_range "$tmp/copy" "$source" 0 "$(stat -c %s "$tmp/copy")"
reads_well "$film" $((size - 1000)) 1000 "$source"
down
newsd_say first clear
newsd_say second clear

# Taking lines out of the NZB leaves gaps in its numbers: those bytes are nowhere, all others are right.
say "an NZB with gaps"
sed -E '/>part(30|31|50)of/d' "$tmp/x.nzb" >"$tmp/gaps.nzb"
up "$tmp/gaps.nzb"
[[ $(stat -c %s "$film") == "$size" ]] || fail "the size with gaps is $(stat -c %s "$film")"
python3 - "$film" "$source" <<'END' || fail "with gaps, other bytes or errors"
# Every byte is read by itself in blocks of 5000; what is right is right, and what is not is an error.
import os, sys
film, source = os.open(sys.argv[1], os.O_RDONLY), open(sys.argv[2], "rb").read()
good = bad = 0
for off in range(0, len(source), 5000):
    want = source[off:off + 5000]
    try:
        have = os.pread(film, 5000, off)
    except OSError as e:
        assert e.errno == 5, e
        bad += 1
        continue
    assert have == want[:len(have)] and have, off
    good += 1
print(f"{good} blocks right, {bad} errors")
assert 40 <= bad <= 110 and good + bad == (len(source) + 4999) // 5000
END
down

say "an NZB without its last part: the rest can be read"
sed -E "/>part${parts}of$parts/d" "$tmp/x.nzb" >"$tmp/cut.nzb"
up "$tmp/cut.nzb"
[[ $(stat -c %s "$film") == "$size" ]] || fail "the size without the last part is $(stat -c %s "$film")"
reads_well "$film" 0 $((size - 150000)) "$source"
reads_badly "$film" $((size - 1)) 1
down

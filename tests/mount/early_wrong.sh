#!/bin/bash
# A first server that damages articles from their first line on, a second that has them whole, and readers who hold
# each byte against the truth. Wrong bytes may be given out once: before their article has ended, in the first
# mebibyte of a run, and never with a segment's last byte. When that has come, or its error, they are never read
# again, neither past the kernel's cache nor out of it.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
skip_unless_fuse
need openssl python3 getfattr

part=100000 parts=20 files=$(by_build 24 10)
src=$tmp/src
mkdir "$src"
for ((k = 0; k < files; k++)); do
    random_file "$src/f$k" $((part * parts - 1234 * (k + 1))) "$k"
done
# Slow enough that readers come before an article ends; a small cache, so that segments are fetched again and again.
start_newsd first --part-size $part --rate 5M --nzb "$tmp/x.nzb" "$src"/*
start_newsd second --part-size $part "$src"/*
for ((k = 0; k < files; k++)); do
    for ((n = 1 + k % 2; n <= parts; n += 2)); do
        newsd_say first fault "file/f$k/$n" wrong-bytes
    done
done
provider first tier=0 connections=6
provider second tier=1 connections=4
setting cache memory=16M

cat >"$tmp/read.py" <<'END'
import errno, os, random, sys, time
mnt, src, part, seed, reads, direct = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:7])
RUN = 1 << 20
random.seed(seed)
truth = {f: open(f"{src}/{f}", "rb").read() for f in sorted(os.listdir(src))}
names = list(truth)
settled = set()  # (file, segment): its last byte has been asked for and the answer was seen
counts = dict.fromkeys(("right", "wrong", "errors", "again"), 0)

def bad(f, off, got):
    """Where wrong bytes are: segments, and the first and last of them."""
    want = truth[f][off:off + len(got)]
    if got == want:
        return None
    at = [k for k in range(len(got)) if got[k] != want[k]]
    return {(off + k) // part for k in at}, off + at[0], off + at[-1]

def damaged(f, s):
    return (s + 1) % 2 != int(f[1:]) % 2

def read(f, fd, off, n, began):
    size = len(truth[f])
    n = min(n, size - off)
    try:
        got = os.pread(fd, n, off)
    except OSError as e:
        if e.errno != errno.EIO:
            sys.exit(f"{f} at {off}: {e}")
        counts["errors"] += 1
        if not any(damaged(f, s) for s in range(off // part, (off + n - 1) // part + 1)) and direct:
            sys.exit(f"{f}: an error at {off}+{n}, where nothing is damaged")
        return
    what = bad(f, off, got)
    if not what:
        counts["right"] += 1
        return
    counts["wrong"] += 1
    segments, first, last = what
    if not all(damaged(f, s) for s in segments):
        sys.exit(f"{f}: wrong bytes at {first} in {segments}, whose articles are sound")
    if not direct:
        return
    if began is not None and last >= began + RUN:
        sys.exit(f"{f}: a wrong byte at {last}, though read from {began} on")
    for s in segments:
        if off + len(got) >= min((s + 1) * part, size):
            sys.exit(f"{f}: wrong bytes from {first} on in a read that has the last byte of segment {s}")
        if (f, s) in settled:
            sys.exit(f"{f}: a wrong byte at {first}, which had been proven or refused before")

def settle(f, fd, s):
    """Its last byte waits for the proof. Then nothing of it is wrong any more: at once past the kernel's cache, soon
    out of it."""
    end = min((s + 1) * part, len(truth[f]))
    try:
        if bad(f, end - 1, os.pread(fd, 1, end - 1)) and direct:
            sys.exit(f"{f}: a wrong last byte of segment {s}")
    except OSError:
        pass
    settled.add((f, s))
    deadline = time.monotonic() + 30
    while not direct:
        try:
            if not bad(f, s * part, os.pread(fd, end - s * part, s * part)):
                return
        except OSError:
            return
        counts["again"] += 1
        if time.monotonic() > deadline:
            sys.exit(f"{f}: segment {s} stays wrong in the kernel's cache")

for turn in range(reads):
    f = random.choice(names)
    fd = os.open(f"{mnt}/{f}", os.O_RDONLY)
    if os.fstat(fd).st_size != len(truth[f]):
        sys.exit(f"{f}: a wrong size")
    if turn % 4 == 0:  # reads on from somewhere
        began = random.randrange(len(truth[f]))
        for off in range(began, min(began + 2 * RUN, len(truth[f])), 65536):
            read(f, fd, off, 65536, began)
    else:
        for _ in range(6):
            off, n = random.randrange(len(truth[f])), random.choice((1, 4096, 30000, 150000))
            read(f, fd, off, n, None)
            if random.randrange(3) == 0:
                settle(f, fd, off // part)
    os.close(fd)

# Once more, all of it: whatever was read before.
if seed == 0:
    left = 0
    for f in names:
        fd = os.open(f"{mnt}/{f}", os.O_RDONLY)
        for s in range((len(truth[f]) + part - 1) // part):
            settle(f, fd, s)
            read(f, fd, s * part, part, None)
        os.close(fd)
print(" ".join(f"{v} {k}" for k, v in counts.items()))
END

attack() { # WORDS DIRECT OPTION...
    local words=$1 direct=$2 k readers=() r disowned=0 n wrong=0
    shift 2
    say "$words"
    newsd_say first drop
    up "$tmp/x.nzb" -o "early=yes$*"
    for ((k = 1; k <= 4; k++)); do
        python3 "$tmp/read.py" "$mnt" "$src" $part $k "$(by_build 60 15)" "$direct" >"$tmp/reader.$k" 2>&1 &
        readers+=($!) pids+=($!)
    done
    for r in "${readers[@]}"; do
        wait "$r" || fail "a reader: $(cat "$tmp"/reader.?)"
    done
    python3 "$tmp/read.py" "$mnt" "$src" $part 0 0 "$direct" >"$tmp/reader.0" 2>&1 || fail "$(<"$tmp/reader.0")"
    for ((k = 0; k <= 4; k++)); do
        say "  $(<"$tmp/reader.$k")"
        [[ $(<"$tmp/reader.$k") =~ \ ([0-9]+)\ wrong ]] && wrong=$((wrong + BASH_REMATCH[1]))
    done
    for ((k = 0; k < files; k++)); do
        n=$(getfattr --absolute-names --only-values -n user.nzbfs.disowned "$mnt/f$k" 2>/dev/null) || n=0
        disowned=$((disowned + n))
    done
    say "  $wrong reads had wrong bytes, of $disowned segments in $files files"
    ((wrong > 0 && disowned > 0)) || fail "no wrong bytes were read: the attack shows nothing"
    # Who has been lied to once does not believe again: what was under way then, and no more.
    ((disowned <= files * 6)) || fail "a file goes on giving wrong bytes"
    down
}

attack "past the kernel's cache" 1 ,direct_io
attack "through the kernel's cache" 0

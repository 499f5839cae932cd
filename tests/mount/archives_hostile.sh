#!/bin/bash
# Archives made by nobody who means well: what they show stays in the mount, in bounded time and memory, and other
# NZBs of the same mount are served meanwhile; a mount whose survey waits or works ends when it is told to.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
skip_unless_fuse
need python3

set=$tmp/set nzb=$tmp/nzb
mkdir "$set" "$nzb"
cat >"$tmp/make.py" <<'END'
import os, struct, sys, zlib
out, many = sys.argv[1], int(sys.argv[2])

def vint(n):
    b = b""
    while n > 127:
        b += bytes([n & 127 | 128])
        n >>= 7
    return b + bytes([n])

def block(*fields, tail=b""):
    body = b"".join(map(vint, fields)) + tail
    head = vint(len(body)) + body
    return struct.pack("<I", zlib.crc32(head)) + head

def member(name, data=b"", size=None):
    size = len(data) if size is None else size
    return block(2, 2, size, 0, size, 0o644, 0, 1, len(name), tail=name) + data

MARK, MAIN, LAST = b"Rar!\x1a\x07\x01\x00", block(1, 0, 0), block(5, 0, 0)

def rar(name, members):
    with open(f"{out}/{name}.rar", "wb") as f:
        f.write(MARK + MAIN)
        f.writelines(members)
        f.write(LAST)

bad = [b"../../../../../../tmp/escaped", b"/etc/escaped", b"..\\..\\escaped", b"C:\\x\\y", b"C:/drive", b"a/../../b",
       b"ctl\n\t\x01\x7f.bin", "\u202egpj.bin".encode(), b"n" * 300 + b".mkv", "\u00fc".encode() * 400 + b".mkv",
       b"bad\xff\xfe.bin", b".", b"..", b"./", b"../", b"/", b".posted", b".extra", b".extra/x", b".posted/y",
       b"Case", b"case", b"CASE", b"x", b"x/y", b"x/y/z", b"x", b"d/e", b"d", b"/".join([b"p"] * 5000) + b"/f"]
rar("names", [member(n, b"<%d>" % i) for i, n in enumerate(bad)])
rar("million", (member(b"m%047d" % i) for i in range(many)))
rar("in-the-way", [member(b"a")] * (many // 20) + [member(b"a/%d" % i) for i in range(many // 20)])
rar("deep", (member(b"%d/" % i + b"d/" * 62 + b"f") for i in range(many // 50)))
rar("huge", [member(b"a", b"x" * 10, 2**63 - 1), member(b"b", b"b")])
rar("beyond", [member(b"a", b"x" * 10, 10**9)])
inner = MARK + MAIN + member(b"bomb.rar", b"q") + LAST
rar("bomb", (member(b"bomb%d.rar" % i, inner) for i in range(many // 100)))
for i in range(8): # more work than a survey does, with salts of their own
    with open(f"{out}/work{i}.rar", "wb") as f:
        f.write(MARK + block(4, 0, 0, 0, tail=bytes([24]) + bytes([i]) * 16) + bytes(2000))
rar("good", [member(b"good.bin", bytes(i * 7919 % 251 for i in range(300000)))])
END
python3 "$tmp/make.py" "$set" "$(by_build 1000000 100000)"
start_newsd main --part-size 500000 --nzb "$tmp/all.nzb" "$set"/*.rar
python3 - "$tmp/all.nzb" "$nzb" <<'END'
import re, sys
text = open(sys.argv[1]).read()
head = text[:text.index("  <file ")]
locked = re.sub(r"(<nzb[^>]*>)", r'\1<head>' + "".join(f'<meta type="password">p{i}</meta>' for i in range(20)) + "</head>", head)
nzbs = {}
for f in re.findall(r"  <file .*?</file>\n", text, re.S):
    name = re.search(r"&quot;([a-z-]+)\d*\.rar&quot;", f)[1]
    nzbs[name] = nzbs.get(name, locked if name == "work" else head) + f
for name, text in nzbs.items():
    open(f"{sys.argv[2]}/{name}.nzb", "w").write(text + "</nzb>\n")
END
provider main
setting cache memory=32M

memory() { # MIB: the most that the daemon has had
    local most
    most=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/${mount_pid[$mnt]}/status")
    [[ -n ${NZBFS_TEST_SANITIZER:-} ]] || ((most <= $1 * 1024)) || fail "$((most / 1024)) MiB of memory"
}

shown() { # NZB FILE: it is there, and files that are found can be read
    mount_nzb "$nzb/$1.nzb" "$mnt"
    within 20 ls -A "$mnt" >"$tmp/top" || fail "$1 cannot be listed"
    grep -qxF -- "$2" "$tmp/top" || fail "$1 shows no $2: $(head -n 20 "$tmp/top")"
    within 20 find "$mnt/$2" -type f -print0 >"$tmp/found" || fail "$1 cannot be searched"
    head -z -n 20 "$tmp/found" | within 20 xargs -0 -r head -qc 100 >"$tmp/bytes" || fail "$1 cannot be read"
    memory 300
    unmount "$mnt"
}

ends_at_once() { # while $lister waits for a survey
    kill -TERM "${mount_pid[$mnt]}"
    wait_gone "${mount_pid[$mnt]}" 5
    wait "$lister" || true
}

say "names"
mount_nzb "$nzb/names.nzb" "$mnt"
within 20 find "$mnt" -mindepth 1 -printf '%P\0' >"$tmp/found" || fail "bad names cannot be searched"
within 20 find "$mnt" -type f -exec cat {} + >"$tmp/bytes" || fail "what has bad names cannot be read"
[[ $(grep -ao '<[0-9]*>' "$tmp/bytes" | sort -u | wc -l) == 30 ]] || fail "not each member is shown"
python3 - "$tmp/found" <<'END' || fail "a name is not safe"
import sys, unicodedata
paths = open(sys.argv[1], "rb").read().split(b"\0")[:-1]
assert len(set(paths)) == len(paths) > 30
for path in paths:
    for name in path.decode().split("/"): # it is UTF-8
        assert name not in ("", ".", "..") and len(name.encode()) <= 255, path
        assert not any(unicodedata.category(c) in ("Cc", "Cf") for c in name), path
END
memory 100
unmount "$mnt"

say "more than there is room for, and what is not so"
[[ -n ${NZBFS_TEST_SANITIZER:-} ]] || shown million million.rar
shown huge huge.rar
shown beyond beyond.rar
shown in-the-way a
shown deep 0
shown bomb bomb.rar

say "keys that cost more than there is time for"
mkdir "$tmp/two"
cp "$nzb"/{work,good}.nzb "$tmp/two"
mount_nzb "$tmp/two" "$mnt"
ls "$mnt/work" >"$tmp/ls" 2>&1 &
lister=$!
pids+=("$lister")
within 20 cat "$mnt/good/good.bin" >"$tmp/bytes" || fail "nothing else is served meanwhile"
[[ $(stat -c %s "$tmp/bytes") == 300000 ]] || fail "what else is served is not whole"
ends_at_once

say "a silent provider"
newsd_say main silent
mount_nzb "$nzb/good.nzb" "$mnt"
ls "$mnt" >"$tmp/ls" 2>&1 &
lister=$!
pids+=("$lister")
ends_at_once
newsd_say main loud
shown good good.bin

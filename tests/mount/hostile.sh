#!/bin/bash
# NZBs made by nobody who means well: each is refused with one clear line, or shown right; in little memory,
# with no file touched outside of the mount and nothing fetched that the NZB names by itself.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
skip_unless_fuse
need openssl python3 getfattr

many=$(by_build 1000000 100000)
random_file "$tmp/a.bin" 250000 1
random_file "$tmp/b.bin" 120000 2
start_newsd main --part-size 50000 --nzb "$tmp/good.nzb" "$tmp/a.bin" "$tmp/b.bin"
provider main
start_newsd trap --generate x:1
setting cache memory=32M
mkdir "$tmp/nzb"
echo "a secret of this machine" >"$tmp/secret"
python3 - "$tmp/good.nzb" "$tmp/nzb" "$many" "$tmp/secret" "${newsd_port[trap]}" <<'END'
import gzip, os, re, sys
good, to, many = open(sys.argv[1]).read(), sys.argv[2], int(sys.argv[3])
head, files, tail = re.match(r"(.*?)(  <file .*</file>\n)(</nzb>.*)", good, re.S).groups()
xml, doctype, root = head.split("\n", 2)[0], *re.search(r"(<!DOCTYPE.*?>)\n(<nzb.*?>)", head, re.S).groups()
a, b = re.findall(r"  <file .*?</file>\n", files, re.S)
secret, trap = sys.argv[4:6]

def put(name, text, encoding="utf-8"):
    with open(f"{to}/{name}.nzb", "wb") as f:
        f.write(text if isinstance(text, bytes) else text.encode(encoding))

def nzb(*files):
    return head + "".join(files) + tail

def named(file, name):
    return re.sub(r'subject=".*?"', f'subject="&quot;{name}&quot; yEnc (1/9)"', file)

def entities(decls):
    return f"{xml}\n<!DOCTYPE nzb [{decls}]>\n{root}\n"

laughs = '<!ENTITY l0 "ha">' + "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 12))
put("laughs", entities(laughs) + named(a, "&l11;") + tail)
put("laughs-text", entities(laughs) + a.replace("alt.binaries.test", "&l11;") + tail)
put("quadratic", entities(f'<!ENTITY x "{"x" * 100000}">') + a.replace("alt.binaries.test", "&x;" * 20000) + tail)
put("external", entities(f'<!ENTITY x SYSTEM "file://{secret}">') + a.replace("alt.binaries.test", "&x;") + tail)
put("external-http", entities(f'<!ENTITY x SYSTEM "http://127.0.0.1:{trap}/x">') + a.replace("alt.binaries.test", "&x;") + tail)
put("parameter", entities(f'<!ENTITY % x SYSTEM "file://{secret}"> %x;') + a + tail)
put("xinclude", nzb(f'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file://{secret}" parse="text"/>', a))
put("truncated", nzb(a, b)[:len(head) + len(a) + 300])
put("empty", "")
put("blank", " \n\n")
put("no-files", nzb())
put("html", "<html><body>404 not found</body></html>")
put("garbage", bytes(i * 7919 % 251 for i in range(50000)))
put("nul", nzb(a).replace("alt.binaries", "alt.\0binaries"))
put("nul-behind", nzb(a) + "\0" * 100)
put("nested", head + "<x>" * 100000 + "</x>" * 100000 + tail)
put("attribute", nzb(a.replace("<file ", '<file x="' + "y" * 20000000 + '" ')))
put("attributes", nzb(a.replace("<file ", "<file " + " ".join(f'x{i}="y"' for i in range(50000)) + " ")))
put("utf-16", nzb(a, b).replace("UTF-8", "UTF-16"), "utf-16")
put("latin-1", nzb(named(a, "caf\u00e9.bin"), b).replace("UTF-8", "ISO-8859-1"), "latin-1")
put("sizes", nzb(re.sub(r'bytes="\d+"', 'bytes="-5"', a), re.sub(r'bytes="\d+"', 'bytes="99999999999999999999"', b)))
put("numbers", nzb(a, re.sub(r'number="1"', 'number="-1"', re.sub(r'number="2"', 'number="4294967297"', b))))
put("number-huge", nzb(a, b.replace('number="3"', 'number="4294967295"')))
put("traversal", nzb(named(a, "../../../../../../tmp/escaped.bin"), named(b, "/etc/escaped")))
put("dots", nzb(named(a, ".."), named(b, ".")))
put("control", nzb(named(a, "a&#10;b&#9;c&#127;.bin"), named(b, "x&#x202e;gpj.bin")))
put("long", nzb(named(a, "n" * 65536 + ".mkv"), named(b, "\u00fc" * 30000 + ".mkv")))
put("same", nzb(named(a, "same.bin"), named(b, "same.bin"), named(a, "same.bin")))
segments = re.findall(r" *<segment .*?</segment>\n", a)
def with_segments(file, which):
    return re.sub(r"(?s)(<segments>\n).*(    </segments>)", lambda m: m[1] + "".join(which) + m[2], file)
put("unordered", nzb(with_segments(a, reversed(segments)), b))
put("repeated", nzb(with_segments(a, segments + segments[1:3] + segments[:1]), b))
put("no-segments", nzb(with_segments(a, []), b))
put("ids", nzb(with_segments(a, [s.replace("part2of5.", "part2of5.&#13;&#10;QUIT&#13;&#10;") for s in segments]), b))
put("id-long", nzb(with_segments(a, segments[:1] + [s.replace("@", "@" + "x" * 100000) for s in segments[1:]]), b))
many_segments = (f'<segment bytes="700000" number="{i}">{i}.x@news.example</segment>\n' for i in range(1, many + 1))
put("many-segments", nzb(with_segments(a, many_segments), b))
same_number = (f'<segment bytes="700000" number="1">{i}.x@news.example</segment>\n' for i in range(1, many + 1))
put("one-number", nzb(with_segments(a, same_number), b))
put("many-files", nzb(*(named(a, "same.bin") for i in range(many // 50))))
with open(f"{to}/bomb.nzb.gz", "wb") as f:
    with gzip.GzipFile(fileobj=f, mode="wb", compresslevel=6) as z:
        z.write(head.encode())
        for _ in range(500):
            z.write(b" " * (1 << 20))
        z.write(b"<file")
open(f"{to}/cut.nzb.gz", "wb").write(gzip.compress(nzb(a, b).encode())[:-200])
open(f"{to}/not.nzb.gz", "wb").write(b"\x1f\x8b not gzip at all")
END

# Address space for what is tested, in KiB: what it would take without bounds is many times that.
bounded() { # KIB COMMAND...
    [[ -n ${NZBFS_TEST_SANITIZER:-} ]] || ulimit -S -v "$1"
    "${@:2}" || status=$?
    ulimit -S -v unlimited
}

# refused NZB WORDS: by every command, with one line that names the file and what is wrong with it.
refused() {
    local command
    for command in "mount $tmp/nzb/$1 $mnt" "ls $tmp/nzb/$1" "get $tmp/nzb/$1 -d $tmp/to"; do
        status=0
        # shellcheck disable=SC2086
        bounded 500000 "$NZBFS" $command -c "$conf" >"$tmp/out" 2>"$tmp/err"
        ((status == 1)) || fail "$command: status $status, $(<"$tmp/err")"
        [[ ! -s $tmp/out && $(wc -l <"$tmp/err") == 1 ]] || fail "$command said: $(<"$tmp/err")"
        [[ $(<"$tmp/err") =~ $1(:[0-9]+)?:\ .*($2) ]] || fail "$command said: $(<"$tmp/err")"
    done
    ! is_mounted "$mnt" || fail "$1 left a mount"
    [[ ! -e $tmp/to ]] || fail "$1 left a directory"
    rm "$tmp/nzb/$1"
}

outside() { # what is there beside the mount
    find "$tmp" -mindepth 1 -maxdepth 1 | sort -u
}

say "refused"
cp "$tmp"/nzb/{truncated.nzb,cut.nzb.gz} "$tmp"
refused attribute.nzb "a tag of more than"
refused attributes.nzb "more than 64 attributes"
refused blank.nzb "empty"
refused bomb.nzb.gz "two hundredfold"
refused cut.nzb.gz "cut off"
refused empty.nzb "empty"
refused garbage.nzb "cut off|not well-formed|not an NZB"
refused html.nzb "its root element is <html>"
refused nested.nzb "nested"
refused no-files.nzb "no files"
refused not.nzb.gz "gzip"
refused truncated.nzb "cut off inside"

say "shown: all others as one directory, beside two that are broken"
cp "$tmp"/{truncated.nzb,cut.nzb.gz} "$tmp/nzb"
touch "$tmp"/{before,attributes,bytes}
outside >"$tmp/before"
count=$(find "$tmp/nzb" -type f | wc -l)
look_at_clock && began=$now_ms
status=0
bounded 500000 up "$tmp/nzb" 2>"$tmp/err"
((status == 0)) || fail "the mount: $(<"$tmp/err")"
look_at_clock
say "  $count NZBs, $((now_ms - began)) ms, $(awk '/^VmHWM:/ { print $2 }' "/proc/$daemon/status") KiB"
[[ $(grep -c 'skipped$' "$tmp/err") == 2 ]] || fail "of the broken ones it says: $(<"$tmp/err")"
[[ $(ls "$mnt" | wc -l) == $((count - 2)) ]] || fail "the directory shows: $(ls "$mnt")"

# shows NZB NAME=SOURCE...: these files and no others, with the bytes of a SOURCE; without =SOURCE a file
# whose articles are nowhere: an error.
shows() {
    local pair dir=$mnt/$1 names=
    for pair in "${@:2}"; do
        names+=${pair%=*}$'\n'
    done
    [[ $(ls -U "$dir" | sort) == "$(printf %s "$names" | sort)" ]] || fail "$1 shows: $(ls "$dir")"
    for pair in "${@:2}"; do
        if [[ $pair == *= ]]; then
            reads_badly "$dir/${pair%=}" 0 100 "Input/output error"
        else
            same "$dir/${pair%=*}" "$tmp/${pair##*=}"
        fi
    done
}

shows control a_b_c_.bin=a.bin x_gpj.bin=b.bin
shows dots a.bin=a.bin b.bin=b.bin # what says nothing gives way to the name in the articles
for i in external external-http parameter xinclude quadratic laughs-text nul nul-behind; do
    shows $i a.bin=a.bin
done
shows laughs a.bin=a.bin
shows latin-1 café.bin=a.bin b.bin=b.bin
for i in utf-16 unordered repeated sizes numbers number-huge; do
    shows $i a.bin=a.bin b.bin=b.bin
done
shows no-segments b.bin=b.bin
shows many-segments a.bin= b.bin=b.bin
shows one-number a.bin= b.bin=b.bin
shows same same.bin=a.bin "same (2).bin=b.bin" "same (3).bin=a.bin"
shows long "$(printf 'n%.0s' {1..251}).mkv=a.bin" "$(printf 'ü%.0s' {1..125}).mkv=b.bin"
escaped=.._.._.._.._.._.._tmp_escaped.bin
[[ $(ls -A "$mnt/traversal" | sort) == "$(printf '%s\n' $escaped b.bin | sort)" ]] ||
    fail "traversal shows: $(ls -A "$mnt/traversal")"
same "$mnt/traversal/$escaped" "$tmp/a.bin"
[[ $(ls "$mnt/many-files" | sort -u | wc -l) == $((many / 50)) ]] || fail "files of one name are hidden"
same "$mnt/many-files/same (77).bin" "$tmp/a.bin"

# One message-id is not one, or longer than any server takes: its part cannot be had, the others can.
for i in ids id-long; do
    reads_well "$mnt/$i/a.bin" 0 40000 "$tmp/a.bin"
    reads_badly "$mnt/$i/a.bin" 60000 100
    same "$mnt/$i/b.bin" "$tmp/b.bin"
done

say "nothing was read from this machine, nor asked of another"
for i in external external-http parameter xinclude; do
    getfattr -d --absolute-names "$mnt/$i/a.bin" >"$tmp/attributes"
    grep -q 'user.nzbfs.message_count="5"' "$tmp/attributes" || fail "$i has no attributes"
    ! grep -q "a secret" "$tmp/attributes" || fail "$i shows what is in a file: $(<"$tmp/attributes")"
done
newsd_stat trap accepted
((answer == 0)) || fail "an address in an NZB was connected to"
kib=$(awk '/^VmHWM:/ { print $2 }' "/proc/$daemon/status")
[[ -n ${NZBFS_TEST_SANITIZER:-} ]] || ((kib < 250000)) || fail "$kib KiB resident"
down

say "as posted: the names of the NZB"
bounded 500000 up "$tmp/nzb" -o view=raw 2>"$tmp/err"
shows dots __=a.bin _=b.bin
shows laughs '&l11;=a.bin' # an entity that is not expanded is text
shows control a_b_c_.bin=a.bin x_gpj.bin=b.bin
[[ $(ls -A "$mnt/traversal" | sort) == "$(printf '%s\n' $escaped _etc_escaped | sort)" ]] ||
    fail "traversal shows: $(ls -A "$mnt/traversal")"
down

say "a million segments by themselves"
look_at_clock && began=$now_ms
bounded 500000 up "$tmp/nzb/many-segments.nzb"
look_at_clock
((status == 0)) || fail "the mount: status $status"
kib=$(awk '/^VmHWM:/ { print $2 }' "/proc/$daemon/status")
say "  $((now_ms - began)) ms, $kib KiB"
[[ -n ${NZBFS_TEST_SANITIZER:-} ]] || ((kib < 150000)) || fail "$kib KiB resident"
same "$mnt/b.bin" "$tmp/b.bin"
down

say "get writes where it is told to and nowhere else"
mkdir -p "$tmp/far/from/home"
"$NZBFS" get -q -c "$conf" "$tmp/nzb/traversal.nzb" -d "$tmp/far/from/home" || fail "get: status $?"
[[ $(cd "$tmp/far" && find . -type f | sort) == "$(printf '%s\n' "./from/home/$escaped" ./from/home/b.bin | sort)" ]] ||
    fail "get made: $(find "$tmp/far")"
rm -r "$tmp/far"
mkdir "$tmp/far"
for i in dots same long; do
    "$NZBFS" get -q -c "$conf" "$tmp/nzb/$i.nzb" -d "$tmp/far/$i" || fail "get $i: status $?"
done
[[ $(find "$tmp/far" -type f | wc -l) == 7 ]] || fail "get made: $(find "$tmp/far")"
rm -r "$tmp/far"
[[ ! -e /etc/escaped && ! -e /tmp/escaped.bin ]] || fail "a file escaped"
outside | cmp - "$tmp/before" >&2 || fail "files came or went: $(outside | diff "$tmp/before" -)"

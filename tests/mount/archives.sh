#!/bin/bash
# What is in archives: every variety that can be made, posted, mounted and compared with what was packed.
#
#     archives.sh raw|contents rar5|rar4|zip|7z|hidden...
#
# raw: the posted files as they are, and independent readers agree about them through the mount. contents: what is in
# them, names, exact sizes, times, every byte in sequence and $READS (1000) reads at random. hidden: names that say
# nothing, volumes in any order, with and without PAR2 files; split files; archives in archives; articles that lack;
# volumes that are not as was reckoned.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
skip_unless_fuse
need python3 "${SETMAKER:-nzbfs-setmaker}"
view=${1:?raw or contents}
shift
root=$tmp/root set=$tmp/set
. "$(dirname "$0")/../archive/varieties.sh"
# shellcheck disable=SC2046
need $(readers_needed) zip

# What is shown against what was packed: check.py SHOWN PACKED TIMES READS, TIMES: files' are exact to so many
# nanoseconds, what the format keeps. `anywhere` in place of TIMES: directories and times are not looked at.
cat >"$tmp/check.py" <<'END'
import hashlib, os, random, sys
shown, packed, times, reads = sys.argv[1:5]
def files(top):
    found = {}
    for at, dirs, names in os.walk(top):
        dirs[:] = [d for d in dirs if d not in (".extra", ".posted")]
        for n in names:
            path = os.path.join(at, n)
            found[n if times == "anywhere" else os.path.relpath(path, top)] = path
    return found
def sha(path):
    h = hashlib.sha256()
    with open(path, "rb", buffering=0) as f:
        while chunk := f.read(1 << 17):
            h.update(chunk)
    return h.hexdigest()
have, want = files(shown), files(packed)
assert set(have) == set(want), f"shown: {sorted(have)}, packed: {sorted(want)}"
random.seed(1)
for name, path in want.items():
    a, b = os.stat(have[name]), os.stat(path)
    assert a.st_size == b.st_size, f"{name}: {a.st_size} bytes, not {b.st_size}"
    if times != "anywhere":
        kept = b.st_mtime_ns // int(times) * int(times)
        assert a.st_mtime_ns == kept, f"{name}: its time is {a.st_mtime_ns} and not {kept}"
sizes = [os.stat(p).st_size for p in want.values()]
for name in random.choices(list(want), [s + 1 for s in sizes], k=int(reads)):
    with open(have[name], "rb", buffering=0) as a, open(want[name], "rb", buffering=0) as b:
        size = os.fstat(a.fileno()).st_size
        os.posix_fadvise(a.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        off, n = random.randrange(size + 1), random.choice((1, 15, 17, 512, 4096, 70000))
        x, y = os.pread(a.fileno(), n, off), os.pread(b.fileno(), n, off)
        assert x == y, f"{name}: other bytes among {n} at {off}"
for name in want:
    assert sha(have[name]) == sha(want[name]), f"{name}: other bytes"
END

# shows_contents: skipped where this nzbfs does not show by default what is in archives.
shows_contents() {
    printf '[provider none]\nhost = 127.0.0.1\nport = 9\n' >"$tmp/view.conf"
    chmod 600 "$tmp/view.conf"
    "$NZBFS" config check -c "$tmp/view.conf" >"$tmp/view" || fail "the configuration is refused"
    grep -q '^view = contents' "$tmp/view" || skip "this nzbfs shows no contents"
}

number=0
# post NAME PASSWORD VOLUME...: $nzb, and $server serves it
post() {
    local name=$1 secret=$2
    shift 2
    number=$((number + 1))
    server=main$number nzb=$tmp/$name.nzb
    start_newsd "$server" --part-size 20000 --nzb "$nzb" "$@"
    [[ -z $secret ]] ||
        sed -i "0,/<nzb[^>]*>/s//&\n<head><meta type=\"password\">$secret<\/meta><\/head>/" "$nzb"
    : >"$conf"
    provider "$server" connections=6
}

raw_agrees() { # READERS PASSWORD VOLUME...
    local readers=$1 secret=$2 v i
    local -a mounted=()
    shift 2
    up "$nzb" -o "view=$view"
    for v; do
        mounted+=("$mnt/${v##*/}")
        same "$v" "$mnt/${v##*/}"
        [[ $(stat -c %s "$v") == "$(stat -c %s "$mnt/${v##*/}")" ]] || fail "${v##*/}: another size"
    done
    for ((i = 0; i < ${#readers}; i++)); do
        unpack "${readers:i:1}" "$secret" "$tmp/out" "${mounted[@]}" >"$tmp/log" 2>&1 ||
            fail "reader ${readers:i:1}: $(tail -n 5 "$tmp/log")"
        manifest "$tmp/out" >"$tmp/have"
        same "$tmp/want" "$tmp/have"
    done
    down
}

contents_agree() { # TIMES
    up "$nzb" -o view=contents
    within 200 python3 "$tmp/check.py" "$mnt" "$root" "$1" "${READS:-1000}" 2>"$tmp/log" ||
        fail "$(tail -n 1 "$tmp/log"); $(find "$mnt" | head -n 20)"
    down
}

# What of its files' times an archive keeps, in ns: DOS times are even seconds; else whole ones unless it is told to.
fractions() { # MAKE [OPTION]...
    case " $* " in
    *' --precise '* | *' set_7z '*) echo 100 ;;
    *' --dos-times '* | *' set_rar4 '*) echo 2000000000 ;;
    *) echo 1000000000 ;;
    esac
}

variety() { # READERS NAME PASSWORD MAKE [OPTION]...
    local readers=$1 name=$2 password=$3 line
    local -a volumes=()
    shift 3
    rm -rf "$set"
    mkdir "$set"
    "$@" >"$tmp/volumes" || fail "$name cannot be made"
    while read -r line; do
        volumes+=("$set/${line% *}")
    done <"$tmp/volumes"
    say "$name"
    post "$name" "$password" "${volumes[@]}"
    # It does not begin as a ZIP archive does.
    if [[ $view == raw || $name == zip-prefix ]]; then
        raw_agrees "$readers" "$password" "${volumes[@]}"
    else
        contents_agree "${anywhere:-$(fractions "$@")}"
    fi
    stop_newsd "$server"
}

# ---- what posters hide ----

set_nested() { # the archive of the variety before, in another one
    local inner=$tmp/inner
    rm -rf "$inner"
    mkdir "$inner"
    set=$inner set_rar5 --volume-size 60000 >/dev/null &&
        "$SETMAKER" --format "$1" --volume-size 100000 --root "$inner" "$set" "$inner"
}

set_split() {
    "$SETMAKER" --format files --cut 50000 --base film "$set" "$root/film.bin"
}

hidden() {
    local order=(--volume-size 50000 --obfuscate --shuffle)
    variety '' hidden-rar5 '' set_rar5 "${order[@]}"
    variety '' hidden-rar4 '' set_rar4 "${order[@]}"
    variety '' hidden-rar5-par2 '' set_rar5 "${order[@]}" --par2 2
    variety '' hidden-rar4-par2 '' set_rar4 "${order[@]}" --par2 2
    variety '' hidden-rar5-headers secret set_rar5 "${order[@]}" --encrypt-headers
    variety '' hidden-rar4-headers secret set_rar4 "${order[@]}" --encrypt-headers
    variety '' hidden-rar5-200 '' set_rar5 --volume-size 2200 --obfuscate --shuffle
    variety '' hidden-zip-par2 '' set_zip --cut 50000 --obfuscate --shuffle --par2 1
    anywhere=anywhere
    variety '' nested-rar5 '' set_nested rar5
    variety '' nested-zip '' set_nested zip
    anywhere=
    if [[ $view == contents ]]; then
        lacking
        surprising
    fi
    find "$root" -mindepth 1 -not -name film.bin -delete
    anywhere=anywhere
    variety '' split '' set_split
    anywhere=
}

# An article that lacks is EIO for what it held, and nothing else: in pages of 4 KiB, or to the byte past the page cache.
cat >"$tmp/lacking.py" <<'END'
import errno, os, sys
shown, packed, held, step = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
a, b = os.open(shown, os.O_RDONLY), os.open(packed, os.O_RDONLY)
size = os.fstat(b).st_size
assert os.fstat(a).st_size == size
os.posix_fadvise(a, 0, 0, os.POSIX_FADV_RANDOM)
def lost(begin, end, step):
    found = []
    for off in range(begin, end, step):
        want = os.pread(b, step, off)
        try:
            have = os.pread(a, step, off)
            assert have and want.startswith(have), f"other bytes at {off}"
            if have != want: # past the page cache: as far as it goes
                found.append(off)
        except OSError as e:
            assert e.errno == errno.EIO, e
            found.append(off)
    assert found, "nothing is lost"
    assert found == list(range(found[0], found[-1] + 1, step)), f"lost: {found}"
    return found[0], found[-1] + step
begin, end = lost(0, size, 4096)
assert end - begin <= held + 2 * 4096, f"lost: {begin} to {end}"
if step == 1:
    begin, end = lost(begin, end, 1)
    assert end - begin == held, f"lost: {begin} to {end}"
    for off, n in (0, begin), (end, size - end):
        assert os.pread(a, n, off) == os.pread(b, n, off), f"other bytes among {n} at {off}"
END

# plain_set [OPTION]...: of RAR 5, as $volumes
plain_set() {
    local password='' line
    rm -rf "$set"
    mkdir "$set"
    volumes=()
    set_rar5 "$@" >"$tmp/volumes"
    while read -r line; do
        volumes+=("$set/${line% *}")
    done <"$tmp/volumes"
}

lacking() {
    local -a volumes
    local step
    say "an article lacks"
    plain_set --volume-size 100000
    post lacking '' "${volumes[@]}"
    newsd_say "$server" fault "file/set.part2.rar/3 430"
    for step in 4096 1; do
        up "$nzb" -o "view=contents$( ((step > 1)) || echo ,direct_io)"
        within 100 python3 "$tmp/lacking.py" "$mnt/film.bin" "$root/film.bin" 20000 $step 2>"$tmp/log" ||
            fail "in steps of $step: $(tail -n 1 "$tmp/log")"
        same "$mnt/dir/numbers (1).dat" "$root/dir/numbers (1).dat"
        down
    done
    stop_newsd "$server"
}

surprises_count() { # into $surprises
    surprises=$("$NZBFS" status --json "$mnt" |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["fs"]["surprises"])')
}

# Among those that are full of one member one is shorter and the next longer by as much: the last has nothing to tell.
surprising() {
    local -a volumes
    say "volumes that are not as was reckoned"
    plain_set --volume-size 50000 --volume-sizes 50000,50000,50000,50000,50000,43000,57000
    post surprising '' "${volumes[@]}"
    up "$nzb" -o view=contents
    surprises_count
    [[ $surprises == 0 ]] || fail "it has been surprised $surprises times before anything was read"
    same "$mnt/film.bin" "$root/film.bin"
    same "$mnt/dir/numbers (1).dat" "$root/dir/numbers (1).dat"
    surprises_count
    ((surprises == 1 || surprises == 2)) || fail "it has been surprised $surprises times"
    down
    stop_newsd "$server"
}

[[ $view == raw ]] || shows_contents
tree_make
manifest "$root" >"$tmp/want"
for what; do
    case $what in
    hidden) hidden ;;
    *) "varieties_$what" ;;
    esac
done

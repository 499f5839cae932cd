#!/bin/bash
# What reading costs, in counts: articles, connections, bytes, system calls. Beside each stands what it may cost, in
# counts.expected; one article more fails. Nothing here is a matter of time.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
skip_unless_fuse
SETMAKER=${SETMAKER:-nzbfs-setmaker}
need openssl python3 "$SETMAKER"

part=200000
articles=40
size=$((part * articles - 4321))
table=$(dirname "$0")/counts.expected
film=$mnt/film.mkv source=$tmp/film.mkv
random_file "$source" $size

# One descriptor, and so one open file: each OFFSET:LENGTH in turn is read and compared with the source.
cat >"$tmp/reads.py" <<'END'
import os, sys
film, source = (os.open(p, os.O_RDONLY) for p in sys.argv[1:3])
for place in sys.argv[3:]:
    off, length = map(int, place.split(":"))
    got = b""
    while len(got) < length:
        more = os.pread(film, length - len(got), off + len(got))
        if not more:
            break
        got += more
    assert got == os.pread(source, length, off), place
END
reads() { # FILE SOURCE OFFSET:LENGTH...
    timeout 120 python3 "$tmp/reads.py" "$@" || fail "reads of $1: $*"
}

# ---- the table -------------------------------------------------------------------------------------

# Lines of the table: SCENE FIGURE EXPECTED SLACK. Up to EXPECTED + SLACK is well; less than EXPECTED - SLACK is
# told, since then the table has room in which the next loss would hide.
declare -A expected=() slack=() seen=()
while read -r scene figure want room; do
    [[ -n $scene && $scene != \#* ]] || continue
    [[ $want =~ ^[0-9]+$ && $room =~ ^[0-9]+$ ]] || fail "${table##*/}: $scene $figure: two numbers are due"
    expected[$scene.$figure]=$want
    slack[$scene.$figure]=$room
done <"$table"

scene=
bad=0
printf '%-10s %-12s %9s %9s %6s\n' scene figure counted expected slack
counted() { # FIGURE VALUE
    local key=$scene.$1 want room word=
    [[ -n ${expected[$key]:-} ]] || fail "${table##*/} has no line for $scene $1 ($2)"
    want=${expected[$key]} room=${slack[$key]}
    seen[$key]=1
    if (($2 > want + room)); then
        word="TOO MANY"
        bad=1
    elif (($2 < want - room)); then
        word="fewer: the table may be lowered"
    fi
    printf '%-10s %-12s %9s %9s %6s  %s\n' "$scene" "$1" "$2" "$want" "$room" "$word"
}

# ---- the scenes' frame -----------------------------------------------------------------------------

declare -A before=()
server=main
figures() { # what newsd has counted, and the program's answer to it below
    newsd_say "$1" stats
    [[ $answer =~ \"accepted\":([0-9]+) ]] && accepted=${BASH_REMATCH[1]}
    [[ $answer =~ \"body\":([0-9]+) ]] && body=${BASH_REMATCH[1]}
    [[ $answer =~ \"bytes_sent\":([0-9]+) ]] && sent=${BASH_REMATCH[1]}
}
begin() { # SCENE NZB [OPTION]...: a mount of its own, and nothing in any cache
    scene=$1
    figures $server
    before=([accepted]=$accepted [body]=$body [sent]=$sent)
    shift
    up "$@"
}
since() { # FIGURE...: of the server, since begin
    local f
    figures $server
    for f; do
        case $f in
        articles) counted articles $((body - before[body])) ;;
        connections) counted connections $((accepted - before[accepted])) ;;
        kilobytes) counted kilobytes $(((sent - before[sent]) / 1000)) ;;
        esac
    done
}

# Nothing is asked of a server, none waits to be asked, and no read waits.
is_quiet() {
    "$NZBFS" status --json "$mnt" | python3 -c '
import json, sys
m = json.load(sys.stdin)
sys.exit(m["leased_total"] > 0 or any(c["waiting"] for c in m["classes"].values()))'
}
settle() {
    wait_until "the mount has nothing to do" 60 is_quiet
}
kernel_forgets() { # FILE: its pages, so that the next read reaches the program
    dd if="$1" iflag=nocache count=0 status=none
}

# ---- the scenes ------------------------------------------------------------------------------------

declare -a many=()
for ((i = 0; i < 20; i++)); do
    many+=(--generate "file$i.bin:$((part * 3)):$i")
done
start_newsd main --part-size $part --encode-first --nzb "$tmp/x.nzb" "$source" "${many[@]}"
provider main connections=4
setting pool warm=0 # what reads need; "warm" below is the other way
# A server that gets no processor for a while is late, and what is late is asked for twice: a matter of time.
setting "class streaming" guaranteed=3 hedge=0

# Sizes of files that nobody opens: an article each. Then a look at both ends of each, as scanners take: the last
# article of each, since the first is there.
begin sizes "$tmp/x.nzb"
[[ $(stat -c %s "$mnt"/file*.bin | sort -u) == $((part * 3)) ]] || fail "the sizes are wrong"
settle
since articles connections
scene=ends
for ((i = 0; i < 20; i++)); do
    reads "$mnt/file$i.bin" "$mnt/file$i.bin" 0:4096 $((part * 3 - 4096)):4096
done
settle
since articles
down

# The first bytes of a film: its first article, and no connection beside the one that brings it.
begin first "$tmp/x.nzb"
reads "$film" "$source" 0:65536
settle
since articles connections kilobytes
down

# The same with connections opened ahead for whoever opens a file: as many as are set, and not an article more.
has_accepted() {
    figures main
    ((accepted - before[accepted] >= $1))
}
sed -i 's/^warm = 0$/warm = 3/' "$conf"
begin warm "$tmp/x.nzb"
reads "$film" "$source" 0:65536
wait_until "three connections are kept warm" 30 has_accepted 3
settle
since articles connections
down
sed -i 's/^warm = 3$/warm = 0/' "$conf"

# A copy: each article once.
begin copy "$tmp/x.nzb"
same "$film" "$source"
settle
since articles connections kilobytes
once=$body
scene=again # what is in the cache costs nothing
kernel_forgets "$film"
same "$film" "$source"
settle
figures main
counted articles $((body - once))
down

# System calls of the program for each MB of a copy. How often a socket is read is a matter of how fast its bytes
# come, so the table has slack for it; where perf may not count, or a sanitizer makes calls of its own, it is left out.
syscalls() {
    local LC_ALL=C
    perf stat -x, -o "$tmp/perf" -e raw_syscalls:sys_enter -p "$daemon" -- cmp "$film" "$source" || fail "other bytes"
    [[ $(<"$tmp/perf") =~ ([0-9]+),[^,]*,raw_syscalls ]]
}
if [[ -z ${NZBFS_TEST_SANITIZER:-} ]] && perf stat -e raw_syscalls:sys_enter -- true >/dev/null 2>&1; then
    begin syscalls "$tmp/x.nzb"
    if syscalls; then
        counted per_mb $((BASH_REMATCH[1] * 1000000 / size))
    fi
    settle
    down
fi

# Jumps, to places that are far from one another and backwards too: an article each.
begin jumps "$tmp/x.nzb"
declare -a places=()
for ((i = 0; i < 12; i++)); do
    places+=("$((((i * 7) % 12 * 3 + 2) * part + 20480)):4096")
done
reads "$film" "$source" "${places[@]}"
settle
since articles
down

# Two that read the same at once: each article once.
begin twice "$tmp/x.nzb"
cmp "$film" "$source" & first=$!
cmp "$film" "$source" & second=$!
wait $first || fail "the first of two readers got other bytes"
wait $second || fail "the second of two readers got other bytes"
settle
since articles
down

# A reader that pauses: what it has read, and no more ahead than it may be.
begin paused "$tmp/x.nzb" -o readahead=1M
exec {held}<"$film"
head -c 1000000 <&$held | cmp -n 1000000 - "$source" || fail "other bytes before the pause"
settle
since articles
# It goes on, and nothing of what was there is asked for again.
scene=resumed
cat <&$held | cmp - <(tail -c +1000001 "$source") || fail "other bytes behind the pause"
settle
exec {held}<&-
since articles
down

# Skipping forward, 64 KiB in each 300: the articles between are read ahead once, or not at all.
begin skips "$tmp/x.nzb" -o readahead=1M
places=()
for ((i = 0; i < 18; i++)); do
    places+=("$((i * 300000)):65536")
done
reads "$film" "$source" "${places[@]}"
settle
since articles
down

# Opened, read a little and closed, again and again: the second time is free.
begin reopened "$tmp/x.nzb" -o readahead=1M
reads "$film" "$source" 0:65536
settle
since articles
once=$body
scene=reopened_again
for i in 1 2 3 4 5; do
    kernel_forgets "$film"
    reads "$film" "$source" 0:65536
done
settle
figures main
counted articles $((body - once))
down

# Segments that one provider has not, or has damaged: those are asked of the other, and only those.
start_newsd spare --part-size $part --encode-first "$source"
provider spare connections=4 tier=1
other() {
    figures spare
    counted "$1" $((body - before[spare]))
}
for i in missing:430 damaged:bad-crc; do
    for ((p = 5; p <= articles; p += 5)); do
        newsd_say main fault file/film.mkv/$p "${i#*:}"
    done
    begin "${i%:*}" "$tmp/x.nzb"
    figures spare
    before[spare]=$body
    same "$film" "$source"
    settle
    since articles
    other spare
    down
    newsd_say main clear
done

# The provider dies under a copy: the other brings the rest, and what was on its way.
begin failover "$tmp/x.nzb" -o readahead=1M
figures spare
before[spare]=$body
reads "$film" "$source" 0:1000000
settle
newsd_say main down
same "$film" "$source"
settle
both=$((-before[spare] - before[body]))
figures main
both=$((both + body))
figures spare
counted both $((both + body))
newsd_say main up
down

# A film in a hundred RAR volumes: to know it takes the first volume's head, the second's and the last's; to copy it each
# article once. Where names say nothing each first article is looked at, and once.
random_file "$tmp/film.bin" 14900000
for server in volumes hidden; do
    mkdir "$tmp/$server"
    "$SETMAKER" --volume-size 150000 $([[ $server == volumes ]] || echo --obfuscate --shuffle) --root "$tmp" \
        "$tmp/$server" "$tmp/film.bin" >"$tmp/list" || fail "there is no set"
    (($(wc -l <"$tmp/list") == 100)) || fail "there are $(wc -l <"$tmp/list") volumes"
    start_newsd $server --part-size 50000 --encode-first --nzb "$tmp/$server.nzb" "$tmp/$server"/*
    : >"$conf"
    provider $server connections=4
    setting pool warm=0
    setting "class streaming" guaranteed=3 hedge=0
    begin $server "$tmp/$server.nzb"
    [[ $(ls -l "$mnt") == *" 14900000 "*film.bin ]] || fail "it shows $(ls -l "$mnt")"
    settle
    since articles
    same "$mnt/film.bin" "$tmp/film.bin"
    settle
    scene=${server}_copied
    since articles
    down
done

# ---- the verdict -----------------------------------------------------------------------------------

for key in "${!expected[@]}"; do
    [[ -n ${seen[$key]:-} || $key == syscalls.* ]] || fail "${table##*/} expects ${key//./ }, which was not counted"
done
((bad == 0)) || fail "reading costs more than ${table##*/} says; where that is meant, say why in its commit"

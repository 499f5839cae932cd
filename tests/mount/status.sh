#!/bin/bash
# A running mount is asked and told: status, reload and set, over a socket that its owner alone can reach.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
skip_unless_fuse
need python3 stat

# What is true of every answer, whenever it is given.
cat >"$tmp/check.py" <<'END'
import json, sys

FIXED = "guaranteed burst leased waiting".split()
def histogram(h, where):
    assert len(h["buckets"]) == 24 and sum(h["buckets"]) == h["count"], where
    bounds = [h[p] for p in ("p50_us", "p90_us", "p99_us", "max_us")]
    if not h["count"]:
        assert bounds == [None] * 4, where
        return
    assert bounds == sorted(bounds), where
    last = max(i for i, n in enumerate(h["buckets"]) if n)
    assert h["max_us"] == 16 << last, where

def check(m):
    classes, providers = m["classes"], m["providers"]
    assert list(classes) == ["queue", "health", "streaming"]
    leased = m["leased_total"]
    assert sum(c["leased"] for c in classes.values()) == leased
    assert sum(p["leased"] for p in providers.values()) == leased
    assert sum(c["guaranteed"] for c in classes.values()) <= m["total"]
    for name, c in classes.items():
        assert all(k in c for k in FIXED), name
        histogram(c["wait"], name)
        histogram(c["reclaim"], name)
        for figure in ("leased", "broken", "bytes"):
            assert sum(p["classes"][name][figure] for p in providers.values()) == c[figure], (name, figure)
    for name, p in providers.items():
        assert p["sockets"] == p["leased"] + p["idle"] + p["closing"] + p["lingering"], name
        assert p["opening"] <= p["leased"], name
        assert p["ceiling"] <= p["limit"], name
        assert p["sockets"] <= max(p["limit"], p["sockets"] if draining else 0), name
        histogram(p["open"], name)
        histogram(p["answer"], name)
        for mine, theirs in dict(leased="leased", started="started", ok="done", missing="missing",
                                 corrupt="corrupt", broken="broken", bytes="bytes").items():
            assert sum(s[theirs] for s in p["classes"].values()) == p[mine], (name, mine)
    assert m["cache"]["used"] <= m["cache"]["budget"]
    assert m["pid"] > 0 and m["uptime_s"] >= 0 and m["version"]

draining = sys.argv[1:] == ["draining"]
n = peak = 0
for line in sys.stdin:
    m = json.loads(line)
    check(m)
    n += 1
    peak = max(peak, m["leased_total"])
print(n, peak)
END

# of MEMBER...: a value out of the status of $mnt, such as: of classes streaming leased
of() {
    "$NZBFS" status --json "$mnt" | python3 -c '
import json, sys
v = json.load(sys.stdin)
for k in sys.argv[1:]: v = v[k]
print(json.dumps(v).strip(chr(34)))' "$@"
}
is() { # VALUE MEMBER...
    [[ $(of "${@:2}") == "$1" ]]
}
at_most() { # NUMBER MEMBER...
    (($(of "${@:2}") <= $1))
}
says() { # STATUS WORDS ARGUMENT...: of the program; one line that is no output
    local status=0 want=$1 words=$2
    shift 2
    "$NZBFS" "$@" >"$tmp/out" 2>"$tmp/err" || status=$?
    ((status == want)) || fail "nzbfs $*: status $status: $(<"$tmp/err")"
    [[ $(<"$tmp/err") == *"$words"* && $(wc -l <"$tmp/err") == 1 ]] || fail "nzbfs $* said: $(<"$tmp/err")"
}

# Mounted, and it takes questions: its socket is there before the kernel's first question is answered.
mounted() { # MOUNTPOINT
    mount_nzb "$tmp/x.nzb" "$1"
    wait_for_line "$tmp/${1##*/}.log" "is mounted on"
}

size=$(by_build 120M 40M)
start_newsd main --nzb "$tmp/x.nzb" --generate film.mkv:"$size":1 --rate 2M --latency 5
start_newsd second --nzb "$tmp/y.nzb" --generate film.mkv:"$size":1
provider main connections=12
provider second connections=4 tier=1
setting cache memory=32M # so that what is read again is fetched again
cp "$conf" "$tmp/good.conf"

say "with nothing mounted it says so"
says 1 "this user has nothing mounted" status
says 1 "nothing is mounted there" status "$mnt"
says 1 "nothing is mounted there" set "$mnt" pool.rate=1M

say "the socket is its owner's alone"
mounted "$mnt"
[[ $(stat -c %a:%u "$NZBFS_RUNTIME_DIR") == "700:$EUID" ]] || fail "the directory's mode"
sock=("$NZBFS_RUNTIME_DIR"/*.sock)
[[ ${#sock[@]} == 1 && $(stat -c '%a:%u %F' "${sock[0]}") == "600:$EUID socket" ]] || fail "the socket: ${sock[*]}"

reader=
read_begin() { # reads the film from its start, over and over, until read_end
    rm -f "$tmp/enough"
    while [[ ! -e $tmp/enough ]]; do
        cat "$mnt/film.mkv" >"$tmp/copy" || exit 1
        dd if="$mnt/film.mkv" iflag=nocache count=0 status=none # drops it from the page cache
    done &
    reader=$!
    pids+=("$reader")
    wait_until "connections are leased" 30 leases
}
leases() {
    (($(of leased_total) > 0))
}
read_end() {
    : >"$tmp/enough"
    wait "$reader" || fail "a read failed"
    [[ $(stat -c %s "$tmp/copy") == $(stat -c %s "$mnt/film.mkv") ]] || fail "the copy is short"
}

say "sums agree in every answer, while it is read"
read_begin
for ((i = 0; i < 40; i++)); do
    "$NZBFS" status --json
done >"$tmp/samples"
read -r samples peak < <(python3 "$tmp/check.py" <"$tmp/samples") || fail "an answer does not add up"
((samples == 40 && peak > 0)) || fail "$samples samples, at most $peak leases"

say "people get a table, without colour in a pipe"
"$NZBFS" status "$mnt/" >"$tmp/out"
for words in "$mnt shows $tmp/x.nzb" BufferedStreaming HealthCheck "Queue .*\[" "main .* up$" "second .* at rest$" \
    "^  cache .* of 32.0 MiB"; do
    grep -q -- "$words" "$tmp/out" || fail "the table lacks '$words': $(<"$tmp/out")"
done
! grep -q $'\033' "$tmp/out" || fail "colours in a pipe"

say "shares change in place while it is read, and nothing fails"
"$NZBFS" set "$mnt" class.streaming.burst=5 class.streaming.guaranteed=3 >"$tmp/out"
grep -q "2 settings in force" "$tmp/out" || fail "set said: $(<"$tmp/out")"
is 5 classes streaming burst || fail "the burst is $(of classes streaming burst)"
wait_until "leases above the lowered burst drain" 30 at_most 5 classes streaming leased
"$NZBFS" set "$mnt" provider.main.connections=3 >"$tmp/out"
wait_until "connections above the lowered limit close" 30 at_most 3 providers main sockets
is 3 providers main limit || fail "the limit is $(of providers main limit)"
is 5 classes streaming burst || fail "the earlier setting is lost"
[[ $(of settings) == '["class.streaming.burst=5", "class.streaming.guaranteed=3", "provider.main.connections=3"]' ]] ||
    fail "settings: $(of settings)"
"$NZBFS" status >"$tmp/out"
grep -q "set for now: class.streaming.burst=5" "$tmp/out" || fail "the table does not tell what is set"
"$NZBFS" set "$mnt" class.streaming.burst=6 >"$tmp/out"
grep -q "3 settings in force" "$tmp/out" || fail "a setting of the same key is not replaced: $(<"$tmp/out")"
"$NZBFS" set "$mnt" "class.streaming.burst =7" class.streaming.burst=6 >"$tmp/out"
grep -q "3 settings in force" "$tmp/out" || fail "two of one key are not one setting: $(<"$tmp/out")"
is 6 classes streaming burst || fail "of two settings of one key the first holds: $(of classes streaming burst)"

say "what is impossible is refused by name, and nothing changes"
before=$(of settings)
says 1 "$mnt: class.queue.burst=0: " set "$mnt" class.queue.burst=0
says 1 "class.queue.guaranteed=16" set "$mnt" pool.reserve=1 class.queue.guaranteed=16
says 1 "$mnt: mount.umask" set "$mnt" mount.umask=0
says 1 "$mnt: cache.memory" set "$mnt" cache.memory=1G
says 1 "$mnt: provider.main.password" set "$mnt" provider.main.password=x
says 1 "there is no [provider third]" set "$mnt" provider.third.connections=3
says 1 "pool.rate=fast" set "$mnt" pool.rate=fast
[[ $(of settings) == "$before" ]] || fail "settings have changed: $(of settings)"
is 0 reserve || fail "half of a refused set was taken"
echo nonsense >>"$conf"
says 1 "$mnt: $conf:$(wc -l <"$conf"): neither [section] nor key" reload
[[ $(of settings) == "$before" ]] || fail "a failed reload has dropped settings"

say "reload drops what was set, and so does SIGHUP"
cp "$tmp/good.conf" "$conf"
"$NZBFS" reload "$mnt" >"$tmp/out"
grep -q "configuration read again: 2 providers, 16 connections; 3 settings dropped" "$tmp/out" || fail "$(<"$tmp/out")"
[[ $(of settings) == "[]" ]] || fail "settings are left: $(of settings)"
is 12 providers main limit || fail "the limit is $(of providers main limit)"
"$NZBFS" set "$mnt" pool.reserve=1 pool.rate=90M provider.second.rate=80M class.health.per_stream=2 >"$tmp/out"
[[ $(of rate) == 94371840 && $(of providers second rate) == 83886080 && $(of classes health per_stream) == 2 ]] ||
    fail "the limits in force are not told"
"$NZBFS" status >"$tmp/out"
grep -Eq "leased, 1 in reserve, rate 90.0 MiB/s" "$tmp/out" || fail "the table does not tell the pool's rate: $(<"$tmp/out")"
grep -q "second .* rate 80.0 MiB/s$" "$tmp/out" ||
    fail "the table does not tell the limits: $(<"$tmp/out")"
kill -HUP "${mount_pid[$mnt]}"
wait_until "SIGHUP drops what is set" 30 is "[]" settings

say "signals and verbs from all sides do not get into each other's way"
for ((i = 0; i < 15; i++)); do
    kill -HUP "${mount_pid[$mnt]}"
    "$NZBFS" set "$mnt" class.streaming.burst=$((4 + i % 5)) pool.rate=$((20 + i))M >"$tmp/out.1" &
    "$NZBFS" reload >"$tmp/out.2" &
    "$NZBFS" status --json >>"$tmp/storm" || fail "no status in the storm"
    wait -n
    wait -n
done
read -r samples _ < <(python3 "$tmp/check.py" draining <"$tmp/storm") || fail "an answer in the storm does not add up"
((samples == 15)) || fail "$samples samples in the storm"

say "a provider that is taken out is gone from the table, and its past is not forgotten"
sed '/^\[provider second/,/^$/d' "$tmp/good.conf" >"$conf"
"$NZBFS" reload >"$tmp/out"
cp "$tmp/good.conf" "$conf"
"$NZBFS" reload >"$tmp/out"
"$NZBFS" set "$mnt" provider.second.connections=2 >"$tmp/out"
sed '/^\[provider second/,/^$/d' "$tmp/good.conf" >"$conf"
says 1 "provider.second.connections: there is no [provider second]" set "$mnt" pool.rate=90M
grep -q "that was set before" "$tmp/err" || fail "what was set before is not blamed: $(<"$tmp/err")"
"$NZBFS" reload >"$tmp/out"
is true providers second gone || fail "it is not gone"
"$NZBFS" status >"$tmp/out"
! grep -q "^  second " "$tmp/out" || fail "it is in the table"
cp "$tmp/good.conf" "$conf"
"$NZBFS" reload >"$tmp/out"
is false providers second gone || fail "it has not come back"
read_end

say "a provider that is down says when it is tried again"
newsd_say main down
newsd_say main drop
provider_is_down() {
    range_of "$mnt/film.mkv" $((RANDOM * 1000)) 1000 >/dev/null 2>&1 || true
    is true providers main down
}
wait_until "main is down" 60 provider_is_down
"$NZBFS" status >"$tmp/out"
grep -Eq "^  main .* down, tried again (in [0-9]+ s|when needed)$" "$tmp/out" || fail "$(<"$tmp/out")"
grep -Eq "^  main is down: [a-z0-9]" "$tmp/out" || fail "it does not say why: $(<"$tmp/out")"
newsd_say main up

say "two mounts are told of, each by itself or both"
mnt2=$tmp/second$'\033\302\2332J'\ mount
mounted "$mnt2"
[[ $("$NZBFS" status --json | python3 "$tmp/check.py") == 2\ * ]] || fail "not two mounts"
[[ $("$NZBFS" status --json "$mnt2" | python3 "$tmp/check.py") == 1\ * ]] || fail "not one mount"
(cd "$mnt2" && "$NZBFS" status .) >"$tmp/out" || fail "it is not found from inside"
grep -Fq "$tmp/second\\x1b\\xc2\\x9b2J mount shows" "$tmp/out" || fail "from inside: $(<"$tmp/out")"
ln -s "$mnt2" "$tmp/link"
"$NZBFS" status "$tmp/link" >"$tmp/out" || fail "it is not found through a link"
"$NZBFS" reload >"$tmp/out"
! grep -q $'\033' "$tmp/out" || fail "a name reaches the terminal as it is"
[[ $(wc -l <"$tmp/out") == 2 ]] || fail "reload told: $(<"$tmp/out")"
unmount "$mnt2"
[[ $("$NZBFS" status --json | python3 "$tmp/check.py") == 1\ * ]] || fail "the other mount is still told of"

say "unmounted and mounted again at once, it has its socket again"
for i in 1 2 3; do
    fusermount3 -u "$mnt"
    mounted "$mnt"
    is "${mount_pid[$mnt]}" pid || fail "round $i: another process answers"
done

say "kill -9 leaves a socket that the next mount replaces"
kill -KILL "${mount_pid[$mnt]}"
wait_gone "${mount_pid[$mnt]}"
[[ -S ${sock[0]} ]] || fail "it left no socket"
says 1 "the mount takes no questions" status "$mnt"
fusermount3 -u "$mnt"
mounted "$mnt"
is "${mount_pid[$mnt]}" pid || fail "the new mount does not answer"

say "and one that status clears away"
kill -KILL "${mount_pid[$mnt]}"
wait_gone "${mount_pid[$mnt]}"
says 1 "this user has nothing mounted" status
[[ ! -e ${sock[0]} ]] || fail "the stale socket is still there"
fusermount3 -u "$mnt"

say "without a place for the socket there is a warning, and a mount"
NZBFS_RUNTIME_DIR=/proc/none mount_nzb "$tmp/x.nzb" "$mnt"
wait_for_line "$tmp/mnt.log" "warn: .*/proc/none: .* will not reach this mount"
head -c 1000 "$mnt/film.mkv" >/dev/null || fail "it cannot be read"
says 1 "the mount takes no questions" status "$mnt"
unmount "$mnt"

say "a mount that is stopped is given up in bounded time"
mounted "$mnt"
kill -STOP "${mount_pid[$mnt]}"
status=0
within 30 "$NZBFS" status "$mnt" 2>"$tmp/err" || status=$?
kill -CONT "${mount_pid[$mnt]}"
((status == 1)) || fail "status $status"
grep -q "$mnt: the mount does not answer" "$tmp/err" || fail "it said: $(<"$tmp/err")"
is "${mount_pid[$mnt]}" pid || fail "afterwards it does not answer"

if ((EUID == 0)) && command -v setpriv >/dev/null; then
    say "another user is refused"
    chmod 711 "$tmp"
    install -m 755 "$NZBFS" "$tmp/nzbfs"
    other() { # WORDS ARGUMENT...
        local words=$1
        shift
        ! setpriv --reuid=nobody --regid=nogroup --clear-groups "$tmp/nzbfs" "$@" >"$tmp/out" 2>"$tmp/err" ||
            fail "another user: nzbfs $* worked"
        grep -q -- "$words" "$tmp/err" || fail "another user: nzbfs $* said: $(<"$tmp/err")"
    }
    other "Permission denied" status "$mnt"
    other "Permission denied" set "$mnt" pool.rate=1
    chmod 755 "$NZBFS_RUNTIME_DIR"
    other "belongs to another user" status
    chmod 700 "$NZBFS_RUNTIME_DIR"
    mkdir -m 700 "$tmp/nobodys"
    chown nobody "$tmp/nobodys"
    NZBFS_RUNTIME_DIR=$tmp/nobodys other "$mnt: uid 0 mounted it; ask as that user" status "$mnt"
    NZBFS_RUNTIME_DIR=$tmp/nobodys other "this user has nothing mounted" status
    [[ $(of settings) == "[]" ]] || fail "another user has changed something"
fi
unmount "$mnt"

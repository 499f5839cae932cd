#!/bin/bash
# What accounts do to their users: one bears fewer connections than it said, refuses the login, drops everyone,
# and is configured anew. Readers notice nothing but time, the server never sees a connection too many, and the
# mount says what is going on.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
skip_unless_fuse
REPLAY=${REPLAY:-qos-replay}
need openssl python3 "$REPLAY"

part=50000
src=$tmp/src
mkdir "$src"
tags=()
for tag in f1:a f2:b f3:c f4:d; do # together they are more than the cache holds, and so is the long one
    random_file "$src/${tag%:*}" $((part * 120)) $((${#tags[@]} + 1))
    tags+=(--tag "$tag")
done
random_file "$src/long" $((part * 500)) 9
start_newsd main --part-size $part --user u --password p --latency 20 "${tags[@]}" --nzb "$tmp/x.nzb" "$src"/*
provider main connections=12 username=u password=p
setting cache memory=16M
setting pool warm=0 # what is counted here are the connections that open files hold
setting timeouts probe=1
cp "$conf" "$tmp/good.conf"

of() { # MEMBER...: a value out of the mount's status
    "$NZBFS" status --json "$mnt" | python3 -c '
import json, sys
v = json.load(sys.stdin)
for k in sys.argv[1:]: v = v[k]
print(json.dumps(v).strip(chr(34)))' "$@"
}
is() { # VALUE MEMBER...
    [[ $(of "${@:2}") == "$1" ]]
}
shows() { # REGEX: the line of the provider, as people get it
    "$NZBFS" status "$mnt" | grep -Eq "^  main .*$1"
}

readers=()
read_begin() { # FILES...: each is read over and over, and compared every time, until read_end
    local f
    rm -f "$tmp/enough"
    readers=()
    for f; do
        while [[ ! -e $tmp/enough ]]; do
            cmp -- "$mnt/$f" "$src/$f" >>"$tmp/readers.log" 2>&1 || exit 1
            dd if="$mnt/$f" iflag=nocache count=0 status=none # drops it from the page cache
        done &
        readers+=($!)
        pids+=($!)
    done
}
read_end() {
    local r
    : >"$tmp/enough"
    for r in "${readers[@]}"; do
        wait "$r" || fail "a reader got an error or other bytes: $(<"$tmp/readers.log")"
    done
}
# Connections at the server from now on, at most, while another $2 articles are asked for: in $answer.
most_while() { # ARTICLES
    local until
    newsd_say main peak
    newsd_stat main body
    until=$((answer + $1))
    wait_until "$1 more articles are asked for" 60 asked "$until"
    newsd_say main peak
}
nobody_there() {
    newsd_stat main connections
    ((answer == 0))
}
asked() {
    newsd_stat main body
    ((answer >= $1))
}

mount_nzb "$tmp/x.nzb" "$mnt" -o "trace=$tmp/x.trace"
read_begin f1 f2 f3 f4
wait_until "all connections are open" 30 is 12 providers main sockets

say "a limit that is set holds at the server, once those above it have gone"
for limit in 5 9 1 12; do
    "$NZBFS" set "$mnt" "provider.main.connections=$limit" >"$tmp/out"
    wait_until "there are $limit connections at most" 30 eval "(( \$(of providers main sockets) <= $limit ))"
    newsd_stat main connections
    most_while 40
    ((answer <= limit)) || fail "$answer connections under a limit of $limit"
done
newsd_stat main refused
((answer == 0)) || fail "it was refused $answer times"
"$NZBFS" reload "$mnt" >"$tmp/out"

say "an account that bears 4 of 12 is asked for 4, and says so; when it bears 12 again, they are found"
newsd_say main limit 4
newsd_say main drop
wait_until "the ceiling is found" 60 is 4 providers main ceiling
shows "bears 4 of 12$" || fail "$("$NZBFS" status "$mnt")"
most_while 100
((answer <= 4)) || fail "$answer connections at an account that bears 4"
newsd_say main limit 12
wait_until "the ceiling is gone" 60 is 12 providers main ceiling
wait_until "all connections are open" 60 is 12 providers main sockets

say "a login that is refused is not tried over and over, and readers go on when the password is right again"
newsd_stat main accepted
before=$answer
newsd_say main logins refuse
newsd_say main drop
wait_until "it is down" 30 is true providers main down
shows "down, tried again" || fail "$("$NZBFS" status "$mnt")"
newsd_stat main accepted
((answer - before <= 12)) || fail "$((answer - before)) attempts at a login that is refused"
newsd_say main logins accept
"$NZBFS" reload "$mnt" >"$tmp/out"
most_while 40
is false providers main down || fail "it is still down"

say "passwords that are wrong for a while harm nobody"
for word in wrong p other p; do
    sed "s/^password = .*/password = $word/" "$tmp/good.conf" >"$conf"
    kill -HUP "${mount_pid[$mnt]}"
    newsd_say main drop
done
"$NZBFS" reload "$mnt" >"$tmp/out"
most_while 40
read_end

say "one open file holds no more than per_stream, and several share all there is"
"$NZBFS" set "$mnt" class.streaming.per_stream=3 >"$tmp/out"
wait_until "what the others had asked for has come" 60 is 0 leased_total
newsd_say main drop
wait_until "all connections are gone" 60 nobody_there
newsd_say main peak
read_begin long
most_while 100
((answer <= 3)) || fail "one file held $answer connections"
read_end
read_begin f1 f2 f3 f4
wait_until "all connections are open" 60 is 12 providers main sockets
newsd_say main tags
python3 -c '
import json, sys
tags = json.loads(sys.argv[1])
over = {t: tags[t]["on"] for t in "abcd" if tags[t]["on"] > 3}
sys.exit("at one moment %s" % over if over else 0)' "$answer" || fail "a file held more than 3 connections"
read_end

say "and all of it replays"
unmount "$mnt"
"$REPLAY" --check "$tmp/x.trace" >"$tmp/replayed" 2>&1 || fail "$(tail -n 20 "$tmp/replayed")"

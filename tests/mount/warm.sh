#!/bin/bash
# An open file has connections before it is read, and has them still when it has long not been: what is read
# then is one command on a connection that is there.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
skip_unless_fuse
need openssl

size=3000000
random_file "$tmp/one.mkv" $size 1
random_file "$tmp/two.mkv" $size 2
start_newsd main --tls --user me --password secret --nzb "$tmp/x.nzb" "$tmp/one.mkv" "$tmp/two.mkv"
provider main username=me password=secret connections=8
setting timeouts idle=1
setting pool warm=3

logins_are() { # at least N
    newsd_stat main logins
    ((answer >= $1))
}

expect_stat() { # COUNTER VALUE
    newsd_stat main "$1"
    [[ $answer == "$2" ]] || fail "$1: $answer, not $2"
}

up "$tmp/x.nzb" -o readahead=0
expect_stat accepted 0 # a mount that nobody uses connects to nobody

say "one open file has three connections"
exec 5<"$mnt/one.mkv"
wait_until "three connections are up" 30 logins_are 3
range_of "$mnt/one.mkv" 0 65536 >"$tmp/bytes"
cmp -s -n 65536 "$tmp/bytes" "$tmp/one.mkv" || fail "wrong bytes"
expect_stat accepted 3

say "the server closes all: they are back, by resumed sessions, with nobody reading"
newsd_say main drop
wait_until "three connections are up again" 30 logins_are 6
newsd_stat main body
bodies=$answer
newsd_stat main resumed_tls
((answer >= 3)) || fail "$answer sessions were resumed"

say "another file finds them there"
reads_well "$mnt/two.mkv" 0 65536 "$tmp/two.mkv"
expect_stat accepted 6
newsd_stat main body
((answer > bodies)) || fail "nothing was asked for"
exec 5<&-
down

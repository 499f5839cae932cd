#!/bin/bash
# Servers have habits, and configurations have mistakes: the first are lived with, the second are named.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
skip_unless_fuse
need openssl

random_file "$tmp/film.mkv" 2500000 1
random_file "$tmp/one.bin" 1 2
random_file "$tmp/even.bin" 200000 3
nzb=$tmp/x.nzb
served=0

# server [OPTION]...: a new one with these files, called $server.
server() {
    server=server$((++served))
    start_newsd $server --part-size 100000 --nzb "$nzb" "$@" "$tmp"/{film.mkv,one.bin,even.bin}
}

# mounted READ_TIMEOUT [KEY=VALUE]...: with $server as the provider, as it is now told to be.
mounted() {
    : >"$conf"
    setting mount "read_timeout=$1"
    setting timeouts connect=2 stall=5
    provider $server "${@:2}"
    mount_nzb "$nzb" "$mnt"
}

ended() {
    unmount "$mnt"
    ! grep -q sesame "$tmp/mnt.log" || fail "a password is in the log"
}

works() { # [KEY=VALUE]...
    mounted 60 "$@"
    for f in one.bin even.bin film.mkv; do
        same "$mnt/$f" "$tmp/$f"
    done
    [[ $(stat -c %s "$mnt/film.mkv") == 2500000 ]] || fail "the size"
    ended
    newsd_stat $server connections_peak
    say "  by $answer connections"
}

# refused WORDS [KEY=VALUE]...: reads fail, not later than they should, and the log says why in one line.
refused() {
    mounted 2 "${@:2}"
    look_at_clock && began=$now_ms
    if stat "$mnt/film.mkv" >/dev/null 2>"$tmp/err"; then
        fail "$*: a size was told"
    fi
    look_at_clock
    ((now_ms - began < 4000)) || fail "$*: it took $((now_ms - began)) ms"
    wait_for_line "$tmp/mnt.log" "$server: .*$1" 10
    [[ $(grep -cE "$1" "$tmp/mnt.log") == 1 ]] || fail "$*: said again and again"
    ended
}

say "GROUP first, MODE READER first"
server --need-group
works
server --need-mode-reader
works
server --need-group --need-mode-reader --user me --password "sesame b=c%" --tls
works username=me "password=sesame b=c%" pipelining=20

say "BODY answered by 220, and hardly a command known"
server --swap-codes
works
server --only-basics
works
server --greeting 200 --ipv6
works connections=1 pipelining=1

say "far away, with stragglers, and connections that close when they idle"
server --latency 30 --jitter 40 --rate 4M --stragglers 50
works connections=20
server --tls --handshake 300 --latency 10
works
server --idle-close 50
works
newsd_say $server drop
works connections=2

for code in 502 400 481; do
    say "$code to more than two connections"
    if [[ $code == 481 ]]; then
        server --connections 2 --limit-code $code --user me --password sesame
        works connections=10 username=me password=sesame
    else
        server --connections 2 --limit-code $code
        works connections=10
    fi
    newsd_stat $server connections_peak
    ((answer <= 10)) || fail "$answer connections at once"
    newsd_stat $server refused
    ((answer >= 1 && answer <= 60)) || fail "it was refused $answer times"
    say "  refused $answer times"
done

say "a certificate of nobody's, of somebody else, and of none"
server --tls
good_ca=${newsd_ca[$server]}
certificate_make "$tmp/strange.crt" "$tmp/strange.key"
refused "certificate is not signed by anyone trusted" ca_file="$tmp/strange.crt"
works verify=no ca_file="$tmp/strange.crt"
works ca_file="$good_ca"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=news.example \
    -addext subjectAltName=DNS:news.example -out "$tmp/other.crt" -keyout "$tmp/other.key" 2>/dev/null
server --tls --cert "$tmp/other.crt" --key "$tmp/other.key"
refused "certificate" ca_file="$tmp/other.crt"
works verify=no

say "TLS where there is none, and none where there is"
refused "silent|closed|garbage|not" tls=no
server
refused "TLS" tls=yes

say "the right password, the wrong one and none"
server --user me --password sesame
works username=me password=sesame
refused "login: 481" username=me password=sesame2
refused "set username and password"

say "refused at the door, and nobody there"
server --greeting 502
refused "502"
server --greeting 400
refused "400"
server
newsd_say $server down
refused "refused|connect"

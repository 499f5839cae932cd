# lib.sh: what the end-to-end tests share. To be sourced by bash, first thing:
#
#     . "$(dirname "$0")/lib.sh"
#     skip_unless_fuse
#
# $NZBFS is the program under test, $NEWSD the project's news server; unset, they are looked for in PATH.
# After sourcing, $tmp is a directory of the test's own and $mnt a mountpoint in it. When the script ends,
# however it ends, what it mounted is unmounted, what it started is ended (by process id), and $tmp is
# removed; if it failed, or a sanitizer had something to say about any process, the logs in $tmp are shown
# first. Exit status 77 means skipped.
#
# $NZBFS_TEST_SANITIZER, when not empty, names the sanitizers that the program was built with: it is several
# times slower then, and memory figures mean nothing. `by_build` chooses sizes by it.
#
# Nothing here sleeps for a fixed time: what processes of others do is asked for every 20 ms, up to a
# bound, and a test that runs into the bound fails with a word about what did not happen.
#
# About nzbget's nserv (Debian's nzbget 21), the news server that is not ours:
# - It is `nzbget --nserv -d DATA`. Files of DATA are articles; which part of which file is in the
#   message-id: <NAME?PART=OFFSET:LENGTH>, with PATH/NAME for files in folders. No group and no login is
#   needed (GROUP and AUTHINFO are not its business).
# - `-z SIZE -q` writes DATA/NAME.nzb for every file and DATA/FOLDER.nzb with all files of a folder, in
#   articles of SIZE decoded bytes, and ends. An NZB in DATA is no data. Existing ones are kept.
# - An NZB's bytes= is SIZE for every segment, the last too, and counts decoded bytes.
# - `-c CACHE` keeps encoded articles as CACHE/NAME/PART=OFFSET-LENGTH (`-m` in memory). An article that
#   could not be made leaves an empty file there and is an empty article from then on, so a cache belongs
#   to one DATA that does not change.
# - Without a file its articles are 430. A range beyond its end, or of no bytes, is 403: an empty file has
#   an NZB and no article. To have single segments missing, take the file away or edit the NZB.
# - BODY answers "220, 0 <id>" and ARTICLE "222, 0 <id>": the codes are swapped, with a comma. STAT, HEAD,
#   DATE, CAPABILITIES, MODE READER: 500. =yend says part=0, =ybegin has no total=, the CRC is pcrc32=.
# - It does not pick a port, and says "Listening on port" before it has tried. When the port is taken it
#   tries on for ever, twice a second.
# - `-i N` is N instances on consecutive ports from -p. `-s CERT KEY` is TLS. `-b` binds to one address.
#   `-w MS` and `-r KB/s` slow it down; `-v 0..3` is how much it says.

# shellcheck shell=bash disable=SC2034
set -euo pipefail

NZBFS=${NZBFS:-nzbfs}
NEWSD=${NEWSD:-nzbfs-newsd}

tmp=$(mktemp -d "${TMPDIR:-/tmp}/nzbfs-test.XXXXXX")
conf=$tmp/nzbfs.conf
mnt=$tmp/mnt
mkdir "$mnt"

# No configuration but the test's own, and nobody's home.
export HOME=$tmp XDG_CONFIG_HOME=$tmp/config
# Control sockets stand in a directory of the test's own.
export NZBFS_RUNTIME_DIR=$tmp/run
mkdir -m 700 "$NZBFS_RUNTIME_DIR"

# A daemon's standard error goes nowhere, so sanitizers write to files, which cleanup looks for.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:log_path=$tmp/sanitizer"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-}:log_path=$tmp/sanitizer"
export TSAN_OPTIONS="${TSAN_OPTIONS:-}:log_path=$tmp/sanitizer"

declare -a pids=() mounts=()                          # what cleanup has to end
declare -A mount_pid=()                               # mountpoint → the nzbfs that serves it
declare -A newsd_host=() newsd_port=() newsd_ca=() newsd_pid=() # of start_newsd
declare -A newsd_in=() newsd_out=()                   # descriptors of its control lines
declare -A nserv_port=() nserv_ca=() nserv_pid=()     # of start_nserv

# ---- ends ------------------------------------------------------------------------------------------

fail() {
    printf '%s: FAILED: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

skip() {
    printf '%s: skipped: %s\n' "${0##*/}" "$*"
    exit 77
}

say() {
    printf '== %s\n' "$*"
}

is_mounted() {
    mountpoint -q -- "$1" 2>/dev/null || grep -qsF -- " $1 fuse" /proc/self/mounts
}

logs_show() {
    local log
    for log in "$tmp"/*.log; do
        [[ -s $log ]] || continue
        printf -- '--- %s (its end)\n' "${log##*/}" >&2
        tail -n 40 -- "$log" >&2
    done
}

# What a process that does not end is at.
stacks_show() { # PID
    printf 'process %s (%s) does not end:\n' "$1" "$(tr '\0' ' ' <"/proc/$1/cmdline")" >&2
    if command -v gdb >/dev/null; then
        timeout 20 gdb -p "$1" -batch -ex 'thread apply all bt 16' >&2 2>/dev/null || true
    else
        grep -Hs . /proc/"$1"/task/*/{comm,wchan} >&2 || true
    fi
}

end_pid() { # PID: TERM; 1 where that was not obeyed within 5 s and it took KILL
    local pid=$1 i
    kill -TERM "$pid" 2>/dev/null || true
    for ((i = 0; i < 250; i++)); do
        if ! is_running "$pid"; then
            wait "$pid" 2>/dev/null || true
            return 0
        fi
        sleep 0.02
    done
    stacks_show "$pid"
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    return 1
}

reports_show() { # and say whether there are any
    local report any=1
    for report in "$tmp"/sanitizer*; do
        [[ -s $report ]] || continue
        any=0
        cat -- "$report" >&2
        printf '%s: FAILED: a sanitizer found something\n' "${0##*/}" >&2
    done
    return "$any"
}

cleanup() {
    local status=$? i
    trap - EXIT
    trap '' INT TERM HUP
    set +e
    for ((i = ${#mounts[@]} - 1; i >= 0; i--)); do
        is_mounted "${mounts[i]}" || continue
        fusermount3 -u -- "${mounts[i]}" 2>/dev/null || fusermount3 -uz -- "${mounts[i]}"
    done
    for i in "${pids[@]}"; do
        end_pid "$i" || status=1
    done
    reports_show && status=1
    ((status == 0 || status == 77)) || logs_show
    rm -rf -- "$tmp"
    exit "$status"
}
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# ---- needs -----------------------------------------------------------------------------------------

need() { # COMMAND...
    local c
    for c; do
        command -v "$c" >/dev/null || skip "there is no $c here"
    done
}

skip_unless_fuse() {
    local caps
    [[ -c /dev/fuse ]] || skip "there is no /dev/fuse here"
    { : <>/dev/fuse; } 2>/dev/null || skip "/dev/fuse may not be opened"
    need fusermount3 mountpoint
    # fusermount3 is setuid and mounts for users; for root in a container it takes the capability itself.
    caps=$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status)
    if ((EUID == 0)) && ((!(0x$caps >> 21 & 1))); then
        skip "root may not mount here (CAP_SYS_ADMIN is missing)"
    fi
    need "$NZBFS"
}

# by_build VALUE SANITIZED: the first in a plain build, the second under a sanitizer.
by_build() {
    if [[ -z ${NZBFS_TEST_SANITIZER:-} ]]; then echo "$1"; else echo "$2"; fi
}

# ---- waiting ---------------------------------------------------------------------------------------

# Whether a process is there and is not merely waiting to be collected.
is_running() { # PID
    local state
    kill -0 "$1" 2>/dev/null || return 1
    state=$(sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null) || return 1
    [[ -n $state && ${state:0:1} != Z ]]
}

# wait_until WHAT SECONDS COMMAND...: until COMMAND succeeds, or fail with WHAT.
wait_until() {
    local what=$1 end=$((SECONDS + $2))
    shift 2
    until "$@"; do
        ((SECONDS <= end)) || fail "$what: not within time"
        sleep 0.02
    done
}

wait_for_file() { # FILE [SECONDS]
    wait_until "$1 appears" "${2:-30}" test -s "$1"
}

wait_for_line() { # FILE REGEX [SECONDS]
    wait_until "a line like '$2' in ${1##*/}" "${3:-30}" grep -qsE -- "$2" "$1"
}

# Milliseconds since some moment, in $now_ms.
now_ms=0
look_at_clock() {
    now_ms=$((10#${EPOCHREALTIME//[!0-9]/} / 1000))
}

has_ended() {
    ! is_running "$1"
}

wait_gone() { # PID [SECONDS]
    wait_until "process $1 ends" "${2:-30}" has_ended "$1"
}

# ---- files -----------------------------------------------------------------------------------------

# random_file PATH SIZE [SEED]: bytes that do not compress, the same on every run. SIZE as `head -c` takes
# it. The stream comes to its end by its input, so that nobody writes into a closed pipe.
random_file() {
    local key
    key=$(printf '%032x' "${3:-1}")
    head -c "$2" /dev/zero |
        openssl enc -aes-128-ctr -nosalt -K "$key" -iv 00000000000000000000000000000000 >"$1"
}

same() { # FILE FILE
    cmp -- "$1" "$2" >&2 || fail "$1 and $2 differ"
}

# same_range FILE FILE OFFSET LENGTH: the same bytes there.
same_range() {
    cmp -n "$4" -i "$3" -- "$1" "$2" >&2 || fail "$1 and $2 differ in $4 bytes from $3"
}

# range_of FILE OFFSET LENGTH: these bytes and no others are read, and written to standard output.
range_of() {
    dd if="$1" iflag=fullblock,skip_bytes,count_bytes skip="$2" count="$3" bs=128K status=none
}

# reads_badly FILE OFFSET LENGTH [WORDS]: reading there fails, with "Input/output error" unless told otherwise.
reads_badly() {
    if range_of "$1" "$2" "$3" >"$tmp/bytes" 2>"$tmp/err"; then
        fail "$1: $3 bytes at $2 could be read"
    fi
    grep -q "${4:-Input/output error}" "$tmp/err" || fail "$1: $3 bytes at $2: $(<"$tmp/err")"
}

# reads_well FILE OFFSET LENGTH SOURCE: these bytes, by a handle that reads nothing else, are SOURCE's.
reads_well() {
    range_of "$1" "$2" "$3" >"$tmp/bytes" || fail "$1: $3 bytes at $2 cannot be read"
    range_of "$4" "$2" "$3" | cmp - "$tmp/bytes" >&2 || fail "$1: other bytes among $3 at $2"
}

# A number from 0 to $1 - 1 of a sequence that is the same on every run, in $picked (a subshell would
# draw the same one again and again).
RANDOM=1
picked=0
pick() {
    picked=$(((RANDOM << 45 | RANDOM << 30 | RANDOM << 15 | RANDOM) % $1))
}

# ---- the project's news server ---------------------------------------------------------------------

# start_newsd NAME [OPTION|FILE]...: afterwards ${newsd_port[NAME]}, ${newsd_ca[NAME]} (empty: plain) and
# ${newsd_pid[NAME]}. NAME is also how newsd_say and provider know it.
start_newsd() {
    local name=$1 in=$tmp/$1.in out=$tmp/$1.out ready=$tmp/$1.ready to from line host port ca
    shift
    need "$NEWSD"
    mkfifo "$in" "$out"
    "$NEWSD" --exit-with-parent --control - --ready-file "$ready" "$@" <"$in" >"$out" 2>"$tmp/$name.log" &
    newsd_pid[$name]=$!
    pids+=($!)
    exec {to}>"$in" {from}<"$out"
    newsd_in[$name]=$to
    newsd_out[$name]=$from
    # The line for people comes once it can be connected to; none comes when it could not start.
    IFS= read -r -t 60 line <&"$from" || fail "newsd $name did not start: $(cat "$tmp/$name.log")"
    read -r host port ca <"$ready"
    newsd_host[$name]=${host#host=}
    newsd_port[$name]=${port#port=}
    newsd_ca[$name]=${ca#ca=}
}

# newsd_say NAME COMMAND...: one control line (`nzbfs-newsd --help` lists them); its answer is in $answer.
answer=
newsd_say() {
    local name=$1
    shift
    printf '%s\n' "$*" >&"${newsd_in[$name]}"
    IFS= read -r -t 60 answer <&"${newsd_out[$name]}" || fail "newsd $name does not answer '$*'"
    [[ $answer != error:* ]] || fail "newsd $name, '$*': $answer"
}

# newsd_stat NAME COUNTER: its value, in $answer.
newsd_stat() {
    newsd_say "$1" stats
    [[ $answer =~ \"$2\":([0-9]+) ]] || fail "newsd $1 has no counter $2"
    answer=${BASH_REMATCH[1]}
}

stop_newsd() { # NAME
    end_pid "${newsd_pid[$1]}"
}

# ---- nzbget's news server --------------------------------------------------------------------------

nserv_nzbs() { # DATA SEGMENT-SIZE: makes DATA/*.nzb
    local try
    need nzbget
    # Once in a hundred times it crashes as it ends; that is not what is tested.
    for try in 1 2 3; do
        rm -f "$1"/*.nzb
        nzbget --nserv -d "$1" -z "$2" -q >"$tmp/nserv-nzbs.log" 2>&1 && return 0
    done
    fail "nserv makes no NZBs"
}

certificate_make() { # CERT KEY: self-signed, for localhost and both loopback addresses
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1 -out "$1" -keyout "$2" 2>/dev/null ||
        fail "openssl makes no certificate"
}

# Whether process $1 itself listens on port $2: another one may have the port.
listens() {
    local hex inode fd
    hex=$(printf ':%04X' "$2")
    inode=$(awk -v p="$hex" '$4 == "0A" && substr($2, length($2) - 4) == p { print $10; exit }' \
        /proc/net/tcp)
    [[ -n $inode ]] || return 1
    for fd in "/proc/$1/fd"/*; do
        [[ $(readlink "$fd") != "socket:[$inode]" ]] || return 0
    done
    return 1
}

nserv_settled() { # PID PORT LOG: it listens, or knows that it cannot
    listens "$1" "$2" || grep -qs 'Binding socket failed' "$3" || ! is_running "$1"
}

# start_nserv NAME DATA [tls] [OPTION]...: afterwards ${nserv_port[NAME]}, ${nserv_ca[NAME]} (empty: plain)
# and ${nserv_pid[NAME]}.
start_nserv() {
    local name=$1 data=$2 log=$tmp/$1.log try port pid
    local -a tls=()
    shift 2
    need nzbget openssl
    nserv_ca[$name]=
    if [[ ${1:-} == tls ]]; then
        shift
        certificate_make "$tmp/$name.crt" "$tmp/$name.key"
        tls=(-s "$tmp/$name.crt" "$tmp/$name.key")
        nserv_ca[$name]=$tmp/$name.crt
    fi
    for ((try = 0; try < 20; try++)); do
        port=$((10000 + (BASHPID * 7 + try * 131 + ${#nserv_pid[@]} * 17) % 20000))
        nzbget --nserv -d "$data" -b 127.0.0.1 -p "$port" "${tls[@]}" "$@" >"$log" 2>&1 &
        pid=$!
        wait_until "nserv $name listens" 20 nserv_settled "$pid" "$port" "$log"
        if listens "$pid" "$port"; then
            nserv_port[$name]=$port
            nserv_pid[$name]=$pid
            pids+=("$pid")
            return 0
        fi
        end_pid "$pid" || true
    done
    fail "nserv $name found no port: $(tail -n 3 "$log")"
}

stop_nserv() { # NAME
    end_pid "${nserv_pid[$1]}"
}

# ---- configuration and mounting --------------------------------------------------------------------

# provider NAME [KEY=VALUE]...: adds the server of that name to $conf.
provider() {
    local name=$1 host port ca secure=no setting
    local -A given=()
    shift
    host=${newsd_host[$name]:-127.0.0.1}
    port=${newsd_port[$name]:-${nserv_port[$name]:-}}
    ca=${newsd_ca[$name]:-${nserv_ca[$name]:-}}
    [[ -n $ca ]] && secure=yes
    [[ -n $port ]] || fail "no server is called $name"
    {
        printf '[provider %s]\n' "$name"
        # What is asked for goes before what is usual here.
        for setting in "$@" host="$host" port="$port" tls="$secure" ${ca:+ca_file="$ca"} connections=8; do
            [[ -z ${given[${setting%%=*}]:-} ]] || continue
            given[${setting%%=*}]=1
            printf '%s = %s\n' "${setting%%=*}" "${setting#*=}"
        done
        printf '\n'
    } >>"$conf"
    chmod 600 "$conf"
}

setting() { # SECTION KEY=VALUE...: adds a section to $conf
    local section=$1 s
    shift
    {
        printf '[%s]\n' "$section"
        for s; do
            printf '%s = %s\n' "${s%%=*}" "${s#*=}"
        done
        printf '\n'
    } >>"$conf"
}

# What is late is asked for twice, and on a machine that is taken by others anything may be: where requests are counted
# that would be noise. Unless a test has something to say of its class itself.
hedge_off() {
    grep -qs '^\[class streaming\]' "$conf" || setting "class streaming" hedge=0
}

# mount_nzb SOURCE MOUNTPOINT [OPTION]...: mounts in the foreground of a background job, so that its
# process id, its log (MOUNTPOINT's name.log) and its exit status are ours. Returns once it answers.
mount_nzb() {
    local source=$1 at=$2 log pid
    shift 2
    log=$tmp/${at##*/}.log
    mkdir -p "$at"
    hedge_off
    "$NZBFS" mount "$source" "$at" -f -c "$conf" "$@" >"$log" 2>&1 &
    pid=$!
    pids+=("$pid")
    mounts+=("$at")
    mount_pid[$at]=$pid
    wait_until "$at is mounted" 30 mount_settled "$at" "$pid"
    is_mounted "$at" || fail "nzbfs mount $source ended: $(tail -n 5 "$log")"
}

# up SOURCE [OPTION]...: mounts at $mnt as people do, without -f; the process that serves it is $daemon.
daemon=
up() {
    local source=$1
    shift
    mounts+=("$mnt")
    hedge_off
    "$NZBFS" mount "$source" "$mnt" -c "$conf" "$@" || fail "nzbfs mount $source $*: status $?"
    # It has returned, so it must be there now, not soon.
    mountpoint -q "$mnt" || fail "nzbfs mount $source returned before the mount was there"
    daemon_find
}

down() { # unmounts $mnt, and sees that process end
    fusermount3 -u "$mnt" || fail "$mnt cannot be unmounted"
    wait_gone "$daemon"
}

# The process that runs nzbfs and names $mnt in its arguments.
daemon_find() {
    local p exe
    exe=$(readlink -f "$(command -v "$NZBFS")")
    daemon=
    for p in $(pgrep -f -- "$mnt"); do
        if [[ $(readlink "/proc/$p/exe" || true) == "$exe" ]]; then
            daemon=$p
            pids+=("$p")
        fi
    done
    [[ -n $daemon ]] || fail "no process serves $mnt"
}

mount_settled() {
    is_mounted "$1" || ! is_running "$2"
}

# unmount MOUNTPOINT: and nzbfs must end well, which under a sanitizer says more than it seems.
unmount() {
    local at=$1 status=0
    fusermount3 -u -- "$at" || fail "$at cannot be unmounted"
    wait_gone "${mount_pid[$at]}"
    wait "${mount_pid[$at]}" || status=$?
    ((status == 0)) || fail "nzbfs of $at ended with status $status"
}

# within SECONDS COMMAND...: its exit status, or fail when it is still running then.
within() {
    local status=0 seconds=$1
    shift
    timeout -k 5 "$seconds" "$@" || status=$?
    ((status != 124 && status != 137)) || fail "still running after $seconds s: $*"
    return "$status"
}

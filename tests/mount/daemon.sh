# daemon.sh: mounts that have left their terminal, as `nzbfs mount` without -f makes them. To be sourced
# after lib.sh. $mnt is the mountpoint.
#
#     up SOURCE [OPTION]...    mount; the process that serves it is $daemon afterwards
#     down                     unmount, and see that process end
#     no_reports               fail if a sanitizer had something to say (also about daemons)
# shellcheck shell=bash

mnt=$tmp/mnt
mkdir "$mnt"
daemon=
export XDG_CONFIG_HOME=$tmp/config HOME=$tmp

# Nobody reads a daemon's standard error: sanitizers write to files.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:log_path=$tmp/sanitizer"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-}:log_path=$tmp/sanitizer"
export TSAN_OPTIONS="${TSAN_OPTIONS:-}:log_path=$tmp/sanitizer"

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

up() {
    local source=$1
    shift
    mounts+=("$mnt")
    "$NZBFS" mount "$source" "$mnt" -c "$conf" "$@" || fail "nzbfs mount $source $*: status $?"
    # It has returned, so it must be there now, not soon.
    mountpoint -q "$mnt" || fail "nzbfs mount $source returned before the mount was there"
    daemon_find
}

down() {
    fusermount3 -u "$mnt" || fail "$mnt cannot be unmounted"
    wait_gone "$daemon"
}

no_reports() {
    local report
    for report in "$tmp"/sanitizer*; do
        [[ -e $report ]] || continue
        cat "$report" >&2
        fail "a sanitizer found something"
    done
}

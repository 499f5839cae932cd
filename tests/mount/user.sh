#!/bin/bash
# An ordinary user mounts, through fusermount3: reading, both ways to an end, and what is refused.
#
# Debian lets everybody open /dev/fuse. Where this machine does not, a device of our own stands in its place, in
# a mount namespace that only this script sees.
if [[ -z ${OWN_NAMESPACE:-} ]] && unshare -m true 2>/dev/null; then
    OWN_NAMESPACE=1 exec unshare -m bash "$0"
fi
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
skip_unless_fuse
((EUID == 0)) || skip "only root can be another user; the other scripts are that test"
need setpriv
as_user() {
    setpriv --reuid=nobody --regid=nogroup --clear-groups --inh-caps=-all --bounding-set=+all "$@"
}
chmod 711 "$tmp"
if ! as_user sh -c ': <>/dev/fuse' 2>/dev/null; then
    [[ -n ${OWN_NAMESPACE:-} ]] || skip "/dev/fuse is root's alone, and there are no mount namespaces here"
    if ! mknod -m 666 "$tmp/fuse" c 10 229 || ! mount --bind "$tmp/fuse" /dev/fuse; then
        skip "/dev/fuse is root's alone, and no other can be made here"
    fi
fi
# The build may be where only we can look.
install -m 755 "$NZBFS" "$tmp/nzbfs"
NZBFS=$tmp/nzbfs

start_newsd main --nzb "$tmp/x.nzb" --generate film.mkv:3M
provider main
chown nobody "$mnt" "$conf"

say "it is theirs, and nobody else's"
mounts+=("$mnt")
as_user "$NZBFS" mount "$tmp/x.nzb" "$mnt" -c "$conf" || fail "status $?"
as_user cat "$mnt/film.mkv" >"$tmp/copy"
[[ $(stat -c %s "$tmp/copy") == 3145728 ]] || fail "the copy is short"
[[ $(as_user stat -c %U "$mnt/film.mkv") == nobody ]] || fail "the file is another's"
! ls "$mnt" 2>/dev/null || fail "root may look without allow_other"

say "SIGTERM unmounts, and so does fusermount3"
daemon_find
kill -TERM "$daemon"
wait_gone "$daemon"
! is_mounted "$mnt" || fail "after SIGTERM it is still mounted"
as_user "$NZBFS" mount "$tmp/x.nzb" "$mnt" -c "$conf" || fail "again: status $?"
daemon_find
as_user fusermount3 -u "$mnt" || fail "it cannot be unmounted"
wait_gone "$daemon"

say "what is refused is told"
refused() { # WORDS ARGUMENT...
    local words=$1
    shift
    ! as_user "$NZBFS" mount "$tmp/x.nzb" "$@" -c "$conf" 2>"$tmp/err" || fail "mount $* worked"
    grep -q "$words" "$tmp/err" || fail "mount $* said: $(<"$tmp/err")"
}
grep -qs '^user_allow_other' /etc/fuse.conf || refused "user_allow_other" "$mnt" -o allow_other
mkdir "$tmp/roots"
refused "no write access" "$tmp/roots"

say "a daemon that was killed leaves a mount that says so, and how to go on"
as_user "$NZBFS" mount "$tmp/x.nzb" "$mnt" -c "$conf" || fail "a third time: status $?"
daemon_find
kill -KILL "$daemon"
wait_gone "$daemon"
! as_user cat "$mnt/film.mkv" >/dev/null 2>"$tmp/err" || fail "a dead mount can be read"
refused "run fusermount3 -u $mnt first" "$mnt"
as_user fusermount3 -u "$mnt" || fail "the dead mount cannot be taken away"

#!/bin/bash
# mount(8) finds the program by its type, from the command line and from a line of fstab; umount(8) ends it.
#
# mount.fuse looks for the program where programs are installed, whatever PATH says. So that nothing has to
# be installed, this runs in a mount namespace of its own, where /usr/local/bin is ours.
if [[ -z ${OWN_NAMESPACE:-} ]] && unshare -m true 2>/dev/null; then
    OWN_NAMESPACE=1 exec unshare -m bash "$0"
fi
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
skip_unless_fuse
((EUID == 0)) || skip "mount(8) is for root"
[[ -n ${OWN_NAMESPACE:-} ]] || skip "there are no mount namespaces here"
[[ -x /sbin/mount.fuse ]] || skip "there is no mount.fuse here"

start_newsd main --nzb "$tmp/x.nzb" --generate film.mkv:3M
provider main
mkdir "$tmp/bin"
ln -s "$(readlink -f "$(command -v "$NZBFS")")" "$tmp/bin/nzbfs"
mount --bind "$tmp/bin" /usr/local/bin 2>/dev/null || skip "bind mounts are not allowed here"
mounts+=("$mnt")

mounted_well() {
    [[ $(findmnt -no FSTYPE "$mnt") == fuse.nzbfs ]] || fail "the type is $(findmnt -no FSTYPE "$mnt")"
    [[ $(stat -c %s "$mnt/film.mkv") == 3145728 ]] || fail "the size is $(stat -c %s "$mnt/film.mkv")"
    [[ $(stat -c %a "$mnt/film.mkv") == 440 ]] || fail "umask=0337 gives $(stat -c %a "$mnt/film.mkv")"
    head -c 100000 "$mnt/film.mkv" >/dev/null
    daemon_find
    umount "$mnt"
    wait_gone "$daemon"
}

refused() { # WORDS COMMAND...
    local words=$1
    shift
    if "$@" 2>"$tmp/err"; then
        fail "$* succeeded"
    fi
    grep -q "$words" "$tmp/err" || fail "$*: $(<"$tmp/err")"
}

say "mount -t fuse.nzbfs"
cp "$conf" "$tmp/a,comma"
mount -t fuse.nzbfs "$tmp/x.nzb" "$mnt" -o "config=$tmp/a\\,comma,umask=0337,ro,noatime,x-note=1"
mounted_well

say "a line in fstab"
echo "$tmp/x.nzb $mnt fuse.nzbfs config=$conf,umask=0337,noauto,user,nofail,_netdev,comment=x 0 0" >"$tmp/fstab"
mount -T "$tmp/fstab" "$mnt"
mounted_well

say "a start that fails is a mount that fails"
refused 'No such file' mount -t fuse.nzbfs "$tmp/none.nzb" "$mnt" -o "config=$conf"
refused "unknown mount option 'frobnicate'" mount -t fuse.nzbfs "$tmp/x.nzb" "$mnt" -o "config=$conf,frobnicate"

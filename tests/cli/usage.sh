#!/bin/bash
# Wrong usage is status 2 with a line that says what is wrong; --help is status 0 on standard output.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck disable=SC2154 # set by run

try() { echo "Try: nzbfs $1--help"; }

run
expect 2 "nzbfs: a command is missing
$(try '')"
run frobnicate
expect 2 "nzbfs: unknown command 'frobnicate'
$(try '')"
run mount
expect 2 "nzbfs: mount needs a SOURCE and a MOUNTPOINT
$(try 'mount ')"
run mount a b c
expect 2 "nzbfs: mount takes one SOURCE and one MOUNTPOINT
$(try 'mount ')"
run mount --frob a b
expect 2 "nzbfs: unknown option --frob, or one without its argument
$(try 'mount ')"
run mount a b -c
expect 2 "nzbfs: unknown option -c, or one without its argument
$(try 'mount ')"
run a b -o frob
expect 2 "nzbfs: unknown mount option 'frob'; nzbfs(1) lists them
$(try 'mount ')"
run a b -o umask=banana
expect 2 "nzbfs: -o umask = 'banana' is not an octal mask such as 022
$(try 'mount ')"
run ls
expect 2 "nzbfs: ls needs a SOURCE and at most one PATH
$(try 'ls ')"
run cat x.nzb
expect 2 "nzbfs: cat needs a SOURCE and one PATH
$(try 'cat ')"
run get
expect 2 "nzbfs: get needs a SOURCE
$(try 'get ')"
run config frob
expect 2 "nzbfs: config has one verb: check
$(try 'config ')"

run status a b
expect 2 "nzbfs: status takes one MOUNTPOINT, or none for all
$(try 'status ')"
run status --yaml
expect 2 "nzbfs: unknown option --yaml, or one without its argument
$(try 'status ')"
run reload a b
expect 2 "nzbfs: reload takes one MOUNTPOINT, or none for all
$(try 'reload ')"
run set /mnt/film
expect 2 "nzbfs: set needs a MOUNTPOINT and at least one KEY=VALUE
$(try 'set ')"
run set /mnt/film pool.rate 10M
expect 2 "nzbfs: 'pool.rate' is not KEY=VALUE
$(try 'set ')"

# Who asks a mount that is not there, or may not look for one, is told what to do.
export NZBFS_RUNTIME_DIR=$tmp/run
for command in status reload; do
    run $command
    expect 1 "nzbfs: this user has nothing mounted; nzbfs mount does that"
    run $command "$tmp/../${tmp##*/}/./nothing"
    expect 1 "nzbfs: $tmp/../${tmp##*/}/./nothing: nothing is mounted there; nzbfs status shows what this user has mounted"
done
run set "$tmp//./nothing/" pool.rate=1
expect 1 "nzbfs: $tmp/nothing: nothing is mounted there; nzbfs status shows what this user has mounted"
run status /proc
expect 1 "nzbfs: /proc: not a mount of nzbfs (proc); nzbfs status shows those"
mkdir -m 755 "$tmp/run"
run status
expect 1 "nzbfs: $tmp/run: others may enter it (mode 755); chmod 700 it"
NZBFS_RUNTIME_DIR=run run reload
expect 1 "nzbfs: NZBFS_RUNTIME_DIR: run is not an absolute path"

for command in mount ls cat get config status reload set; do
    run $command --help
    expect 0 ""
    [[ $out == "usage: nzbfs $command"* ]] || fail "nzbfs $command --help begins with: ${out%%$'\n'*}"
done
run --help
expect 0 ""
[[ $out == "usage: nzbfs COMMAND"* ]] || fail "nzbfs --help: $out"
run --version
expect 0 ""
[[ $out =~ ^nzbfs\ [0-9]+\.[0-9]+\.[0-9]+$ ]] || fail "nzbfs --version: $out"

# Names are in the NZB: no configuration is needed to see them, and a broken NZB is told first.
cat >"$tmp/film.nzb" <<'END'
<nzb><file poster="p" date="1" subject="&quot;film.mkv&quot; yEnc (1/1)">
<groups><group>a.b</group></groups><segments><segment bytes="9" number="1">a@b</segment></segments></file></nzb>
END
run ls "$tmp/film.nzb"
expect 0 ""
[[ $out == film.mkv ]] || fail "nzbfs ls: $out"
run ls "$tmp/film.nzb" nothing
expect 1 "nzbfs: nothing: no such file or directory; nzbfs ls without a path shows what there is"
echo '<nzb><file' >"$tmp/broken.nzb"
run ls "$tmp/broken.nzb"
expect 1 "nzbfs: $tmp/broken.nzb:1: ends inside a tag: it is cut off"

# What cannot be written is not passed over.
if [[ -e /dev/full ]]; then
    "$NZBFS" --help >/dev/full 2>"$tmp/err"
    status=$? err=$(<"$tmp/err") what="nzbfs --help >/dev/full"
    expect 1 "nzbfs: cannot write to standard output: No space left on device"
fi

finish

#!/bin/bash
# The configuration: where it is looked for, what is said of mistakes, and that secrets stay secret.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck disable=SC2154 # set by run

# Where there is none, it says where to write one. (A machine that has the last of them is skipped over.)
if [[ ! -e /etc/nzbfs.conf ]]; then
    run config check
    expect 1 "nzbfs: no configuration: write $tmp/config/nzbfs/nzbfs.conf or /etc/nzbfs.conf (nzbfs.conf(5) shows how), or name a file with -c"
fi

# The user's is found, and -c goes before it.
mkdir -p "$tmp/config/nzbfs"
printf '[provider own]\nhost = own.example\n' >"$tmp/config/nzbfs/nzbfs.conf"
run config check
expect 0 ""
[[ $out == "[provider own]"* ]] || fail "the user's configuration was not read: $out"
printf '[provider other]\nhost = other.example\nusername = me\npassword = hunter2\n' >"$tmp/c"
chmod 600 "$tmp/c"
run config check -c "$tmp/c"
expect 0 ""
[[ $out == "[provider other]"* ]] || fail "-c was not read: $out"
[[ $out == *"password = ***"* && $out != *hunter2* ]] || fail "the password was shown: $out"

# What it prints is a configuration, and means the same.
sed 's/\*\*\*/hunter2/' "$tmp/out" >"$tmp/again"
chmod 600 "$tmp/again"
cp "$tmp/out" "$tmp/first"
run config check -c "$tmp/again"
expect 0 ""
cmp -s "$tmp/first" "$tmp/out" || fail "check of what check printed differs: $(diff "$tmp/first" "$tmp/out")"

# A password that everyone may read.
chmod 644 "$tmp/c"
run config check -c "$tmp/c"
expect 0 "nzbfs: warn: config: $tmp/c: everyone may read it, and it holds a password: chmod o-r it"

# A mistake stops every command, before anything else.
printf '[provider a]\nhost = h\nconections = 5\n' >"$tmp/bad"
line="nzbfs: $tmp/bad:3: unknown key 'conections' in [provider a]; did you mean 'connections'?"
run config check -c "$tmp/bad"
expect 1 "$line"
run ls -l -c "$tmp/bad" "$tmp/none.nzb"
expect 1 "$line"
run config check -c "$tmp/none"
expect 1 "nzbfs: $tmp/none: No such file or directory"
run config check -c "$tmp"
expect 1 "nzbfs: $tmp: Is a directory"

# A mistake in a line with a password does not print it.
printf '[provider a]\nhost = h\nusername = u\npassword = hunter2\npassword = hunter3\n' >"$tmp/bad"
run config check -c "$tmp/bad"
[[ $status == 1 && $err != *hunter* ]] || fail "a password was shown: $err"

finish

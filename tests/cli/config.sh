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

# So is what was switched off.
printf '[provider a]\nhost = a\n[class streaming]\nhedge = 0\n' >"$tmp/off"
run config check -c "$tmp/off"
expect 0 ""
[[ $out == *"hedge = 0%"* ]] || fail "hedge = 0 is not printed: $out"
cp "$tmp/out" "$tmp/again"
run config check -c "$tmp/again"
expect 0 ""
[[ $out == *"hedge = 0%"* ]] || fail "hedge = 0% was not read again: $out"

# What the shares mean stands behind it, for the connections there are.
cat >"$tmp/shares" <<'END'
[provider a]
host = a
connections = 100
[provider b]
host = b
connections = 45
[class queue]
guaranteed = 30
[class health]
guaranteed = 60
burst = 60
[class streaming]
guaranteed = 55
per_stream = 5
END
run config check -c "$tmp/shares"
expect 0 ""
want="# What the shares of the 145 connections mean:
#
#   class      guaranteed  burst  weight
#   queue              30    145      30
#   health             60     60      60
#   streaming          55    145      55
#
# While all three are busy: Queue 30, HealthCheck 60, BufferedStreaming 55.
# While Queue and HealthCheck are: Queue 85, HealthCheck 60.
# While Queue and BufferedStreaming are: Queue 51, BufferedStreaming 94.
# While HealthCheck and BufferedStreaming are: HealthCheck 60, BufferedStreaming 85.
# Queue alone may use 145, HealthCheck alone 60, BufferedStreaming alone 145.
# One open file of BufferedStreaming holds at most 5."
[[ $out == *"$want" ]] || fail "the shares were told as: ${out#*\# What}"

# So does what is out of the ordinary: a smaller pool, a fallback, a reserve, a class without a guarantee.
printf '[provider a]\nhost = a\n[provider b]\nhost = b\ntier = 1\nconnections = 5\n[pool]
connections = 12\nreserve = 2\n[class health]\nguaranteed = 0\n' >"$tmp/odd"
run config check -c "$tmp/odd"
expect 0 ""
for want in "The providers have 15 connections; at most 12 are used at once." \
    "Of them, 5 are at providers of a higher tier and serve only what tier 0 lacks" \
    "The last 2 free ones go only to a class below its guarantee." \
    "HealthCheck is guaranteed none"; do
    [[ $out == *"# $want"* ]] || fail "it is not told that \"$want\": $out"
done

# A cap that caps nothing is told, and stops nothing.
printf '[provider a]\nhost = a\n[class streaming]\nburst = 4\nper_stream = 5\n' >"$tmp/cap"
run config check -c "$tmp/cap"
expect 0 "nzbfs: warn: config: $tmp/cap:5: per_stream = 5 in [class streaming] caps nothing, since its burst is 4"

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

printf '[provider a]\nhost = h\nconnections = 50\n[class queue]\nburst = 60\n' >"$tmp/bad"
run config check -c "$tmp/bad"
expect 1 "nzbfs: $tmp/bad:5: burst = 60 in [class queue] is more than the pool's 50 connections; write at most 50, or 100%"

# A mistake in a line with a password does not print it.
printf '[provider a]\nhost = h\nusername = u\npassword = hunter2\npassword = hunter3\n' >"$tmp/bad"
run config check -c "$tmp/bad"
[[ $status == 1 && $err != *hunter* ]] || fail "a password was shown: $err"

finish

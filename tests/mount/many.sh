#!/bin/bash
# Ten thousand files in one directory: they are listed and found without an article, and only a file whose
# size is asked for costs one.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
skip_unless_fuse

n=$(by_build 10000 2000)
files=()
for ((i = 0; i < n; i++)); do
    # Sizes differ, so that a size of another file would be noticed.
    files+=(--generate "$(printf 'file.%05d.bin' "$i"):$((100 + i))")
done
start_newsd main --nzb "$tmp/x.nzb" "${files[@]}"
provider main connections=8 pipelining=8

# costs COUNT COMMAND...: COMMAND succeeds, its output is in $tmp/list, and so many articles were asked for in
# whatever way.
costs() {
    local count=$1 before began
    shift
    asked && before=$answer
    look_at_clock && began=$now_ms
    "$@" >"$tmp/list" || fail "$*: status $?"
    look_at_clock
    asked
    ((answer - before == count)) || fail "$* cost $((answer - before)) articles, not $count"
    say "  ${*:1:2} took $((now_ms - began)) ms and $count articles"
}

asked() {
    newsd_say main stats
    [[ $answer =~ \"body\":([0-9]+),\"article\":([0-9]+),\"stat\":([0-9]+),\"head\":([0-9]+) ]] ||
        fail "the server's counters: $answer"
    answer=$((BASH_REMATCH[1] + BASH_REMATCH[2] + BASH_REMATCH[3] + BASH_REMATCH[4]))
}

lists() { # COUNT: that many lines were put out
    [[ $(wc -l <"$tmp/list") == "$1" ]] || fail "$(wc -l <"$tmp/list") lines, not $1"
}

say "names cost nothing"
costs 0 up "$tmp/x.nzb"
costs 0 ls "$mnt"
lists "$n"
costs 0 ls -f "$mnt"
lists $((n + 2))
costs 0 find "$mnt"
lists $((n + 1))
costs 0 find "$mnt" -type f -name 'file.*7.bin'
lists $((n / 10))
costs 0 find "$mnt" -type d
lists 1
if stat "$mnt/file.99999.bin" 2>/dev/null; then
    fail "a file that is not there"
fi
asked && ((answer == 0)) || fail "a name that is not there cost $answer articles"

say "a size costs the article of its file, once"
some=("$mnt"/file.00{1,2,3}[0-4]5.bin)
costs ${#some[@]} stat -c '%n %s' "${some[@]}"
lists 15
while read -r name size; do
    name=${name##*/file.}
    ((size == 100 + 10#${name%.bin})) || fail "file.$name is $size bytes long"
done <"$tmp/list"
costs 0 stat -c '%n %s' "${some[@]}"
costs 0 cat "${some[@]}"

say "all sizes"
costs $((n - 15)) ls -l "$mnt"
lists $((n + 1))
bytes=$(awk 'NR > 1 { sum += $5 } END { print sum }' "$tmp/list")
((bytes == n * 100 + n * (n - 1) / 2)) || fail "ls -l shows $bytes bytes in all"
costs 0 ls -l "$mnt"
costs 0 find "$mnt" -size +1k
down

say "nzbfs ls"
costs 0 "$NZBFS" ls -c "$conf" "$tmp/x.nzb"
lists "$n"

# lib — expectations about the program's status and words. Sourced by the scripts beside it.
# shellcheck shell=bash disable=SC2034
set -uo pipefail
: "${NZBFS:?the program to test}"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export XDG_CONFIG_HOME=$tmp/config HOME=$tmp

fails=0
fail() {
    echo "FAIL: $*" >&2
    fails=$((fails + 1))
}

# run ARGUMENT… — sets $status, $out, $err.
run() {
    "$NZBFS" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
    status=$?
    out=$(<"$tmp/out") err=$(<"$tmp/err")
    what="nzbfs $*"
}

# expect STATUS ERROR — of the last run; ERROR is all of standard error, word for word.
expect() {
    [[ $status == "$1" ]] || fail "$what: status $status, not $1; it said: $err"
    [[ $err == "$2" ]] || fail "$what: said \"$err\", not \"$2\""
}

finish() { exit $((fails > 0)); }

#!/bin/bash
# What the makers make is judged by independent readers: every variety is listed and unpacked by those that can read
# it, and names, bytes and times must be those that were packed.
#
#     judges.sh [VARIETY]
#
# $SETMAKER is the maker. Exit status 77: a reader lacks.
set -euo pipefail

only=${1:-}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
root=$tmp/root set=$tmp/set

fail() {
    printf 'FAIL: %s\n' "$*" >&2
    exit 1
}

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/varieties.sh"

for tool in $(readers_needed) zip "$SETMAKER"; do
    command -v "$tool" >/dev/null || {
        printf 'skipped: there is no %s\n' "$tool"
        exit 77
    }
done

tree_make
manifest "$root" >"$tmp/want"
(($(wc -l <"$tmp/want") == 7)) || fail "the files that are packed are $(wc -l <"$tmp/want")"

varieties=0 wrong=0
disagree() {
    printf 'FAIL: %s\n' "$*" >&2
    wrong=$((wrong + 1))
}

ask() { # READER VARIETY VOLUME...
    local reader=$1 name=$2
    shift 2
    if ! unpack "$reader" "$password" "$tmp/out" "$@" >"$tmp/log" 2>&1; then
        disagree "$name: reader $reader refuses it: $(tail -n 5 "$tmp/log")"
        return 0
    fi
    grep -q film.bin "$tmp/out.list" || disagree "$name: reader $reader lists: $(<"$tmp/out.list")"
    manifest "$tmp/out" >"$tmp/have"
    cmp -s "$tmp/want" "$tmp/have" ||
        disagree "$name: reader $reader finds something else: $(diff "$tmp/want" "$tmp/have")"
}

variety() {
    local readers=$1 name=$2 password=$3 i line
    local -a volumes=()
    shift 3
    [[ -z $only || $only == "$name" ]] || return 0
    rm -rf "$set"
    mkdir "$set"
    "$@" >"$tmp/volumes" || fail "$name cannot be made"
    while read -r line; do
        volumes+=("$set/${line% *}")
    done <"$tmp/volumes"
    for ((i = 0; i < ${#readers}; i++)); do
        ask "${readers:i:1}" "$name" "${volumes[@]}"
    done
    varieties=$((varieties + 1))
    printf '%-28s %3d volumes: %s\n' "$name" "${#volumes[@]}" "$readers"
}
varieties

((varieties > 0)) || fail "there is no variety $only"
((wrong == 0)) || fail "$wrong of the readers' answers"
printf '%d varieties\n' "$varieties"

#!/bin/bash
# mutants.sh — the scheduler with one deliberate fault at a time: each must be caught, by the promise it breaks.
#
#   mutants.sh SOURCE BUILD [PATCH…]
#
# A patch in mutants/ says in its first line which promise it breaks. It is applied to a copy of the file it
# names, which is compiled and linked with the simulator, the model and the rest of qos/ as built. A
# patch that no longer applies, or a fault that nobody notices, fails the test.
#
# CC is the compiler. MUTANT_SECONDS is the time to shrink a failing run in (1); MUTANT_OUT a directory
# that keeps what each run said, the short story included.
set -u
src=$1 build=$2
shift 2
patches=("$@")
((${#patches[@]})) || patches=("$src"/tests/qos/mutants/*.patch)
if ! command -v patch >/dev/null || ! command -v "${CC:-cc}" >/dev/null; then
    echo "no patch or no compiler here"
    exit 77
fi
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

# one PATCH: 0 caught, 1 not; one line on stdout
one() {
    local p=$1 name promise file dir
    name=$(basename "$p" .patch)
    promise=$(sed -n '1s/^breaks: //p' "$p")
    file=$(sed -n 's|^+++ b/||p' "$p")
    dir=$tmp/$name
    mkdir -p "$dir/qos"
    if [[ -z $promise || $(wc -w <<<"$file") != 1 ]]; then
        echo "FAIL $name: says not what it breaks, or is not of one file"
        return 1
    fi
    cp "$src/$file" "$dir/$file"
    if ! patch -s -f -p1 -d "$dir" <"$p" >"$dir/log" 2>&1; then
        echo "FAIL $name: does not apply to $file any more: $(head -n 1 "$dir/log")"
        return 1
    fi
    if ! "${CC:-cc}" -std=c17 -D_GNU_SOURCE -O1 -w -I"$src" -c -o "$dir/mutant.o" "$dir/$file" 2>"$dir/log" ||
        ! "${CC:-cc}" -o "$dir/mutant" "$dir/mutant.o" "$build/tests/qos/libqos_mutant.a" \
            "$build/tests/qos/libqos_sim.a" "$build/qos/libqos.a" "$build/base/libbase.a" 2>"$dir/log"; then
        echo "FAIL $name: does not compile: $(grep -m 1 error "$dir/log")"
        return 1
    fi
    timeout 60 "$dir/mutant" "$promise" 300 "${MUTANT_SECONDS:-1}" >"$dir/out" 2>&1
    local status=$?
    [[ -n ${MUTANT_OUT:-} ]] && cp "$dir/out" "$MUTANT_OUT/$name.txt"
    if ((status)); then
        echo "FAIL $name ($promise): status $status, $(tail -n 1 "$dir/out")"
        return 1
    fi
    echo "ok   $name: $(head -n 1 "$dir/out" | cut -c1-110) [$(sed -n '2s/ in .*//p' "$dir/out")]"
}
export -f one
export src build tmp
if ((${#patches[@]} < 1)); then
    exit 1
fi
printf '%s\0' "${patches[@]}" | nice -n 5 xargs -0 -n 1 -P 2 bash -c 'one "$1"' _ | sort -k2 | tee "$tmp/report"
if grep -q '^FAIL' "$tmp/report" || [[ $(grep -c '^ok' "$tmp/report") != "${#patches[@]}" ]]; then
    echo "$(grep -c '^FAIL' "$tmp/report") of ${#patches[@]} not caught"
    exit 1
fi
echo "${#patches[@]} mutants, all caught"

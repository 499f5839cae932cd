#!/bin/bash
# The sample has every key, with values that are accepted; the manual page has them all too.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck disable=SC2154 # set by run
sample=$SOURCE_DIR/packaging/nzbfs.conf.sample
page=$SOURCE_DIR/man/nzbfs.conf.5

install -m 600 "$sample" "$tmp/sample"
run config check -c "$tmp/sample"
expect 0 ""

# With every key in force it means the same: what is commented out are the defaults (those of the shares
# for the ten connections of its provider).
cp "$tmp/out" "$tmp/defaults"
sed -E '/^#(password_file|credential|ca_file) =/d; s/^#([a-z_]+ =)/\1/' "$sample" >"$tmp/all"
chmod 600 "$tmp/all"
run config check -c "$tmp/all"
expect 0 ""
cmp -s "$tmp/defaults" "$tmp/out" ||
    fail "the sample's commented values are not the defaults: $(diff "$tmp/defaults" "$tmp/out")"

# What config check prints is every key but the two other ways to a password, and ca_file when unset.
{
    sed -nE 's/^([a-z_]+) =.*/\1/p' "$tmp/out"
    printf '%s\n' password_file credential ca_file
} | sort -u >"$tmp/keys"
sed -nE 's/^#?([a-z_]+) =.*/\1/p' "$sample" | sort -u >"$tmp/in-sample"
diff "$tmp/keys" "$tmp/in-sample" || fail "the sample and the program differ in their keys"
while read -r key; do
    grep -Eq "^\.It Cm .*\b$key\b" "$page" || fail "nzbfs.conf(5) does not have $key"
done <"$tmp/keys"

# Every option in --help is in nzbfs(1).
for command in mount ls cat get config; do
    run $command --help
    grep -oE -- '--[a-z]+' <<<"$out" | sort -u | while read -r option; do
        case $option in
        --help | --config | --quiet | --long | --directory) ;; # in the synopsis by their letter
        *) grep -q -- "-${option#--}" "$SOURCE_DIR/man/nzbfs.1" || exit 1 ;;
        esac
    done || fail "nzbfs(1) lacks an option of $command"
done

if command -v mandoc >/dev/null; then
    # Whether other pages are installed here says nothing about ours.
    warnings=$(mandoc -T lint "$SOURCE_DIR"/man/nzbfs.1 "$page" 2>/dev/null | grep -v 'referenced manual not found')
    [[ -z $warnings ]] || fail "mandoc: $warnings"
fi

finish

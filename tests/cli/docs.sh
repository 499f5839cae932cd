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

# keys FILE — "SECTION KEY VALUE" of a configuration, comments that are keys included; the three classes, and
# all providers, are one section.
keys() {
    awk '/^\[/ { section = substr($1, 2); sub(/\]/, "", section) }
         match($0, /^#?[a-z_]+ =/) {
             key = substr($0, 1, RLENGTH - 2); sub(/^#/, "", key)
             value = substr($0, RLENGTH + 1); sub(/^ /, "", value)
             print section, key, value
         }' "$1"
}

# The same of the manual page, where a default is a word behind "Default:".
page_keys() {
    awk 'function flush() { if (names != "") { n = split(names, list, " ")
             for (i = 1; i <= n; i++) print section, list[i], value }; names = value = "" }
         $1 == ".Sh" { flush(); section = tolower($2); sub(/(e?s)$/, "", section); if (section == "class") next }
         $1 == ".Sh" && $2 == "TIMEOUTS" { section = "timeouts" }
         $1 == ".It" && $2 == "Cm" { flush(); for (f = 3; f <= NF; f++) if ($f != ",") names = names " " $f }
         $1 == ".El" { flush() }
         names != "" && /Default:/ { sub(/.*Default: */, ""); awaiting = $0 == ""; value = $1 }
         awaiting && $1 == ".Cm" { value = $2; awaiting = 0 }
         { gsub(/[.,]$/, "", value) }' "$1"
}

# What config check prints is every key but the two other ways to a password, and ca_file when unset.
{
    keys "$tmp/out" | cut -d' ' -f1,2
    printf 'provider %s\n' password_file credential ca_file
} | sort -u >"$tmp/keys"
(($(wc -l <"$tmp/keys") > 35)) || fail "only $(wc -l <"$tmp/keys") keys were found"
keys "$sample" | cut -d' ' -f1,2 | sort -u | diff "$tmp/keys" - || fail "the sample and the program differ in their keys"
page_keys "$page" >"$tmp/page"
cut -d' ' -f1,2 "$tmp/page" | sort -u | diff "$tmp/keys" - || fail "nzbfs.conf(5) and the program differ in their keys"

# Defaults that the page names are the program's. (Of the shares it names percentages, of the pool what 0 means,
# of owners whose they are.)
while read -r section key value; do
    [[ -z $value || $value == those || $section == class || "$section $key" == "pool connections" ]] && continue
    is=$(keys "$tmp/out" | sed -n "s/^$section $key //p")
    [[ $is == "$value" ]] || fail "the default of $key in [$section] is $is; nzbfs.conf(5) says $value"
    defaults=$((${defaults:-0} + 1))
done <"$tmp/page"
((${defaults:-0} > 20)) || fail "nzbfs.conf(5) names no more than ${defaults:-0} defaults"

# Every option in --help is in nzbfs(1).
for command in mount ls cat get config status; do
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

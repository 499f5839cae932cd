# varieties.sh: the archives that tests are about, and the independent readers that can judge each. To be sourced by
# bash, after `fail` is defined; then `varieties` calls the script's own function `variety` with each:
#
#     variety READERS NAME PASSWORD MAKE [OPTION]...
#
# `MAKE OPTION...` writes its volumes to $set, and NAME SIZE of each in their order to standard output. What is packed
# is in $root. READERS, so that one that stops to agree is noticed:
#
#     7  7z       does not look for a RAR archive behind something that is no program (nor does any of them with
#                 RAR 5), nor a ZIP archive whose offsets are wrong; RAR 5 must have an end block
#     u  unar     no encrypted RAR 4 (1.10 fails on genuine ones too), no comment within RAR 4's main header (its
#                 checksum must not go over that, says technote.txt), no ZIP64 marks in small archives
#     b  bsdtar   no encrypted and no solid RAR, no volumes of RAR 4, those of RAR 5 only joined
#     z  unzip
#
# shellcheck shell=bash disable=SC2034,SC2154
export TZ=UTC LC_ALL=C.UTF-8
SETMAKER=${SETMAKER:-nzbfs-setmaker}

# tree_make: files in $root, with times that all formats can keep to the second.
tree_make() {
    tree_file film.bin "${film_size:-300000}" 1
    tree_file one.bin 1 2
    tree_file 'dir/numbers (1).dat' 65536 3
    tree_file 'dir/ünïcode ☃ 漢字.bin' 33333 4
    tree_file dir/deep/sixteen.bin 16 5
    tree_file dir/deep/seventeen.bin 4097 6
    : >"$root/dir/empty"
    find "$root" -mindepth 1 -exec touch -d '2021-03-04 05:06:08.123456700' {} +
    touch -d '1999-12-31 23:59:58' "$root/one.bin"
}

tree_file() { # NAME SIZE SEED
    mkdir -p "$root/$(dirname "$1")"
    "$SETMAKER" --format files --generate "x:$2:$3" "$root" >/dev/null || fail "nothing is generated"
    mv "$root/x" "$root/$1"
}

# manifest DIR: a line for each file: checksum, time in seconds, name.
manifest() {
    (
        cd "$1" || exit
        find . -type f -printf '%P\0%Ts\0' | while IFS= read -r -d '' name && IFS= read -r -d '' when; do
            printf '%s %s %s\n' "$(sha256sum <"$name")" "$when" "$name"
        done | sort
    )
}

# unpack READER PASSWORD TO VOLUME...: a list of what is in it goes to TO.list
unpack() {
    local reader=$1 password=$2 to=$3
    shift 3
    rm -rf "$to"
    mkdir "$to"
    case $reader in
    7)
        7z l -p"$password" "$1" >"$to.list" </dev/null && 7z x -y -bd -p"$password" -o"$to" "$1" </dev/null
        ;;
    u)
        lsar -p "$password" "$1" >"$to.list" && unar -q -D -p "$password" -o "$to" "$1" </dev/null
        ;;
    b)
        cat "$@" >"$to.joined"
        bsdtar -tf "$to.joined" >"$to.list" && bsdtar -xf "$to.joined" -C "$to"
        rm "$to.joined"
        ;;
    z)
        unzip -Z1 "$1" >"$to.list" && unzip -q "$1" -d "$to"
        ;;
    esac
}

readers_needed() { # their programs
    printf '%s\n' 7z unar lsar bsdtar unzip
}

# ---- makers ----

set_rar5() {
    "$SETMAKER" --format rar5 --root "$root" ${password:+--password "$password"} "$@" "$set" "$root"
}

set_rar4() {
    "$SETMAKER" --format rar4 --root "$root" ${password:+--password "$password"} "$@" "$set" "$root"
}

set_zip() {
    "$SETMAKER" --format zip --root "$root" "$@" "$set" "$root"
}

# By 7z, not compressed unless told.
set_7z() {
    (cd "$root" && 7z a -bd -mx=0 ${password:+-p"$password"} "$@" "$set/set.7z" . >/dev/null </dev/null) &&
        (cd "$set" && stat -c '%n %s' -- *)
}

set_infozip() {
    (cd "$root" && zip -q -r -0 "$@" "$set/set.zip" .) && stat -c 'set.zip %s' "$set/set.zip"
}

# ---- varieties ----

varieties_rar5() {
    variety 7ub rar5 '' set_rar5
    variety 7ub rar5-volumes '' set_rar5 --volume-size 50000
    variety 7ub rar5-200-volumes '' set_rar5 --volume-size 2200
    variety 7ub rar5-odd-volumes '' set_rar5 --volume-size 60000 --volume-sizes 50000,1000,77777,300
    variety 7u rar5-blake '' set_rar5 --sum blake2sp --volume-size 50000
    variety 7ub rar5-no-sum '' set_rar5 --sum none
    variety 7u rar5-all-blocks '' set_rar5 --volume-size 50000 --comment 'a comment' --recovery 700 --quick-open \
        --locator --service --records --precise
    variety 7ub rar5-windows '' set_rar5 --windows --precise
    variety 7u rar5-solid '' set_rar5 --solid --volume-size 50000
    variety u rar5-no-end '' set_rar5 --no-end
    variety '' rar5-sfx '' set_rar5 --sfx 2000
    variety 7ub rar5-odd-middle '' set_rar5 --volume-size 50000 --volume-sizes 50000,50000,50000,43000
    variety 7u rar5-password secret set_rar5 --volume-size 50000
    variety 7u rar5-password-single secret set_rar5 --salt-each
    variety 7u rar5-tweaked 'pässwörd ☃' set_rar5 --volume-size 50000 --tweaked
    variety 7u rar5-tweaked-blake secret set_rar5 --volume-size 50000 --tweaked --sum blake2sp
    variety 7u rar5-headers secret set_rar5 --encrypt-headers --volume-size 50000 --tweaked
    variety 7u rar5-headers-all-blocks secret set_rar5 --encrypt-headers --volume-size 50000 --comment 'a comment' \
        --recovery 700 --quick-open --locator --service --records --precise
    variety 7u rar5-no-check secret set_rar5 --no-check --encrypt-headers --volume-size 50000
    variety 7u rar5-some-plain secret set_rar5 --plain film.bin --volume-size 50000
}

varieties_rar4() {
    variety 7ub rar4 '' set_rar4
    variety 7u rar4-volumes '' set_rar4 --volume-size 50000
    variety 7u rar4-old-names '' set_rar4 --volume-size 50000 --naming old
    variety 7u rar4-200-volumes '' set_rar4 --volume-size 2200 --naming old
    variety 7u rar4-odd-volumes '' set_rar4 --volume-size 60000 --volume-sizes 50000,1000,77777,300
    variety 7u rar4-odd-middle '' set_rar4 --volume-size 50000 --volume-sizes 50000,50000,50000,43000
    variety 7ub rar4-windows '' set_rar4 --windows --precise
    variety 7ub rar4-large '' set_rar4 --large
    variety 7u rar4-all-blocks '' set_rar4 --volume-size 50000 --comment 'a comment' --recovery 700 --service --precise
    variety 7 rar4-old-blocks '' set_rar4 --volume-size 50000 --comment 'a comment' --recovery 700 --old-blocks
    variety 7u rar4-old-recovery '' set_rar4 --volume-size 50000 --recovery 700 --old-blocks --no-numbers
    variety 7u rar4-no-end '' set_rar4 --no-end
    variety u rar4-sfx '' set_rar4 --sfx 2000
    variety 7u rar4-solid '' set_rar4 --solid
    variety 7ub rar4-utf8-names '' set_rar4 --utf8-names
    variety 7 rar4-password secret set_rar4 --volume-size 50000
    variety 7 rar4-password-each 'pässwörd ☃' set_rar4 --salt-each
    variety 7 rar4-headers secret set_rar4 --volume-size 50000 --encrypt-headers
    variety 7 rar4-headers-all-blocks secret set_rar4 --volume-size 50000 --encrypt-headers --comment 'a comment' \
        --recovery 700 --service --precise
    variety 7 rar4-some-plain secret set_rar4 --plain film.bin --volume-size 50000
}

varieties_zip() {
    variety 7ubz zip '' set_zip
    variety 7ubz zip-dos-times '' set_zip --dos-times
    variety 7ub zip-precise '' set_zip --precise
    variety 7bz zip-64 '' set_zip --large
    variety 7ubz zip-descriptors '' set_zip --descriptors
    variety 7bz zip-64-descriptors '' set_zip --descriptors --large
    variety 7ubz zip-comments '' set_zip --comment 'a comment with PK in it' --member-comments --gap 100
    variety b zip-prefix '' set_zip --sfx 2000
    variety 7ub zip-unicode-path '' set_zip --unicode-path
    variety 7 zip-split '' set_zip --cut 50000
    variety 7ubz infozip '' set_infozip
}

varieties_7z() {
    variety 7ub 7z '' set_7z
    variety 7ub 7z-plain-headers '' set_7z -mhc=off
    variety 7ub 7z-solid '' set_7z -ms=on
    variety 7ub 7z-folder-each '' set_7z -ms=off
    variety 7 7z-volumes '' set_7z -v50000b
    variety 7u 7z-password secret set_7z
    variety 7u 7z-headers 'pässwörd ☃' set_7z -mhe=on
    variety 7 7z-headers-volumes secret set_7z -mhe=on -v50000b
}

varieties() {
    varieties_rar5
    varieties_rar4
    varieties_zip
    varieties_7z
}

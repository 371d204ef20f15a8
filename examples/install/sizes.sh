#!/bin/sh
# sizes.sh ROOT BUILD TARGET: the table "Sizes" of README, for the profiles release and small as `make package` left them.
# Times are what the processors did, not what the clock says, and the best of five.
set -eu
root=$1 build=$2 target=$3
out=$build/sizes
mkdir -p "$out"
cc=${CC:-cc}

kib() { # kib FILE: its size with separators
    echo $((($(wc -c <"$1") + 512) / 1024)) | sed -e :a -e 's/\(.*[0-9]\)\([0-9]\{3\}\)/\1,\2/;ta'
}

globals() { # globals ARCHIVE: symbols that other objects of a program see
    nm -g --defined-only "$1" 2>/dev/null | grep -c ' [A-Z] '
}

consumer() { # consumer NAME LIBRARY...: builds minimal.c with that, and strips it
    name=$1
    shift
    "$cc" -O2 -I"$root/include" "$root/examples/c/minimal.c" "$@" -Wl,--gc-sections -o "$out/$name"
    strip -o "$out/$name.stripped" "$out/$name"
}

spent_ms() { # what the children of this shell have cost so far; not in a pipe, which would be another shell
    times >"$out/times"
    awk -F '[ms ]+' 'NR == 2 { print int(($1 * 60 + $2 + $3 * 60 + $4) * 1000) }' "$out/times" >"$out/spent"
    read -r spent <"$out/spent"
}

link_ms() { # link_ms LIBRARY...: compiles and links minimal.c
    best=
    for _ in 1 2 3 4 5; do
        spent_ms
        before=$spent
        consumer timed "$@"
        spent_ms
        took=$((spent - before))
        if [ -z "$best" ] || [ "$took" -lt "$best" ]; then best=$took; fi
    done
    echo "$best"
}

column() { # column PROFILE: its values, one a line
    stage=$build/install/$1/stage/lib
    plain=$target/$1/libgenesys_ws_auth.a
    natives=$(cat "$build/install/$1/natives")
    strip -o "$out/library" "$stage"/libgenesys_ws_auth.so
    # shellcheck disable=SC2086 # words
    {
        consumer plain "$plain" $natives
        consumer static "$stage/libgenesys_ws_auth.a" $natives
        consumer shared "$stage/libgenesys_ws_auth.so"
        kib "$plain"
        kib "$stage/libgenesys_ws_auth.a"
        globals "$plain"
        globals "$stage/libgenesys_ws_auth.a"
        kib "$out/plain.stripped"
        kib "$out/static.stripped"
        kib "$out/library"
        kib "$out/shared.stripped"
        link_ms "$plain" $natives
        link_ms "$stage/libgenesys_ws_auth.a" $natives
        link_ms "$stage/libgenesys_ws_auth.so"
    }
}

column release >"$out/release"
column small >"$out/small"
cat >"$out/labels" <<'END'
archive as Cargo makes it, KiB
archive as installed, KiB
global symbols, as Cargo makes it
global symbols, as installed
minimal.c with Cargo's archive, stripped, KiB
minimal.c with the installed archive, stripped, KiB
shared library, stripped, KiB
minimal.c with the shared library, stripped, KiB
compiling and linking minimal.c with Cargo's archive, ms of CPU
the same with the installed archive, ms of CPU
the same with the shared library, ms of CPU
END
echo '| | release | small |'
echo '|---|---|---|'
paste -d '|' "$out/labels" "$out/release" "$out/small" | sed -e 's/|/ | /g' -e 's/.*/| & |/'
rm -r "$out"

#!/bin/sh
# copy.sh STAGE PREFIX MANIFEST: installs a tree into a prefix and leaves there a list of what it has put.
set -eu
stage=$1 prefix=$2 manifest=$3
list=$(cd "$stage" && find . '(' -type f -o -type l ')' | sed 's,^\./,,' | LC_ALL=C sort)
old=$(cat "$prefix/$manifest" 2>/dev/null || true)
printf '%s\n%s\n' "$list" "$manifest" | while read -r file; do
    mkdir -p "$prefix/$(dirname "$file")"
    # A library in use keeps its file: the new one takes only its name.
    rm -f "$prefix/$file"
    if [ "$file" = "$manifest" ]; then
        printf '%s\n%s\n' "$list" "$manifest" >"$prefix/$file"
    else
        cp -P "$stage/$file" "$prefix/$file"
    fi
    case $file in
    *.so.*.*) chmod 755 "$prefix/$file" ;;
    *) [ -L "$prefix/$file" ] || chmod 644 "$prefix/$file" ;;
    esac
done
# What only an older version had.
printf '%s\n' "$old" | while read -r file; do
    [ -z "$file" ] || grep -q -x -F -e "$file" "$prefix/$manifest" || rm -f "$prefix/$file"
done
echo "installed into $prefix"

#!/bin/sh
# remove.sh PREFIX MANIFEST: removes what the manifest names, and the directories that nobody else has put anything into.
set -eu
prefix=$1 manifest=$2
[ -f "$prefix/$manifest" ] || { echo "nothing is installed in $prefix: no $manifest"; exit 1; }
list=$(cat "$prefix/$manifest")
printf '%s\n' "$list" | while read -r file; do
    rm -f "$prefix/$file"
done
# Longest first: what is inside goes before what is around it.
printf '%s\n' "$list" | while read -r file; do
    directory=$(dirname "$file")
    while [ "$directory" != . ]; do
        echo "$directory"
        directory=$(dirname "$directory")
    done
done | LC_ALL=C sort -u -r | while read -r directory; do
    rmdir "$prefix/$directory" 2>/dev/null || true
done
echo "removed from $prefix"

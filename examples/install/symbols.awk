# Names of the functions that the header declares: the one list from which everything that exports is made.
#
#   awk -f symbols.awk HEADER                  one name a line
#   awk -v node=GWA_1 -f symbols.awk HEADER    the version script of the shared library

BEGIN { if (node) printf "%s {\nglobal:\n", node }

# A declaration starts at the line's beginning; what it continues on is indented.
/^[A-Za-z_][^;{]*\(/ && !/^(typedef|extern)/ {
    name = substr($0, 1, index($0, "(") - 1)
    sub(/.*[ *]/, "", name)
    print (node ? "    " name ";" : name)
}

END { if (node) print "local:\n    *;\n};" }

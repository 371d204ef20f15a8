# Input filter of the C reference: gives what the header's comments say in words the words of Doxygen.
#
#   Returns …                    @return
#   Thread: … Since: …           a table, and a paragraph for Ownership
#   GWA_OK                       a link
#   what stands behind           the group it belongs to, by its name

BEGIN {
    while ((getline line < ARGV[1]) > 0)
        if (line ~ /^#define GWA_/) {
            split(line, word, /[ (]/)
            is_macro[word[2]] = 1
        }
    close(ARGV[1])
}

/^\/\*\*/ && $0 !~ /\*\/$/ { comment = ""; inside = 1; next }
/^\/\*\* .*\*\/$/ {
    comment = substr($0, 4, length($0) - 5) "\n"
    pending = 1
    next
}
inside && /^ \*\/$/ { inside = 0; pending = 1; next }
inside { line = $0; sub(/^ \* ?/, "", line); comment = comment line "\n"; next }
pending { emit($0); pending = 0 }
{ print }

# The comment, ahead of what it is about.
function emit(declaration,    paragraphs, count, i, text) {
    print "/**"
    print "@ingroup " group(declaration)
    count = split(comment, paragraphs, /\n\n/)
    for (i = 1; i <= count; i++) {
        text = paragraphs[i]
        gsub(/\n/, " ", text)
        sub(/ +$/, "", text)
        if (text ~ /^Thread: /)
            tags(text)
        else if (text ~ /^Returns /)
            print "\n@return " linked(substr(text, 9))
        else
            print "\n" linked(text)
    }
    print "*/"
}

function tags(text,    names, count, i, from, to, value, head, rule, row) {
    count = split("Thread Callback Fork Signal Blocking Ownership Since", names, " ")
    for (i = 1; i <= count; i++) {
        from = index(text, names[i] ": ") + length(names[i]) + 2
        to = i < count ? index(text, " " names[i + 1] ": ") : length(text) + 1
        value = substr(text, from, to - from)
        if (i < count || value ~ /\.$/)
            sub(/\.$/, "", value)
        if (names[i] == "Ownership") {
            owner = value
            continue
        }
        head = head "| " names[i] " "
        rule = rule "|---"
        row = row "| " linked(value) " "
    }
    print "\n" head "|\n" rule "|\n" row "|"
    print "\n@par Ownership\n" linked(owner) "."
}

# Names of macros as links. GWA_STATE_..., the name of many, stays as it is.
function linked(text,    out, name) {
    gsub(/#/, "\\#", text)
    while (match(text, /GWA_[A-Z0-9_]*/)) {
        name = substr(text, RSTART, RLENGTH)
        out = out substr(text, 1, RSTART - 1) (name in is_macro ? "#" : "") name
        text = substr(text, RSTART + RLENGTH)
    }
    return out text
}

function group(declaration,    name) {
    if (declaration ~ /\(\*gwa_[a-z]+_fn\)/)
        return "callbacks"
    if (declaration ~ /^[^#(]+\(/) # what it returns comes first
        match(declaration, /gwa_[a-z0-9_]+\(/)
    else
        match(declaration, /gwa_[a-z0-9_]+|GWA_[A-Z0-9_]+/)
    name = tolower(substr(declaration, RSTART, RLENGTH))
    sub(/\($/, "", name)
    if (declaration ~ /^typedef struct .*{/)
        return name ~ /report/ ? "client" : "metrics"
    if (name ~ /^gwa_config_on_/ || name ~ /unregister/ || name ~ /^gwa_(callback|thread)/)
        return "callbacks"
    if (name ~ /^gwa_config/) return "config"
    if (name ~ /^gwa_(token_source|client_new_with_source)/) return "source"
    if (name ~ /^gwa_(client_metrics|client_stats|metrics|stats|debug)/) return "metrics"
    if (name ~ /^gwa_(client|shutdown_report|no_limit)/) return "client"
    if (name ~ /^gwa_state/) return "state"
    if (name ~ /^gwa_(error|category)/) return "error"
    if (name ~ /^gwa_(ok|deferred|e_|status)/) return "status"
    if (name ~ /^gwa_(event|text$|binary|log|topic|scope_)/) return "event"
    if (name ~ /^gwa_request/) return "request"
    if (name ~ /^gwa_(token|scopes)/) return "token"
    if (name ~ /^gwa_audit/) return "audit"
    if (name ~ /^gwa_text/) return "text"
    if (name ~ /^gwa_(version|check)/) return "version"
    print "filter.awk: no group for " declaration > "/dev/stderr"
    return "none"
}

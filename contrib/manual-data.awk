# awk -f contrib/manual-data.awk PAGE...
#
# Prints src/process/commands/manual_data.c: the manual pages as plain text, in ASCII and in lines
# of up to 78 columns. Examples keep their lines. This knows the macros of man(7) that the pages of
# src/man use. A line with any other macro is kept as it is, and tests/t/024-help.t finds it.

BEGIN {
    width = 78
    step = 7 # columns of indentation
    n = split("aq ' ga ` ha ^ ti ~ bu * dq \" lq \" rq \"", special)
    for (i = 1; i < n; i += 2)
        character[special[i]] = special[i + 1]
    for (i = 1; i < ARGC; i++)
        sections[name_of(ARGV[i])] = sections[name_of(ARGV[i])] section_of(ARGV[i])
    print "#include \"process/commands/manual_data.h\""
    print "const struct manual_page manual_data_pages[] = {"
}

# src/man/docker-registry-server-hooks.5 is page "hooks" of section 5.
function name_of(file) {
    gsub(/.*\/docker-registry-server-?|\.[0-9]$/, "", file)
    return file == "" ? "serve" : file
}
function section_of(file) {
    return substr(file, length(file))
}

# ---- the C source ----

function quoted(text) {
    gsub(/[\\"?]/, "\\\\&", text) # the question mark because C11 has trigraphs
    return "\"" text
}
function print_line(text) {
    print quoted(text) "\\n\""
}

function end_page() {
    end_line()
    print ", " quoted(description) "\"},"
}

FNR == 1 {
    if (NR > 1)
        end_page()
    name = name_of(FILENAME)
    section = section_of(FILENAME)
    if (section != "8" && sections[name] ~ /8/)
        name = name "." section
    printf "{%s\", '%s',\n", quoted(name), section
    left = margin = hanging = step
    line = description = ""
    is_tag = is_example = is_after_heading = 0
}

END {
    end_page()
    print "};"
    print "const size_t manual_data_pages_n = sizeof manual_data_pages / sizeof *manual_data_pages;"
}

# ---- escapes, and the arguments of macros ----

function unescaped(text,  out, at, c) {
    while ((at = index(text, "\\")) > 0) {
        out = out substr(text, 1, at - 1)
        c = substr(text, at + 1, 1)
        text = substr(text, at + 2)
        if (c == "(") {
            out = out character[substr(text, 1, 2)]
            text = substr(text, 3)
        } else if (c == "f") {
            text = substr(text, 2) # a font, of one letter
        } else if (c == "e") {
            out = out "\\"
        } else if (c != "&") {
            out = out c
        }
    }
    return out text
}

# Splits the arguments of a macro, which may be in quotes, into argument[1..].
function split_arguments(text,  n) {
    for (n = 0; match(text, /^ *("[^"]*"?|[^" ][^ ]*)/); text = substr(text, RLENGTH + 1)) {
        argument[++n] = substr(text, 1, RLENGTH)
        sub(/^ */, "", argument[n])
        if (argument[n] ~ /^"/)
            gsub(/^"|"$/, "", argument[n])
    }
    return n
}

function arguments(text, between,  out, n, i) {
    n = split_arguments(text)
    for (i = 1; i <= n; i++)
        out = out (i > 1 ? between : "") unescaped(argument[i])
    return out
}

# ---- lines of text ----

function blanks(n) {
    return sprintf("%" n "s", "")
}

function end_line() {
    if (line != "")
        print_line(line)
    line = ""
    is_padded = 0
}

function end_paragraph() {
    end_line()
    if (!is_after_heading)
        print_line("")
    is_after_heading = 1
}

# A short tag leaves the rest of its line to its paragraph.
function write_tag(text) {
    line = blanks(margin) text
    left = margin + hanging
    is_tag = is_after_heading = 0
    if (length(line) >= left) {
        end_line()
    } else {
        line = line blanks(left - length(line))
        is_padded = 1
    }
}

function write_text(text,  word, n, i) {
    if (is_tag) {
        write_tag(text)
        return
    }
    n = split(text, word, / +/)
    for (i = 1; i <= n; i++) {
        if (word[i] == "")
            continue
        if (line != "" && !is_padded && length(line) + 1 + length(word[i]) > width)
            end_line()
        line = (line == "" ? blanks(left) : is_padded ? line : line " ") word[i]
        is_padded = is_after_heading = 0
    }
}

function write_heading(text) {
    end_paragraph()
    print_line(text)
    margin = left = hanging = step
    is_after_heading = 1
}

# ---- macros ----

is_example && $1 == ".EE" { is_example = 0; next }
is_example {
    print_line($0 == "" ? "" : blanks(left) unescaped($0))
    is_after_heading = 0
    next
}

{ macro = $0 ~ /^\./ ? $1 : ""; rest = substr($0, length(macro) + 1) }

macro ~ /^\.(nh|ad|nr|\\")$/ { next }
macro == ".TH" { print_line(unescaped($2 "(" $3 ")")); next }
macro == ".SH" { write_heading(arguments(rest, " ")); next }
macro == ".SS" { write_heading("   " arguments(rest, " ")); next }
macro == ".PP" { end_paragraph(); left = margin; hanging = step; next }
macro == ".TP" { end_paragraph(); is_tag = 1; next }
macro == ".RS" { end_line(); left = margin += step; next }
macro == ".RE" { end_line(); left = margin -= step; next }
macro == ".EX" { end_line(); is_example = 1; next }
macro == ".br" { end_line(); next }
macro == ".IP" {
    n = split_arguments(rest)
    if (n > 1)
        hanging = argument[2] + 0
    end_paragraph()
    left = margin + hanging
    if (n > 0)
        write_tag(unescaped(argument[1]))
    next
}
macro ~ /^\.[BI]$/ { write_text(arguments(rest, " ")); next }
macro ~ /^\.[BIR][BIR]$/ { write_text(arguments(rest, "")); next }

{
    if (description == "" && match($0, / \\- /))
        description = substr($0, RSTART + RLENGTH)
    write_text(unescaped($0))
}

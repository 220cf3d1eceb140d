#include "process/commands/manual_text.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "util/bytes.h"

#define WIDTH 78
#define INDENT 7
#define SUBHEADING_INDENT 3
#define LINE_SIZE_MAX 1024

/* ---- escapes and arguments of macros ---- */

/* "\(xx" */
static char
special_character(const char *name)
{
    static const char characters[][3] = {"aq'", "ga`", "ha^", "ti~", "bu*", "dq\"", "lq\"", "rq\""};
    for (size_t i = 0; i < sizeof characters / sizeof *characters; i++)
        if (strncmp(characters[i], name, 2) == 0)
            return characters[i][2];
    return '?';
}

/* Appends text to the line, without its escapes. */
static void
append_unescaped(struct buf *line, const char *text, size_t n)
{
    const char *end = text + n;
    while (text < end) {
        if (*text != '\\' || end - text < 2) {
            buf_putc(line, *text++);
            continue;
        }
        text += 2;
        switch (text[-1]) {
        case '(':
            buf_putc(line, end - text >= 2 ? special_character(text) : '?');
            text += end - text >= 2 ? 2 : end - text;
            break;
        case 'f': /* a font, of one letter */
            text += text < end;
            break;
        case 'e':
            buf_putc(line, '\\');
            break;
        case '&':
            break;
        default:
            buf_putc(line, text[-1]);
        }
    }
}

/* The next argument of a macro, which may be in quotes; false: there is none. */
static bool
next_argument(const char **at, const char *end, struct bytes *argument)
{
    while (*at < end && **at == ' ')
        (*at)++;
    if (*at == end)
        return false;
    bool quoted = **at == '"';
    const char *start = *at + quoted;
    const char *stop = memchr(start, quoted ? '"' : ' ', (size_t)(end - start));
    if (stop == NULL)
        stop = end;
    *argument = bytes_of(start, (size_t)(stop - start));
    *at = stop + (quoted && stop < end);
    return true;
}

/* The arguments of a macro as text, with blanks between them or without. */
static void
append_arguments(struct buf *line, const char *at, const char *end, bool blanks)
{
    struct bytes argument;
    for (bool first = true; next_argument(&at, end, &argument); first = false) {
        if (blanks && !first)
            buf_putc(line, ' ');
        append_unescaped(line, argument.p, argument.n);
    }
}

/* ---- filling lines ---- */

struct text_writer {
    struct buf *out;
    size_t margin;  /* of a paragraph; .RS moves it */
    size_t hanging; /* what .TP and .IP add to it */
    size_t left;    /* of the next line */
    size_t column;  /* in the open line; 0: none is open */
    bool tag;       /* the next line is the tag of .TP */
    bool example;   /* between .EX and .EE */
    bool joined;    /* the next word comes directly after the padding of a tag */
    bool headed;    /* nothing has followed the last heading yet */
};

static void
pad_line(struct text_writer *w, size_t column)
{
    for (; w->column < column; w->column++)
        buf_putc(w->out, ' ');
}

static void
end_line(struct text_writer *w)
{
    if (w->column > 0)
        buf_putc(w->out, '\n');
    w->column = 0;
    w->joined = false;
}

static void
end_paragraph(struct text_writer *w)
{
    end_line(w);
    if (!w->headed)
        buf_putc(w->out, '\n');
    w->headed = true;
}

static void
write_word(struct text_writer *w, const char *word, size_t n)
{
    if (w->column > 0 && !w->joined && w->column + 1 + n > WIDTH)
        end_line(w);
    if (w->column == 0)
        pad_line(w, w->left);
    else if (!w->joined)
        pad_line(w, w->column + 1);
    buf_put(w->out, word, n);
    w->column += n;
    w->joined = false;
    w->headed = false;
}

/* A short tag leaves the line to its paragraph. */
static void
write_tag(struct text_writer *w, const char *text)
{
    size_t left = w->margin + w->hanging;
    pad_line(w, w->margin);
    buf_puts(w->out, text);
    w->column += strlen(text);
    w->left = left;
    w->headed = false;
    if (w->column >= left) {
        end_line(w);
    } else {
        pad_line(w, left);
        w->joined = true;
    }
}

static void
write_text(struct text_writer *w, const char *text)
{
    if (w->tag) {
        w->tag = false;
        write_tag(w, text);
        return;
    }
    for (;;) {
        text += strspn(text, " ");
        size_t n = strcspn(text, " ");
        if (n == 0)
            return;
        write_word(w, text, n);
        text += n;
    }
}

static void
write_example(struct text_writer *w, const char *text)
{
    if (*text != '\0')
        buf_putf(w->out, "%*s%s", (int)w->left, "", text);
    buf_putc(w->out, '\n');
    w->headed = false;
}

static void
write_heading(struct text_writer *w, size_t indent, const char *text)
{
    end_paragraph(w);
    buf_putf(w->out, "%*s%s\n", (int)indent, "", text);
    w->margin = w->left = INDENT;
    w->hanging = INDENT;
    w->headed = true;
}

/* ---- macros ---- */

/* .IP [TAG [WIDTH]] */
static void
begin_item(struct text_writer *w, const char *at, const char *end)
{
    struct bytes tag, width;
    bool tagged = next_argument(&at, end, &tag);
    if (tagged && next_argument(&at, end, &width))
        w->hanging = strtoul(width.p, NULL, 10);
    end_paragraph(w);
    w->left = w->margin + w->hanging;
    if (tagged) {
        struct buf line;
        buf_init(&line, LINE_SIZE_MAX);
        append_unescaped(&line, tag.p, tag.n);
        write_tag(w, buf_text(&line));
        buf_free(&line);
    }
}

/* What a macro does; text is its arguments. */
static void
write_heading_1(struct text_writer *w, const char *text)
{
    write_heading(w, 0, text);
}

static void
write_heading_2(struct text_writer *w, const char *text)
{
    write_heading(w, SUBHEADING_INDENT, text);
}

/* NAME SECTION DATE SOURCE: the first two are enough. */
static void
write_title(struct text_writer *w, const char *text)
{
    size_t n = strcspn(text, " ");
    buf_putf(w->out, "%.*s(%.1s)\n", (int)n, text, text + n + (text[n] == ' '));
}

static void
begin_paragraph(struct text_writer *w, const char *text)
{
    (void)text;
    end_paragraph(w);
    w->hanging = INDENT;
    w->left = w->margin;
}

static void
begin_tag(struct text_writer *w, const char *text)
{
    (void)text;
    end_paragraph(w);
    w->tag = true;
}

static void
begin_block(struct text_writer *w, const char *text)
{
    (void)text;
    end_line(w);
    w->margin += INDENT;
    w->left = w->margin;
}

static void
end_block(struct text_writer *w, const char *text)
{
    (void)text;
    end_line(w);
    w->margin -= INDENT;
    w->left = w->margin;
}

static void
begin_example(struct text_writer *w, const char *text)
{
    (void)text;
    end_line(w);
    w->example = true;
}

static void
break_line(struct text_writer *w, const char *text)
{
    (void)text;
    end_line(w);
}

static void
ignore_request(struct text_writer *w, const char *text)
{
    (void)w;
    (void)text;
}

static const struct text_macro {
    const char *name;
    bool joins; /* its arguments, without blanks between them */
    void (*run)(struct text_writer *w, const char *text);
} macros[] = {
    {"B", false, write_text},       {"I", false, write_text},       {"BR", true, write_text},
    {"RB", true, write_text},       {"BI", true, write_text},       {"IB", true, write_text},
    {"RI", true, write_text},       {"IR", true, write_text},       {"TH", false, write_title},
    {"SH", false, write_heading_1}, {"SS", false, write_heading_2}, {"PP", false, begin_paragraph},
    {"TP", false, begin_tag},       {"RS", false, begin_block},     {"RE", false, end_block},
    {"EX", false, begin_example},   {"br", false, break_line},      {"nh", false, ignore_request},
    {"ad", false, ignore_request},  {"nr", false, ignore_request},  {"\\\"", false, ignore_request},
};

static const struct text_macro *
find_macro(const char *name, size_t n)
{
    for (size_t i = 0; i < sizeof macros / sizeof *macros; i++)
        if (strlen(macros[i].name) == n && memcmp(macros[i].name, name, n) == 0)
            return &macros[i];
    return NULL;
}

static void
render_line(struct text_writer *w, const char *line, const char *end)
{
    size_t n = *line == '.' ? strcspn(line + 1, " \n") : 0;
    const struct text_macro *macro = n > 0 ? find_macro(line + 1, n) : NULL;
    struct buf text;
    buf_init(&text, LINE_SIZE_MAX);
    if (w->example && n == 2 && memcmp(line, ".EE", 3) == 0) {
        w->example = false;
    } else if (w->example) {
        append_unescaped(&text, line, (size_t)(end - line));
        write_example(w, buf_text(&text));
    } else if (n == 2 && memcmp(line, ".IP", 3) == 0) {
        begin_item(w, line + 3, end);
    } else if (macro != NULL) {
        append_arguments(&text, line + 1 + n, end, !macro->joins);
        macro->run(w, buf_text(&text));
    } else {
        append_unescaped(&text, line, (size_t)(end - line));
        write_text(w, buf_text(&text));
    }
    buf_free(&text);
}

void
manual_text_render(struct buf *out, const char *page)
{
    struct text_writer w = {.out = out, .margin = INDENT, .hanging = INDENT, .left = INDENT};
    while (*page != '\0') {
        const char *end = strchrnul(page, '\n');
        render_line(&w, page, end);
        page = end + (*end == '\n');
    }
    end_line(&w);
}

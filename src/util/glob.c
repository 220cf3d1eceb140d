#include "util/glob.h"
#include "util/hex.h"

static void
set_bit(struct glob_set *s, size_t i)
{
    s->word[i / 64] |= UINT64_C(1) << (i % 64);
}

/* Adds from & mask, moved up by 1 or 2 places, to `to`. */
static void
add_moved(struct glob_set *to, const struct glob_set *from, const struct glob_set *mask,
          unsigned by)
{
    uint64_t carry = 0;

    for (size_t i = 0; i < GLOB_WORDS; i++) {
        uint64_t w = from->word[i] & mask->word[i];

        to->word[i] |= w << by | carry;
        carry = w >> (64 - by);
    }
}

/* ---- compiling ---- */

struct one_of {
    bool bytes[256];
};

static bool
in_class(struct bytes name, unsigned char c)
{
    bool lower = c >= 'a' && c <= 'z', upper = c >= 'A' && c <= 'Z', digit = c >= '0' && c <= '9';
    bool graph = c > ' ' && c < 0x7f, alnum = lower || upper || digit;
    const struct {
        const char *name;
        bool is;
    } classes[] = {
        {"alnum", alnum},
        {"alpha", lower || upper},
        {"blank", c == ' ' || c == '\t'},
        {"cntrl", c < ' ' || c == 0x7f},
        {"digit", digit},
        {"graph", graph},
        {"lower", lower},
        {"print", graph || c == ' '},
        {"punct", graph && !alnum},
        {"space", c == ' ' || (c >= '\t' && c <= '\r')},
        {"upper", upper},
        {"xdigit", hex_value((char)c) >= 0},
    };

    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (bytes_equal(name, bytes_str(classes[i].name)))
            return classes[i].is;
    return false;
}

/* Adds the class [:NAME:] that p begins with, if any, and returns its length; 0: none. */
static size_t
read_class(const unsigned char *p, size_t n, struct one_of *set)
{
    const unsigned char *end = n > 4 && p[1] == ':' ? memchr(p + 2, ':', n - 3) : NULL;
    struct bytes name;

    if (end == NULL || end[1] != ']')
        return 0;
    name = bytes_of(p + 2, (size_t)(end - p) - 2);
    for (unsigned c = 0; c < 256; c++)
        set->bytes[c] |= in_class(name, (unsigned char)c);
    return name.n + 4;
}

static unsigned char
read_pattern_byte(const unsigned char *p, size_t n, size_t *at)
{
    if (p[*at] == '\\' && *at + 1 < n)
        ++*at;
    return p[(*at)++];
}

/* Reads the bracket that p begins with, and returns its length; 0: it isn't closed. */
static size_t
read_bracket(const unsigned char *p, size_t n, struct one_of *set)
{
    bool other = n > 1 && (p[1] == '!' || p[1] == '^');
    size_t first = other ? 2 : 1, at = first;

    *set = (struct one_of){{false}};
    while (at < n && (p[at] != ']' || at == first)) {
        size_t class = p[at] == '[' ? read_class(p + at, n - at, set) : 0;
        unsigned char from, to;

        at += class;
        if (class > 0)
            continue;
        from = to = read_pattern_byte(p, n, &at);
        if (at + 1 < n && p[at] == '-' && p[at + 1] != ']') {
            at++;
            to = read_pattern_byte(p, n, &at);
        }
        for (unsigned c = from; c <= to; c++)
            set->bytes[c] = true;
    }
    if (at >= n)
        return 0;
    for (unsigned c = 0; c < 256; c++)
        set->bytes[c] = c != '/' && set->bytes[c] != other;
    return at + 1;
}

static bool
has_bit(const struct glob_set *s, size_t i)
{
    return (s->word[i / 64] >> (i % 64) & 1) != 0;
}

/* Adds the stars that begin at p[at], and returns the position behind them. */
static size_t
put_stars(struct glob *g, const unsigned char *p, size_t n, size_t at)
{
    size_t end = at;
    bool component;

    while (end < n && p[end] == '*')
        end++;
    component = end - at == 2 && (at == 0 || p[at - 1] == '/') && end < n && p[end] == '/';
    if (component && g->n >= 2 && has_bit(&g->entering, g->n - 2))
        return end + 1;
    for (unsigned c = 0; c < 256; c++)
        if (c != '/' || end - at > 1)
            set_bit(&g->stays[c], g->n);
    set_bit(&g->empty, g->n);
    if (component)
        set_bit(&g->entering, g->n);
    g->n++;
    return end;
}

static void
put_byte(struct glob *g, unsigned char c)
{
    set_bit(&g->goes_on[c], g->n++);
}

/* Adds the element of the pattern that begins at p[at], and returns the position behind it. */
static size_t
put_element(struct glob *g, const unsigned char *p, size_t n, size_t at)
{
    struct one_of set;
    size_t length = 1;

    if (p[at] == '*')
        return put_stars(g, p, n, at);
    if (p[at] == '?')
        for (unsigned c = 0; c < 256; c++)
            set.bytes[c] = c != '/';
    else if (p[at] != '[' || (length = read_bracket(p + at, n - at, &set)) == 0) {
        put_byte(g, read_pattern_byte(p, n, &at));
        return at;
    }
    for (unsigned c = 0; c < 256; c++)
        if (set.bytes[c])
            set_bit(&g->goes_on[c], g->n);
    g->n++;
    return at + length;
}

bool
glob_is_closed(struct bytes pattern)
{
    const unsigned char *p = pattern.p;
    struct one_of set;

    for (size_t at = 0; at < pattern.n;) {
        size_t length = p[at] == '[' ? read_bracket(p + at, pattern.n - at, &set) : 1;

        if (length == 0)
            return false;
        if (p[at] == '[')
            at += length;
        else
            read_pattern_byte(p, pattern.n, &at);
    }
    return true;
}

int
glob_compile(struct glob *g, struct bytes pattern, struct err *err)
{
    *g = (struct glob){.n = 0};
    if (pattern.n > GLOB_MAX)
        return err_set(err, ERR_TOO_LONG, "the pattern is longer than %d bytes", GLOB_MAX);
    for (size_t at = 0; at < pattern.n;)
        at = put_element(g, pattern.p, pattern.n, at);
    set_bit(&g->start, 0);
    add_moved(&g->start, &g->start, &g->entering, 2);
    add_moved(&g->start, &g->start, &g->empty, 1);
    return 0;
}

/* ---- matching ---- */

/* Two places that can be passed never follow each other, so one pass over each is enough. */
static bool
take_byte(const struct glob *g, struct glob_set *at, const struct glob_set *goes_on,
          const struct glob_set *stays)
{
    struct glob_set next = {{0}};
    uint64_t any = 0;

    add_moved(&next, at, goes_on, 1);
    add_moved(&next, &next, &g->entering, 2);
    for (size_t w = 0; w < GLOB_WORDS; w++)
        any |= next.word[w] |= at->word[w] & stays->word[w];
    add_moved(&next, &next, &g->empty, 1);
    *at = next;
    return any != 0;
}

bool
glob_match(const struct glob *g, struct bytes text)
{
    const unsigned char *p = text.p;
    struct glob_set at = g->start;

    for (size_t i = 0; i < text.n; i++)
        if (!take_byte(g, &at, &g->goes_on[p[i]], &g->stays[p[i]]))
            return false;
    return glob_is_at_end(g, &at);
}

struct glob_byte
glob_byte_of(const struct glob *g, struct bytes any_of)
{
    const unsigned char *p = any_of.p;
    struct glob_byte b = {.stays = {{0}}};

    for (size_t i = 0; i < any_of.n; i++)
        for (size_t w = 0; w < GLOB_WORDS; w++) {
            b.goes_on.word[w] |= g->goes_on[p[i]].word[w];
            b.stays.word[w] |= g->stays[p[i]].word[w];
        }
    return b;
}

bool
glob_step(const struct glob *g, struct glob_set *at, const struct glob_byte *b)
{
    return take_byte(g, at, &b->goes_on, &b->stays);
}

bool
glob_is_at_end(const struct glob *g, const struct glob_set *at)
{
    return has_bit(at, g->n);
}

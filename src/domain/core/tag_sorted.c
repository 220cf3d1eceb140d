#include "domain/core/tag_sorted.h"
#include <stdlib.h>
#include "domain/core/tag.h"
#include "util/mem.h"

static bool
is_digit_byte(char c)
{
    return c >= '0' && c <= '9';
}

/* Moves both behind their runs of digits, and compares these as numbers of any length. */
static int
compare_digits(const char **a, const char **b)
{
    size_t an, bn;
    int order;

    *a += strspn(*a, "0");
    *b += strspn(*b, "0");
    an = strspn(*a, "0123456789");
    bn = strspn(*b, "0123456789");
    order = an != bn ? (an > bn) - (an < bn) : memcmp(*a, *b, an);
    *a += an;
    *b += bn;
    return order;
}

int
tag_sorted_compare(const char *a, const char *b)
{
    const char *x = a, *y = b;

    while (*x != '\0' && *y != '\0') {
        int order;

        if (is_digit_byte(*x) && is_digit_byte(*y)) {
            order = compare_digits(&x, &y);
        } else {
            order = (unsigned char)*x - (unsigned char)*y;
            x++;
            y++;
        }
        if (order != 0)
            return order;
    }
    if (*x != '\0' || *y != '\0')
        return *x != '\0' ? 1 : -1;
    return strcmp(a, b); /* 01 and 1 */
}

/* ---- a page ---- */

/* The rows so far; when there are more than the page takes, they are a heap with the last one of
 * them on top. */
struct tag_sorting {
    const struct tag_wanted *wanted;
    struct tag_row *v;
    size_t n, room;
};

static int
compare_places(enum tag_order order, const char *a, uint64_t a_updated, const char *b,
               uint64_t b_updated)
{
    if (order == TAG_ORDER_TIME && a_updated != b_updated)
        return a_updated > b_updated ? -1 : 1;
    return order == TAG_ORDER_NATURAL ? tag_sorted_compare(a, b) : strcmp(a, b);
}

static int
compare_rows(const struct tag_sorting *s, const struct tag_row *a, const struct tag_row *b)
{
    return compare_places(s->wanted->order, a->name, a->r.updated, b->name, b->r.updated);
}

static void
swap_rows(struct tag_row *a, struct tag_row *b)
{
    struct tag_row row = *a;

    *a = *b;
    *b = row;
}

/* Restores the heap below a row. */
static void
sink_row(struct tag_sorting *s, size_t at, size_t n)
{
    for (;;) {
        size_t child = 2 * at + 1;

        if (child >= n)
            return;
        if (child + 1 < n && compare_rows(s, &s->v[child], &s->v[child + 1]) < 0)
            child++;
        if (compare_rows(s, &s->v[at], &s->v[child]) >= 0)
            return;
        swap_rows(&s->v[at], &s->v[child]);
        at = child;
    }
}

static void
lift_row(struct tag_sorting *s, size_t at)
{
    while (at > 0 && compare_rows(s, &s->v[(at - 1) / 2], &s->v[at]) < 0) {
        swap_rows(&s->v[(at - 1) / 2], &s->v[at]);
        at = (at - 1) / 2;
    }
}

static bool
is_tag_wanted(const struct tag_wanted *w, const char *name, const struct rec_tag *r)
{
    if (w->text != NULL && strcasestr(name, w->text) == NULL)
        return false;
    return w->after.name[0] == '\0' ||
           compare_places(w->order, name, r->updated, w->after.name, w->after.updated) > 0;
}

static void
set_row(struct tag_row *row, const char *name, const struct rec_tag *r)
{
    snprintf(row->name, sizeof row->name, "%s", name);
    row->r = *r;
}

static void
take_row(struct tag_sorting *s, const char *name, const struct rec_tag *r)
{
    struct tag_row *row = &s->v[s->n];

    if (!is_tag_wanted(s->wanted, name, r))
        return;
    if (s->n == s->room) {
        if (compare_places(s->wanted->order, name, r->updated, s->v[0].name, s->v[0].r.updated) > 0)
            return;
        row = &s->v[0];
    }
    set_row(row, name, r);
    if (s->n == s->room)
        sink_row(s, 0, s->n);
    else
        lift_row(s, s->n++);
}

static void
sort_rows(struct tag_sorting *s)
{
    for (size_t n = s->n; n > 1; n--) {
        swap_rows(&s->v[0], &s->v[n - 1]);
        sink_row(s, 0, n - 1);
    }
}

static int
read_all_rows(const struct registry *reg, uint64_t repo, struct tag_sorting *s, struct tag_batch *b,
              struct err *err)
{
    char after[RECORD_TAG_MAX + 1] = "";

    for (size_t seen = 0; b->n == TAG_BATCH; seen += b->n) {
        if (seen >= TAG_SORTED_MAX)
            return err_set(err, ERR_TOO_LARGE,
                           "the repository has too many tags for this order: ask with order=name");
        if (tag_batch_read(reg, repo, after, b, err) != 0)
            return -1;
        for (size_t i = 0; i < b->n; i++)
            take_row(s, b->v[i].name, &b->v[i].r);
        if (b->n > 0)
            memcpy(after, b->v[b->n - 1].name, sizeof after);
    }
    sort_rows(s);
    return 0;
}

/* In byte order nothing behind the page is read. *last: the last tag that was looked at. */
static int
read_next_rows(const struct registry *reg, uint64_t repo, struct tag_sorting *s,
               struct tag_batch *b, char last[RECORD_TAG_MAX + 1], struct err *err)
{
    memcpy(last, s->wanted->after.name, RECORD_TAG_MAX + 1);
    for (size_t seen = 0; b->n == TAG_BATCH && s->n < s->room && seen < TAG_SORTED_MAX;
         seen += b->n) {
        if (tag_batch_read(reg, repo, last, b, err) != 0)
            return -1;
        for (size_t i = 0; i < b->n && s->n < s->room; i++) {
            memcpy(last, b->v[i].name, RECORD_TAG_MAX + 1);
            if (is_tag_wanted(s->wanted, b->v[i].name, &b->v[i].r))
                set_row(&s->v[s->n++], b->v[i].name, &b->v[i].r);
        }
    }
    return 0;
}

int
tag_sorted_page(const struct registry *reg, uint64_t repo, const struct tag_wanted *wanted,
                struct arena *arena, struct tag_rows *page, struct err *err)
{
    struct tag_sorting s = {.wanted = wanted, .room = wanted->limit + 1};
    struct tag_batch *b = mem_alloc(sizeof *b);
    char looked[RECORD_TAG_MAX + 1] = "";
    bool by_name = wanted->order == TAG_ORDER_NAME;
    int rc;

    *page = (struct tag_rows){.n = 0};
    s.v = arena_array(arena, s.room, sizeof *s.v);
    b->n = TAG_BATCH;
    rc = s.v == NULL ? arena_full(err)
         : by_name   ? read_next_rows(reg, repo, &s, b, looked, err)
                     : read_all_rows(reg, repo, &s, b, err);
    page->v = s.v;
    page->more = by_name ? b->n == TAG_BATCH || s.n == s.room : s.n == s.room;
    page->n = s.n < s.room ? s.n : wanted->limit;
    if (s.v != NULL && page->n > 0) {
        memcpy(page->last.name, s.v[page->n - 1].name, sizeof page->last.name);
        page->last.updated = s.v[page->n - 1].r.updated;
    }
    if (by_name && s.n < s.room)
        memcpy(page->last.name, looked, sizeof looked);
    free(b);
    return rc;
}

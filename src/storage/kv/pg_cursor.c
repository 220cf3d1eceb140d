#ifdef HAVE_LIBPQ

#include "storage/kv/pg_cursor.h"
#include "storage/kv/pg_key.h"
#include "storage/kv/pg_statement.h"
#include "util/mem.h"
#include "util/pack.h"

/* A cursor fetches pages of entries. Each begins behind the last key of the one before, so nothing
 * is kept open in the server. In a transaction the first pages are small, because what is read is
 * locked against writers until the transaction ends. */

#define PAGE_FIRST 8
#define PAGE_FIRST_OUTSIDE 64
#define PAGE_MAX 256

struct pg_cursor {
    struct kv_cursor base;
    PGresult *page;
    int row;
    size_t rows;      /* that the page may have; 0: there is none yet */
    uint64_t changes; /* of the table, when the page was fetched */
    struct buf place; /* the first key of the next page, as kv.h has keys */
};

static bool
is_queue_cursor(const struct pg_cursor *c)
{
    return pg_of(c->base.t)->tables[c->base.table].kind == KV_QUEUE;
}

struct kv_cursor *
pg_cursor_open(struct txn *t, unsigned table, struct err *err)
{
    struct pg_cursor *c = mem_alloc(sizeof *c);

    (void)t;
    (void)table;
    (void)err;
    buf_init(&c->place, SIZE_MAX / 2);
    return &c->base;
}

void
pg_cursor_close(struct kv_cursor *base)
{
    struct pg_cursor *c = (struct pg_cursor *)base;

    PQclear(c->page);
    buf_free(&c->place);
    free(c);
}

/* The first key of a page: this one, or the one behind it. */
static void
set_place(struct buf *place, struct bytes key, bool behind, bool is_queue)
{
    uint32_t number = key.n == sizeof number ? unpack_u32_at(key.p) : 0;

    buf_reset(place);
    if (!behind) {
        buf_put(place, key.p, key.n);
    } else if (is_queue) {
        pack_u64(place, (uint64_t)number + 1);
    } else {
        buf_put(place, key.p, key.n);
        buf_putc(place, '\0');
    }
}

/* The smallest key that is greater than all with the prefix. False: there is none. */
static bool
end_of_prefix(struct buf *out, struct bytes prefix)
{
    const uint8_t *p = prefix.p;

    while (prefix.n > 0 && p[prefix.n - 1] == 0xff)
        prefix.n--;
    if (prefix.n == 0)
        return false;
    buf_put(out, p, prefix.n);
    out->p[out->n - 1]++;
    return true;
}

/* A statement for a range, with or without an end. */
struct range_statement {
    enum pg_statement s;
    struct bytes params[PG_PARAMS_MAX];
    int n;
    uint8_t number[8], count[8];
    struct buf end;
};

/* open_end: PG_PAGE or PG_LAST; the one with an end is next to it. */
static void
make_range_statement(struct range_statement *r, const struct pg *p, unsigned table,
                     enum pg_statement open_end, struct bytes from, struct bytes prefix,
                     size_t rows)
{
    bool has_end;

    buf_init(&r->end, prefix.n);
    has_end = end_of_prefix(&r->end, prefix);
    r->s = has_end ? open_end + 1 : open_end;
    r->n = 0;
    pack_uint_at(r->count, rows, sizeof r->count);
    r->params[r->n++] = pg_statement_key(p, table, from, r->number);
    if (has_end)
        r->params[r->n++] = buf_bytes(&r->end);
    if (rows > 0)
        r->params[r->n++] = bytes_of(r->count, sizeof r->count);
}

static int
ask_range(struct txn *t, unsigned table, enum pg_statement open_end, struct bytes from,
          struct bytes prefix, size_t rows, PGresult **out, struct err *err)
{
    struct pg *p = pg_of(t);
    struct range_statement r;
    int rc;

    if (!t->is_reads && p->tables[table].kind == KV_QUEUE)
        pg_key_send_appends(p);
    make_range_statement(&r, p, table, open_end, from, prefix, rows);
    rc = pg_statement_ask(t, r.s, table, r.params, r.n, out, err);
    buf_free(&r.end);
    return rc;
}

/* The rows of the next page. before: those of the one before; 0: there is none. */
static size_t
rows_of_page(const struct txn *t, const struct kv_range *range, size_t before, size_t seen)
{
    size_t first = t->is_reads ? PAGE_FIRST_OUTSIDE : PAGE_FIRST;
    size_t rows = range->limit > 0 ? PAGE_MAX : before == 0 ? first : before * 4;

    rows = rows < PAGE_MAX ? rows : PAGE_MAX;
    return range->limit > 0 && rows > range->limit - seen ? range->limit - seen : rows;
}

void
pg_cursor_expect(struct txn *t, enum kv_read how, unsigned table, const struct kv_range *range)
{
    struct range_statement r;
    struct buf place;

    buf_init(&place, SIZE_MAX / 2);
    set_place(&place, range->from, range->behind, false);
    if (how == KV_LAST)
        make_range_statement(&r, pg_of(t), table, PG_LAST, range->from, range->from, 0);
    else
        make_range_statement(&r, pg_of(t), table, PG_PAGE, buf_bytes(&place), range->prefix,
                             rows_of_page(t, range, 0, 0));
    pg_statement_expect(pg_of(t), r.s, table, r.params, r.n);
    buf_free(&r.end);
    buf_free(&place);
}

/* The key of a row. A queue has a bigint, of which the last four bytes are the key. */
static struct bytes
key_of_row(const PGresult *res, int row, bool is_queue)
{
    const char *key = PQgetvalue(res, row, 0);

    return is_queue ? bytes_of(key + 4, 4) : bytes_of(key, (size_t)PQgetlength(res, row, 0));
}

static int
show_row(struct pg_cursor *c)
{
    if (c->row >= PQntuples(c->page))
        return 0;
    c->base.key = key_of_row(c->page, c->row, is_queue_cursor(c));
    c->base.val = bytes_of(PQgetvalue(c->page, c->row, 1), (size_t)PQgetlength(c->page, c->row, 1));
    return 1;
}

/* Fetches the page that begins at the place. */
static int
fetch_page(struct pg_cursor *c, struct err *err)
{
    struct pg *p = pg_of(c->base.t);
    const struct kv_range *range = &c->base.range;

    PQclear(c->page);
    c->page = NULL;
    c->row = 0;
    c->rows = rows_of_page(c->base.t, range, c->rows, c->base.seen);
    c->changes = p->changes[c->base.table];
    if (ask_range(c->base.t, c->base.table, PG_PAGE, buf_bytes(&c->place), range->prefix, c->rows,
                  &c->page, err) != 0)
        return -1;
    return show_row(c);
}

int
pg_cursor_seek(struct kv_cursor *base, struct err *err)
{
    struct pg_cursor *c = (struct pg_cursor *)base;

    set_place(&c->place, base->range.from, base->range.behind, is_queue_cursor(c));
    c->rows = 0;
    return fetch_page(c, err);
}

int
pg_cursor_next(struct kv_cursor *base, struct err *err)
{
    struct pg_cursor *c = (struct pg_cursor *)base;
    bool is_changed = c->changes != pg_of(base->t)->changes[base->table];

    if (!is_changed && c->row + 1 < PQntuples(c->page)) {
        c->row++;
        return show_row(c);
    }
    if (!is_changed && (size_t)PQntuples(c->page) < c->rows)
        return 0;
    set_place(&c->place, base->key, true, is_queue_cursor(c));
    if (is_changed) /* what was fetched ahead may be wrong by now */
        c->rows = 0;
    return fetch_page(c, err);
}

int
pg_cursor_last(struct txn *t, unsigned table, struct bytes prefix, struct buf *key, struct buf *val,
               struct err *err)
{
    struct pg *p = pg_of(t);
    PGresult *res;
    int rc;

    if (ask_range(t, table, PG_LAST, prefix, prefix, 0, &res, err) != 0)
        return -1;
    rc = PQntuples(res);
    if (rc == 1 && key != NULL) {
        struct bytes found = key_of_row(res, 0, p->tables[table].kind == KV_QUEUE);

        buf_reset(key);
        buf_put(key, found.p, found.n);
        if (!buf_ok(key))
            rc = err_set(err, ERR_CORRUPT, "table %s: key of %zu bytes", p->tables[table].name,
                         found.n);
    }
    if (rc == 1 && pg_key_copy(p, table, res, 1, val, err) != 0)
        rc = -1;
    PQclear(res);
    return rc;
}

#endif

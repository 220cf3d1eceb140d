#include "storage/kv/bdb_cursor.h"
#include "util/mem.h"
#include "util/pack.h"

/* Keys and values are copied into the cursor's own memory, so that a cursor outside a transaction
 * can release its page when others need it (bdb_cursor_release_all), and find its place again by
 * the key. */

struct bdb_cursor {
    struct kv_cursor base;
    DBC *dbc; /* NULL: not moved yet, or released */
    DBT key;  /* as the library has it: of a queue, a number in the machine's byte order */
    DBT val;
    uint8_t number[4]; /* of a queue: the key as kv.h has it */
    uint8_t *place;    /* where a released cursor goes on: the first key at or behind this one, */
    size_t place_n;
    size_t place_room;
    bool past; /* or the first behind it */
    struct bdb_cursor *next;
    struct bdb_cursor **link; /* NULL when not among bdb->cursors */
};

static struct bdb *
bdb_of_cursor(const struct bdb_cursor *c)
{
    return bdb_of(c->base.t);
}

static bool
is_of_queue(const struct bdb_cursor *c)
{
    return bdb_of_cursor(c)->tables[c->base.table].kind == KV_QUEUE;
}

static int
dbc_open(struct bdb_cursor *c)
{
    DB *db = bdb_of_cursor(c)->db[c->base.table];
    int ret = c->dbc == NULL ? db->cursor(db, bdb_txn(c->base.t), &c->dbc, 0) : 0;

    if (ret != 0)
        c->dbc = NULL;
    return ret;
}

static void
dbc_close(struct bdb_cursor *c)
{
    struct bdb *b = bdb_of_cursor(c);
    int ret = c->dbc == NULL ? 0 : c->dbc->close(c->dbc);

    /* It still has its locks, and one that is closed already can be closed again. */
    if (ret == DB_RUNRECOVERY && bdb_is_conflict(b, ret))
        ret = c->dbc->close(c->dbc);
    c->dbc = NULL;
    if (bdb_is_fatal(b, ret))
        bdb_lost(b, "closing a cursor failed");
}

void
bdb_cursor_release_all(struct bdb *b)
{
    for (struct bdb_cursor *c = b->cursors; c != NULL; c = c->next)
        dbc_close(c);
}

/* p may not be in c->place. */
static void
set_cursor_place(struct bdb_cursor *c, const void *p, size_t n, bool past)
{
    c->place = mem_grow(c->place, &c->place_room, n, 1);
    c->place_n = n;
    c->past = past;
    if (n > 0)
        memcpy(c->place, p, n);
}

/* ---- moves: these return the library's number ---- */

static int
move_next(struct bdb_cursor *c)
{
    return c->dbc->get(c->dbc, &c->key, &c->val, DB_NEXT);
}

/* *out: no record of the queue is before the place. Used in transactions only, because they keep a
 * lock on each number that DB_SET_RANGE passes, from the given one on. */
static int
is_before_first(struct bdb_cursor *c, bool *out)
{
    DB *db = bdb_of_cursor(c)->db[c->base.table];
    DB_QUEUE_STAT *stat = NULL;
    db_recno_t wanted;
    int ret = db->stat(db, bdb_txn(c->base.t), (void *)&stat, DB_FAST_STAT);

    if (ret != 0)
        return ret;
    memcpy(&wanted, c->place, sizeof wanted);
    *out = wanted <= stat->qs_first_recno;
    free(stat);
    return 0;
}

static int
move_to_place(struct bdb_cursor *c)
{
    bool first = c->place_n == 0;
    int ret = 0;

    if (!first && !c->base.t->is_reads && is_of_queue(c))
        ret = is_before_first(c, &first);
    if (ret != 0)
        return ret;
    if (!first) {
        c->key.data = mem_resize(c->key.data, c->place_n, 1);
        memcpy(c->key.data, c->place, c->place_n);
        c->key.size = (uint32_t)c->place_n;
    }
    ret = c->dbc->get(c->dbc, &c->key, &c->val, first ? DB_FIRST : DB_SET_RANGE);
    if (ret == 0 && c->past &&
        bytes_equal(bytes_of(c->key.data, c->key.size), bytes_of(c->place, c->place_n)))
        ret = move_next(c);
    return ret;
}

/* Moves to the last record before the place, or to the last of all. */
static int
move_before_place(struct bdb_cursor *c)
{
    int ret = DB_NOTFOUND;

    if (c->place_n > 0)
        ret = move_to_place(c);
    if (ret == 0)
        return c->dbc->get(c->dbc, &c->key, &c->val, DB_PREV);
    if (ret == DB_NOTFOUND)
        return c->dbc->get(c->dbc, &c->key, &c->val, DB_LAST);
    return ret;
}

/* Moves (outside a transaction again after a conflict), and reads what is there: 1, 0, -1. */
static int
move_and_read(struct bdb_cursor *c, int (*move)(struct bdb_cursor *c), struct err *err)
{
    struct txn *t = c->base.t;
    struct bdb *b = bdb_of(t);
    int ret;

    for (int i = 0;; i++) {
        if (c->dbc == NULL && move == move_next)
            move = move_to_place;
        if ((ret = dbc_open(c)) == 0)
            ret = move(c);
        if (!bdb_is_conflict(b, ret) || !t->is_reads || i == BDB_RETRIES)
            break;
        bdb_cursor_release_all(b);
        bdb_pause();
    }
    if (ret == DB_NOTFOUND || ret == DB_KEYEMPTY)
        return 0;
    if (ret != 0)
        return bdb_fail(t, ret, "reading table", c->base.table, err);
    if (bdb_value(b, c->base.table, &c->val, &c->base.val, err) != 0)
        return -1;
    c->base.key = bytes_of(c->key.data, c->key.size);
    if (is_of_queue(c)) {
        db_recno_t number;

        memcpy(&number, c->key.data, sizeof number);
        pack_uint_at(c->number, number, sizeof c->number);
        c->base.key = bytes_of(c->number, sizeof c->number);
    }
    return 1;
}

/* ---- for kv_filling.h ---- */

struct kv_cursor *
bdb_cursor_open(struct txn *t, unsigned table, struct err *err)
{
    struct bdb *b = bdb_of(t);
    struct bdb_cursor *c = mem_alloc(sizeof *c);

    (void)err;
    c->base.t = t;
    c->base.table = table;
    c->key.flags = DB_DBT_REALLOC;
    c->val.flags = DB_DBT_REALLOC;

    bdb_enter(b);
    if (t->is_reads) {
        c->next = b->cursors;
        c->link = &b->cursors;
        if (c->next != NULL)
            c->next->link = &c->next;
        b->cursors = c;
    }
    return &c->base;
}

void
bdb_cursor_close(struct kv_cursor *base)
{
    struct bdb_cursor *c = (struct bdb_cursor *)base;
    struct bdb *b = bdb_of_cursor(c);

    dbc_close(c);
    if (c->link != NULL) {
        *c->link = c->next;
        if (c->next != NULL)
            c->next->link = c->link;
    }
    free(c->key.data);
    free(c->val.data);
    free(c->place);
    free(c);
    bdb_leave(b);
}

int
bdb_cursor_seek(struct kv_cursor *base, struct err *err)
{
    struct bdb_cursor *c = (struct bdb_cursor *)base;
    DBT from = {0};

    /* Number 0 of a queue is in front of all. */
    if (base->range.from.n > 0 && !bdb_key(bdb_of_cursor(c), base->table, base->range.from, &from))
        from.size = 0;
    set_cursor_place(c, from.data, from.size, base->range.behind);
    return move_and_read(c, move_to_place, err);
}

int
bdb_cursor_next(struct kv_cursor *base, struct err *err)
{
    struct bdb_cursor *c = (struct bdb_cursor *)base;

    set_cursor_place(c, c->key.data, c->key.size, true);
    return move_and_read(c, move_next, err);
}

/* The place: the first key behind all that start with prefix, or none if there can't be one. */
static void
set_cursor_place_behind(struct bdb_cursor *c, struct bytes prefix)
{
    const uint8_t *p = prefix.p;
    size_t n = prefix.n;

    while (n > 0 && p[n - 1] == 0xff)
        n--;
    set_cursor_place(c, p, n, false);
    if (n > 0)
        c->place[n - 1]++;
}

int
bdb_cursor_last(struct txn *t, unsigned table, struct bytes prefix, struct buf *key,
                struct buf *val, struct err *err)
{
    struct bdb *b = bdb_of(t);
    struct kv_cursor *c = bdb_cursor_open(t, table, err);
    int rc;

    set_cursor_place_behind((struct bdb_cursor *)c, prefix);
    rc = move_and_read((struct bdb_cursor *)c, move_before_place, err);
    if (rc == 1 && !bytes_start_with(c->key, prefix))
        rc = 0;
    if (rc == 1 &&
        (bdb_copy(b, table, c->key, key, err) != 0 || bdb_copy(b, table, c->val, val, err) != 0))
        rc = -1;
    bdb_cursor_close(c);
    return rc;
}

#include "storage/kv/kv_bdb.h"
#include <errno.h>
#include <stdlib.h>
#include "util/banned.h"

/* Cursors. Keys and values are copied into memory of the cursor's own, so that a cursor outside a
 * transaction can let go of its page when it is in the way (bdb_let_go), and find its place again
 * by the key. */

struct kv_cursor {
    struct txn *t;
    unsigned table;
    DBC *dbc; /* NULL: let go */
    DBT key;  /* as the library has it: of a queue, a number in the machine's own byte order */
    DBT val;
    struct bytes value;
    uint8_t number[4]; /* of a queue: the key for those outside */
    bool on;           /* it stands somewhere */
    void *place; /* where to look for it when it has let go: the first at or behind this key */
    size_t place_n;
    bool past; /* or the first behind it */
    struct kv_cursor *next;
    struct kv_cursor **link; /* NULL when not among kv->cursors */
};

static int
dbc_open(struct kv_cursor *c)
{
    DB *db = c->t->kv->db[c->table];
    int ret = c->dbc == NULL ? db->cursor(db, c->t->id, &c->dbc, 0) : 0;
    if (ret != 0)
        c->dbc = NULL;
    return ret;
}

static void
dbc_close(struct kv_cursor *c)
{
    int ret = c->dbc == NULL ? 0 : c->dbc->close(c->dbc);
    c->dbc = NULL;
    if (bdb_is_fatal(ret))
        bdb_lost(c->t->kv, "closing a cursor failed");
}

void
bdb_let_go(struct kv *kv)
{
    for (struct kv_cursor *c = kv->cursors; c != NULL; c = c->next)
        dbc_close(c);
}

/* Remembers the place; p may not be in it. 0, or the library's number. */
static int
place_set(struct kv_cursor *c, const void *p, size_t n, bool past)
{
    void *room = realloc(c->place, n > 0 ? n : 1);
    if (room == NULL)
        return ENOMEM;
    c->place = room;
    c->place_n = n;
    c->past = past;
    if (n > 0)
        memcpy(room, p, n);
    return 0;
}

/* ---- moves: these return the library's number ---- */

static int
move_next(struct kv_cursor *c)
{
    return c->dbc->get(c->dbc, &c->key, &c->val, DB_NEXT);
}

/* Whether the place is in front of all that a queue has. Asked in transactions only: they keep the
 * lock of each number that DB_SET_RANGE passes, and it passes all from the given one on. */
static int
before_first(struct kv_cursor *c, bool *out)
{
    DB *db = c->t->kv->db[c->table];
    DB_QUEUE_STAT *stat = NULL;
    db_recno_t wanted;

    int ret = db->stat(db, c->t->id, (void *)&stat, DB_FAST_STAT);
    if (ret != 0)
        return ret;
    memcpy(&wanted, c->place, sizeof wanted);
    *out = wanted <= stat->qs_first_recno;
    free(stat);
    return 0;
}

static int
move_to_place(struct kv_cursor *c)
{
    bool first = c->place_n == 0;
    int ret = 0;

    if (!first && c->t->id != NULL && c->t->kv->tables[c->table].kind == KV_QUEUE)
        ret = before_first(c, &first);
    if (ret != 0)
        return ret;
    if (first)
        return c->dbc->get(c->dbc, &c->key, &c->val, DB_FIRST);

    void *room = realloc(c->key.data, c->place_n);
    if (room == NULL)
        return ENOMEM;
    c->key.data = memcpy(room, c->place, c->place_n);
    c->key.size = (uint32_t)c->place_n;
    ret = c->dbc->get(c->dbc, &c->key, &c->val, DB_SET_RANGE);
    if (ret == 0 && c->past &&
        bytes_equal(bytes_of(c->key.data, c->key.size), bytes_of(c->place, c->place_n)))
        ret = move_next(c);
    return ret;
}

/* To the last in front of the place, or to the very last. */
static int
move_before_place(struct kv_cursor *c)
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

/* Moves, outside a transaction again after a conflict, and looks at what is there: 1, 0, -1. */
static int
go(struct kv_cursor *c, int (*move)(struct kv_cursor *c), struct err *err)
{
    int ret;

    c->on = false;
    for (int i = 0;; i++) {
        if (c->dbc == NULL && move == move_next)
            move = move_to_place;
        if ((ret = dbc_open(c)) == 0)
            ret = move(c);
        if (!bdb_is_conflict(ret) || c->t->id != NULL || i == BDB_RETRIES)
            break;
        bdb_let_go(c->t->kv);
        bdb_pause();
    }
    if (ret == DB_NOTFOUND || ret == DB_KEYEMPTY)
        return 0;
    if (ret != 0)
        return bdb_fail(c->t, ret, "reading table", c->table, err);
    if (bdb_value(c->t, c->table, &c->val, &c->value, err) != 0)
        return -1;
    if (c->t->kv->tables[c->table].kind == KV_QUEUE) {
        db_recno_t number;
        memcpy(&number, c->key.data, sizeof number);
        bdb_put_u32(c->number, number);
    }
    c->on = true;
    return 1;
}

/* ---- for everybody ---- */

int
kv_cursor_open(struct txn *t, unsigned table, struct kv_cursor **out, struct err *err)
{
    struct kv *kv = t->kv;

    if (bdb_check(t, table, false, err) != 0)
        return -1;
    struct kv_cursor *c = calloc(1, sizeof *c);
    if (c == NULL) {
        bdb_fail(t, ENOMEM, "reading table", table, err);
        return -1;
    }
    c->t = t;
    c->table = table;
    c->key.flags = DB_DBT_REALLOC;
    c->val.flags = DB_DBT_REALLOC;

    bdb_enter(kv);
    int ret = dbc_open(c);
    if (ret != 0) {
        bdb_fail(t, ret, "reading table", table, err);
        free(c);
        bdb_leave(kv);
        return -1;
    }
    if (t->id == NULL) {
        c->next = kv->cursors;
        c->link = &kv->cursors;
        if (c->next != NULL)
            c->next->link = &c->next;
        kv->cursors = c;
    }
    *out = c;
    return 0;
}

void
kv_cursor_close(struct kv_cursor *c)
{
    if (c == NULL)
        return;
    struct kv *kv = c->t->kv;
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
    bdb_leave(kv);
}

int
kv_cursor_seek(struct kv_cursor *c, struct bytes key, struct err *err)
{
    struct kv *kv = c->t->kv;
    DBT from = {0};
    int ret;

    if (bdb_check(c->t, c->table, false, err) != 0)
        return -1;
    if (key.n > 0 && (ret = bdb_key(kv, c->table, key, &from, err)) != 1) {
        if (ret < 0)
            return -1;
        from.size = 0; /* number 0 of a queue is in front of all */
    }
    if ((ret = place_set(c, from.data, from.size, false)) != 0)
        return bdb_fail(c->t, ret, "reading table", c->table, err);
    return go(c, move_to_place, err);
}

int
kv_cursor_next(struct kv_cursor *c, struct err *err)
{
    int ret;

    if (bdb_check(c->t, c->table, false, err) != 0)
        return -1;
    if (!c->on)
        return 0;
    if ((ret = place_set(c, c->key.data, c->key.size, true)) != 0)
        return bdb_fail(c->t, ret, "reading table", c->table, err);
    return go(c, move_next, err);
}

struct bytes
kv_cursor_key(const struct kv_cursor *c)
{
    if (c->t->kv->tables[c->table].kind == KV_QUEUE)
        return bytes_of(c->number, sizeof c->number);
    return bytes_of(c->key.data, c->key.size);
}

struct bytes
kv_cursor_val(const struct kv_cursor *c)
{
    return c->value;
}

/* The place of c: the first key behind all that start with prefix; none when no key is. */
static int
place_behind(struct kv_cursor *c, struct bytes prefix)
{
    const uint8_t *p = prefix.p;
    size_t n = prefix.n;

    while (n > 0 && p[n - 1] == 0xff)
        n--;
    int ret = place_set(c, p, n, false);
    if (ret == 0 && n > 0)
        ((uint8_t *)c->place)[n - 1]++;
    return ret;
}

int
kv_last(struct txn *t, unsigned table, struct bytes prefix, struct buf *key, struct buf *val,
        struct err *err)
{
    struct kv_cursor *c;

    if (kv_cursor_open(t, table, &c, err) != 0)
        return -1;
    int ret =
        t->kv->tables[table].kind == KV_QUEUE && prefix.n > 0 ? EINVAL : place_behind(c, prefix);
    if (ret != 0)
        ret = bdb_fail(t, ret, "reading table", table, err);
    else
        ret = go(c, move_before_place, err);
    if (ret == 1 && !bytes_start_with(kv_cursor_key(c), prefix))
        ret = 0;
    if (ret == 1 && (bdb_copy(t, table, kv_cursor_key(c), key, err) != 0 ||
                     bdb_copy(t, table, kv_cursor_val(c), val, err) != 0))
        ret = -1;
    kv_cursor_close(c);
    return ret;
}

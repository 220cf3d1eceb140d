#include "storage/kv/kv.h"
#include <assert.h>
#include <fcntl.h>
#include "storage/files/disk_space.h"
#include "storage/kv/kv_filling.h"
#include "util/clock.h"

/* The part that all fillings share. */

#define TXN_RETRIES 20 /* after a conflict */
/* A database elsewhere may hang; then each try can take seconds. */
#define TXN_PATIENCE_MS 15000

/* ---- transactions ---- */

struct txn *
kv_reads(struct kv *kv)
{
    return &kv->reads;
}

/* One try. *conflict: it can be tried again. */
static int
txn_try(struct kv *kv, int (*fn)(struct txn *t, void *arg, struct err *err), void *arg,
        unsigned tries, bool *conflict, struct err *err)
{
    struct txn *t = &kv->txn;
    int rc;

    *conflict = false;
    *err = (struct err){0};
    if (kv->filling->begin(kv, tries, err) != 0)
        return -1;
    kv->is_running = true;
    t->relaxed = false;
    rc = fn(t, arg, err);
    assert(kv->cursors == 0);
    if (rc == 0 && t->doom.code == ERR_NONE) {
        rc = kv->filling->commit(t, err);
    } else {
        kv->filling->abort(t);
        if (rc == 0) {
            *err = t->doom;
            rc = -1;
        }
    }
    kv->is_running = false;
    *conflict = t->doom.code == ERR_BUSY;
    t->doom = (struct err){0};
    return rc;
}

int
txn_run_anyway(struct kv *kv, int (*fn)(struct txn *t, void *arg, struct err *err), void *arg,
               struct err *err)
{
    uint64_t until;

    if (kv->is_read_only)
        return err_set(err, ERR_READ_ONLY, "this registry is read-only at the moment");
    if (kv->is_running || kv->cursors > 0 || kv->is_moment)
        return err_set(err, ERR_SYSTEM, "a transaction inside another, or beside an open cursor");

    until = clock_mono_ms() + TXN_PATIENCE_MS;
    for (unsigned tries = 0; tries <= TXN_RETRIES; tries++) {
        bool conflict;
        int rc = txn_try(kv, fn, arg, tries, &conflict, err);

        if (!conflict || (kv_is_remote(kv) && clock_mono_ms() >= until))
            return rc;
    }
    return err_set(err, ERR_BUSY, "too many conflicts with others");
}

void
kv_relax(struct txn *t)
{
    t->relaxed = true;
}

void
kv_keep_room(struct kv *kv)
{
    kv->keep_room = open(kv->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

void
kv_refuse_writes(struct kv *kv)
{
    kv->is_read_only = true;
}

int
txn_run(struct kv *kv, int (*fn)(struct txn *t, void *arg, struct err *err), void *arg,
        struct err *err)
{
    if (kv->keep_room >= 0 && !kv->is_read_only && disk_space_check_margin(kv->keep_room, err) != 0)
        return -1;
    return txn_run_anyway(kv, fn, arg, err);
}

/* ---- checks ---- */

/* A read through kv_reads during a transaction would wait for the transaction's locks for ever. */
static int
kv_check(const struct txn *t, unsigned table, bool write, struct err *err)
{
    const struct kv *kv = t->kv;

    assert(table < kv->n);
    if (t->doom.code != ERR_NONE) {
        *err = t->doom;
        return -1;
    }
    if (t->is_reads && write)
        return err_set(err, ERR_SYSTEM, "table %s: a write outside a transaction",
                       kv->tables[table].name);
    if (t->is_reads && kv->is_running)
        return err_set(err, ERR_SYSTEM, "table %s: a read beside a transaction",
                       kv->tables[table].name);
    return 0;
}

static int
kv_check_key(const struct txn *t, unsigned table, struct bytes key, bool write, struct err *err)
{
    const struct kv_table *def = &t->kv->tables[table];

    if (kv_check(t, table, write, err) != 0)
        return -1;
    if (def->kind == KV_QUEUE ? key.n != sizeof(uint32_t) : key.n > INT32_MAX)
        return err_set(err, ERR_SYSTEM, "table %s: key of %zu bytes", def->name, key.n);
    return 0;
}

/* ---- one key ---- */

int
kv_get(struct txn *t, unsigned table, struct bytes key, struct buf *val, struct err *err)
{
    if (kv_check_key(t, table, key, false, err) != 0)
        return -1;
    return t->kv->filling->get(t, table, key, false, val, err);
}

int
kv_get_for_update(struct txn *t, unsigned table, struct bytes key, struct buf *val, struct err *err)
{
    if (kv_check_key(t, table, key, true, err) != 0)
        return -1;
    return t->kv->filling->get(t, table, key, true, val, err);
}

int
kv_put(struct txn *t, unsigned table, struct bytes key, struct bytes val, struct err *err)
{
    const struct kv_table *def = &t->kv->tables[table];

    if (kv_check_key(t, table, key, true, err) != 0)
        return -1;
    if (def->kind != KV_ORDERED)
        return err_set(err, ERR_SYSTEM, "table %s: a put in a queue", def->name);
    if (val.n > INT32_MAX)
        return err_set(err, ERR_TOO_LARGE, "table %s: value of %zu bytes", def->name, val.n);
    return t->kv->filling->put(t, table, key, val, err);
}

int
kv_delete(struct txn *t, unsigned table, struct bytes key, struct err *err)
{
    if (kv_check_key(t, table, key, true, err) != 0)
        return -1;
    return t->kv->filling->delete (t, table, key, err);
}

int
kv_drop(struct txn *t, unsigned table, struct bytes key, struct err *err)
{
    if (kv_check_key(t, table, key, true, err) != 0)
        return -1;
    return t->kv->filling->drop(t, table, key, err);
}

static int
kv_check_record(const struct kv_table *def, struct bytes val, struct err *err)
{
    if (def->kind != KV_QUEUE)
        return err_set(err, ERR_SYSTEM, "table %s is not a queue", def->name);
    if (val.n > def->record_size || val.n > UINT16_MAX)
        return err_set(err, ERR_TOO_LARGE, "table %s: record of %zu bytes", def->name, val.n);
    return 0;
}

int
kv_append(struct txn *t, unsigned table, struct bytes val, struct err *err)
{
    const struct kv_table *def = &t->kv->tables[table];

    if (kv_check(t, table, true, err) != 0)
        return -1;
    return kv_check_record(def, val, err) == 0 ? t->kv->filling->append(t, table, val, err) : -1;
}

int
kv_place(struct txn *t, unsigned table, struct bytes key, struct bytes val, struct err *err)
{
    if (kv_check_record(&t->kv->tables[table], val, err) != 0 ||
        kv_check_key(t, table, key, true, err) != 0)
        return -1;
    return t->kv->filling->place(t, table, key, val, err);
}

/* ---- announcing reads ---- */

bool
kv_expects(const struct txn *t)
{
    return t->kv->filling->expect != NULL;
}

static void
announce(struct txn *t, enum kv_read how, unsigned table, const struct kv_range *range)
{
    const struct kv *kv = t->kv;

    assert(table < kv->n);
    if (kv_expects(t) && t->doom.code == ERR_NONE && !(t->is_reads && kv->is_running) &&
        kv->tables[table].kind == KV_ORDERED)
        kv->filling->expect(t, how, table, range);
}

void
kv_expect(struct txn *t, unsigned table, struct bytes key)
{
    announce(t, KV_GET, table, &(struct kv_range){.from = key});
}

void
kv_expect_for_update(struct txn *t, unsigned table, struct bytes key)
{
    announce(t, KV_GET_FOR_UPDATE, table, &(struct kv_range){.from = key});
}

void
kv_expect_range(struct txn *t, unsigned table, const struct kv_range *range)
{
    struct kv_range whole = *range;

    if (whole.from.n == 0)
        whole.from = whole.prefix;
    announce(t, KV_SEEK, table, &whole);
}

void
kv_expect_last(struct txn *t, unsigned table, struct bytes prefix)
{
    announce(t, KV_LAST, table, &(struct kv_range){.from = prefix});
}

void
kv_expect_end(struct txn *t)
{
    if (kv_expects(t) && t->is_reads && !t->kv->is_running)
        t->kv->filling->expect_end(t);
}

/* ---- ranges ---- */

int
kv_cursor_open(struct txn *t, unsigned table, struct kv_cursor **out, struct err *err)
{
    struct kv_cursor *c;

    if (kv_check(t, table, false, err) != 0)
        return -1;
    c = t->kv->filling->cursor_open(t, table, err);
    if (c == NULL)
        return -1;
    c->t = t;
    c->table = table;
    t->kv->cursors++;
    *out = c;
    return 0;
}

void
kv_cursor_close(struct kv_cursor *c)
{
    if (c == NULL)
        return;
    c->t->kv->cursors--;
    c->t->kv->filling->cursor_close(c);
}

/* rc: what a move returned. */
static int
kv_cursor_arrive(struct kv_cursor *c, int rc)
{
    c->is_on = rc == 1 && bytes_start_with(c->key, c->range.prefix);
    c->seen++;
    return rc < 0 ? -1 : c->is_on;
}

int
kv_cursor_seek(struct kv_cursor *c, const struct kv_range *range, struct err *err)
{
    c->range = *range;
    c->seen = 0;
    c->is_on = false;
    if (range->from.n == 0)
        c->range.from = range->prefix;
    if (c->range.from.n > 0 ? kv_check_key(c->t, c->table, c->range.from, false, err) != 0
                            : kv_check(c->t, c->table, false, err) != 0)
        return -1;
    return kv_cursor_arrive(c, c->t->kv->filling->cursor_seek(c, err));
}

int
kv_cursor_next(struct kv_cursor *c, struct err *err)
{
    if (kv_check(c->t, c->table, false, err) != 0)
        return -1;
    if (c->range.limit > 0 && c->seen == c->range.limit)
        c->is_on = false;
    if (!c->is_on)
        return 0;
    return kv_cursor_arrive(c, c->t->kv->filling->cursor_next(c, err));
}

struct bytes
kv_cursor_key(const struct kv_cursor *c)
{
    return c->key;
}

struct bytes
kv_cursor_val(const struct kv_cursor *c)
{
    return c->val;
}

int
kv_last(struct txn *t, unsigned table, struct bytes prefix, struct buf *key, struct buf *val,
        struct err *err)
{
    if (kv_check(t, table, false, err) != 0)
        return -1;
    if (t->kv->tables[table].kind == KV_QUEUE && prefix.n > 0)
        return err_set(err, ERR_SYSTEM, "table %s: a prefix in a queue", t->kv->tables[table].name);
    return t->kv->filling->last(t, table, prefix, key, val, err);
}

int
kv_flush(struct kv *kv, struct err *err)
{
    return kv->filling->flush(kv, err);
}

bool
kv_is_remote(const struct kv *kv)
{
    return kv->filling->is_remote;
}

uint64_t
kv_flights(const struct kv *kv)
{
    return kv->flights;
}

/* ---- upkeep ---- */

int
kv_checkpoint(struct kv *kv, uint32_t log_kbytes, uint32_t minutes, struct err *err)
{
    return kv->filling->checkpoint(kv, log_kbytes, minutes, err);
}

int
kv_stats(struct kv *kv, struct kv_stats *out, struct err *err)
{
    *out = (struct kv_stats){0};
    return kv->filling->stats(kv, out, err);
}

int
kv_trim_logs(struct kv *kv, struct err *err)
{
    return kv->filling->trim_logs(kv, err);
}

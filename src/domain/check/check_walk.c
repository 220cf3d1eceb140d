#include "domain/check/check.h"
#include "domain/check/check_blobs.h"
#include "domain/check/check_document.h"
#include "domain/check/check_history.h"
#include "domain/check/check_kept.h"
#include "domain/check/check_table.h"
#include "storage/kv/kv_range.h"
#include "storage/tables/tbl_entry.h"
#include "storage/tables/tbl_meta.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/mem.h"

/* The walk over all tables. */

#define BATCH 256
#define BATCH_BYTES (256u << 10)
/* Between the two looks at something that isn't read in one transaction. */
#define PAUSE_MS 20

/* Entries that were read together, one after the other in `bytes`. */
struct check_batch {
    enum table table;
    struct buf bytes;
    struct {
        size_t key, key_n, val_n;
    } v[BATCH];
    size_t n;
};

/* Documents are read one by one. */
static int
add_to_check_batch(struct bytes key, struct bytes val, void *arg, struct err *err)
{
    struct check_batch *b = arg;
    bool has_val = b->table != TABLE_CONTENT;

    (void)err;
    b->v[b->n].key = b->bytes.n;
    b->v[b->n].key_n = key.n;
    b->v[b->n].val_n = has_val ? val.n : 0;
    b->n++;
    buf_put(&b->bytes, key.p, key.n);
    if (has_val)
        buf_put(&b->bytes, val.p, val.n);
    return b->n == BATCH || b->bytes.n > BATCH_BYTES;
}

/* ---- looking again ---- */

struct second_look {
    struct check *c;
    const struct check_rule *rule; /* NULL: can it be read at all? */
    const struct check_entry *first;
    bool fails, mended, mend_failed;
};

static int
drop_unreadable(struct txn *t, const struct check_entry *e, struct err *err)
{
    return tbl_entry_drop(t, e->table, e->key, err);
}

/* Reads the entry again: 1, 0 (it is gone), -1. */
static int
read_again(struct txn *t, const struct check_entry *first, struct buf *val, struct check_entry *e,
           struct err *err)
{
    int rc;

    *e = *first;
    if (first->table == TABLE_CONTENT)
        return kv_get(t, first->table, first->key, NULL, err);
    rc = kv_get(t, first->table, first->key, val, err);
    e->val = buf_bytes(val);
    return rc;
}

static int
look_again(struct txn *t, void *arg, struct err *err)
{
    struct second_look *s = arg;
    bool mends = s->c->repair && (s->rule == NULL || s->rule->mend != NULL);
    struct check_entry e;
    struct buf val;
    int rc;

    s->fails = s->mended = s->mend_failed = false;
    buf_init(&val, RECORD_MAX);
    rc = read_again(t, s->first, &val, &e, err);
    if (rc == 1) {
        rc = check_entry_read(s->c, &e);
        if (s->rule != NULL)
            rc = rc == 1 ? s->rule->holds(s->c, t, &e, err) : 1;
        s->fails = rc == 0;
    }
    if (rc >= 0 && s->fails && mends) {
        rc = s->rule != NULL ? s->rule->mend(s->c, t, &e, err) : drop_unreadable(t, &e, err);
        s->mended = rc == 0;
        s->mend_failed = rc < 0;
    }
    buf_free(&val);
    return rc < 0 ? -1 : 0;
}

/* A blob may have gone since the copy was made. If the page of its record can't be read there, the
 * copy has to do. */
static int
read_again_live(const struct check *c, const struct check_entry *first, struct buf *val,
                struct check_entry *e, struct err *err)
{
    int rc = c->live != NULL ? read_again(kv_reads(c->live), first, val, e, err) : -1;

    return rc < 0 ? read_again(kv_reads(c->reg->kv), first, val, e, err) : rc;
}

/* For rules about files. */
static int
look_again_outside(struct second_look *s, struct err *err)
{
    struct txn *reads = kv_reads(s->c->reg->kv);
    struct check_entry e;
    struct buf val;
    int rc;

    clock_sleep_ms(PAUSE_MS);
    buf_init(&val, RECORD_MAX);
    rc = read_again_live(s->c, s->first, &val, &e, err);
    if (rc == 1 && check_entry_read(s->c, &e) == 1) {
        rc = s->rule->holds(s->c, reads, &e, err);
        s->fails = rc == 0;
    }
    if (rc >= 0 && s->fails && s->c->repair && s->rule->mend != NULL) {
        rc = s->rule->mend(s->c, NULL, &e, err);
        s->mended = rc == 0;
        s->mend_failed = rc < 0;
    }
    buf_free(&val);
    return rc < 0 ? -1 : 0;
}

static int
confirm(struct check *c, const struct check_rule *rule, const struct check_entry *e,
        struct err *err)
{
    struct second_look s = {.c = c, .rule = rule, .first = e};
    bool outside = rule != NULL && rule->outside;
    char what[CHECK_WHAT_MAX];
    int rc =
        outside ? look_again_outside(&s, err) : txn_run_anyway(c->reg->kv, look_again, &s, err);

    if (rc != 0 && s.mend_failed)
        check_add_failure(c, err);
    else if (rc != 0 || !s.fails)
        return rc;
    if (rule == NULL) {
        check_report(c, &(struct check_finding){"unreadable", tables[e->table].name,
                                                "each record can be read", c->why,
                                                "the record is deleted", s.mended});
        return 0;
    }
    check_entry_name(c, e, what);
    check_report(
        c, &(struct check_finding){rule->kind, what, rule->must, c->why, rule->repair, s.mended});
    return 0;
}

/* ---- the walk ---- */

/* A rule that would need a damaged page can't be judged. */
static bool
is_unreadable(const struct check *c, const struct err *err)
{
    return c->damaged && err->code == ERR_CORRUPT;
}

/* Indexes, and what is counted, need more than a copy. */
static bool
is_rule_for(const struct check *c, const struct check_rule *rule, const struct check_entry *e)
{
    return rule->table == e->table &&
           (rule->edges == 0 || (rule->edges >> (e->edge.kind & 31) & 1) != 0) &&
           (!rule->outside || !c->damaged || rule->holds == check_blob_has_file);
}

static int
check_entry_rules(struct check *c, struct check_entry *e, struct err *err)
{
    if (check_entry_read(c, e) != 1)
        return confirm(c, NULL, e, err);
    for (size_t i = 0; i < check_table_n; i++) {
        const struct check_rule *rule = &check_table[i];
        int rc;

        if (!is_rule_for(c, rule, e))
            continue;
        rc = rule->holds(c, kv_reads(c->reg->kv), e, err);
        if (rc == 0 && confirm(c, rule, e, err) != 0)
            rc = -1;
        if (rc < 0 && !is_unreadable(c, err))
            return -1;
    }
    return 0;
}

static int
check_batch(struct check *c, const struct check_batch *b, struct err *err)
{
    struct check_entry e = {.table = b->table};
    const uint8_t *p = buf_bytes(&b->bytes).p;

    for (size_t i = 0; i < b->n; i++) {
        e.key = bytes_of(p + b->v[i].key, b->v[i].key_n);
        e.val = bytes_of(p + b->v[i].key + b->v[i].key_n, b->v[i].val_n);
        if (check_entry_rules(c, &e, err) != 0)
            return -1;
        c->entries++;
        if (i % 16 == 0 && check_tick(c, err) != 0)
            return -1;
    }
    return 0;
}

/* A page that can't be read ends the walk over its table, and not the check. */
static int
report_bad_table(struct check *c, enum table table, struct err *err)
{
    char what[32];

    c->unkept_n = c->histories_n = 0;
    if (err->code != ERR_CORRUPT || c->damaged)
        return err->code != ERR_CORRUPT ? -1 : 0;
    snprintf(what, sizeof what, "%s%s", kv_is_remote(c->reg->kv) ? "table " : "db/",
             tables[table].name);
    check_report(c, &(struct check_finding){"database", what, "the files of the database are whole",
                                            err->message, NULL, false});
    return 0;
}

static int
walk_table(struct check *c, enum table table, struct check_batch *b, struct err *err)
{
    struct buf from;
    int rc = 0;

    buf_init(&from, 1024);
    c->part = tables[table].name;
    b->table = table;
    do {
        struct kv_range range = {.from = buf_bytes(&from), .behind = from.n > 0};

        b->n = 0;
        buf_reset(&b->bytes);
        rc = kv_range_each(kv_reads(c->reg->kv), table, &range, add_to_check_batch, b, err);
        if (rc == 0)
            rc = check_batch(c, b, err);
        if (rc == 0 && b->n > 0) {
            buf_reset(&from);
            buf_put(&from, (const uint8_t *)buf_bytes(&b->bytes).p + b->v[b->n - 1].key,
                    b->v[b->n - 1].key_n);
        }
    } while (rc == 0 && b->n > 0);
    buf_free(&from);
    if (rc == 0 && (rc = check_kept_judge(c, err)) == 0)
        rc = check_history_judge(c, err);
    return rc != 0 ? report_bad_table(c, table, err) : 0;
}

int
check_records(struct check *c, struct err *err)
{
    struct check_batch *b = mem_alloc(sizeof *b);
    uint64_t done;
    int rc = tbl_meta_get(kv_reads(c->reg->kv), META_REPO_NAMES, &done, err);

    c->has_names = rc == 1;
    buf_init(&b->bytes, 4u << 20);
    c->document = check_document_new();
    c->unkept = mem_array(CHECK_UNKEPT_MAX, sizeof *c->unkept);
    c->histories = mem_array(CHECK_HISTORIES_MAX, sizeof *c->histories);
    rc = rc < 0 && !is_unreadable(c, err) ? -1 : 0;
    for (size_t i = 0; i < check_table_order_n && rc == 0; i++)
        rc = walk_table(c, check_table_order[i], b, err);
    check_document_free(c->document);
    c->document = NULL;
    free(c->unkept);
    free(c->histories);
    buf_free(&b->bytes);
    free(b);
    return rc;
}

#include "domain/backup/store_merge.h"
#include "storage/kv/kv_range.h"
#include "storage/tables/key.h"
#include "storage/tables/tbl_entry.h"
#include "storage/tables/tbl_event.h"
#include "storage/tables/tbl_meta.h"
#include "util/buf.h"
#include "util/mem.h"
#include "util/pack.h"

/* Records that are read together, and those that are written in one transaction. */
#define PAGE 1024
#define PAGE_BYTES (1u << 20)
#define RECORD_BYTES (1u << 20)

struct page_entry {
    size_t key, key_n, val_n; /* places in the bytes of the page */
};

/* One store, as far as it was read. */
struct merge_side {
    struct kv *kv;
    const char *apart;
    struct key apart_key;
    enum table table;
    struct buf bytes;
    struct page_entry v[PAGE];
    size_t n, at;
    bool is_ended;
    struct buf last; /* the key that was read last */
    struct digest_state *hash;
    uint64_t records;
};

/* What has to be written. */
struct merge_changes {
    enum table table;
    struct buf bytes;
    struct {
        struct page_entry e;
        bool is_drop;
    } v[PAGE];
    size_t n;
};

struct merging {
    struct store_merge *m;
    struct merge_side from, to;
    struct merge_changes changes;
};

/* ---- reading ---- */

static void
begin_merge_side(struct merge_side *s, struct kv *kv, const char *apart)
{
    *s = (struct merge_side){.kv = kv, .apart = apart};
    s->apart_key = key_of_text(apart != NULL ? apart : "");
    buf_init(&s->bytes, PAGE_BYTES + RECORD_BYTES);
    buf_init(&s->last, RECORD_BYTES);
}

static void
begin_table(struct merge_side *s, enum table table)
{
    s->table = table;
    s->n = s->at = 0;
    s->is_ended = false;
    s->records = 0;
    s->hash = digest_begin(DIGEST_SHA256);
    buf_reset(&s->last);
}

static void
end_merge_side(struct merge_side *s)
{
    if (s->hash != NULL)
        digest_end(s->hash, NULL);
    buf_free(&s->bytes);
    buf_free(&s->last);
}

static int
add_to_merge_page(struct bytes key, struct bytes val, void *arg, struct err *err)
{
    struct merge_side *s = arg;

    if (key.n + val.n > RECORD_BYTES)
        return err_set(err, ERR_CORRUPT, "table %s: a record of %zu bytes", tables[s->table].name,
                       key.n + val.n);
    s->v[s->n++] = (struct page_entry){s->bytes.n, key.n, val.n};
    buf_put(&s->bytes, key.p, key.n);
    buf_put(&s->bytes, val.p, val.n);
    return s->n == PAGE || s->bytes.n >= PAGE_BYTES;
}

static struct bytes
key_in(const struct buf *b, const struct page_entry *e)
{
    return bytes_of((const char *)buf_bytes(b).p + e->key, e->key_n);
}

static struct bytes
val_in(const struct buf *b, const struct page_entry *e)
{
    return bytes_of((const char *)buf_bytes(b).p + e->key + e->key_n, e->val_n);
}

static struct bytes
side_key(const struct merge_side *s)
{
    return key_in(&s->bytes, &s->v[s->at]);
}

static struct bytes
side_val(const struct merge_side *s)
{
    return val_in(&s->bytes, &s->v[s->at]);
}

static int
read_page(struct merge_side *s, struct err *err)
{
    struct kv_range range = {.from = buf_bytes(&s->last), .behind = s->last.n > 0, .limit = PAGE};
    struct bytes last;

    s->n = s->at = 0;
    buf_reset(&s->bytes);
    if (kv_range_each(kv_reads(s->kv), s->table, &range, add_to_merge_page, s, err) != 0)
        return -1;
    s->is_ended = s->n == 0;
    if (s->n > 0) {
        last = key_in(&s->bytes, &s->v[s->n - 1]);
        buf_reset(&s->last);
        buf_put(&s->last, last.p, last.n);
    }
    return 0;
}

/* Is there a record at hand? 1, 0 (the end of the table), -1. */
static int
look_at_next(struct merge_side *s, struct err *err)
{
    if (s->at == s->n && !s->is_ended && read_page(s, err) != 0)
        return -1;
    if (s->at < s->n && s->table == TABLE_META && s->apart != NULL &&
        bytes_equal(side_key(s), key_of(&s->apart_key))) {
        s->at++;
        return look_at_next(s, err);
    }
    return s->at < s->n;
}

/* Counts the record at hand, and goes on. */
static void
pass_record(struct merge_side *s)
{
    const struct page_entry *e = &s->v[s->at];
    uint8_t sizes[8];

    pack_uint_at(sizes, e->key_n, 4);
    pack_uint_at(sizes + 4, e->val_n, 4);
    digest_update(s->hash, sizes, sizeof sizes);
    digest_update(s->hash, side_key(s).p, e->key_n + e->val_n);
    s->records++;
    s->at++;
}

static void
sum_up_side(struct merge_side *s, struct store_merge_sum *sum)
{
    sum->records = s->records;
    digest_end(s->hash, &sum->digest);
    s->hash = NULL;
}

/* ---- writing ---- */

static int
write_changes(struct txn *t, void *arg, struct err *err)
{
    const struct merge_changes *c = arg;
    int rc = 0;

    kv_relax(t);
    for (size_t i = 0; rc == 0 && i < c->n; i++) {
        struct bytes key = key_in(&c->bytes, &c->v[i].e);

        rc = c->v[i].is_drop ? tbl_entry_drop(t, c->table, key, err)
                             : tbl_entry_put(t, c->table, key, val_in(&c->bytes, &c->v[i].e), err);
    }
    return rc;
}

static int
flush_changes(struct merging *g, struct err *err)
{
    struct merge_changes *c = &g->changes;

    if (c->n > 0 && txn_run(g->m->to, write_changes, c, err) != 0)
        return -1;
    g->m->changes += c->n;
    c->n = 0;
    buf_reset(&c->bytes);
    return 0;
}

static int
note_merge_change(struct merging *g, enum table table, struct bytes key, struct bytes val,
                  bool is_drop, struct err *err)
{
    struct merge_changes *c = &g->changes;

    c->table = table;
    c->v[c->n].e = (struct page_entry){c->bytes.n, key.n, val.n};
    c->v[c->n++].is_drop = is_drop;
    buf_put(&c->bytes, key.p, key.n);
    buf_put(&c->bytes, val.p, val.n);
    return c->n == PAGE || c->bytes.n >= PAGE_BYTES ? flush_changes(g, err) : 0;
}

/* ---- the whole ---- */

static int
tick(struct store_merge *m, enum table table, struct err *err)
{
    m->tell(m->arg, tables[table].name, m->records);
    return m->is_over(m->arg) ? err_set(err, ERR_BUSY, "interrupted: it can be repeated") : 0;
}

/* Compares what is at hand on both sides, one of which there is. */
static int
merge_one(struct merging *g, enum table table, bool has_from, bool has_to, struct err *err)
{
    struct merge_side *from = &g->from, *to = &g->to;
    int order = !has_to ? -1 : !has_from ? 1 : bytes_compare(side_key(from), side_key(to));
    int rc = 0;

    if (order > 0) {
        rc = note_merge_change(g, table, side_key(to), bytes_str(""), true, err);
        to->at++;
        return rc;
    }
    if (order < 0 || !bytes_equal(side_val(from), side_val(to)))
        rc = note_merge_change(g, table, side_key(from), side_val(from), false, err);
    pass_record(from);
    if (order == 0)
        to->at++;
    g->m->records++;
    return rc == 0 && g->m->records % 256 == 0 ? tick(g->m, table, err) : rc;
}

static int
merge_table(struct merging *g, enum table table, struct err *err)
{
    int from = 1, to = 1;

    begin_table(&g->from, table);
    begin_table(&g->to, table);
    for (;;) {
        from = look_at_next(&g->from, err);
        to = from < 0 ? -1 : look_at_next(&g->to, err);
        if (from < 0 || to < 0)
            return -1;
        if (from == 0 && to == 0)
            break;
        if (merge_one(g, table, from == 1, to == 1, err) != 0)
            return -1;
    }
    sum_up_side(&g->from, &g->m->sums[table]);
    sum_up_side(&g->to, &(struct store_merge_sum){0});
    return flush_changes(g, err);
}

/* Numbers of events that were given out and trimmed are never given out again. */
static int
find_last_event(struct kv *kv, uint32_t *number, struct err *err)
{
    static const char *const names[] = {META_EVENTS_TOLD, META_EVENTS_QUEUED, META_EVENTS_INDEXED,
                                        META_EVENTS_TRIMMED};
    struct txn *t = kv_reads(kv);
    uint64_t most = 0;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        uint64_t n = 0;

        if (tbl_meta_get(t, names[i], &n, err) < 0)
            return -1;
        most = n > most && n <= UINT32_MAX ? n : most;
    }
    *number = (uint32_t)most;
    return 0;
}

static int
take_event_number(struct txn *t, void *arg, struct err *err)
{
    return tbl_event_take_number(t, *(const uint32_t *)arg, err);
}

int
store_merge_run(struct store_merge *m, struct err *err)
{
    struct merging *g = mem_alloc(sizeof *g);
    uint32_t number = 0;
    int rc = 0;

    m->records = m->changes = 0;
    g->m = m;
    begin_merge_side(&g->from, m->from, m->apart);
    begin_merge_side(&g->to, m->to, m->apart);
    buf_init(&g->changes.bytes, PAGE_BYTES + RECORD_BYTES);
    for (enum table i = 0; rc == 0 && i < TABLE_COUNT; i++)
        rc = merge_table(g, i, err);
    if (rc == 0)
        rc = find_last_event(m->from, &number, err);
    if (rc == 0 && number > 0)
        rc = txn_run(m->to, take_event_number, &number, err);
    if (rc == 0)
        rc = kv_flush(m->to, err);
    end_merge_side(&g->from);
    end_merge_side(&g->to);
    buf_free(&g->changes.bytes);
    free(g);
    return rc;
}

static int
verify_merged_table(struct store_merge *m, struct merge_side *s, enum table table, struct err *err)
{
    struct store_merge_sum found;
    int rc;

    begin_table(s, table);
    while ((rc = look_at_next(s, err)) == 1) {
        pass_record(s);
        if (s->records % 256 == 0 && tick(m, table, err) != 0)
            return -1;
    }
    if (rc < 0)
        return -1;
    sum_up_side(s, &found);
    if (found.records == m->sums[table].records &&
        digest_equal(&found.digest, &m->sums[table].digest))
        return 0;
    return err_set(err, ERR_CORRUPT,
                   "table %s of the copy isn't equal: %llu records, and %llu in the original",
                   tables[table].name, (unsigned long long)found.records,
                   (unsigned long long)m->sums[table].records);
}

int
store_merge_verify(struct store_merge *m, struct err *err)
{
    struct merge_side *s = mem_alloc(sizeof *s);
    int rc = 0;

    begin_merge_side(s, m->to, m->apart);
    for (enum table i = 0; rc == 0 && i < TABLE_COUNT; i++)
        rc = verify_merged_table(m, s, i, err);
    end_merge_side(s);
    free(s);
    return rc;
}

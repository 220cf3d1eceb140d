#include "storage/tables/tbl_edge.h"

#include <stdlib.h>
#include <string.h>

#include "storage/kv/kv_range.h"
#include "storage/tables/record.h"
#include "storage/tables/tbl.h"
#include "util/banned.h"

static struct key
make_key(const struct edge *e)
{
    struct key k = {.n = 0};

    key_digest(&k, &e->to);
    key_u8(&k, (uint8_t)e->kind);
    key_u64(&k, e->repo);
    if (e->tag != NULL)
        key_text(&k, e->tag);
    else if (e->from.algo != DIGEST_NONE)
        key_digest(&k, &e->from);
    return k;
}

int
tbl_edge_compare(const struct edge *a, const struct edge *b)
{
    struct key ka = make_key(a), kb = make_key(b);
    int c = memcmp(ka.p, kb.p, ka.n < kb.n ? ka.n : kb.n);

    if (c != 0)
        return c;
    return ka.n < kb.n ? -1 : ka.n > kb.n;
}

static int
compare(const void *a, const void *b)
{
    return tbl_edge_compare(a, b);
}

void
tbl_edge_sort(struct edge *edges, size_t n)
{
    qsort(edges, n, sizeof *edges, compare);
}

int
tbl_edge_has(struct txn *t, const struct edge *e, struct err *err)
{
    struct key k = make_key(e);

    return kv_get(t, TABLE_EDGE, key_of(&k), NULL, err);
}

int
tbl_edge_put(struct txn *t, const struct edge *e, struct err *err)
{
    static const uint8_t version = 1;
    struct key k = make_key(e);

    return kv_put(t, TABLE_EDGE, key_of(&k), bytes_of(&version, 1), err);
}

int
tbl_edge_delete(struct txn *t, const struct edge *e, struct err *err)
{
    struct key k = make_key(e);

    return kv_delete(t, TABLE_EDGE, key_of(&k), err);
}

struct each {
    const struct digest *to;
    const struct digest *after;
    int (*fn)(const struct edge *e, void *arg, struct err *err);
    void *arg;
};

static int
visit(struct bytes key, struct bytes val, void *arg, struct err *err)
{
    const struct each *each = arg;
    struct rec_reader rd = rec_reader_of(key);
    char tag[RECORD_TAG_MAX + 1];
    struct edge e;

    (void)val;
    rec_take_digest(&rd, &e.to);
    e = (struct edge){.to = e.to, .kind = (enum edge_kind)rec_take_u8(&rd)};
    e.repo = rec_take_u64(&rd);
    if (e.kind == EDGE_TAG) {
        struct bytes text = rec_take_rest(&rd);

        if (!rd.bad && text.n < sizeof tag) {
            memcpy(tag, text.p, text.n);
            tag[text.n] = '\0';
            e.tag = tag;
        }
    } else if (rd.n > 0) {
        rec_take_digest(&rd, &e.from);
    }
    if (rd.bad || rd.n != 0 || (e.kind == EDGE_TAG && e.tag == NULL)) {
        err_set(err, ERR_CORRUPT, "a key of table edge can't be read");
        return tbl_skip(err);
    }
    if (each->after != NULL && digest_equal(&e.from, each->after))
        return 0;
    return each->fn(&e, each->arg, err);
}

int
tbl_edge_each(struct txn *t, const struct digest *to, enum edge_kind kind, uint64_t repo,
              const struct digest *after,
              int (*fn)(const struct edge *e, void *arg, struct err *err), void *arg,
              struct err *err)
{
    struct each each = {to, after, fn, arg};
    struct key prefix = {.n = 0}, from;

    key_digest(&prefix, to);
    key_u8(&prefix, (uint8_t)kind);
    if (repo != 0)
        key_u64(&prefix, repo);
    from = prefix;
    if (after != NULL)
        key_digest(&from, after);
    return kv_range_each(t, TABLE_EDGE,
                         &(struct kv_range){.prefix = key_of(&prefix), .from = key_of(&from)},
                         visit, &each, err);
}

int
tbl_edge_any(struct txn *t, const struct digest *to, enum edge_kind kind, struct err *err)
{
    struct key prefix = {.n = 0};

    key_digest(&prefix, to);
    key_u8(&prefix, (uint8_t)kind);
    return kv_range_any(t, TABLE_EDGE, key_of(&prefix), err);
}

static struct key
make_prefix(const struct digest *d)
{
    struct key k = {.n = 0};

    key_digest(&k, d);
    return k;
}

/* The first edge of a digest says it all (the first but one): the keeping kinds sort first. */
struct first {
    size_t kind_at;
    struct bytes but; /* this key doesn't count; empty: all do */
    bool kept;
};

static int
see_first(struct bytes key, struct bytes val, void *arg, struct err *err)
{
    struct first *f = arg;

    (void)val;
    (void)err;
    if (bytes_equal(key, f->but))
        return 0;
    f->kept = key.n > f->kind_at && ((const uint8_t *)key.p)[f->kind_at] < EDGE_KEEPS_END;
    return 1;
}

static int
is_kept(struct txn *t, const struct digest *d, struct bytes but, struct err *err)
{
    struct key prefix = make_prefix(d);
    struct first f = {.kind_at = prefix.n, .but = but};

    if (kv_range_each(t, TABLE_EDGE, &(struct kv_range){.prefix = key_of(&prefix)}, see_first, &f,
                      err) != 0)
        return -1;
    return f.kept ? 1 : 0;
}

int
tbl_edge_kept(struct txn *t, const struct digest *d, struct err *err)
{
    return is_kept(t, d, bytes_of("", 0), err);
}

int
tbl_edge_kept_beside(struct txn *t, const struct edge *e, struct err *err)
{
    struct key k = make_key(e);

    return is_kept(t, &e->to, key_of(&k), err);
}

static int
delete_kind(struct txn *t, const struct digest *d, enum edge_kind kind, struct err *err)
{
    struct key prefix = make_prefix(d);
    struct buf key;
    int rc;

    key_u8(&prefix, (uint8_t)kind);
    buf_init(&key, KEY_MAX);
    while ((rc = kv_last(t, TABLE_EDGE, key_of(&prefix), &key, NULL, err)) == 1)
        if (kv_delete(t, TABLE_EDGE, buf_bytes(&key), err) < 0) {
            rc = -1;
            break;
        }
    buf_free(&key);
    return rc;
}

int
tbl_edge_delete_all(struct txn *t, const struct digest *d, struct err *err)
{
    for (int kind = EDGE_HELD; kind < EDGE_ID; kind++)
        if (delete_kind(t, d, (enum edge_kind)kind, err) != 0)
            return -1;
    return 0;
}

/* ---- what is pointed at ---- */

/* The first edge that isn't below a key. */
struct nearest {
    struct digest to;
    enum edge_kind kind;
    bool found;
};

static int
see_nearest(struct bytes key, struct bytes val, void *arg, struct err *err)
{
    struct nearest *n = arg;
    struct rec_reader rd = rec_reader_of(key);

    (void)val;
    (void)err;
    rec_take_digest(&rd, &n->to);
    n->kind = (enum edge_kind)rec_take_u8(&rd);
    n->found = !rd.bad;
    return 1;
}

/* Over edges of other kinds, and over all but the first of this one, it leaps: there may be a
 * hundred thousand of them. */
int
tbl_edge_each_target(struct txn *t, enum edge_kind kind, const struct digest *from,
                     int (*fn)(const struct digest *to, void *arg, struct err *err), void *arg,
                     struct err *err)
{
    struct key at = make_prefix(from), algo = {.n = 0};
    struct nearest n;
    int rc;

    key_u8(&algo, (uint8_t)from->algo);
    key_u8(&at, (uint8_t)kind);
    for (;;) {
        n.found = false;
        if (kv_range_each(t, TABLE_EDGE,
                          &(struct kv_range){.prefix = key_of(&algo), .from = key_of(&at)},
                          see_nearest, &n, err) != 0)
            return -1;
        if (!n.found)
            return 0;
        rc = n.kind == kind ? fn(&n.to, arg, err) : 0;
        if (rc != 0)
            return rc < 0 ? -1 : 0;
        at = make_prefix(&n.to);
        key_u8(&at, (uint8_t)(n.kind < kind ? kind : UINT8_MAX));
    }
}

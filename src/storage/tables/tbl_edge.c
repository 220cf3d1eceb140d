#include "storage/tables/tbl_edge.h"
#include "storage/kv/kv_range.h"
#include "storage/tables/tbl.h"

static struct key
edge_key(const struct edge *e)
{
    struct key k = key_of_digest(&e->to);

    key_u8(&k, (uint8_t)e->kind);
    key_u64(&k, e->repo);
    if (e->kind == EDGE_HISTORY)
        key_u64(&k, e->until);
    if (e->tag != NULL)
        key_text(&k, e->tag);
    else if (e->from.algo != DIGEST_NONE)
        key_digest(&k, &e->from);
    return k;
}

/* The start of the keys of all edges of that kind. */
static struct key
edge_kind_key(const struct digest *to, enum edge_kind kind)
{
    struct key k = key_of_digest(to);

    key_u8(&k, (uint8_t)kind);
    return k;
}

/* ---- order ---- */

int
tbl_edge_compare(const struct edge *a, const struct edge *b)
{
    struct key ka = edge_key(a), kb = edge_key(b);

    return bytes_compare(key_of(&ka), key_of(&kb));
}

/* ---- one edge ---- */

int
tbl_edge_has(struct txn *t, const struct edge *e, struct err *err)
{
    return tbl_get(t, &record_edge, edge_key(e), NULL, err);
}

void
tbl_edge_expect(struct txn *t, const struct edge *e)
{
    tbl_expect(t, &record_edge, edge_key(e));
}

int
tbl_edge_put(struct txn *t, const struct edge *e, struct err *err)
{
    return tbl_put(t, &record_edge, edge_key(e), NULL, err);
}

int
tbl_edge_delete(struct txn *t, const struct edge *e, struct err *err)
{
    return tbl_delete(t, &record_edge, edge_key(e), err);
}

int
tbl_edge_drop(struct txn *t, const struct edge *e, struct err *err)
{
    return tbl_drop(t, &record_edge, edge_key(e), err);
}

/* ---- the edges that point at a digest ---- */

struct edge_visit {
    const struct digest *after;
    int (*fn)(const struct edge *e, void *arg, struct err *err);
    void *arg;
};

void
tbl_edge_take(struct unpack *key, struct edge *e, char tag[RECORD_TAG_MAX + 1])
{
    *e = (struct edge){.repo = 0};
    unpack_digest(key, &e->to);
    e->kind = (enum edge_kind)unpack_u8(key);
    e->repo = unpack_u64(key);
    if (e->kind == EDGE_HISTORY)
        e->until = unpack_u64(key);
    if (e->kind == EDGE_TAG || e->kind == EDGE_HISTORY) {
        key_take_text(key, tag, RECORD_TAG_MAX + 1);
        e->tag = tag;
    } else if (key->n > 0) {
        unpack_digest(key, &e->from);
    }
}

static int
visit_edge(struct unpack *key, const void *r, void *arg, struct err *err)
{
    const struct edge_visit *v = arg;
    char tag[RECORD_TAG_MAX + 1];
    struct edge e;

    (void)r;
    tbl_edge_take(key, &e, tag);
    if (!unpack_done(key))
        return TBL_BAD_KEY;
    if (v->after != NULL && digest_equal(&e.from, v->after))
        return 0;
    return v->fn(&e, v->arg, err);
}

int
tbl_edge_each(struct txn *t, const struct digest *to, enum edge_kind kind, uint64_t repo,
              const struct digest *after,
              int (*fn)(const struct edge *e, void *arg, struct err *err), void *arg,
              struct err *err)
{
    struct edge_visit v = {after, fn, arg};
    struct key all = edge_kind_key(to, kind), from;

    if (repo != 0)
        key_u64(&all, repo);
    from = all;
    if (after != NULL)
        key_digest(&from, after);
    return tbl_each(t, &record_edge,
                    &(struct kv_range){.prefix = key_of(&all), .from = key_of(&from)}, visit_edge,
                    &v, err);
}

void
tbl_edge_expect_each(struct txn *t, const struct digest *to, enum edge_kind kind, uint64_t repo)
{
    struct key all = edge_kind_key(to, kind);

    key_u64(&all, repo);
    kv_expect_range(t, TABLE_EDGE, &(struct kv_range){.prefix = key_of(&all)});
}

static int
take_edge_repo(const struct edge *e, void *arg, struct err *err)
{
    (void)err;
    *(uint64_t *)arg = e->repo;
    return 1;
}

int
tbl_edge_each_behind(struct txn *t, const struct digest *to, const struct edge *after,
                     int (*fn)(const struct edge *e, void *arg, struct err *err), void *arg,
                     struct err *err)
{
    struct edge_visit v = {NULL, fn, arg};
    struct key all = key_of_digest(to), from = after != NULL ? edge_key(after) : all;

    return tbl_each(
        t, &record_edge,
        &(struct kv_range){.prefix = key_of(&all), .from = key_of(&from), .behind = after != NULL},
        visit_edge, &v, err);
}

int
tbl_edge_next_repo(struct txn *t, const struct digest *to, enum edge_kind kind, uint64_t after,
                   uint64_t *repo, struct err *err)
{
    struct edge_visit v = {NULL, take_edge_repo, repo};
    struct key all = edge_kind_key(to, kind), from = all;

    *repo = 0;
    key_u64(&from, after + 1);
    if (tbl_each(t, &record_edge, &(struct kv_range){.prefix = key_of(&all), .from = key_of(&from)},
                 visit_edge, &v, err) != 0)
        return -1;
    return *repo != 0;
}

int
tbl_edge_any(struct txn *t, const struct digest *to, enum edge_kind kind, struct err *err)
{
    struct key k = edge_kind_key(to, kind);

    return kv_range_any(t, TABLE_EDGE, key_of(&k), err);
}

int
tbl_edge_delete_all(struct txn *t, const struct digest *d, struct err *err)
{
    struct buf last;
    int rc = 0;

    buf_init(&last, KEY_MAX);
    for (int kind = EDGE_HELD; kind < EDGE_ID && rc == 0; kind++) {
        struct key k = edge_kind_key(d, (enum edge_kind)kind);

        if (kind == EDGE_SUBJECT)
            continue;
        while ((rc = kv_last(t, TABLE_EDGE, key_of(&k), &last, NULL, err)) == 1)
            if (kv_drop(t, TABLE_EDGE, buf_bytes(&last), err) != 0)
                break;
    }
    buf_free(&last);
    return rc == 0 ? 0 : -1;
}

/* ---- is it kept? ---- */

/* The first edge of a digest tells it, because the keeping kinds sort first. */
struct first_edge {
    size_t kind_at;
    bool is_keeping;
};

static int
note_first_edge(struct bytes key, struct bytes val, void *arg, struct err *err)
{
    struct first_edge *f = arg;

    (void)val;
    (void)err;
    f->is_keeping = key.n > f->kind_at && ((const uint8_t *)key.p)[f->kind_at] < EDGE_KEEPS_END;
    return 1;
}

int
tbl_edge_kept(struct txn *t, const struct digest *d, struct err *err)
{
    struct key k = key_of_digest(d);
    struct first_edge f = {.kind_at = k.n};

    if (kv_range_each(t, TABLE_EDGE, &(struct kv_range){.prefix = key_of(&k), .limit = 1},
                      note_first_edge, &f, err) != 0)
        return -1;
    return f.is_keeping;
}

void
tbl_edge_expect_kept(struct txn *t, const struct digest *d)
{
    struct key k = key_of_digest(d);

    kv_expect_range(t, TABLE_EDGE, &(struct kv_range){.prefix = key_of(&k), .limit = 1});
}

/* ---- the digests that are pointed at ---- */

struct nearest_edge {
    struct digest to;
    enum edge_kind kind;
    bool is_found;
};

static int
note_nearest_edge(struct bytes key, struct bytes val, void *arg, struct err *err)
{
    struct nearest_edge *n = arg;
    struct unpack u = unpack_of(key);

    (void)val;
    (void)err;
    unpack_digest(&u, &n->to);
    n->kind = (enum edge_kind)unpack_u8(&u);
    n->is_found =
        !u.bad && n->kind < UINT8_MAX; /* not the key of an edge, so the search can't continue */
    return 1;
}

/* Seeks over edges of other kinds, and over all but the first of this one: there may be a hundred
 * thousand of them. */
int
tbl_edge_each_target(struct txn *t, enum edge_kind kind, const struct digest *from,
                     int (*fn)(const struct digest *to, void *arg, struct err *err), void *arg,
                     struct err *err)
{
    struct key at = edge_kind_key(from, kind), algo = {.n = 0};
    struct nearest_edge n;
    int rc;

    key_u8(&algo, (uint8_t)from->algo);
    for (;;) {
        n.is_found = false;
        if (kv_range_each(
                t, TABLE_EDGE,
                &(struct kv_range){.prefix = key_of(&algo), .from = key_of(&at), .limit = 1},
                note_nearest_edge, &n, err) != 0)
            return -1;
        if (!n.is_found)
            return 0;
        rc = n.kind == kind ? fn(&n.to, arg, err) : 0;
        if (rc != 0)
            return rc < 0 ? -1 : 0;
        at = key_of_digest(&n.to);
        key_u8(&at, (uint8_t)(n.kind < kind ? kind : UINT8_MAX));
    }
}

#include "domain/core/usage.h"
#include "domain/core/foreign_images.h"
#include "domain/core/gone_set.h"
#include "domain/core/manifest.h"
#include "domain/core/pull.h"
#include "domain/core/reach.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_manifest.h"
#include "storage/tables/tbl_tag.h"
#include "storage/tables/tbl_trash.h"
#include "util/mem.h"

/* Bytes of memory for one document. */
#define DOCUMENT_MEMORY (16u << 20)
/* Records that are read at once. */
#define PAGE 200

struct usage_count {
    const struct registry *reg;
    uint64_t repo;
    bool is_whole;          /* the whole repository is counted, */
    const char *tag;        /* or what this tag names (NULL: a manifest without one) */
    struct gone_set seen;   /* counted already */
    struct gone_set doomed; /* manifests that would go, by repository */
    struct usage_part {
        struct digest digest;
        bool is_attached; /* a referrer, which counts only if it is own */
    } * todo;             /* manifests that are still to be looked at */
    size_t todo_n, todo_room;
    struct usage *out;
};

static void
add_manifest_to_count(struct usage_count *c, const struct digest *d, bool is_attached)
{
    if (c->todo_n >= USAGE_PARTS_MAX || !gone_set_add(&c->seen, c->repo, d))
        return;
    c->todo = mem_grow(c->todo, &c->todo_room, c->todo_n + 1, sizeof *c->todo);
    c->todo[c->todo_n++] = (struct usage_part){*d, is_attached};
}

/* ---- is it kept by something else? ---- */

struct other_keeper {
    const struct usage_count *count;
    bool is_found;
};

static int
note_other_keeper(const struct edge *e, void *arg, struct err *err)
{
    struct other_keeper *k = arg;
    const struct usage_count *c = k->count;
    const struct digest *source = e->from.algo != DIGEST_NONE ? &e->from : &e->to;

    (void)err;
    if (e->kind >= EDGE_KEEPS_END)
        return 1;
    if (e->repo == c->repo &&
        (e->kind == EDGE_HISTORY || e->kind == EDGE_TRASHED || e->kind == EDGE_TRASH_PART))
        return 0; /* these end by themselves */
    if (c->is_whole)
        k->is_found = e->repo != c->repo && e->kind != EDGE_IMAGE;
    else
        k->is_found = !gone_set_has(&c->doomed, e->repo, source);
    return k->is_found;
}

/* 1, 0, -1. */
static int
is_own(const struct usage_count *c, const struct digest *d, struct err *err)
{
    struct other_keeper k = {.count = c};

    if (tbl_edge_each_behind(kv_reads(c->reg->kv), d, NULL, note_other_keeper, &k, err) != 0)
        return -1;
    return !k.is_found;
}

static int
note_other_tag(const struct edge *e, void *arg, struct err *err)
{
    struct other_keeper *k = arg;

    (void)err;
    k->is_found = k->count->tag == NULL || strcmp(e->tag, k->count->tag) != 0;
    return k->is_found;
}

static int
note_other_index(const struct edge *e, void *arg, struct err *err)
{
    struct other_keeper *k = arg;

    (void)err;
    k->is_found = !gone_set_has(&k->count->doomed, e->repo, &e->from);
    return k->is_found;
}

/* Does anything but the tag, and what goes with it, reach the manifest? 1, 0, -1. */
static int
is_reached_otherwise(const struct usage_count *c, const struct digest *d,
                     const struct digest *subject, struct err *err)
{
    static const struct digest none = {.algo = DIGEST_NONE};
    struct other_keeper k = {.count = c};
    struct txn *t = kv_reads(c->reg->kv);
    struct reach by;
    int rc;

    if (tbl_edge_each(t, d, EDGE_TAG, c->repo, NULL, note_other_tag, &k, err) != 0 ||
        (!k.is_found &&
         tbl_edge_each(t, d, EDGE_CHILD, c->repo, NULL, note_other_index, &k, err) != 0))
        return -1;
    if (k.is_found)
        return 1;
    rc = reach_find(t, c->repo, d, subject != NULL ? subject : &none, &c->doomed, &by, err);
    return rc < 0 ? -1 : by.kind == REACH_TAG_NAME || by.kind == REACH_SUBJECT;
}

/* ---- parts ---- */

/* A blob that is here. */
static int
count_blob_once(struct usage_count *c, const struct digest *d, struct err *err)
{
    struct rec_blob r;
    int rc, own;

    if (gone_set_has(&c->seen, 0, d))
        return 0;
    rc = tbl_blob_get(kv_reads(c->reg->kv), d, &r, err);
    if (rc != 1 || !gone_set_add(&c->seen, 0, d))
        return rc < 0 ? -1 : 0;
    own = is_own(c, d, err);
    c->out->blobs++;
    c->out->bytes += r.size;
    c->out->own += own == 1 ? r.size : 0;
    return own < 0 ? -1 : 0;
}

static int
count_parts(struct usage_count *c, const struct manifest *m, bool only_own, struct err *err)
{
    struct rec_manifest r;
    int rc;

    for (size_t i = 0; i < m->descriptors_n; i++) {
        const struct digest *d = &m->descriptors[i].digest;

        rc = m->descriptors[i].part == PART_CHILD
                 ? tbl_manifest_get(kv_reads(c->reg->kv), c->repo, d, &r, err)
                 : 0;
        if (rc == 1 && !c->is_whole)
            add_manifest_to_count(c, d, only_own);
        if (rc < 0 || (rc == 0 && count_blob_once(c, d, err) != 0))
            return -1;
    }
    return 0;
}

static int
add_attached(const struct edge *e, void *arg, struct err *err)
{
    (void)err;
    add_manifest_to_count(arg, &e->from, true);
    return 0;
}

/* A manifest of the repository with its blobs. Its record and document may be gone meanwhile. */
static int
count_manifest(struct usage_count *c, const struct digest *d, const struct rec_manifest *r,
               bool is_attached, struct arena *arena, struct err *err)
{
    struct bytes document;
    struct manifest m;
    int rc = pull_document(c->reg, d, r->size, arena, &document, err), own = c->is_whole;

    if (rc != 1)
        return rc;
    if (manifest_parse(&m, document, r->media_type, arena, err) != 0)
        return -1;
    if (!c->is_whole) {
        own = is_reached_otherwise(c, d, m.has_subject ? &m.subject : NULL, err);
        own = own < 0 ? -1 : own == 0;
        if (own == 1)
            gone_set_add(&c->doomed, c->repo, d);
    }
    if (own < 0 || (is_attached && own == 0))
        return own;
    own = own == 1 ? is_own(c, d, err) : 0;
    c->out->manifests++;
    c->out->bytes += r->size;
    c->out->own += own == 1 ? r->size : 0;
    gone_set_add(&c->seen, 0, d); /* a large document is a blob, too */
    if (own < 0 || count_parts(c, &m, is_attached, err) != 0)
        return -1;
    if (c->is_whole || own == 0)
        return 0;
    return tbl_edge_each(kv_reads(c->reg->kv), d, EDGE_SUBJECT, c->repo, NULL, add_attached, c,
                         err);
}

static int
count_manifest_safely(struct usage_count *c, const struct digest *d, const struct rec_manifest *r,
                      bool is_attached, struct err *err)
{
    struct arena arena;
    int rc;

    arena_init(&arena, DOCUMENT_MEMORY);
    rc = count_manifest(c, d, r, is_attached, &arena, err);
    arena_reset(&arena);
    return rc < 0 ? -1 : 0;
}

/* Indexes come before their parts, so that it is known whether they would go. */
static int
count_todo(struct usage_count *c, struct err *err)
{
    struct rec_manifest r;
    int rc = 0;

    for (size_t i = 0; i < c->todo_n && rc >= 0; i++) {
        struct usage_part part = c->todo[i];

        rc = tbl_manifest_get(kv_reads(c->reg->kv), c->repo, &part.digest, &r, err);
        if (rc == 1)
            rc = count_manifest_safely(c, &part.digest, &r, part.is_attached, err);
    }
    return rc < 0 ? -1 : 0;
}

/* ---- images of the first API ---- */

/* Their layers; what else keeps them isn't told apart. */
static int
count_foreign_image(struct usage_count *c, const struct digest *id, struct err *err)
{
    struct foreign_layers layers;
    struct arena arena;
    int rc;

    arena_init(&arena, DOCUMENT_MEMORY);
    rc = c->reg->foreign->layers(c->reg, id, &arena, &layers, err);
    if (rc < 0 && err->code == ERR_NO_IMAGE)
        rc = 0;
    for (size_t i = 0; rc == 1 && i < layers.n; i++)
        rc = count_blob_once(c, &layers.layers[i], err) == 0 ? 1 : -1;
    arena_reset(&arena);
    return rc < 0 ? -1 : 0;
}

struct foreign_tags {
    char after[RECORD_TAG_MAX + 1];
    struct digest ids[PAGE];
    size_t n, seen;
};

static int
add_foreign_tag(const char *tag, const struct rec_tag *r, void *arg, struct err *err)
{
    struct foreign_tags *p = arg;

    (void)err;
    snprintf(p->after, sizeof p->after, "%s", tag);
    if (r->target.algo == DIGEST_V1_ID)
        p->ids[p->n++] = r->target;
    return ++p->seen == PAGE;
}

static int
count_foreign_tags(struct usage_count *c, bool (*is_over)(void *arg), void *arg, struct err *err)
{
    struct foreign_tags p = {.seen = PAGE};

    while (p.seen == PAGE && !is_over(arg)) {
        char after[RECORD_TAG_MAX + 1];

        p.n = p.seen = 0;
        memcpy(after, p.after, sizeof after);
        if (tbl_tag_each(kv_reads(c->reg->kv), c->repo, after, add_foreign_tag, &p, err) != 0)
            return -1;
        for (size_t i = 0; i < p.n; i++)
            if (count_foreign_image(c, &p.ids[i], err) != 0)
                return -1;
    }
    return 0;
}

/* ---- what is counted ---- */

static void
free_count(struct usage_count *c)
{
    gone_set_free(&c->seen);
    gone_set_free(&c->doomed);
    free(c->todo);
}

int
usage_of_tag(const struct registry *reg, uint64_t repo, const char *tag,
             const struct digest *target, struct usage *out, struct err *err)
{
    struct usage_count c = {.reg = reg, .repo = repo, .tag = tag, .out = out};
    int rc;

    *out = (struct usage){.bytes = 0};
    if (target->algo == DIGEST_V1_ID) {
        rc = count_foreign_image(&c, target, err);
    } else {
        add_manifest_to_count(&c, target, false);
        rc = count_todo(&c, err);
    }
    free_count(&c);
    return rc;
}

int
usage_of_manifest(const struct registry *reg, uint64_t repo, const struct digest *d,
                  struct usage *out, struct err *err)
{
    return usage_of_tag(reg, repo, NULL, d, out, err);
}

struct manifest_page {
    uint64_t repo;
    struct {
        struct digest digest;
        struct rec_manifest r;
    } v[PAGE];
    size_t n;
};

static int
add_manifest_to_page(uint64_t repo, const struct digest *d, const struct rec_manifest *r, void *arg,
                     struct err *err)
{
    struct manifest_page *p = arg;

    (void)err;
    if (repo != p->repo)
        return 1;
    p->v[p->n].digest = *d;
    p->v[p->n].r = *r;
    return ++p->n == PAGE;
}

static int
add_trashed_to_page(const struct digest *d, const struct rec_trash *r, void *arg, struct err *err)
{
    struct manifest_page *p = arg;

    (void)err;
    p->v[p->n].digest = *d;
    p->v[p->n].r = r->manifest;
    return ++p->n == PAGE;
}

/* To be called last: bytes that are counted already belong to manifests outside of the trash. */
static int
count_trash(struct usage_count *c, struct manifest_page *p, struct err *err)
{
    struct digest after = {.algo = DIGEST_NONE};
    struct usage trash = {.bytes = 0}, *all = c->out;
    int rc = 0;

    c->out = &trash;
    p->n = PAGE;
    while (rc == 0 && p->n == PAGE) {
        p->n = 0;
        rc = tbl_trash_each(kv_reads(c->reg->kv), c->repo, &after, add_trashed_to_page, p, err);
        for (size_t i = 0; rc == 0 && i < p->n; i++) {
            rc = count_manifest_safely(c, &p->v[i].digest, &p->v[i].r, false, err);
            after = p->v[i].digest;
        }
    }
    c->out = all;
    all->trashed = trash.manifests;
    all->trashed_bytes = trash.own;
    return rc;
}

int
usage_of_repository(const struct registry *reg, uint64_t repo, bool (*is_over)(void *arg),
                    void *arg, struct usage *out, struct err *err)
{
    struct usage_count c = {.reg = reg, .repo = repo, .is_whole = true, .out = out};
    struct manifest_page *p = mem_alloc(sizeof *p);
    struct digest after = {.algo = DIGEST_NONE};
    int rc = 0;

    *out = (struct usage){.bytes = 0};
    p->repo = repo;
    p->n = PAGE;
    while (rc == 0 && p->n == PAGE && !is_over(arg)) {
        p->n = 0;
        rc = tbl_manifest_each(kv_reads(reg->kv), repo, &after, add_manifest_to_page, p, err);
        for (size_t i = 0; rc == 0 && i < p->n; i++) {
            rc = count_manifest_safely(&c, &p->v[i].digest, &p->v[i].r, false, err);
            after = p->v[i].digest;
        }
    }
    if (rc == 0)
        rc = count_foreign_tags(&c, is_over, arg, err);
    if (rc == 0)
        rc = count_trash(&c, p, err);
    free(p);
    free_count(&c);
    return rc;
}

#include "domain/transfer/export_plan.h"
#include "domain/core/manifest.h"
#include "domain/core/media_type.h"
#include "domain/core/repository.h"
#include "domain/core/tag.h"
#include "storage/kv/kv.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_tag.h"
#include "util/arena.h"
#include "util/mem.h"

/* Memory for a document of 4 MiB, and for the parsed document. */
#define SCRATCH_MAX ((size_t)64 << 20)
#define TEXTS_MAX ((size_t)1 << 30)
#define PAGE 500
#define BATCH 128

void
export_plan_begin(struct export_plan *p, const struct registry *reg)
{
    *p = (struct export_plan){.reg = reg, .max = EXPORT_PLAN_MAX};
    arena_init(&p->arena, TEXTS_MAX);
}

void
export_plan_end(struct export_plan *p)
{
    arena_reset(&p->arena);
    free(p->repositories);
    free(p->items);
    free(p->places);
    free(p->tags);
}

/* ---- items by their digests ---- */

/* Digests are hashes already. */
static size_t
item_place(const struct export_plan *p, uint32_t repository, const struct digest *d)
{
    uint64_t h;
    memcpy(&h, d->bytes, sizeof h);
    h = (h ^ repository) * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(h >> 32) & (p->places_n - 1);
}

/* The place of the digest, or a free place for it. */
static uint32_t *
find_item_place(const struct export_plan *p, uint32_t repository, const struct digest *d)
{
    size_t at = item_place(p, repository, d);
    for (; p->places[at] != 0; at = (at + 1) & (p->places_n - 1)) {
        const struct export_item *i = &p->items[p->places[at] - 1];
        if (i->repository == repository && digest_equal(&i->digest, d))
            break;
    }
    return &p->places[at];
}

static void
grow_places(struct export_plan *p)
{
    if (2 * p->n < p->places_n)
        return;
    free(p->places);
    p->places_n = p->places_n > 0 ? 2 * p->places_n : 256;
    p->places = mem_array(p->places_n, sizeof *p->places);
    for (size_t i = 0; i < p->n; i++)
        *find_item_place(p, p->items[i].repository, &p->items[i].digest) = (uint32_t)i + 1;
}

/* Adds an item unless the plan has it. named: something in the plan names it. */
static int
add_item(struct export_plan *p, const struct export_item *item, struct err *err)
{
    uint32_t *place;

    grow_places(p);
    place = find_item_place(p, item->repository, &item->digest);
    if (*place != 0) {
        p->items[*place - 1].named |= item->named;
        return 0;
    }
    if (p->n >= p->max)
        return err_set(err, ERR_TOO_MANY,
                       "that is more than %zu manifests and layers: make several exports", p->max);
    p->items = mem_grow(p->items, &p->room, p->n + 1, sizeof *p->items);
    p->items[p->n++] = *item;
    *place = (uint32_t)p->n;
    return 0;
}

static int
find_repository(struct export_plan *p, const char *name, uint32_t *out, struct err *err)
{
    struct rec_repo r;
    const char *copy;

    for (*out = 0; *out < p->repositories_n; ++*out)
        if (strcmp(p->repositories[*out].name, name) == 0)
            return 0;
    copy = arena_strdup(&p->arena, name);

    if (repository_need(p->reg, name, &r, err) != 0)
        return -1;
    if (copy == NULL)
        return arena_full(err);
    p->repositories = mem_grow(p->repositories, &p->repositories_room, p->repositories_n + 1,
                               sizeof *p->repositories);
    p->repositories[p->repositories_n].name = copy;
    p->repositories[p->repositories_n++].id = r.id;
    return 0;
}

/* ---- what was asked for ---- */

/* A manifest, by its digest or a tag. */
static int
add_manifest(struct export_plan *p, uint32_t repository, const struct reference *reference,
             bool named, struct err *err)
{
    struct export_item item = {.repository = repository};
    const struct media_type *type;
    struct pulled m;

    if (pull_manifest(p->reg, p->repositories[repository].name, reference, false, NULL, &m, err) <
        0)
        return -1;
    type = media_type_find(m.media_type);
    if (type == NULL)
        return err_set(err, ERR_CORRUPT, "a manifest of the unknown type %s", m.media_type);
    item.digest = m.digest;
    item.size = m.size;
    item.media_type = type->name;
    item.named = named || reference->tag != NULL;
    if (reference->tag != NULL) {
        struct export_tag tag = {.tag = arena_strdup(&p->arena, reference->tag),
                                 .repository = repository,
                                 .digest = m.digest,
                                 .size = m.size,
                                 .media_type = type->name};
        if (tag.tag == NULL)
            return arena_full(err);
        p->tags = mem_grow(p->tags, &p->tags_room, p->tags_n + 1, sizeof *p->tags);
        p->tags[p->tags_n++] = tag;
    }
    return add_item(p, &item, err);
}

/* The same for a manifest that may be missing. 1, 0, -1. */
static int
try_manifest(struct export_plan *p, uint32_t repository, const struct reference *reference,
             bool named, struct err *err)
{
    if (add_manifest(p, repository, reference, named, err) == 0)
        return 1;
    return err->code == ERR_NO_MANIFEST ? 0 : -1;
}

static int
add_all_tags(struct export_plan *p, uint32_t repository, struct err *err)
{
    const char *name = p->repositories[repository].name;
    char after[RECORD_TAG_MAX + 1] = "";
    struct tag_page page = {.more = true};
    struct arena arena;
    int r = 0;
    arena_init(&arena, SCRATCH_MAX);
    while (r == 0 && page.more) {
        r = tag_list(p->reg, name, after, PAGE, &arena, &page, err);
        if (r == 0 && page.n == 0 && after[0] == '\0')
            r = err_set(err, ERR_NO_MANIFEST, "repository %s has no tags", name);
        for (size_t i = 0; r == 0 && i < page.n; i++) {
            const struct reference tag = {.tag = page.names[i]};
            r = try_manifest(p, repository, &tag, true, err) < 0 ? -1 : 0;
        }
        if (r == 0 && page.n > 0)
            snprintf(after, sizeof after, "%s", page.names[page.n - 1]);
        arena_reset(&arena);
    }
    arena_reset(&arena);
    return r;
}

int
export_plan_add(struct export_plan *p, const char *repository, const struct reference *reference,
                struct err *err)
{
    uint32_t at;
    if (find_repository(p, repository, &at, err) < 0)
        return -1;
    return reference == NULL ? add_all_tags(p, at, err)
                             : add_manifest(p, at, reference, false, err);
}

/* ---- what it needs ---- */

/* 1, 0: it isn't here, -1. */
static int
add_blob(struct export_plan *p, const struct digest *d, struct err *err)
{
    struct export_item item = {.digest = *d, .repository = EXPORT_PLAN_BLOB, .named = true};
    struct rec_blob r;
    int rc = tbl_blob_get(kv_reads(p->reg->kv), d, &r, err);

    if (rc != 1)
        return rc;
    item.size = r.size;
    return add_item(p, &item, err) < 0 ? -1 : 1;
}

/* An index may list manifests that are deleted, or layers, as the caches of builds do. */
static int
add_child(struct export_plan *p, uint32_t repository, const struct digest *d, struct err *err)
{
    const struct reference child = {.digest = *d};
    int r = try_manifest(p, repository, &child, true, err);
    if (r == 0)
        r = add_blob(p, d, err);
    p->absent += r == 0;
    return r < 0 ? -1 : 0;
}

static int
add_planned_part(struct export_plan *p, uint32_t repository, const struct manifest_descriptor *d,
                 struct err *err)
{
    char text[DIGEST_TEXT_MAX];
    int r;

    if (d->part == PART_CHILD)
        return add_child(p, repository, &d->digest, err);
    r = add_blob(p, &d->digest, err);
    if (r != 0 || d->elsewhere)
        return r < 0 ? -1 : 0;
    digest_text(text, &d->digest);
    return err_set(err, ERR_NO_BLOB,
                   "an image of %s needs %s, which isn't there: was it deleted just now?",
                   p->repositories[repository].name, text);
}

/* ---- what is attached to it ---- */

struct batch {
    struct digest v[BATCH];
    size_t n;
};

static int
collect_referrer(const struct edge *e, void *arg, struct err *err)
{
    struct batch *b = arg;
    (void)err;
    b->v[b->n++] = e->from;
    return b->n == BATCH;
}

static int
add_referrers(struct export_plan *p, uint32_t repository, const struct digest *subject,
              struct err *err)
{
    struct batch b = {.n = BATCH};
    struct digest after = {.algo = DIGEST_NONE};
    while (b.n == BATCH) {
        b.n = 0;
        if (tbl_edge_each(kv_reads(p->reg->kv), subject, EDGE_SUBJECT,
                          p->repositories[repository].id, after.algo != DIGEST_NONE ? &after : NULL,
                          collect_referrer, &b, err) < 0)
            return -1;
        for (size_t i = 0; i < b.n; i++) {
            const struct reference referrer = {.digest = b.v[i]};
            if (try_manifest(p, repository, &referrer, false, err) < 0)
                return -1;
            after = b.v[i];
        }
    }
    return 0;
}

/* By a tag of the digest's name: distribution-spec, "Referrers Tag Schema", which has 64 digits of
 * the longer digests as well; and cosign's. */
static int
add_attached_tags(struct export_plan *p, uint32_t repository, const struct digest *d,
                  struct err *err)
{
    static const char *const ends[] = {"", ".sig", ".att", ".sbom"};
    char hex[DIGEST_TEXT_MAX], tag[RECORD_TAG_MAX + 1];
    struct rec_tag r;
    digest_hex(hex, d);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        const struct reference reference = {.tag = tag};
        int found;

        snprintf(tag, sizeof tag, "%s-%.64s%s", digest_algo_name(d->algo), hex, ends[i]);
        found = tbl_tag_get(kv_reads(p->reg->kv), p->repositories[repository].id, tag, &r, err);
        if (found < 0 || (found == 1 && r.target.algo != DIGEST_V1_ID &&
                          try_manifest(p, repository, &reference, true, err) < 0))
            return -1;
    }
    return 0;
}

/* ---- all of it ---- */

static int
complete(struct export_plan *p, size_t at, struct arena *arena, struct err *err)
{
    const struct export_item item = p->items[at]; /* they move when more are added */
    char text[DIGEST_TEXT_MAX];
    struct bytes document;
    struct manifest m;
    int found;

    if (item.repository == EXPORT_PLAN_BLOB)
        return 0;
    found = pull_document(p->reg, &item.digest, item.size, arena, &document, err);
    digest_text(text, &item.digest);
    if (found == 0)
        return err_set(err, ERR_NO_MANIFEST, "manifest %s of %s was deleted just now", text,
                       p->repositories[item.repository].name);
    if (found < 0 || manifest_parse(&m, document, item.media_type, arena, err) < 0)
        return -1;
    for (size_t i = 0; i < m.descriptors_n; i++)
        if (add_planned_part(p, item.repository, &m.descriptors[i], err) < 0)
            return -1;
    if (add_referrers(p, item.repository, &item.digest, err) < 0)
        return -1;
    return add_attached_tags(p, item.repository, &item.digest, err);
}

int
export_plan_complete(struct export_plan *p, bool (*is_over)(void *arg), void *arg, struct err *err)
{
    struct arena arena;
    int r = 0;
    arena_init(&arena, SCRATCH_MAX);
    /* Goes on until no new items are added. */
    for (size_t i = 0; r == 0 && i < p->n; i++) {
        r = is_over(arg) ? err_set(err, ERR_BUSY, "the export was interrupted")
                         : complete(p, i, &arena, err);
        arena_reset(&arena);
    }
    return r;
}

/* ---- order ---- */

static int
compare_repositories(const struct export_plan *p, uint32_t a, uint32_t b)
{
    if (a == b || a == EXPORT_PLAN_BLOB || b == EXPORT_PLAN_BLOB)
        return (a > b) - (a < b);
    return strcmp(p->repositories[a].name, p->repositories[b].name);
}

static int
compare_items(const void *a, const void *b, void *arg)
{
    const struct export_item *x = a, *y = b;
    int c = digest_compare(&x->digest, &y->digest);
    return c != 0 ? c : compare_repositories(arg, x->repository, y->repository);
}

static int
compare_tags(const void *a, const void *b, void *arg)
{
    const struct export_tag *x = a, *y = b;
    int c = compare_repositories(arg, x->repository, y->repository);
    return c != 0 ? c : strcmp(x->tag, y->tag);
}

void
export_plan_sort(struct export_plan *p)
{
    size_t n = 0;
    if (p->n > 0)
        qsort_r(p->items, p->n, sizeof *p->items, compare_items, p);
    if (p->tags_n > 0)
        qsort_r(p->tags, p->tags_n, sizeof *p->tags, compare_tags, p);
    /* A tag that was added twice may have moved in between: the first answer is used. */
    for (size_t i = 0; i < p->tags_n; i++)
        if (i == 0 || compare_tags(&p->tags[i], &p->tags[n - 1], p) != 0)
            p->tags[n++] = p->tags[i];
    p->tags_n = n;
    free(p->places);
    p->places = NULL;
    p->places_n = 0;
}

bool
export_plan_has(const struct export_plan *p, const struct digest *d)
{
    size_t low = 0, high = p->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int c = digest_compare(&p->items[middle].digest, d);
        if (c == 0)
            return true;
        if (c < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

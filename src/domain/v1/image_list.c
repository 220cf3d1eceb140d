#include "domain/v1/image_list.h"
#include <stdbool.h>
#include "domain/v1/image.h"
#include "domain/v1/image_named.h"
#include "domain/v1/image_view.h"
#include "domain/core/repository.h"
#include "storage/tables/tbl_tag.h"
#include "util/arena.h"
#include "util/fnv.h"
#include "util/random.h"

/* Tags read at a time, in which the table is locked. */
#define BATCH 64

/* Memory for looking at one image, in bytes. */
#define ONE_IMAGE_MEMORY (32u << 20)

/* Bytes of documents that are read for one request, and distinct targets whose ids are remembered.
 * Most targets need no document. */
#define LIST_MEMORY (64u << 20)
#define REMEMBERED_MAX 256

/* ---- ids ---- */

struct id_finder {
    const struct registry *reg;
    const struct platform *platform;
    size_t memory; /* what is left of LIST_MEMORY */
    struct {
        uint64_t repo;
        struct digest target, id;
        int rc;
    } known[REMEMBERED_MAX]; /* those for which a document was read */
    size_t known_n;
};

static int
find_target_id(struct id_finder *f, uint64_t repo, const struct digest *target, struct digest *id,
               struct err *err)
{
    size_t before = f->memory;
    int rc;

    *id = *target;
    if (target->algo == DIGEST_V1_ID)
        return 1;
    for (size_t i = 0; i < f->known_n; i++)
        if (f->known[i].repo == repo && digest_equal(&f->known[i].target, target)) {
            *id = f->known[i].id;
            return f->known[i].rc;
        }
    rc = image_view_id(f->reg, repo, target, f->platform, &f->memory, id, err);
    if (rc >= 0 && f->memory < before && f->known_n < REMEMBERED_MAX) {
        f->known[f->known_n].repo = repo;
        f->known[f->known_n].target = *target;
        f->known[f->known_n].id = *id;
        f->known[f->known_n++].rc = rc;
    }
    return rc;
}

/* Finds the id of a tag's target: 1; 0: the target has disappeared meanwhile, or has no image of
 * that platform, or its id shows another image; -1. */
static int
find_id(struct id_finder *f, uint64_t repo, const struct digest *target, struct digest *id,
        struct err *err)
{
    int rc = find_target_id(f, repo, target, id, err);

    if (rc != 1 || target->algo == DIGEST_V1_ID)
        return rc;
    rc = image_named_is_anothers(f->reg, repo, id, err);
    return rc < 0 ? -1 : rc == 0;
}

static struct id_finder
id_finder_of(const struct registry *reg, const struct platform *platform)
{
    return (struct id_finder){.reg = reg, .platform = platform, .memory = LIST_MEMORY};
}

/* ---- tags ---- */

static int
no_repository(struct err *err)
{
    return err_set(err, ERR_NO_REPOSITORY, "Repository not found");
}

int
image_list_find(const struct registry *reg, const char *repository, const char *tag,
                const struct platform *platform, struct digest *id, struct err *err)
{
    struct id_finder finder = id_finder_of(reg, platform);
    struct rec_repo repo;
    struct rec_tag r;
    int rc = repository_find(reg, repository, &repo, err);

    if (rc == 1)
        rc = tbl_tag_get(kv_reads(reg->kv), repo.id, tag, &r, err);
    if (rc == 0)
        return err_set(err, ERR_NO_MANIFEST, "Tag not found");
    if (rc == 1)
        rc = find_id(&finder, repo.id, &r.target, id, err);
    if (rc == 0)
        return err_set(err, ERR_NO_IMAGE,
                       "Tag not found: there is no image of that platform, or its id is also that "
                       "of another image, and its layers can't be compared with it");
    return rc < 0 ? -1 : 0;
}

struct batch {
    struct {
        char name[RECORD_TAG_MAX + 1];
        struct digest target;
    } v[BATCH];
    size_t n;
};

static int
collect_tag_target(const char *tag, const struct rec_tag *r, void *arg, struct err *err)
{
    struct batch *b = arg;

    (void)err;
    snprintf(b->v[b->n].name, sizeof b->v[b->n].name, "%s", tag);
    b->v[b->n].target = r->target;
    b->n++;
    return b->n == BATCH;
}

/* Visits the targets of a repository's tags, as the tags have them. *any: there was a tag. */
static int
each_target(const struct registry *reg, uint64_t repo,
            int (*fn)(const char *tag, const struct digest *target, void *arg, struct err *err),
            void *arg, bool *any, struct err *err)
{
    char after[RECORD_TAG_MAX + 1] = "";
    struct batch b;

    do {
        b.n = 0;
        if (tbl_tag_each(kv_reads(reg->kv), repo, after, collect_tag_target, &b, err) != 0)
            return -1;
        for (size_t i = 0; i < b.n; i++) {
            int rc = fn(b.v[i].name, &b.v[i].target, arg, err);

            *any = true;
            if (rc != 0)
                return rc < 0 ? -1 : 0;
        }
        if (b.n > 0)
            memcpy(after, b.v[b.n - 1].name, sizeof after);
    } while (b.n == BATCH);
    return 0;
}

struct tags {
    struct id_finder *finder;
    uint64_t repo;
    int (*fn)(const char *tag, const struct digest *id, void *arg, struct err *err);
    void *arg;
};

static int
see_target(const char *tag, const struct digest *target, void *arg, struct err *err)
{
    struct tags *t = arg;
    struct digest id;
    int rc = find_id(t->finder, t->repo, target, &id, err);

    return rc == 1 ? t->fn(tag, &id, t->arg, err) : rc;
}

int
image_list_tags(const struct registry *reg, const char *repository, const struct platform *platform,
                int (*fn)(const char *tag, const struct digest *id, void *arg, struct err *err),
                void *arg, struct err *err)
{
    struct id_finder finder = id_finder_of(reg, platform);
    struct tags t = {.finder = &finder, .fn = fn, .arg = arg};
    struct rec_repo repo;
    bool any = false;
    int rc = repository_find(reg, repository, &repo, err);

    t.repo = repo.id;
    if (rc == 1 && each_target(reg, repo.id, see_target, &t, &any, err) != 0)
        return -1;
    if (rc < 0)
        return -1;
    return any ? 0 : no_repository(err);
}

/* ---- all images of a repository ---- */

/* Slots of a set with open addressing: twice as many as it may hold. */
#define SLOTS (1u << 17)
_Static_assert(SLOTS > 2 * IMAGE_LIST_MAX, "the set fills up");

struct collection {
    struct digest *ids; /* in their order */
    size_t n;
    uint32_t *slots;      /* index into ids, plus one */
    struct digest *chain; /* room for IMAGE_CHAIN_MAX */
    struct digest *tops;  /* what tags name */
    size_t tops_n;
    uint64_t seed; /* random, because clients choose the ids: nobody can make them collide */
    bool full;
};

/* Once. */
static void
add_to_collection(struct collection *c, const struct digest *id)
{
    uint64_t h = fnv_hash(c->seed, bytes_of(id->bytes, 32));
    uint32_t at;

    for (at = (uint32_t)(h >> 32) % SLOTS; c->slots[at] != 0; at = (at + 1) % SLOTS)
        if (digest_equal(&c->ids[c->slots[at] - 1], id))
            return;
    c->full = c->n == IMAGE_LIST_MAX;
    if (c->full)
        return;
    c->ids[c->n++] = *id;
    c->slots[at] = (uint32_t)c->n;
}

static int
see_top(const char *tag, const struct digest *target, void *arg, struct err *err)
{
    struct collection *c = arg;

    (void)tag;
    if (c->tops_n == IMAGE_LIST_MAX)
        return err_set(err, ERR_TOO_LARGE, "more than %d tags: ask for one of them",
                       IMAGE_LIST_MAX);
    c->tops[c->tops_n++] = *target;
    return 0;
}

/* Adds a v1 image and its ancestors, ancestors first, without doubles. Images that have gone
 * meanwhile are left out. */
static int
add_chain(const struct registry *reg, struct collection *c, const struct digest *top,
          struct err *err)
{
    size_t n;

    if (image_ancestry(reg, top, c->chain, &n, err) != 0)
        return err->code == ERR_NO_IMAGE ? 0 : -1;
    while (n > 0)
        add_to_collection(c, &c->chain[--n]);
    return 0;
}

/* Likewise for a manifest. A manifest that is no image has its own digest as its id. When too much
 * was read already, its ancestors are left out. */
static int
add_view(struct id_finder *f, struct collection *c, uint64_t repo, const struct digest *manifest,
         struct err *err)
{
    struct image_view v;
    struct arena arena;
    struct digest id;
    int rc = find_id(f, repo, manifest, &id, err);

    if (rc != 1)
        return rc;
    if (f->memory == 0) {
        add_to_collection(c, &id);
        return 0;
    }
    arena_init(&arena, ONE_IMAGE_MEMORY);
    rc = image_view_of(f->reg, repo, manifest, f->platform, &arena, &v, err);
    /* A manifest that was made of a v1 image has the id and ancestors of that image. */
    if (rc == 1 && !digest_equal(&id, &v.ids[0]))
        rc = add_chain(f->reg, c, &id, err);
    else if (rc == 1)
        for (size_t i = v.n; i > 0; i--)
            add_to_collection(c, &v.ids[i - 1]);
    else if (rc < 0 && (err->code == ERR_NO_IMAGE || err->code == ERR_TOO_LARGE))
        add_to_collection(c, &id);
    rc = rc < 0 && err->code != ERR_NO_IMAGE && err->code != ERR_TOO_LARGE ? -1 : 0;
    f->memory -= arena.used < f->memory ? arena.used : f->memory;
    arena_reset(&arena);
    return rc;
}

int
image_list_images(const struct registry *reg, const char *repository,
                  const struct platform *platform, struct arena *arena, struct digest **ids,
                  size_t *n, struct err *err)
{
    struct collection c = {.ids = arena_array(arena, IMAGE_LIST_MAX, sizeof *c.ids),
                           .slots = arena_array(arena, SLOTS, sizeof *c.slots),
                           .chain = arena_array(arena, IMAGE_CHAIN_MAX, sizeof *c.chain),
                           .tops = arena_array(arena, IMAGE_LIST_MAX, sizeof *c.tops),
                           .seed = random_u64()};
    struct id_finder finder = id_finder_of(reg, platform);
    struct rec_repo repo;
    bool any = false;
    int rc = repository_find(reg, repository, &repo, err);

    if (c.ids == NULL || c.slots == NULL || c.tops == NULL || c.chain == NULL)
        return arena_full(err);
    if (rc < 0 || (rc == 1 && each_target(reg, repo.id, see_top, &c, &any, err) != 0))
        return -1;
    if (!any)
        return no_repository(err);
    qsort(c.tops, c.tops_n, sizeof *c.tops, digest_order);
    for (size_t i = 0; i < c.tops_n && !c.full; i++) {
        if (i > 0 && digest_equal(&c.tops[i], &c.tops[i - 1]))
            continue;
        if (c.tops[i].algo == DIGEST_V1_ID ? add_chain(reg, &c, &c.tops[i], err) != 0
                                           : add_view(&finder, &c, repo.id, &c.tops[i], err) != 0)
            return -1;
    }
    if (c.full)
        return err_set(err, ERR_TOO_LARGE, "more than %d images: ask for the tags instead",
                       IMAGE_LIST_MAX);
    *ids = c.ids;
    *n = c.n;
    return 0;
}

/* ---- all repositories ---- */

struct everywhere {
    const char *repository;
    int (*fn)(const char *repository, const char *tag, const struct digest *id, void *arg,
              struct err *err);
    void *arg;
};

static int
see_one(const char *tag, const struct digest *id, void *arg, struct err *err)
{
    struct everywhere *e = arg;

    return e->fn(e->repository, tag, id, e->arg, err);
}

int
image_list_everywhere(const struct registry *reg, const struct actor *actor,
                      int (*fn)(const char *repository, const char *tag, const struct digest *id,
                                void *arg, struct err *err),
                      void *arg, struct err *err)
{
    struct everywhere every = {.fn = fn, .arg = arg};
    struct id_finder finder = id_finder_of(reg, NULL);
    struct tags tags = {.finder = &finder, .fn = see_one, .arg = &every};
    struct repository_batch b = {.after = ""};
    struct err refused;
    bool any;

    do {
        if (repository_next_seen(reg, actor, &b, err) != 0)
            return -1;
        for (size_t i = 0; i < b.n; i++) {
            every.repository = b.v[i].name;
            tags.repo = b.v[i].id;
            if (access_check(reg, actor, every.repository, VERB_PULL, &refused) == 0 &&
                each_target(reg, tags.repo, see_target, &tags, &any, err) != 0)
                return -1;
        }
    } while (b.n == REPOSITORY_BATCH);
    return 0;
}

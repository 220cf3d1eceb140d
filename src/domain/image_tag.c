#include "domain/image_tag.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "domain/convert.h"
#include "domain/event.h"
#include "domain/image.h"
#include "domain/made.h"
#include "domain/prehook.h"
#include "domain/repository.h"
#include "domain/tag.h"
#include "storage/tbl_edge.h"
#include "storage/tbl_event.h"
#include "storage/tbl_tag.h"
#include "util/clock.h"
#include "util/random.h"
#include "util/banned.h"

/* ---- putting ---- */

struct tagging {
    const struct registry *reg;
    const char *repository;
    const char *tag;
    const struct digest *id;
    const struct actor *actor;
    struct rec_repo repo;
    struct digest target; /* what the tag is to name: the image, or the manifest made of it */
    struct digest *chain; /* the image and its ancestors; room for IMAGE_CHAIN_MAX */
    size_t n;
    struct edge *edges;   /* one more than that */
    struct digest judged; /* where the tag pointed when a pre-hook let it go */
    bool asked;           /* it did */
    bool stale;           /* it has moved since: ask again */
    bool unmade;          /* the manifest went, or came, meanwhile: begin anew */
};

/* The pre-hook gets the image's JSON for a manifest. */
static int
judge(struct tagging *g, struct arena *arena, struct err *err)
{
    struct rec_event e = event_of(EVENT_TAG, g->repository, g->actor);
    struct bytes json;
    struct rec_tag r;
    int rc = g->actor->quiet ? 0 : prehook_find(g->reg, HOOK_PRE_TAG, err);

    g->asked = rc == 1;
    if (rc != 1)
        return rc;
    rc = tbl_tag_get(kv_reads(g->reg->kv), g->repo.id, g->tag, &r, err);
    if (rc < 0 || image_json(g->reg, g->id, arena, &json, err) != 0)
        return -1;
    g->judged = rc == 1 ? r.target : (struct digest){.algo = DIGEST_NONE};
    e.id = *g->id;
    e.old = g->judged;
    snprintf(e.tag, sizeof e.tag, "%s", g->tag);
    return prehook_ask(g->reg, HOOK_PRE_TAG, &e, json, arena, err);
}

/* The right of the repository to show the image and its ancestors. Those of a chain come together,
 * so if the first is there all are. */
static int
put_edges(struct txn *t, struct tagging *g, const struct digest *old, struct err *err)
{
    struct edge tag = {.to = g->target, .kind = EDGE_TAG, .repo = g->repo.id, .tag = g->tag};
    struct edge member = {.to = *g->id, .kind = EDGE_MEMBER, .repo = g->repo.id};
    int has = tbl_edge_has(t, &member, err);
    size_t n = 0;

    if (has < 0)
        return -1;
    g->edges[n++] = tag;
    for (size_t i = 0; i < g->n && has == 0; i++)
        g->edges[n++] = (struct edge){.to = g->chain[i], .kind = EDGE_MEMBER, .repo = g->repo.id};
    tbl_edge_sort(g->edges, n);
    for (size_t i = 0; i < n; i++)
        if (tbl_edge_put(t, &g->edges[i], err) != 0)
            return -1;
    tag.to = *old;
    if (old->algo == DIGEST_NONE || digest_equal(old, &g->target))
        return 0;
    return tbl_edge_delete(t, &tag, err) < 0 ? -1 : 0;
}

/* Is the manifest that was found still there? */
static int
check_target(struct txn *t, struct tagging *g, struct err *err)
{
    struct digest id;
    int rc = made_id(t, g->repo.id, &g->target, &id, err);

    if (rc < 0 || (rc == 1 && digest_equal(&id, g->id)))
        return rc < 0 ? -1 : 0;
    g->unmade = true;
    return err_set(err, ERR_BUSY, "a manifest came and went while its image was tagged");
}

/* The tag's edge has moved: who looks at what it named, and has what it names converted? */
static int
put_jobs(struct txn *t, struct tagging *g, const struct digest *old, bool was_made, uint64_t now,
         struct err *err)
{
    if (!digest_equal(old, &g->target) && image_look_later(t, g->reg, old, now, err) != 0)
        return -1;
    if (was_made && made_look_later(t, g->repo.id, old, now, err) != 0)
        return -1;
    return g->target.algo == DIGEST_V1_ID ? convert_later(t, g->id, now, err) : 0;
}

static int
put_tag(struct txn *t, void *arg, struct err *err)
{
    struct tagging *g = arg;
    struct rec_event e = event_of(EVENT_TAG, g->repository, g->actor);
    uint64_t now = clock_wall_ms();
    struct digest old;
    int was_made = 0;
    bool moved;

    g->stale = g->unmade = false;
    if (repository_touch(t, g->repository, &g->repo, now, err) != 0 ||
        tag_move(t, g->reg, g->repo.id, g->tag, &g->target, g->actor, &old, err) != 0)
        return -1;
    g->stale = g->asked && !digest_equal(&old, &g->judged);
    if (g->stale)
        return err_set(err, ERR_BUSY, "a tag moved again and again while a hook looked at it");
    moved = !digest_equal(&old, &g->target);
    if ((moved && image_lease(t, g->reg, &old, now, err) != 0) ||
        image_chain(t, g->id, g->chain, &g->n, err) != 0 || check_target(t, g, err) != 0 ||
        (moved && (was_made = made_was(t, g->repo.id, &old, err)) < 0) ||
        put_edges(t, g, &old, err) != 0 || put_jobs(t, g, &old, was_made == 1, now, err) != 0)
        return -1;
    if (g->actor->quiet)
        return 0;
    e.id = *g->id;
    if (g->target.algo != DIGEST_V1_ID)
        e.digest = g->target;
    e.old = old;
    snprintf(e.tag, sizeof e.tag, "%s", g->tag);
    return tbl_event_append(t, &e, err);
}

/* Once. With a manifest of that image in the repository the tag names that at once. */
static int
try(struct tagging *g, struct err *err)
{
    int rc = made_find(kv_reads(g->reg->kv), g->repo.id, g->id, &g->target, err);

    if (rc < 0)
        return -1;
    if (rc == 0)
        g->target = *g->id;
    return txn_run(g->reg->kv, put_tag, g, err);
}

int
image_tag_put(const struct registry *reg, const char *repository, const char *tag,
              const struct digest *id, const struct actor *actor, struct arena *arena,
              struct err *err)
{
    struct tagging g = {.reg = reg, .repository = repository, .tag = tag, .id = id, .actor = actor};
    int rc;

    g.chain = arena_array(arena, IMAGE_CHAIN_MAX, sizeof *g.chain);
    g.edges = arena_array(arena, IMAGE_CHAIN_MAX + 1, sizeof *g.edges);
    if (g.chain == NULL || g.edges == NULL)
        return err_set(err, ERR_SYSTEM, "no memory for an image's parents");
    /* Nobody makes a repository with a tag that names nothing. */
    if (image_chain(kv_reads(reg->kv), id, g.chain, &g.n, err) != 0 ||
        repository_ensure(reg, repository, &g.repo, err) != 0 || judge(&g, arena, err) != 0)
        return -1;
    rc = try(&g, err);
    for (int i = 1; i < PREHOOK_JUDGEMENTS_MAX && rc != 0 && (g.stale || g.unmade); i++)
        rc = g.stale && judge(&g, arena, err) != 0 ? -1 : try(&g, err);
    return rc;
}

/* ---- looking ---- */

static int
no_repository(struct err *err)
{
    return err_set(err, ERR_NO_REPOSITORY, "Repository not found");
}

int
image_tag_find(const struct registry *reg, const char *repository, const char *tag,
               struct digest *id, struct err *err)
{
    struct rec_repo repo;
    struct rec_tag r = {.target = {.algo = DIGEST_NONE}};
    int rc = repository_find(reg, repository, &repo, err);

    if (rc == 1)
        rc = tbl_tag_get(kv_reads(reg->kv), repo.id, tag, &r, err);
    if (rc < 0)
        return -1;
    if (rc == 1)
        rc = made_id(kv_reads(reg->kv), repo.id, &r.target, id, err);
    if (rc < 0)
        return -1;
    return rc == 1 ? 0 : err_set(err, ERR_NO_MANIFEST, "Tag not found");
}

/* Some tags of a repository at a time: manifests are looked up with no cursor open. */
#define TAGS_BATCH 64
struct tags {
    char names[TAGS_BATCH][RECORD_TAG_MAX + 1];
    struct digest targets[TAGS_BATCH];
    size_t n;
};

static int
see_tag(const char *tag, const struct rec_tag *r, void *arg, struct err *err)
{
    struct tags *t = arg;

    (void)err;
    snprintf(t->names[t->n], sizeof t->names[0], "%s", tag);
    t->targets[t->n++] = r->target;
    return t->n == TAGS_BATCH;
}

/* *any: there was one. */
static int
each_in(const struct registry *reg, uint64_t repo,
        int (*fn)(const char *tag, const struct digest *id, void *arg, struct err *err), void *arg,
        bool *any, struct err *err)
{
    struct txn *t = kv_reads(reg->kv);
    char after[RECORD_TAG_MAX + 1] = "";
    struct tags tags;
    int rc = 0;

    do {
        tags.n = 0;
        if (tbl_tag_each(t, repo, after, see_tag, &tags, err) != 0)
            return -1;
        for (size_t i = 0; i < tags.n && rc == 0; i++) {
            struct digest id;
            int found = made_id(t, repo, &tags.targets[i], &id, err);

            *any = *any || found == 1;
            rc = found == 1 ? fn(tags.names[i], &id, arg, err) : found;
        }
        if (tags.n > 0)
            snprintf(after, sizeof after, "%s", tags.names[tags.n - 1]);
    } while (tags.n == TAGS_BATCH && rc == 0);
    return rc < 0 ? -1 : 0;
}

int
image_tag_each(const struct registry *reg, const char *repository,
               int (*fn)(const char *tag, const struct digest *id, void *arg, struct err *err),
               void *arg, struct err *err)
{
    bool any = false;
    struct rec_repo repo;
    int rc = repository_find(reg, repository, &repo, err);

    if (rc == 1 && each_in(reg, repo.id, fn, arg, &any, err) != 0)
        return -1;
    if (rc < 0)
        return -1;
    return any ? 0 : no_repository(err);
}

/* ---- all images of a repository ---- */

/* A set with open addressing, twice as large as what it may hold. */
#define SLOTS (1u << 17)
_Static_assert(SLOTS > 2 * IMAGE_TAG_IMAGES_MAX, "the set fills up");

struct collection {
    struct digest *ids; /* in their order */
    size_t n;
    uint32_t *slots; /* index into ids, plus one */
    struct digest *tops;
    size_t tops_n;
    uint64_t seed; /* ids are chosen by clients: nobody can make them collide in here */
    bool full;
};

/* Once. FNV-1a. */
static void
add(struct collection *c, const struct digest *id)
{
    uint64_t h = c->seed;
    uint32_t at;

    for (size_t i = 0; i < 32; i++)
        h = (h ^ id->bytes[i]) * 1099511628211u;
    for (at = (uint32_t)(h >> 32) % SLOTS; c->slots[at] != 0; at = (at + 1) % SLOTS)
        if (digest_equal(&c->ids[c->slots[at] - 1], id))
            return;
    c->full = c->n == IMAGE_TAG_IMAGES_MAX;
    if (c->full)
        return;
    c->ids[c->n++] = *id;
    c->slots[at] = (uint32_t)c->n;
}

static int
see_top(const char *tag, const struct digest *id, void *arg, struct err *err)
{
    struct collection *c = arg;

    (void)tag;
    if (c->tops_n == IMAGE_TAG_IMAGES_MAX)
        return err_set(err, ERR_TOO_LARGE, "more than %d tags: ask for one of them",
                       IMAGE_TAG_IMAGES_MAX);
    c->tops[c->tops_n++] = *id;
    return 0;
}

/* Its ancestors first, as far as they aren't there yet. What went meanwhile is left out. */
static int
add_chain(const struct registry *reg, struct collection *c, const struct digest *top,
          struct digest *chain, struct err *err)
{
    size_t n;

    if (image_chain(kv_reads(reg->kv), top, chain, &n, err) != 0)
        return err->code == ERR_NO_IMAGE ? 0 : -1;
    while (n > 0)
        add(c, &chain[--n]);
    if (c->full)
        return err_set(err, ERR_TOO_LARGE, "more than %d images: ask for the tags instead",
                       IMAGE_TAG_IMAGES_MAX);
    return 0;
}

int
image_tag_images(const struct registry *reg, const char *repository, struct arena *arena,
                 struct digest **ids, size_t *n, struct err *err)
{
    struct collection c = {.ids = arena_array(arena, IMAGE_TAG_IMAGES_MAX, sizeof *c.ids),
                           .seed = random_u64()};
    struct digest *chain = arena_array(arena, IMAGE_CHAIN_MAX, sizeof *chain);

    c.slots = arena_array(arena, SLOTS, sizeof *c.slots);
    c.tops = arena_array(arena, IMAGE_TAG_IMAGES_MAX, sizeof *c.tops);
    if (c.ids == NULL || c.slots == NULL || c.tops == NULL || chain == NULL)
        return err_set(err, ERR_SYSTEM, "no memory for a list of images");
    if (image_tag_each(reg, repository, see_top, &c, err) != 0)
        return -1;
    for (size_t i = 0; i < c.tops_n; i++)
        if (add_chain(reg, &c, &c.tops[i], chain, err) != 0)
            return -1;
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
image_tag_everywhere(const struct registry *reg, const struct actor *actor,
                     int (*fn)(const char *repository, const char *tag, const struct digest *id,
                               void *arg, struct err *err),
                     void *arg, struct err *err)
{
    struct everywhere every = {.fn = fn, .arg = arg};
    bool any = false;
    struct repository_batch b = {.after = ""};
    struct err refused;

    do {
        if (repository_next(reg, &b, err) != 0)
            return -1;
        for (size_t i = 0; i < b.n; i++) {
            every.repository = b.v[i].name;
            if (access_check(reg, actor, every.repository, VERB_PULL, &refused) == 0 &&
                each_in(reg, b.v[i].id, see_one, &every, &any, err) != 0)
                return -1;
        }
    } while (b.n == REPOSITORY_BATCH);
    return 0;
}

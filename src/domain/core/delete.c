#include "domain/core/delete.h"

#include <stdio.h>
#include <string.h>

#include "domain/core/derived.h"
#include "domain/core/foreign_images.h"
#include "domain/core/lease.h"
#include "domain/core/manifest_ids.h"
#include "domain/events/event.h"
#include "domain/core/manifest.h"
#include "domain/events/prehook.h"
#include "domain/core/pull.h"
#include "domain/core/repository.h"
#include "domain/core/tag.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_content.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_event.h"
#include "storage/tables/tbl_manifest.h"
#include "storage/tables/tbl_tag.h"
#include "util/clock.h"
#include "util/banned.h"

/* Tags come and go while we look: so often it is looked again. */
#define TRIES 5

/* A transaction's locks are bounded; a manifest with more tags loses them in several. */
#define TAGS_MAX 500

/* For one tag of many: the document of what it names, and what is in it. */
#define ONE_TAG_MEMORY (16u << 20)

struct deleting {
    const struct registry *reg;
    const char *repository;
    const struct actor *actor;
    struct arena *arena;
    struct rec_repo repo;
    uint64_t now;

    struct digest digest;
    struct digest judged; /* which the pre-hook let go; or DIGEST_NONE */
    struct bytes document;
    struct manifest manifest; /* parsed outside of the transaction */
    uint64_t size;
    char media_type[RECORD_TYPE_MAX + 1];
    struct digest made_from; /* a v1 image, or DIGEST_NONE */
    bool ours;               /* derived_is: goes with its last tag, and nobody hears of it */
    struct manifest_ids ids; /* when all is to go */

    const char **tags; /* those that are to go with it */
    size_t tags_n;
    bool all;    /* the manifest too, not only its tags */
    bool silent; /* it goes because nothing needs it */
    bool stale;  /* it was not as expected: look again */
};

/* ---- what it is about, before the transaction ---- */

/* Reads and parses the manifest, and puts what it refers to into the order of keys: 1, 0 (it isn't
 * there), -1. */
static int
look(struct deleting *x, struct err *err)
{
    struct rec_manifest r;
    int rc;

    x->made_from = (struct digest){.algo = DIGEST_NONE};
    x->ours = false;
    if (x->digest.algo == DIGEST_V1_ID) /* of which nothing but the tag can be deleted */
        return 1;
    rc = tbl_manifest_get(kv_reads(x->reg->kv), x->repo.id, &x->digest, &r, err);
    if (rc == 1)
        rc = pull_document(x->reg, &x->digest, r.size, x->arena, &x->document, err);
    if (rc != 1)
        return rc;
    x->size = r.size;
    x->made_from = r.made_from;
    x->ours = derived_is(&r);
    snprintf(x->media_type, sizeof x->media_type, "%s", r.media_type);
    if (manifest_parse(&x->manifest, x->document, r.media_type, x->arena, err) != 0)
        return -1;
    manifest_sort(x->manifest.descriptors, x->manifest.descriptors_n);
    return 1;
}

static int
see_tag(const struct edge *e, void *arg, struct err *err)
{
    struct deleting *x = arg;

    x->tags[x->tags_n] = arena_strdup(x->arena, e->tag);
    if (x->tags[x->tags_n] == NULL)
        return err_set(err, ERR_SYSTEM, "no memory for a deletion");
    x->tags_n++;
    return x->tags_n == TAGS_MAX;
}

static int
find_tags(struct deleting *x, struct err *err)
{
    x->tags_n = 0;
    return tbl_edge_each(kv_reads(x->reg->kv), &x->digest, EDGE_TAG, x->repo.id, NULL, see_tag, x,
                         err);
}

static struct rec_event
event_of_deletion(const struct deleting *x, enum event_type type)
{
    struct rec_event e = event_of(type, x->repository, x->actor);

    if (x->digest.algo != DIGEST_V1_ID)
        e.digest = x->digest;
    e.id = x->made_from.algo != DIGEST_NONE ? x->made_from : *manifest_id(&x->manifest, &x->digest);
    snprintf(e.media_type, sizeof e.media_type, "%s", x->media_type);
    return e;
}

/* Asks the pre-hook, once for each manifest that it may turn out to be. tag: "" when the manifest
 * itself is to go. */
static int
judge(struct deleting *x, const char *tag, struct err *err)
{
    struct rec_event e = event_of_deletion(x, EVENT_DELETE);
    int rc;

    if (digest_equal(&x->judged, &x->digest))
        return 0;
    rc = prehook_find(x->reg, HOOK_PRE_DELETE, err);
    if (rc != 1)
        return rc;
    snprintf(e.tag, sizeof e.tag, "%s", tag);
    if (prehook_ask(x->reg, HOOK_PRE_DELETE, &e, x->document, x->arena, err) != 0)
        return -1;
    x->judged = x->digest;
    return 0;
}

/* ---- the transaction, table by table ---- */

static int
remove_tags(struct txn *t, struct deleting *x, struct err *err)
{
    for (size_t i = 0; i < x->tags_n; i++) {
        int rc = tag_remove(t, x->repo.id, x->tags[i], &x->digest, x->actor, err);

        if (rc < 0)
            return -1;
        if (rc == 0) {
            x->stale = true;
            return err_set(err, ERR_BUSY, "a tag moved while it was deleted");
        }
    }
    return 0;
}

struct holders {
    uint64_t us;
    bool others;
};

static int
see_holder(const struct edge *e, void *arg, struct err *err)
{
    struct holders *h = arg;

    (void)err;
    h->others = e->repo != h->us;
    return h->others;
}

/* The document goes with its last holder. Here edges are read before they are written, so nobody
 * can become a holder meanwhile. */
static int
remove_content(struct txn *t, struct deleting *x, struct err *err)
{
    struct holders h = {.us = x->repo.id};

    if (tbl_edge_each(t, &x->digest, EDGE_HELD, 0, NULL, see_holder, &h, err) != 0)
        return -1;
    if (h.others)
        return 0;
    if (x->size > CONTENT_MAX)
        return lease_blob(t, x->reg, &x->digest, x->now, err);
    return tbl_content_delete(t, &x->digest, err) < 0 ? -1 : 0;
}

static int
lease_parts(struct txn *t, struct deleting *x, struct err *err)
{
    for (size_t i = 0; i < x->manifest.descriptors_n; i++)
        if (lease_blob(t, x->reg, &x->manifest.descriptors[i].digest, x->now, err) != 0)
            return -1;
    return 0;
}

static int
remove_edges(struct txn *t, struct deleting *x, struct err *err)
{
    const struct manifest *m = &x->manifest;
    enum edge_kind keeps = x->all && m->media_type->kind == DOCUMENT_INDEX ? EDGE_CHILD : EDGE_PART;
    struct edge *edges =
        arena_array(x->arena, m->descriptors_n + x->tags_n + x->ids.n + 3, sizeof *edges);
    size_t n = 0;

    if (edges == NULL)
        return err_set(err, ERR_SYSTEM, "no memory for a deletion");
    for (size_t i = 0; i < x->tags_n; i++)
        edges[n++] =
            (struct edge){.to = x->digest, .kind = EDGE_TAG, .repo = x->repo.id, .tag = x->tags[i]};
    if (x->all) {
        edges[n++] = (struct edge){.to = x->digest, .kind = EDGE_HELD, .repo = x->repo.id};
        if (x->made_from.algo != DIGEST_NONE)
            edges[n++] = (struct edge){
                .to = x->made_from, .kind = EDGE_MADE, .repo = x->repo.id, .from = x->digest};
        if (m->has_subject)
            edges[n++] = (struct edge){
                .to = m->subject, .kind = EDGE_SUBJECT, .repo = x->repo.id, .from = x->digest};
        for (size_t i = 0; i < m->descriptors_n; i++)
            edges[n++] = (struct edge){.to = m->descriptors[i].digest,
                                       .kind = keeps,
                                       .repo = x->repo.id,
                                       .from = x->digest};
        for (size_t i = 0; i < x->ids.n; i++)
            edges[n++] = (struct edge){
                .to = x->ids.v[i], .kind = EDGE_ID, .repo = x->repo.id, .from = x->digest};
    }
    tbl_edge_sort(edges, n);
    for (size_t i = 0; i < n; i++)
        if (tbl_edge_delete(t, &edges[i], err) < 0)
            return -1;
    return 0;
}

static int
look_later(struct txn *t, struct deleting *x, struct err *err)
{
    for (size_t i = 0; i < x->manifest.descriptors_n; i++)
        if (lease_look_at(t, &x->manifest.descriptors[i].digest, x->now + x->reg->lease_ms, err) !=
            0)
            return -1;
    return x->size > CONTENT_MAX ? lease_look_at(t, &x->digest, x->now + x->reg->lease_ms, err) : 0;
}

static int
append_events(struct txn *t, struct deleting *x, struct err *err)
{
    struct rec_event e = event_of_deletion(x, EVENT_UNTAG);

    for (size_t i = 0; i < x->tags_n; i++) {
        snprintf(e.tag, sizeof e.tag, "%s", x->tags[i]);
        if (tbl_event_append(t, &e, err) != 0)
            return -1;
    }
    if (!x->all)
        return 0;
    if (x->silent)
        return 0;
    e.type = EVENT_DELETE;
    e.tag[0] = '\0';
    return tbl_event_append(t, &e, err);
}

static int
remaining(const struct edge *e, void *arg, struct err *err)
{
    (void)e;
    (void)err;
    *(bool *)arg = true;
    return 1;
}

/* Does a tag need it, or, if nobody has asked for its end, an index? 1, 0, -1. */
static int
is_needed(struct txn *t, const struct deleting *x, struct err *err)
{
    bool needed = false;

    if (tbl_edge_each(t, &x->digest, EDGE_TAG, x->repo.id, NULL, remaining, &needed, err) != 0 ||
        (x->silent &&
         tbl_edge_each(t, &x->digest, EDGE_CHILD, x->repo.id, NULL, remaining, &needed, err) != 0))
        return -1;
    return needed;
}

/* A tag that came to it while we looked would name nothing. */
static int
check_untagged(struct txn *t, struct deleting *x, struct err *err)
{
    int rc = is_needed(t, x, err);

    if (rc <= 0)
        return rc;
    x->stale = true;
    return err_set(err, ERR_BUSY, "a manifest was tagged while it was deleted");
}

static int
remove_all(struct txn *t, struct deleting *x, struct err *err)
{
    int rc = tbl_manifest_delete(t, x->repo.id, &x->digest, err);

    if (rc == 0) {
        x->stale = true;
        return err_set(err, ERR_BUSY, "a manifest went while it was deleted");
    }
    if (rc < 0 || remove_content(t, x, err) != 0 || lease_parts(t, x, err) != 0 ||
        remove_edges(t, x, err) != 0 || check_untagged(t, x, err) != 0)
        return -1;
    return look_later(t, x, err);
}

static int
run(struct txn *t, void *arg, struct err *err)
{
    static const struct digest none = {.algo = DIGEST_NONE};
    struct deleting *x = arg;
    const struct digest *foreign;

    x->stale = false;
    x->now = clock_wall_ms();
    foreign = x->digest.algo == DIGEST_V1_ID ? &x->digest : x->all ? &x->made_from : &none;
    if (remove_tags(t, x, err) != 0 ||
        (foreign->algo != DIGEST_NONE &&
         x->reg->foreign->lease(t, x->reg, foreign, x->now, err) != 0))
        return -1;
    if (x->all ? remove_all(t, x, err) != 0 : remove_edges(t, x, err) != 0)
        return -1;
    if (foreign->algo != DIGEST_NONE &&
        lease_look_at(t, foreign, x->now + x->reg->lease_ms, err) != 0)
        return -1;
    return append_events(t, x, err);
}

/* ---- the two that are called ---- */

static int
begin(struct deleting *x, struct err *err)
{
    x->tags = arena_array(x->arena, TAGS_MAX + 1, sizeof *x->tags);
    if (x->tags == NULL)
        return err_set(err, ERR_SYSTEM, "no memory for a deletion");
    return repository_need(x->reg, x->repository, &x->repo, err);
}

/* Of a manifest that was made of a v1 image: is this its last tag, and does no index need it, so
 * that it goes as well? Others that come meanwhile are found by check_untagged. */
static int
look_for_more(struct deleting *x, struct err *err)
{
    bool child = false;

    x->all = x->silent = false;
    if (!x->ours)
        return 0;
    if (find_tags(x, err) != 0 || tbl_edge_each(kv_reads(x->reg->kv), &x->digest, EDGE_CHILD,
                                                x->repo.id, NULL, remaining, &child, err) != 0)
        return -1;
    x->all = x->silent = x->tags_n == 1 && !child;
    return 0;
}

int
delete_tag(const struct registry *reg, const char *repository, const char *tag,
           const struct actor *actor, struct arena *arena, struct err *err)
{
    struct deleting x = {
        .reg = reg, .repository = repository, .actor = actor, .arena = arena, .stale = true};
    struct rec_tag r;
    int rc = begin(&x, err);

    for (int i = 0; i < TRIES && rc == 0; i++) {
        rc = tbl_tag_get(kv_reads(reg->kv), x.repo.id, tag, &r, err);
        if (rc == 0)
            return err_set(err, ERR_NO_MANIFEST, "repository %s has no tag %s", repository, tag);
        x.digest = r.target;
        if (rc < 0 || (rc = look(&x, err)) < 0)
            return -1;
        if (rc == 1 && (judge(&x, tag, err) != 0 || look_for_more(&x, err) != 0))
            return -1;
        x.tags[0] = tag;
        x.tags_n = 1;
        rc = rc == 1 ? txn_run(reg->kv, run, &x, err) : 0;
        if (rc == 0 || !x.stale)
            return rc;
        rc = 0;
    }
    return -1;
}

int
delete_manifest(const struct registry *reg, const char *repository, const struct digest *d,
                const struct actor *actor, struct arena *arena, struct err *err)
{
    struct deleting x = {
        .reg = reg, .repository = repository, .actor = actor, .arena = arena, .digest = *d};
    char text[DIGEST_TEXT_MAX];
    int rc = begin(&x, err);

    for (int i = 0; i < TRIES && rc == 0;) {
        rc = look(&x, err);
        if (rc == 0) {
            digest_text(text, d);
            return err_set(err, ERR_NO_MANIFEST, "repository %s has no manifest %s", repository,
                           text);
        }
        if (rc < 0 || judge(&x, "", err) != 0 || find_tags(&x, err) != 0 ||
            manifest_ids_read(reg, &x.manifest, d, arena, &x.ids, err) != 0)
            return -1;
        x.all = x.tags_n < TAGS_MAX;
        rc = txn_run(reg->kv, run, &x, err);
        if (rc == 0 && x.all)
            return 0;
        if (rc != 0 && !x.stale)
            return -1;
        i += rc != 0;
        rc = 0;
    }
    return -1;
}

/* ---- what was made of v1 images ---- */

int
delete_derived(const struct registry *reg, uint64_t repo, const struct digest *d, struct err *err)
{
    static const struct actor keeper = {.user = ""};
    struct arena arena;
    struct deleting x = {.reg = reg,
                         .repository = "",
                         .actor = &keeper,
                         .arena = &arena,
                         .digest = *d,
                         .all = true,
                         .silent = true,
                         .repo = {.id = repo}};
    int rc;

    arena_init(&arena, ONE_TAG_MEMORY);
    rc = look(&x, err);
    if (rc == 0)
        rc = 1;
    else if (rc == 1)
        rc = x.ours ? is_needed(kv_reads(reg->kv), &x, err) : 1;
    if (rc == 0)
        rc = txn_run(reg->kv, run, &x, err);
    arena_reset(&arena);
    /* Needed by now, or gone. */
    return rc < 0 && !x.stale ? -1 : 0;
}

/* ---- a whole repository ---- */

static int
see_first(const char *tag, const struct rec_tag *r, void *arg, struct err *err)
{
    (void)r;
    (void)err;
    snprintf(arg, RECORD_TAG_MAX + 1, "%s", tag);
    return 1;
}

/* One that somebody else takes meanwhile isn't counted. */
static int
delete_next(const struct registry *reg, const char *repository, const char *tag,
            const struct actor *actor, size_t *n, struct err *err)
{
    struct arena arena;
    int rc;

    arena_init(&arena, ONE_TAG_MEMORY);
    rc = delete_tag(reg, repository, tag, actor, &arena, err);
    arena_reset(&arena);
    *n += rc == 0;
    return rc == 0 || err->code == ERR_NO_MANIFEST ? 0 : -1;
}

int
delete_all_tags(const struct registry *reg, const char *repository, const struct actor *actor,
                size_t *n, struct err *err)
{
    char tag[RECORD_TAG_MAX + 1] = "", next[RECORD_TAG_MAX + 1];
    struct rec_repo repo;
    int rc = repository_find(reg, repository, &repo, err);

    *n = 0;
    while (rc == 1) {
        next[0] = '\0';
        if (tbl_tag_each(kv_reads(reg->kv), repo.id, tag, see_first, next, err) != 0)
            return -1;
        if (next[0] == '\0')
            return 0;
        memcpy(tag, next, sizeof tag);
        if (delete_next(reg, repository, tag, actor, n, err) != 0)
            return -1;
    }
    return rc;
}

#include "domain/core/push.h"
#include "domain/core/blob_draft.h"
#include "domain/core/derived.h"
#include "domain/core/edge_batch.h"
#include "domain/core/manifest_ids.h"
#include "domain/core/new_layers.h"
#include "domain/core/platform.h"
#include "domain/core/push_expect.h"
#include "domain/core/quota.h"
#include "domain/core/repository.h"
#include "domain/core/tag_move.h"
#include "domain/core/trash.h"
#include "domain/events/event.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_content.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_manifest.h"
#include "storage/tables/tbl_trash.h"
#include "util/clock.h"

struct pushing {
    const struct registry *reg;
    struct push *p;
    struct arena *arena;
    struct rec_repo repo;

    /* prepared before the transaction, so that it only reads and writes records */
    struct manifest_descriptor *parts; /* each digest once, in the order of keys */
    size_t parts_n;
    struct manifest_ids ids;
    struct digest chosen; /* of an index: see rec_manifest */
    struct new_layers layers;
    struct blob_draft draft; /* of a large document; of a small one it stays all zero */
    struct tag_move move;
    struct tag_move_tag tags[PUSH_TAGS_MAX];
    uint64_t looked; /* before the transaction: then the manifest had a tag, */
    bool is_tagged;
    bool is_part; /* and an index had it */

    /* set by the transaction */
    uint64_t now;
    bool known;              /* the repository had the manifest before, */
    bool unchanged;          /* and its record stays as it is, */
    bool is_renewed;         /* except for the time of the push */
    bool is_mended;          /* but its bytes were not there: the database was damaged */
    struct digest made_from; /* made of this v1 image, by whose id it is known; or DIGEST_NONE */
    const char **missing;    /* digests of parts */
    size_t missing_n;
};

/* Larger documents are blob files. */
static bool
is_large(const struct push *p)
{
    return p->document.n > CONTENT_MAX;
}

/* An event with the members that all events of a push have in common. */
static struct rec_event
event_of_push(const struct push *p, enum event_type type)
{
    struct rec_event e = event_of(type, p->repository, p->actor);

    e.digest = p->digest;
    e.id = *manifest_id(&p->manifest, &p->digest);
    snprintf(e.media_type, sizeof e.media_type, "%s", p->manifest.media_type->name);
    return e;
}

/* ---- the transaction, table by table ---- */

/* Takes the record of a manifest out of the trash. */
static int
take_former_record(struct txn *t, const struct pushing *w, struct rec_manifest *r, struct err *err)
{
    struct rec_trash trash;
    char text[DIGEST_TEXT_MAX];
    int rc = tbl_trash_get_for_update(t, w->repo.id, &w->p->digest, &trash, err);

    if (rc == 0) {
        digest_text(text, &w->p->digest);
        return err_set(err, ERR_NO_MANIFEST, "%s isn't in repository %s any more", text,
                       w->p->repository);
    }
    *r = trash.manifest;
    if (w->p->tags_n == 0)
        r->pushed = w->now; /* its index follows, which must find it */
    return rc < 0 ? -1 : tbl_trash_drop(t, w->repo.id, &w->p->digest, err);
}

static bool
may_be_renewed(const struct pushing *w)
{
    return w->p->former == NULL && w->p->tags_n == 0;
}

/* The age of a manifest that no tag names counts from its last push. If a tag leaves later, the age
 * counts from then, so a manifest with a tag needs no renewal. */
static int
renew_record(struct txn *t, struct pushing *w, struct rec_manifest *r, struct err *err)
{
    const struct push *p = w->p;

    if (!may_be_renewed(w) || (w->is_tagged && r->untagged < w->looked))
        return 0;
    w->is_renewed = true;
    r->pushed = w->now;
    return tbl_manifest_put(t, w->repo.id, &p->digest, r, err);
}

static int
put_manifest_record(struct txn *t, struct pushing *w, struct err *err)
{
    static const struct digest none = {.algo = DIGEST_NONE};
    const struct manifest *m = &w->p->manifest;
    struct rec_manifest r;
    int rc;

    /* Pushes that only move tags needn't wait for each other here. */
    if (may_be_renewed(w) && !w->is_tagged)
        rc = tbl_manifest_get_for_update(t, w->repo.id, &w->p->digest, &r, err);
    else
        rc = tbl_manifest_get(t, w->repo.id, &w->p->digest, &r, err);
    if (rc < 0 || condition_check(w->p->condition, rc == 1 ? &w->p->digest : &none, err) != 0)
        return -1;
    w->known = rc == 1;
    w->unchanged = w->is_renewed = false;
    w->made_from = (struct digest){.algo = DIGEST_NONE};
    if (w->known) {
        w->made_from = r.made_from;
        w->unchanged =
            w->p->former != NULL || (!derived_is(&r) && digest_equal(&r.chosen, &w->chosen));
        if (w->unchanged)
            return renew_record(t, w, &r, err);
        /* From now on it isn't deleted with its last tag. */
        r.pushed_too = r.pushed_too || derived_is(&r);
    } else if (w->p->former != NULL) {
        if (take_former_record(t, w, &r, err) != 0)
            return -1;
        w->made_from = r.made_from;
    } else {
        r = (struct rec_manifest){
            .size = w->p->document.n, .pushed = w->now, .id = *manifest_id(m, &w->p->digest)};
        snprintf(r.media_type, sizeof r.media_type, "%s", m->media_type->name);
        snprintf(r.artifact_type, sizeof r.artifact_type, "%s", m->artifact_type);
    }
    r.chosen = w->chosen;
    return tbl_manifest_put(t, w->repo.id, &w->p->digest, &r, err);
}

/* 1, 0, -1. The repository may serve the part as a blob, or has it as a manifest, if an index
 * refers to it. The records that are read stay locked until the commit, so nobody collects them
 * before. */
static int
has_part(struct txn *t, const struct pushing *w, const struct manifest_descriptor *part,
         struct err *err)
{
    struct edge member = {.to = part->digest, .kind = EDGE_MEMBER, .repo = w->repo.id};
    struct rec_manifest manifest;
    struct rec_blob blob;
    int rc = 0;

    if (part->part == PART_CHILD)
        rc = tbl_manifest_get(t, w->repo.id, &part->digest, &manifest, err);
    if (rc != 0)
        return rc;
    rc = tbl_blob_get(t, &part->digest, &blob, err);
    return rc == 1 ? tbl_edge_has(t, &member, err) : rc;
}

static int
refuse_missing_parts(const struct pushing *w, struct err *err)
{
    err_set(err, ERR_MISSING_PARTS,
            "the repository %s lacks %zu of what the manifest refers to: %s%s", w->p->repository,
            w->missing_n, w->missing[0], w->missing_n > 1 ? ", ..." : "");
    err->about = w->missing;
    err->about_n = w->missing_n;
    return -1;
}

/* All parts that are missing are reported at once. */
static int
check_parts(struct txn *t, struct pushing *w, struct err *err)
{
    char text[DIGEST_TEXT_MAX];

    w->missing_n = 0;
    for (size_t i = 0; i < w->parts_n; i++) {
        int rc = w->parts[i].elsewhere ? 1 : has_part(t, w, &w->parts[i], err);

        if (rc < 0)
            return -1;
        if (rc == 1)
            continue;
        digest_text(text, &w->parts[i].digest);
        w->missing[w->missing_n] = arena_strdup(w->arena, text);
        if (w->missing[w->missing_n++] == NULL)
            return arena_full(err);
    }
    return w->missing_n > 0 ? refuse_missing_parts(w, err) : 0;
}

/* A manifest that comes out of the trash gives its parts back to the repository, also blobs that
 * were deleted from it meanwhile. */
static int
add_former_edges(struct txn *t, const struct pushing *w, struct edge_batch *edges, struct err *err)
{
    const struct manifest *m = &w->p->manifest;
    struct edge made = {
        .to = w->made_from, .kind = EDGE_MADE, .repo = w->repo.id, .from = w->p->digest};

    for (size_t i = 0; i < w->parts_n; i++) {
        const struct manifest_descriptor *part = &w->parts[i];
        struct edge member = {.to = part->digest, .kind = EDGE_MEMBER, .repo = w->repo.id};
        struct rec_manifest child;
        struct rec_blob blob;
        int rc = 0;

        if (part->elsewhere)
            continue;
        if (part->part == PART_CHILD)
            rc = tbl_manifest_get(t, w->repo.id, &part->digest, &child, err);
        if (rc == 0 && tbl_blob_get(t, &part->digest, &blob, err) == 1)
            edge_batch_put(edges, member);
        if (rc < 0)
            return -1;
    }
    if (made.to.algo != DIGEST_NONE)
        edge_batch_put(edges, made);
    trash_delete_edges(edges, w->repo.id, &w->p->digest, w->p->former, m);
    return 0;
}

/* The edges that keep the manifest, those of its parts, and those of ids that lead to it. */
static void
add_manifest_edges(const struct pushing *w, struct edge_batch *edges)
{
    const struct manifest *m = &w->p->manifest;
    const struct digest *d = &w->p->digest;
    enum edge_kind keeps = m->media_type->kind == DOCUMENT_INDEX ? EDGE_CHILD : EDGE_PART;
    struct edge e = {.repo = w->repo.id};

    e.to = *d;
    e.kind = EDGE_HELD;
    edge_batch_put(edges, e);
    e.from = *d;
    e.kind = EDGE_SUBJECT;
    e.to = m->subject;
    if (m->has_subject)
        edge_batch_put(edges, e);
    e.kind = keeps;
    for (size_t i = 0; i < w->parts_n; i++) {
        e.to = w->parts[i].digest;
        edge_batch_put(edges, e);
    }
    if (!w->known)
        manifest_ids_put(edges, &w->ids, w->repo.id, d);
}

static int
put_edges(struct txn *t, struct pushing *w, struct err *err)
{
    struct edge_batch edges = {.n = 0};

    if (w->p->former != NULL && !w->known && add_former_edges(t, w, &edges, err) != 0)
        return -1;
    if (!w->unchanged)
        add_manifest_edges(w, &edges);
    return tag_move_edges(t, &w->move, &edges, err);
}

/* Blobs of a deleted manifest don't count until a manifest has them again. */
static int
count_push(struct txn *t, struct pushing *w, struct err *err)
{
    struct quota_change change = {.set = quota_set_of(w->reg, w->p->repository)};

    if (change.set == 0 || w->unchanged)
        return 0;
    if (quota_count(t, w->reg, &change, w->repo.id, &w->p->digest, w->p->document.n, err) != 0)
        return -1;
    for (size_t i = 0; i < w->parts_n; i++)
        if (quota_count_blob(t, w->reg, &change, w->repo.id, &w->parts[i].digest, err) != 0)
            return -1;
    if (quota_settle(t, w->reg, &change, false, err) == 0)
        return 0;
    w->draft.named = w->draft.named && err->code != ERR_FULL; /* as in blob.c */
    return -1;
}

/* If the manifest and its tags are here, a push leaves nothing but times and events, and a power
 * loss takes nothing away that it promised: unless only the time of the push keeps the manifest. */
static void
relax_if_nothing_changed(struct txn *t, const struct pushing *w)
{
    for (size_t i = 0; i < w->move.n; i++)
        if (w->tags[i].moves)
            return;
    if (w->unchanged && !w->is_mended && !w->draft.named && (!w->is_renewed || w->is_part))
        kv_relax(t);
}

/* The order is layers, image, manifest, tags: an event comes after those about its parts. If the
 * repository had the manifest already, only the tags have events. */
static int
tell_push(struct txn *t, struct pushing *w, struct err *err)
{
    struct rec_event e = event_of_push(w->p, EVENT_IMAGE);

    /* The deletion of a derived manifest caused no event. */
    if (!w->known && (w->p->former == NULL || !derived_is(w->p->former))) {
        if (w->p->manifest.is_image && (new_layers_tell(t, &w->layers, w->p->actor, &e, err) != 0 ||
                                        event_tell(t, w->p->actor, &e, err) != 0))
            return -1;
        e.type = EVENT_MANIFEST;
        if (event_tell(t, w->p->actor, &e, err) != 0)
            return -1;
    }
    e.type = EVENT_TAG;
    if (w->made_from.algo != DIGEST_NONE)
        e.id = w->made_from;
    return tag_move_events(t, &w->move, &e, err);
}

static void
expect_records(struct txn *t, const struct pushing *w)
{
    const struct push_expect x = {.reg = w->reg,
                                  .repository = w->p->repository,
                                  .repo = &w->repo,
                                  .digest = &w->p->digest,
                                  .parts = w->parts,
                                  .parts_n = w->parts_n,
                                  .layers = &w->layers,
                                  .move = &w->move,
                                  .renews = may_be_renewed(w) && !w->is_tagged,
                                  .now = w->now};

    push_expect_records(t, &x);
}

static int
put_content(struct txn *t, struct pushing *w, struct err *err)
{
    const struct push *p = w->p;
    struct buf there;
    int rc;

    w->is_mended = false;
    if (is_large(p) || (w->unchanged && p->former != NULL))
        return 0;
    if (w->unchanged) {
        rc = tbl_content_get(t, &p->digest, &there, err);
        w->is_mended = rc == 0 || (rc == 1 && !bytes_equal(buf_bytes(&there), p->document));
        buf_free(&there);
        if (rc < 0 || !w->is_mended)
            return rc < 0 ? -1 : 0;
    }
    return tbl_content_put(t, &p->digest, p->document, err);
}

static int
store_manifest(struct txn *t, void *arg, struct err *err)
{
    struct pushing *w = arg;
    const struct push *p = w->p;

    w->now = clock_wall_ms();
    expect_records(t, w);
    if (repository_enter(t, w->reg, p->repository, w->now, &w->repo, err) != 0)
        return -1;
    w->move.repo = w->repo.id;
    if (tag_move_records(t, &w->move, err) != 0 || put_manifest_record(t, w, err) != 0 ||
        put_content(t, w, err) != 0)
        return -1;
    if (p->former == NULL && check_parts(t, w, err) != 0)
        return -1;
    if (is_large(p) && blob_draft_put(t, &w->draft, 0, err) != 0)
        return -1;
    if (!w->known && new_layers_look(t, &w->layers, err) != 0)
        return -1;
    if (put_edges(t, w, err) != 0 || count_push(t, w, err) != 0)
        return -1;
    relax_if_nothing_changed(t, w);
    return tell_push(t, w, err);
}

/* ---- around it ---- */

static int
check_manifest_digest(struct push *p, struct err *err)
{
    enum digest_algo algo = p->digest.algo != DIGEST_NONE ? p->digest.algo : DIGEST_SHA256;
    char want[DIGEST_TEXT_MAX], got[DIGEST_TEXT_MAX];
    struct digest actual;

    digest_of(&actual, algo, p->document);
    if (p->digest.algo != DIGEST_NONE && !digest_equal(&actual, &p->digest)) {
        digest_text(want, &p->digest);
        digest_text(got, &actual);
        err_set(err, ERR_DIGEST_MISMATCH, "the manifest has the digest %s, not %s", got, want);
        err_expected(err, "%s", want);
        return err_found(err, "%s", got);
    }
    p->digest = actual;
    return 0;
}

/* A digest may occur several times: a layer twice, or a config that is a layer, too. */
static int
sort_parts(struct pushing *w, struct err *err)
{
    const struct manifest *m = &w->p->manifest;

    w->parts = arena_array(w->arena, m->descriptors_n + 1, sizeof *w->parts);
    w->missing = arena_array(w->arena, m->descriptors_n + 1, sizeof *w->missing);
    if (w->parts == NULL || w->missing == NULL)
        return arena_full(err);
    for (size_t i = 0; i < m->descriptors_n; i++)
        w->parts[i] = m->descriptors[i];
    manifest_sort(w->parts, m->descriptors_n);
    for (size_t i = 0; i < m->descriptors_n; i++) {
        struct manifest_descriptor *last = w->parts_n > 0 ? &w->parts[w->parts_n - 1] : NULL;

        if (last != NULL && digest_equal(&last->digest, &w->parts[i].digest))
            last->elsewhere = last->elsewhere && w->parts[i].elsewhere;
        else
            w->parts[w->parts_n++] = w->parts[i];
    }
    return 0;
}

static int
read_config(struct pushing *w, struct err *err)
{
    const struct manifest *m = &w->p->manifest;

    if (manifest_ids_read(w->reg, m, &w->p->digest, w->arena, &w->ids, err) != 0)
        return -1;
    if (!w->p->actor->quiet &&
        new_layers_find(w->reg, m, w->ids.chain, w->arena, &w->layers, err) != 0)
        return -1;
    return 0;
}

/* Chooses the image as which a list of the first API shows an index, so that lists read no
 * documents. If no image can be chosen now, each list tries it. */
static int
choose_image(struct pushing *w, struct err *err)
{
    int rc;

    if (w->p->manifest.media_type->kind != DOCUMENT_INDEX)
        return 0;
    rc = platform_choose(w->reg, w->repo.id, w->p->document, &w->chosen, err);
    if (rc < 0 && err->code == ERR_LONG)
        return -1;
    if (rc == 0)
        w->chosen = w->p->digest;
    if (rc < 0)
        w->chosen = (struct digest){.algo = DIGEST_NONE};
    return 0;
}

static int
stop_at_first_edge(const struct edge *e, void *arg, struct err *err)
{
    (void)e;
    (void)err;
    *(bool *)arg = true;
    return 1;
}

/* Looks for tags and indexes that keep a manifest that is pushed by digest. If its last tag leaves
 * before the transaction, the transaction sees that in the record (untagged). */
static int
look_what_keeps_it(struct pushing *w, struct err *err)
{
    const struct digest *d = &w->p->digest;
    struct txn *t = kv_reads(w->reg->kv);

    w->looked = clock_wall_ms();
    if (w->p->tags_n > 0 || w->repo.id == 0)
        return 0;
    if (tbl_edge_each(t, d, EDGE_TAG, w->repo.id, NULL, stop_at_first_edge, &w->is_tagged, err) !=
        0)
        return -1;
    return tbl_edge_each(t, d, EDGE_CHILD, w->repo.id, NULL, stop_at_first_edge, &w->is_part, err);
}

static int
look_before(struct pushing *w, struct err *err)
{
    if (repository_look(w->reg, w->p->repository, &w->repo, err) != 0 || read_config(w, err) != 0 ||
        choose_image(w, err) != 0)
        return -1;
    return look_what_keeps_it(w, err);
}

static void
prepare_move(struct pushing *w, const struct rec_event *told)
{
    const struct push *p = w->p;

    for (size_t i = 0; i < p->tags_n; i++)
        w->tags[i].name = p->tags[i];
    w->move = (struct tag_move){.reg = w->reg,
                                .repo = w->repo.id,
                                .repository = p->repository,
                                .actor = p->actor,
                                .to = p->digest,
                                .to_derived = p->former != NULL && derived_is(p->former),
                                .tags = w->tags,
                                .n = p->tags_n,
                                .condition = p->tag_condition,
                                .told = told,
                                .document = p->document,
                                .arena = w->arena};
}

int
push_manifest(const struct registry *reg, struct push *p, struct arena *arena, struct err *err)
{
    struct pushing w = {.reg = reg, .p = p, .arena = arena};
    struct rec_event told;
    int rc;

    if (check_manifest_digest(p, err) != 0 ||
        manifest_parse(&p->manifest, p->document, p->content_type, arena, err) != 0 ||
        (!p->as_is && manifest_check(&p->manifest, err) != 0) || sort_parts(&w, err) != 0)
        return -1;
    push_expect_look(reg, p->repository, &p->digest, &p->manifest, p->tags_n == 0);
    rc = look_before(&w, err);
    kv_expect_end(kv_reads(reg->kv));
    if (rc != 0)
        return -1;
    told = event_of_push(p, EVENT_TAG);
    prepare_move(&w, &told);
    rc = tag_move_ask(&w.move, err);
    if (rc == 0 && is_large(p)) {
        w.draft = blob_draft_of_bytes(reg, &p->digest, p->document);
        rc = blob_draft_begin(&w.draft, err);
    }
    if (rc == 0)
        rc = tag_move_run(&w.move, store_manifest, &w, err);
    blob_draft_settle(&w.draft);
    return rc;
}

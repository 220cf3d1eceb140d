#include "domain/core/push.h"

#include <stdio.h>

#include "domain/core/blob_draft.h"
#include "domain/core/derived.h"
#include "domain/core/foreign_images.h"
#include "domain/core/lease.h"
#include "domain/core/manifest_ids.h"
#include "domain/events/event.h"
#include "domain/core/new_layers.h"
#include "domain/events/prehook.h"
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

/* What the transaction works on; prepared outside of it, so that it only reads and writes records.
 */
struct pushing {
    const struct registry *reg;
    struct push *p;
    struct arena *arena;
    struct rec_repo repo;
    uint64_t now;
    struct manifest_descriptor *parts; /* each digest once, in the order of keys */
    size_t parts_n;
    struct digest old[PUSH_TAGS_MAX];    /* where the tags pointed */
    struct digest judged[PUSH_TAGS_MAX]; /* where they did when a pre-hook let them go */
    bool made[PUSH_TAGS_MAX];            /* that was a manifest that was made of a v1 image */
    bool asked;                          /* it did */
    bool stale;                          /* one has moved since: ask again */
    struct new_layers layers;
    struct manifest_ids ids;
    bool known; /* the repository had it before */
    struct digest
        made_from; /* and made it of this v1 image, by whose id it is known; or DIGEST_NONE */
    bool large;    /* stands with the blobs: */
    struct blob_draft draft;
    const char **missing;
    size_t missing_n;
};

/* One digest may stand several times (the same layer twice, a config that is a layer too). */
static int
sort_parts(struct pushing *w, struct err *err)
{
    const struct manifest *m = &w->p->manifest;

    w->parts = arena_array(w->arena, m->descriptors_n + 1, sizeof *w->parts);
    w->missing = arena_array(w->arena, m->descriptors_n + 1, sizeof *w->missing);
    if (w->parts == NULL || w->missing == NULL)
        return err_set(err, ERR_SYSTEM, "no memory for a manifest");
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
note_missing(struct pushing *w, const struct digest *d, struct err *err)
{
    char text[DIGEST_TEXT_MAX];

    digest_text(text, d);
    w->missing[w->missing_n] = arena_strdup(w->arena, text);
    if (w->missing[w->missing_n] == NULL)
        return err_set(err, ERR_SYSTEM, "no memory for a manifest");
    w->missing_n++;
    return 0;
}

/* What all events of a push have in common. */
static struct rec_event
event_of_push(const struct push *p, enum event_type type)
{
    struct rec_event e = event_of(type, p->repository, p->actor);

    e.digest = p->digest;
    e.id = *manifest_id(&p->manifest, &p->digest);
    snprintf(e.media_type, sizeof e.media_type, "%s", p->manifest.media_type->name);
    return e;
}

/* The pre-hook is asked for each tag; one that refuses refuses all. What it was told to be the old
 * digest is what the transaction will find, or else it is asked again. */
static int
judge(struct pushing *w, struct err *err)
{
    const struct push *p = w->p;
    struct rec_event e = event_of_push(p, EVENT_TAG);
    struct rec_tag r;
    bool ask = p->tags_n > 0 && !p->actor->quiet;
    int rc = ask ? prehook_find(w->reg, HOOK_PRE_TAG, err) : 0;

    w->asked = rc == 1;
    for (size_t i = 0; rc == 1 && i < p->tags_n; i++) {
        rc = tbl_tag_get(kv_reads(w->reg->kv), w->repo.id, p->tags[i], &r, err);
        if (rc < 0)
            return -1;
        w->judged[i] = rc == 1 ? r.target : (struct digest){.algo = DIGEST_NONE};
        e.old = w->judged[i];
        snprintf(e.tag, sizeof e.tag, "%s", p->tags[i]);
        if (prehook_ask(w->reg, HOOK_PRE_TAG, &e, p->document, w->arena, err) != 0)
            return -1;
        rc = 1;
    }
    return rc < 0 ? -1 : 0;
}

/* ---- the transaction, table by table ---- */

static int
move_tags(struct txn *t, struct pushing *w, struct err *err)
{
    const struct push *p = w->p;

    for (size_t i = 0; i < p->tags_n; i++) {
        if (tag_move(t, w->reg, w->repo.id, p->tags[i], &p->digest, p->actor, &w->old[i], err) != 0)
            return -1;
        w->stale = w->stale || (w->asked && !digest_equal(&w->old[i], &w->judged[i]));
    }
    if (w->stale)
        return err_set(err, ERR_BUSY, "a tag moved again and again while a hook looked at it");
    /* Of a v1 image that was the last keeper, perhaps; a manifest stays with its repository. */
    for (size_t i = 0; i < p->tags_n; i++)
        if (w->old[i].algo == DIGEST_V1_ID &&
            w->reg->foreign->lease(t, w->reg, &w->old[i], w->now, err) != 0)
            return -1;
    return 0;
}

static int
look_later(struct txn *t, struct pushing *w, struct err *err)
{
    for (size_t i = 0; i < w->p->tags_n; i++)
        if ((w->old[i].algo == DIGEST_V1_ID &&
             lease_look_at(t, &w->old[i], w->now + w->reg->lease_ms, err) != 0) ||
            (w->made[i] && derived_look_later(t, w->repo.id, &w->old[i], w->now, err) != 0))
            return -1;
    return 0;
}

/* What the tags named before: one that was made of a v1 image may go now. */
static int
look_at_old(struct txn *t, struct pushing *w, struct err *err)
{
    for (size_t i = 0; i < w->p->tags_n; i++) {
        int rc = digest_equal(&w->old[i], &w->p->digest)
                     ? 0
                     : derived_was(t, w->repo.id, &w->old[i], err);

        if (rc < 0)
            return -1;
        w->made[i] = rc == 1;
    }
    return 0;
}

static int
put_manifest(struct txn *t, struct pushing *w, struct err *err)
{
    const struct manifest *m = &w->p->manifest;
    struct rec_manifest r;
    int rc = tbl_manifest_get(t, w->repo.id, &w->p->digest, &r, err);

    w->known = rc == 1;
    w->made_from = rc == 1 ? r.made_from : (struct digest){.algo = DIGEST_NONE};
    if (rc < 0 || (rc == 1 && !derived_is(&r)))
        return rc < 0 ? -1 : 0;
    if (rc == 1) { /* the keeper has made it: from now on it stays until it is deleted */
        r.pushed_too = true;
        return tbl_manifest_put(t, w->repo.id, &w->p->digest, &r, err);
    }
    r = (struct rec_manifest){
        .size = w->p->document.n, .pushed = w->now, .id = *manifest_id(m, &w->p->digest)};
    snprintf(r.media_type, sizeof r.media_type, "%s", m->media_type->name);
    snprintf(r.artifact_type, sizeof r.artifact_type, "%s", m->artifact_type);
    return tbl_manifest_put(t, w->repo.id, &w->p->digest, &r, err);
}

static int
put_content(struct txn *t, struct pushing *w, struct err *err)
{
    if (w->large)
        return blob_draft_put(t, &w->draft, 0, err);
    return tbl_content_put(t, &w->p->digest, w->p->document, err);
}

/* A part is there when the repository may serve it as a blob, or (an index's child) has it as a
 * manifest. What is read here stays locked until the commit, so nothing is collected under our
 * hands. */
static int
check_part(struct txn *t, struct pushing *w, const struct manifest_descriptor *part,
           struct err *err)
{
    struct edge member = {.to = part->digest, .kind = EDGE_MEMBER, .repo = w->repo.id};
    struct rec_manifest manifest;
    struct rec_blob blob;
    int rc = 0;

    if (part->elsewhere)
        return 0;
    if (part->part == PART_CHILD)
        rc = tbl_manifest_get(t, w->repo.id, &part->digest, &manifest, err);
    if (rc == 0) {
        rc = tbl_blob_get(t, &part->digest, &blob, err);
        if (rc == 1)
            rc = tbl_edge_has(t, &member, err);
    }
    if (rc == 0)
        return note_missing(w, &part->digest, err);
    return rc < 0 ? -1 : 0;
}

/* All edges of the push: what the manifest keeps, what keeps it, by which ids it is found, and
 * where tags no longer point. */
static int
put_edges(struct txn *t, struct pushing *w, struct err *err)
{
    const struct push *p = w->p;
    struct edge *edges =
        arena_array(w->arena, w->parts_n + p->tags_n + w->ids.n + 2, sizeof *edges);
    enum edge_kind keeps = p->manifest.media_type->kind == DOCUMENT_INDEX ? EDGE_CHILD : EDGE_PART;
    size_t n = 0;

    if (edges == NULL)
        return err_set(err, ERR_SYSTEM, "no memory for a manifest");
    edges[n++] = (struct edge){.to = p->digest, .kind = EDGE_HELD, .repo = w->repo.id};
    if (p->manifest.has_subject)
        edges[n++] = (struct edge){
            .to = p->manifest.subject, .kind = EDGE_SUBJECT, .repo = w->repo.id, .from = p->digest};
    for (size_t i = 0; i < w->parts_n; i++)
        edges[n++] = (struct edge){
            .to = w->parts[i].digest, .kind = keeps, .repo = w->repo.id, .from = p->digest};
    for (size_t i = 0; i < p->tags_n; i++)
        edges[n++] =
            (struct edge){.to = p->digest, .kind = EDGE_TAG, .repo = w->repo.id, .tag = p->tags[i]};
    for (size_t i = 0; i < w->ids.n; i++)
        edges[n++] = (struct edge){
            .to = w->ids.v[i], .kind = EDGE_ID, .repo = w->repo.id, .from = p->digest};
    tbl_edge_sort(edges, n);
    for (size_t i = 0; i < n; i++)
        if (tbl_edge_put(t, &edges[i], err) != 0)
            return -1;
    for (size_t i = 0; i < p->tags_n; i++) {
        struct edge was = {
            .to = w->old[i], .kind = EDGE_TAG, .repo = w->repo.id, .tag = p->tags[i]};

        if (was.to.algo != DIGEST_NONE && !digest_equal(&was.to, &p->digest) &&
            tbl_edge_delete(t, &was, err) < 0)
            return -1;
    }
    return 0;
}

/* Layers, image, manifest, tags: whoever hears of one has heard of what it is made of. What was
 * there already is told of by its tags alone. */
static int
append_events(struct txn *t, struct pushing *w, struct err *err)
{
    const struct push *p = w->p;
    struct rec_event e = event_of_push(p, EVENT_IMAGE);

    if (p->actor->quiet)
        return 0;
    if (!w->known && p->manifest.is_image &&
        (new_layers_append(t, &w->layers, w->repo.id, &p->digest, &e, err) != 0 ||
         tbl_event_append(t, &e, err) != 0))
        return -1;
    e.type = EVENT_MANIFEST;
    if (!w->known && tbl_event_append(t, &e, err) != 0)
        return -1;
    e.type = EVENT_TAG;
    if (w->made_from.algo != DIGEST_NONE)
        e.id = w->made_from;
    for (size_t i = 0; i < p->tags_n; i++) {
        e.old = w->old[i];
        snprintf(e.tag, sizeof e.tag, "%s", p->tags[i]);
        if (tbl_event_append(t, &e, err) != 0)
            return -1;
    }
    return 0;
}

static int
push(struct txn *t, void *arg, struct err *err)
{
    struct pushing *w = arg;

    w->missing_n = 0;
    w->stale = false;
    if (repository_touch(t, w->p->repository, &w->repo, w->now, err) != 0 ||
        move_tags(t, w, err) != 0 || look_at_old(t, w, err) != 0 || put_manifest(t, w, err) != 0)
        return -1;
    if (!w->large && put_content(t, w, err) != 0)
        return -1;
    for (size_t i = 0; i < w->parts_n; i++)
        if (check_part(t, w, &w->parts[i], err) != 0)
            return -1;
    if (w->missing_n > 0) {
        err_set(err, ERR_MISSING_PARTS,
                "the repository %s lacks %zu of what the manifest refers to: %s%s",
                w->p->repository, w->missing_n, w->missing[0], w->missing_n > 1 ? ", ..." : "");
        err->about = w->missing;
        err->about_n = w->missing_n;
        return -1;
    }
    if (w->large && put_content(t, w, err) != 0)
        return -1;
    if (put_edges(t, w, err) != 0 || look_later(t, w, err) != 0)
        return -1;
    return append_events(t, w, err);
}

/* ---- around it ---- */

static int
check_digest(struct push *p, struct err *err)
{
    enum digest_algo algo = p->digest.algo != DIGEST_NONE ? p->digest.algo : DIGEST_SHA256;
    char want[DIGEST_TEXT_MAX], got[DIGEST_TEXT_MAX];
    struct digest actual;

    digest_of(&actual, algo, p->document);
    if (p->digest.algo != DIGEST_NONE && !digest_equal(&actual, &p->digest)) {
        digest_text(want, &p->digest);
        digest_text(got, &actual);
        err_set(err, ERR_DIGEST_MISMATCH, "the manifest is %s, not %s", got, want);
        err_expected(err, "%s", want);
        return err_found(err, "%s", got);
    }
    p->digest = actual;
    return 0;
}

/* A large document's file has to be durable before the transaction speaks of it. */
static int
publish(struct pushing *w, struct err *err)
{
    w->large = w->p->document.n > CONTENT_MAX;
    w->draft = w->large ? blob_draft_of_bytes(w->reg, &w->p->digest, w->p->document)
                        : (struct blob_draft){.published = false};
    return w->large ? blob_draft_begin(&w->draft, err) : 0;
}

/* What is told of an image, and what the first API calls it, comes from its config. */
static int
read_config(struct pushing *w, struct err *err)
{
    const struct manifest *m = &w->p->manifest;

    if (manifest_ids_read(w->reg, m, &w->p->digest, w->arena, &w->ids, err) != 0)
        return -1;
    if (w->p->actor->quiet) /* nothing is told */
        return 0;
    return new_layers_find(w->reg, m, w->ids.chain, w->arena, &w->layers, err);
}

int
push_manifest(const struct registry *reg, struct push *p, struct arena *arena, struct err *err)
{
    struct pushing w = {.reg = reg, .p = p, .arena = arena, .now = clock_wall_ms()};
    int rc = 0;

    if (check_digest(p, err) != 0 ||
        manifest_parse(&p->manifest, p->document, p->content_type, arena, err) != 0 ||
        sort_parts(&w, err) != 0 || repository_ensure(reg, p->repository, &w.repo, err) != 0 ||
        read_config(&w, err) != 0 || judge(&w, err) != 0 || publish(&w, err) != 0)
        return -1;
    rc = txn_run(reg->kv, push, &w, err);
    for (int i = 1; i < PREHOOK_JUDGEMENTS_MAX && rc != 0 && w.stale; i++)
        rc = judge(&w, err) != 0 ? -1 : txn_run(reg->kv, push, &w, err);
    blob_draft_settle(&w.draft);
    return rc;
}

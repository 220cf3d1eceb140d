#include "domain/core/index_place.h"
#include "domain/v1/conversion_job.h"
#include "domain/v1/conversion.h"
#include "domain/v1/image.h"
#include "domain/inside/index_job.h"
#include "domain/core/blob_draft.h"
#include "domain/core/edge_batch.h"
#include "domain/core/quota.h"
#include "domain/core/tag_move.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_content.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_image.h"
#include "storage/tables/tbl_job.h"
#include "storage/tables/tbl_manifest.h"
#include "util/arena.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"

/* Jobs per step, and the time limit of a step. */
#define BATCH 16
#define STEP_MS 200

/* An image that waits for an index is looked at again after the first time, then after twice that,
 * up to the second. */
#define WAIT_MS 250
#define WAIT_MAX_MS 10000

/* Tags moved in one transaction, because its locks are bounded. */
#define TAGS_MAX 100
/* Transactions for one image in one step; the rest is done in the next step. */
#define ROUNDS_MAX 100

/* Memory for the JSON of one image, or for config and manifest. */
#define MEMORY (4u << 20)

/* An image of the chain, as it was when the config was made. */
struct ancestor {
    struct digest id;
    struct digest layer;
    uint64_t created;
};

struct converting {
    const struct registry *reg;
    struct job job;
    struct arena *arena;                          /* config and manifest */
    struct ancestor chain[CONVERSION_LAYERS_MAX]; /* the image first */
    struct conversion_layer layers[CONVERSION_LAYERS_MAX];
    size_t n;
    struct conversion made;
    struct digest parts[CONVERSION_LAYERS_MAX + 1]; /* config and layers, each once, sorted */
    size_t parts_n;
    struct blob_draft config;

    uint64_t repo; /* the repository and tags of the next transaction */
    struct tag_move move;
    struct tag_move_tag tags[TAGS_MAX];
    char names[TAGS_MAX][RECORD_TAG_MAX + 1];
    bool stale; /* the image has changed meanwhile */
};

/* The next step of a job. */
enum outcome {
    DONE,
    WAITS,
    REFUSED, /* err says why */
    FAILED,
};

int
conversion_job_later(struct txn *t, const struct digest *id, uint64_t now, struct err *err)
{
    struct job job = {.kind = JOB_CONVERT, .due = now, .digest = *id};
    struct rec_job work = {.tries = 0};

    return tbl_job_put(t, &job, &work, err);
}

/* ---- what it is made of ---- */

/* Reads the chain: 1; 0: the image is gone or incomplete, so no client can get it. */
static int
read_chain(struct converting *x, struct err *err)
{
    struct digest at = x->job.digest;

    for (x->n = 0; at.algo != DIGEST_NONE;) {
        struct rec_image r;
        int rc = tbl_image_get(kv_reads(x->reg->kv), &at, &r, err);

        if (rc < 0)
            return -1;
        if (rc == 0 || !image_is_whole(&r)) {
            if (x->n == 0)
                return 0;
            return err_set(err, ERR_BAD_IMAGE, "one of its ancestors isn't here");
        }
        if (x->n == CONVERSION_LAYERS_MAX)
            return err_set(err, ERR_BAD_IMAGE, "it has more than %d layers", CONVERSION_LAYERS_MAX);
        x->chain[x->n++] = (struct ancestor){at, r.layer, r.created};
        at = r.parent;
    }
    return 1;
}

/* Reads the diff id from the layer's index. 1; 0: there is no index yet. */
static int
read_layer(const struct registry *reg, const struct digest *blob, struct conversion_layer *layer,
           struct err *err)
{
    struct layer_info info;
    struct rec_blob r;
    int rc = tbl_blob_get(kv_reads(reg->kv), blob, &r, err);

    if (rc == 0)
        return err_set(err, ERR_BAD_IMAGE, "one of its layers isn't here");
    if (rc == 1)
        rc = index_store_info(index_place(reg), blob, &info, err);
    if (rc == 0 && index_job_demand(reg, blob, NULL, err) != 0)
        return -1;
    if (rc != 1)
        return rc;
    if (!info.browsable || info.diff_id.algo != DIGEST_SHA256) {
        char text[DIGEST_TEXT_MAX];

        digest_text(text, blob);
        return err_set(err, ERR_BAD_IMAGE, "its layer %.19s can't be unpacked: %s", text,
                       info.remark);
    }
    *layer = (struct conversion_layer){
        .blob = *blob, .size = r.size, .format = info.format, .diff_id = info.diff_id};
    return 1;
}

/* Asks for all missing indexes, so that they are made one after the other. */
static int
read_layers(struct converting *x, struct err *err)
{
    bool all = true;

    for (size_t i = 0; i < x->n; i++) {
        int rc = read_layer(x->reg, &x->chain[i].layer, &x->layers[i], err);

        if (rc < 0)
            return -1;
        all = all && rc == 1;
    }
    return all;
}

static int
make_documents(struct converting *x, struct err *err)
{
    struct conversion_draft *draft = conversion_begin();
    int rc = 0;

    for (size_t i = x->n; i > 0 && rc == 0; i--) {
        struct arena arena;
        struct bytes json;

        arena_init(&arena, MEMORY);
        rc = image_json(x->reg, &x->chain[i - 1].id, &arena, &json, err);
        if (rc == 0)
            rc = conversion_add(draft, &x->layers[i - 1], json, err);
        arena_reset(&arena);
    }
    if (rc == 0)
        rc = conversion_finish(draft, x->arena, &x->made, err);
    conversion_free(draft);
    return rc;
}

static void
add_part(struct converting *x, const struct digest *d)
{
    size_t at = x->parts_n;

    for (size_t i = 0; i < x->parts_n; i++)
        if (digest_equal(&x->parts[i], d))
            return;
    for (; at > 0 && digest_compare(&x->parts[at - 1], d) > 0; at--)
        x->parts[at] = x->parts[at - 1];
    x->parts[at] = *d;
    x->parts_n++;
}

/* The config's file must be durable before a transaction refers to it. */
static int
publish(struct converting *x, struct err *err)
{
    add_part(x, &x->made.config_digest);
    for (size_t i = 0; i < x->n; i++)
        add_part(x, &x->chain[i].layer);
    x->config = blob_draft_of_bytes(x->reg, &x->made.config_digest, x->made.config);
    return blob_draft_begin(&x->config, err);
}

/* ---- the transaction, table by table ---- */

static int
went(struct converting *x, struct err *err)
{
    x->stale = true;
    return err_set(err, ERR_BUSY, "an image changed while it was converted");
}

/* True if the chain is unchanged. The records that this reads remain locked until the commit. */
static int
check_chain(struct txn *t, struct converting *x, struct err *err)
{
    for (size_t i = 0; i < x->n; i++) {
        struct rec_image r;
        int rc = tbl_image_get(t, &x->chain[i].id, &r, err);

        if (rc < 0)
            return -1;
        if (rc == 0 || !image_is_whole(&r) || r.created != x->chain[i].created ||
            !digest_equal(&r.layer, &x->chain[i].layer))
            return went(x, err);
    }
    return 0;
}

/* For a manifest that a client had pushed: it stays as it is, but is noted as that image's. */
static int
put_manifest(struct txn *t, const struct converting *x, struct err *err)
{
    struct rec_manifest r;
    int rc = tbl_manifest_get(t, x->repo, &x->made.manifest_digest, &r, err);

    if (rc < 0)
        return -1;
    if (rc == 0) {
        r = (struct rec_manifest){.size = x->made.manifest.n, .pushed = clock_wall_ms()};
        snprintf(r.media_type, sizeof r.media_type, "%s", CONVERSION_MEDIA_TYPE);
    } else if (r.made_from.algo == DIGEST_NONE) {
        r.pushed_too = true;
    }
    r.made_from = x->job.digest;
    if (tbl_manifest_put(t, x->repo, &x->made.manifest_digest, &r, err) != 0)
        return -1;
    return tbl_content_put(t, &x->made.manifest_digest, x->made.manifest, err);
}

static int
put_conversion_edges(struct txn *t, struct converting *x, struct err *err)
{
    const struct digest *manifest = &x->made.manifest_digest;
    struct edge_batch edges = {.n = 0};
    struct edge e = {.repo = x->repo, .to = *manifest, .kind = EDGE_HELD};

    edge_batch_put(&edges, e);
    for (size_t i = 0; i < x->parts_n; i++) {
        e.to = x->parts[i];
        e.kind = EDGE_MEMBER;
        edge_batch_put(&edges, e);
    }
    e.from = *manifest;
    e.kind = EDGE_PART;
    for (size_t i = 0; i < x->parts_n; i++) {
        e.to = x->parts[i];
        edge_batch_put(&edges, e);
    }
    e.to = x->job.digest;
    e.kind = EDGE_MADE;
    edge_batch_put(&edges, e);
    return tag_move_edges(t, &x->move, &edges, err);
}

static bool
moves_any_tag(const struct tag_move *m)
{
    for (size_t i = 0; i < m->n; i++)
        if (m->tags[i].moves)
            return true;
    return false;
}

/* It is never refused: its layers count since their image was tagged. */
static int
count_conversion(struct txn *t, struct converting *x, struct err *err)
{
    struct quota_change change = {.set = 0};

    if (quota_set_of_id(t, x->reg, x->repo, &change.set, err) != 0 ||
        quota_count(t, x->reg, &change, x->repo, &x->made.manifest_digest, x->made.manifest.n,
                    err) != 0)
        return -1;
    for (size_t i = 0; i < x->parts_n; i++)
        if (quota_count_blob(t, x->reg, &change, x->repo, &x->parts[i], err) != 0)
            return -1;
    return quota_settle(t, x->reg, &change, true, err);
}

static int
switch_tags(struct txn *t, void *arg, struct err *err)
{
    struct converting *x = arg;

    x->stale = false;
    if (tag_move_records(t, &x->move, err) != 0)
        return -1;
    if (!moves_any_tag(&x->move))
        return 0;
    if (check_chain(t, x, err) != 0 || put_manifest(t, x, err) != 0 ||
        blob_draft_put(t, &x->config, 0, err) != 0)
        return -1;
    return put_conversion_edges(t, x, err) != 0 ? -1 : count_conversion(t, x, err);
}

/* ---- repository by repository ---- */

/* Finds tags of the image, in the first repository that has one. */
static int
see_tag(const struct edge *e, void *arg, struct err *err)
{
    struct converting *x = arg;

    (void)err;
    if (x->move.n > 0 && e->repo != x->repo)
        return 1;
    x->repo = e->repo;
    snprintf(x->names[x->move.n], sizeof x->names[0], "%s", e->tag);
    x->tags[x->move.n] = (struct tag_move_tag){
        .name = x->names[x->move.n], .expects = true, .expected = x->job.digest};
    return ++x->move.n == TAGS_MAX;
}

static enum outcome
switch_all(struct converting *x, struct err *err)
{
    for (unsigned i = 0; i < ROUNDS_MAX; i++) {
        x->move = (struct tag_move){.reg = x->reg,
                                    .to = x->made.manifest_digest,
                                    .to_derived = true,
                                    .silent = true,
                                    .tags = x->tags};
        if (tbl_edge_each(kv_reads(x->reg->kv), &x->job.digest, EDGE_TAG, 0, NULL, see_tag, x,
                          err) != 0)
            return FAILED;
        if (x->move.n == 0)
            return DONE;
        x->move.repo = x->repo;
        if (txn_run(x->reg->kv, switch_tags, x, err) != 0)
            return x->stale || x->config.gone ? WAITS : FAILED;
    }
    return WAITS;
}

static enum outcome
convert(struct converting *x, struct err *err)
{
    enum outcome outcome;
    int rc = read_chain(x, err);

    if (rc == 0)
        return DONE;
    if (rc == 1)
        rc = read_layers(x, err);
    if (rc == 0)
        return WAITS;
    if (rc < 0 || make_documents(x, err) != 0)
        return err->code == ERR_BAD_IMAGE ? REFUSED : FAILED;
    if (publish(x, err) != 0)
        return FAILED;
    outcome = switch_all(x, err);
    blob_draft_settle(&x->config);
    return outcome;
}

/* ---- jobs ---- */

struct settling {
    const struct job *job;
    const char *why; /* why it can't be converted; NULL: it was converted */
    struct job next; /* due 0: none */
    uint32_t tries;
};

static int
settle_job(struct txn *t, void *arg, struct err *err)
{
    const struct settling *s = arg;
    struct rec_job work = {.tries = s->tries};
    struct rec_image r;
    int rc = 0;

    if (s->next.due == 0)
        rc = tbl_image_get_for_update(t, &s->job->digest, &r, err);
    if (rc < 0)
        return -1;
    if (rc == 1 && strcmp(r.unconvertible, s->why != NULL ? s->why : "") != 0) {
        snprintf(r.unconvertible, sizeof r.unconvertible, "%s", s->why != NULL ? s->why : "");
        if (tbl_image_put(t, &s->job->digest, &r, err) != 0)
            return -1;
    }
    if (tbl_job_drop(t, s->job, err) != 0)
        return -1;
    return s->next.due != 0 ? tbl_job_put(t, &s->next, &work, err) : 0;
}

static int
run_job(const struct registry *reg, const struct job *job, const struct rec_job *r,
        struct converting *x, struct err *err)
{
    struct settling s = {.job = job, .next = *job, .tries = r->tries + 1};
    char why[RECORD_IMAGE_WHY_MAX + 1];
    struct arena arena;
    uint64_t wait = WAIT_MS << (r->tries < 8 ? r->tries : 8);
    enum outcome outcome;

    arena_init(&arena, MEMORY);
    memset(x, 0, sizeof *x);
    x->reg = reg;
    x->job = *job;
    x->arena = &arena;
    outcome = convert(x, err);
    arena_reset(&arena);
    s.next.due = clock_wall_ms() + (wait < WAIT_MAX_MS ? wait : WAIT_MAX_MS);
    if (outcome == FAILED)
        log_client_line(LOG_WARN, "an image isn't converted yet", "why=%s", err->message);
    if (outcome == REFUSED) {
        snprintf(why, sizeof why, "%.*s", RECORD_IMAGE_WHY_MAX, err->message);
        s.why = why;
    }
    if (outcome == DONE || outcome == REFUSED)
        s.next.due = 0;
    return txn_run(reg->kv, settle_job, &s, err);
}

struct due {
    uint64_t until;
    struct job jobs[BATCH];
    struct rec_job records[BATCH];
    size_t n;
};

static int
see_job(const struct job *j, const struct rec_job *r, void *arg, struct err *err)
{
    struct due *due = arg;

    (void)err;
    if (j->due > due->until)
        return 1;
    due->jobs[due->n] = *j;
    due->records[due->n] = *r;
    return ++due->n == BATCH;
}

int
conversion_job_step(const struct registry *reg, bool hurry, struct err *err)
{
    uint64_t until = clock_mono_ms() + STEP_MS;
    struct due due = {.until = clock_wall_ms() + (hurry ? WAIT_MAX_MS : 0)};
    struct converting *x;
    int rc = 0;

    if (tbl_job_each(kv_reads(reg->kv), JOB_CONVERT, see_job, &due, err) != 0)
        return -1;
    if (due.n == 0)
        return 0;
    x = mem_alloc(sizeof *x);
    for (size_t i = 0; i < due.n && rc == 0 && (i == 0 || clock_mono_ms() < until); i++)
        rc = run_job(reg, &due.jobs[i], &due.records[i], x, err);
    free(x);
    return rc;
}

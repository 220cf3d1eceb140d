#include "domain/core/delete.h"
#include "domain/access/immutable.h"
#include "domain/core/derived.h"
#include "domain/core/document_file.h"
#include "domain/core/edge_batch.h"
#include "domain/core/foreign_images.h"
#include "domain/core/history.h"
#include "domain/core/immutable_target.h"
#include "domain/core/lease.h"
#include "domain/core/manifest.h"
#include "domain/core/manifest_ids.h"
#include "domain/core/pull.h"
#include "domain/core/quota.h"
#include "domain/core/reach.h"
#include "domain/core/repository.h"
#include "domain/core/tag_move.h"
#include "domain/core/trash.h"
#include "domain/events/event.h"
#include "domain/events/prehook.h"
#include "storage/files/disk_space.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_content.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_manifest.h"
#include "storage/tables/tbl_pull.h"
#include "storage/tables/tbl_tag.h"
#include "util/clock.h"

/* Tries of a deletion whose tags are changed meanwhile. */
#define TRIES 5

/* Tags deleted in one transaction, because its locks are bounded. */
#define TAGS_MAX 500

/* Bytes of memory for the document of a manifest that nobody asked to delete. */
#define DOCUMENT_MEMORY (16u << 20)

/* Tags of one target are deleted, and with `all` the target too. */
struct deleting {
    const struct registry *reg;
    const char *repository;
    const struct actor *actor;
    const struct condition *condition;
    struct arena *arena;
    struct rec_repo repo;

    struct digest target; /* a manifest, or a foreign image, of which only tags are deleted here */
    struct rec_manifest record;
    struct bytes document;
    struct manifest manifest; /* its descriptors are in the order of keys */
    bool is_damaged;          /* the document is: then it counts as one that names nothing */
    struct manifest_ids ids;
    struct digest judged; /* the target whose deletion the pre-hook has allowed; or DIGEST_NONE */

    struct tag_move move;
    uint64_t pushed; /* the tag is deleted only if it was last pushed then; 0: whenever */
    bool all;
    bool is_trashed; /* the transaction has put the manifest into the trash */
    bool silent;     /* the manifest is deleted because nothing needs it: there is no event */
    bool unreached;  /* the manifest is deleted only if nothing reaches it (reach.h) */
    bool stale;      /* the transaction found another state than expected */
    uint64_t now;
};

/* ---- before the transaction ---- */

/* A large document is in a file, which the disk may have changed. 1, 0, -1. */
static int
is_document_damaged(const struct deleting *x, struct err *err)
{
    struct rec_blob blob;
    int rc;

    if (x->record.size <= CONTENT_MAX)
        return 0;
    rc = tbl_blob_get(kv_reads(x->reg->kv), &x->target, &blob, err);
    if (rc == 1)
        rc = document_file_check(x->reg, &x->target, blob.instance, err);
    return rc < 0 ? -1 : rc == 0;
}

/* 1, 0 (the manifest isn't there), -1. */
static int
read_target(struct deleting *x, struct err *err)
{
    struct rec_manifest *r = &x->record;
    int rc;

    *r = (struct rec_manifest){.size = 0};
    x->document = bytes_str("");
    x->manifest = (struct manifest){.descriptors_n = 0};
    x->is_damaged = false;
    if (x->target.algo == DIGEST_V1_ID)
        return 1;
    rc = tbl_manifest_get(kv_reads(x->reg->kv), x->repo.id, &x->target, r, err);
    if (rc == 1 && !x->silent && !x->unreached) {
        rc = is_document_damaged(x, err);
        x->is_damaged = rc == 1;
        x->manifest.media_type = media_type_find(r->media_type);
        if (rc != 0)
            return rc;
        rc = 1;
    }
    if (rc == 1)
        rc = pull_document(x->reg, &x->target, r->size, x->arena, &x->document, err);
    if (rc != 1)
        return rc;
    if (manifest_parse(&x->manifest, x->document, r->media_type, x->arena, err) != 0)
        return -1;
    manifest_sort(x->manifest.descriptors, x->manifest.descriptors_n);
    return 1;
}

static struct rec_event
event_of_deletion(const struct deleting *x, enum event_type type)
{
    const struct digest *made_from = &x->record.made_from;
    struct rec_event e = event_of(type, x->repository, x->actor);

    if (x->target.algo != DIGEST_V1_ID)
        e.digest = x->target;
    e.id = made_from->algo != DIGEST_NONE ? *made_from : *manifest_id(&x->manifest, &x->target);
    snprintf(e.media_type, sizeof e.media_type, "%s", x->record.media_type);
    return e;
}

/* Asks the pre-hook, once for each target that the tag has had. tag: "" if the manifest itself is
 * to be deleted. */
static int
ask_about_deletion(struct deleting *x, const char *tag, struct err *err)
{
    struct rec_event e = event_of_deletion(x, EVENT_DELETE);
    int rc;

    if (digest_equal(&x->judged, &x->target))
        return 0;
    rc = prehook_find(x->reg, HOOK_PRE_DELETE, err);
    if (rc <= 0)
        return rc;
    snprintf(e.tag, sizeof e.tag, "%s", tag);
    if (prehook_ask(x->reg, HOOK_PRE_DELETE, &e, x->document, x->arena, err) != 0)
        return -1;
    x->judged = x->target;
    return 0;
}

static void
add_tag_to_delete(struct deleting *x, const char *name)
{
    x->move.tags[x->move.n++] = (struct tag_move_tag){
        .name = name, .expects = true, .expected = x->target, .pushed = x->pushed};
}

static int
collect_tag_to_delete(const struct edge *e, void *arg, struct err *err)
{
    struct deleting *x = arg;
    const char *name = arena_strdup(x->arena, e->tag);

    if (name == NULL)
        return arena_full(err);
    add_tag_to_delete(x, name);
    return x->move.n == TAGS_MAX;
}

struct edge_count {
    size_t n, max;
};

static int
count_edge(const struct edge *e, void *arg, struct err *err)
{
    struct edge_count *count = arg;

    (void)e;
    (void)err;
    return ++count->n > count->max;
}

/* Does a tag other than the deleted ones name the manifest? Or, if no client has asked for its
 * deletion, does an index refer to it? 1, 0, -1. */
static int
is_needed(struct txn *t, const struct deleting *x, struct err *err)
{
    struct edge_count tags = {.max = x->move.n}, indexes = {.max = 0};

    if (tbl_edge_each(t, &x->target, EDGE_TAG, x->repo.id, NULL, count_edge, &tags, err) != 0 ||
        (x->silent && tbl_edge_each(t, &x->target, EDGE_CHILD, x->repo.id, NULL, count_edge,
                                    &indexes, err) != 0))
        return -1;
    return tags.n > tags.max || indexes.n > 0;
}

/* ---- the transaction, table by table ---- */

static int
refuse_stale(struct deleting *x, const char *why, struct err *err)
{
    x->stale = true;
    return err_set(err, ERR_BUSY, "%s", why);
}

/* The document is deleted with the last manifest that has it, unless this one can come back. */
static int
delete_content(struct txn *t, struct deleting *x, struct err *err)
{
    struct edge held = {.to = x->target, .kind = EDGE_HELD, .repo = x->repo.id};
    int rc = 0;

    if (!x->is_damaged)
        rc = trash_take(t, x->reg, &held, &x->record, x->move.n > 0, x->now, err);
    x->is_trashed = rc == 1;
    return rc == 0  ? lease_document(t, x->reg, &held, x->record.size, x->now, err)
           : rc > 0 ? 0
                    : -1;
}

/* The manifest of a collection must still be one that nothing reaches. */
static int
check_unreached(struct txn *t, struct deleting *x, struct err *err)
{
    static const struct digest none = {.algo = DIGEST_NONE};
    const struct manifest *m = &x->manifest;
    struct reach by;
    int rc =
        reach_find(t, x->repo.id, &x->target, m->has_subject ? &m->subject : &none, NULL, &by, err);

    return rc == 1 ? refuse_stale(x, "a manifest is needed again", err) : rc;
}

/* A client may have pushed the manifest since its record was read. */
static int
check_not_pushed(struct txn *t, struct deleting *x, struct err *err)
{
    struct rec_manifest r;
    int rc;

    if (!x->silent && !x->unreached)
        return 0;
    rc = tbl_manifest_get_for_update(t, x->repo.id, &x->target, &r, err);
    if (rc == 1 &&
        (r.pushed_too != x->record.pushed_too ||
         (x->unreached && (r.pushed != x->record.pushed || r.untagged != x->record.untagged))))
        return refuse_stale(x, "a manifest was pushed while it was deleted", err);
    return rc < 0 ? -1 : 0;
}

/* Deletes the manifest's record, and all that follows up to table blob. */
static int
delete_manifest_record(struct txn *t, struct deleting *x, struct err *err)
{
    const struct manifest *m = &x->manifest;
    int rc;

    if (check_not_pushed(t, x, err) != 0)
        return -1;
    rc = tbl_manifest_delete(t, x->repo.id, &x->target, err);
    if (rc == 0)
        return refuse_stale(x, "a manifest went while it was deleted", err);
    if (rc < 0 || delete_content(t, x, err) != 0)
        return -1;
    for (size_t i = 0; i < m->descriptors_n; i++)
        if (lease_blob(t, x->reg, &m->descriptors[i].digest, x->now, err) != 0)
            return -1;
    if (x->unreached)
        return check_unreached(t, x, err);
    /* A tag that was moved to it meanwhile would name nothing. */
    rc = is_needed(t, x, err);
    return rc == 1 ? refuse_stale(x, "a manifest was tagged while it was deleted", err) : rc;
}

static void
collect_manifest_edges(const struct deleting *x, struct edge_batch *edges)
{
    const struct manifest *m = &x->manifest;
    struct edge e = {.repo = x->repo.id, .to = x->target, .kind = EDGE_HELD};

    edge_batch_delete(edges, e);
    e.from = x->target;
    e.to = x->record.made_from;
    e.kind = EDGE_MADE;
    if (e.to.algo != DIGEST_NONE)
        edge_batch_delete(edges, e);
    e.to = m->subject;
    e.kind = EDGE_SUBJECT;
    if (m->has_subject)
        edge_batch_delete(edges, e);
    e.kind = m->media_type->kind == DOCUMENT_INDEX ? EDGE_CHILD : EDGE_PART;
    for (size_t i = 0; i < m->descriptors_n; i++) {
        e.to = m->descriptors[i].digest;
        edge_batch_delete(edges, e);
    }
    manifest_ids_delete(edges, &x->ids, x->repo.id, &x->target);
    if (x->is_trashed)
        trash_put_edges(edges, x->repo.id, &x->target, &x->record, m);
}

/* Adds jobs for all that the manifest kept. */
static int
look_at_parts(struct txn *t, const struct deleting *x, struct err *err)
{
    const struct manifest *m = &x->manifest;
    uint64_t when = x->now + x->reg->lease_ms;

    for (size_t i = 0; i < m->descriptors_n; i++)
        if (lease_look_at(t, &m->descriptors[i].digest, when, err) != 0)
            return -1;
    if (x->record.size > CONTENT_MAX && lease_look_at(t, &x->target, when, err) != 0)
        return -1;
    if (x->record.made_from.algo != DIGEST_NONE &&
        lease_look_at(t, &x->record.made_from, when, err) != 0)
        return -1;
    if (!x->is_trashed)
        return 0;
    return history_look_at(t, x->reg, &x->target, history_until(x->reg, x->now), err);
}

/* The time of the last pull of a tag or manifest is deleted with it. */
static int
forget_pulls(struct txn *t, const struct deleting *x, struct err *err)
{
    char text[DIGEST_TEXT_MAX];

    for (size_t i = 0; i < x->move.n; i++)
        if (tbl_pull_drop(t, x->repo.id, x->move.tags[i].name, err) != 0)
            return -1;
    if (!x->all)
        return 0;
    digest_text(text, &x->target);
    return tbl_pull_drop(t, x->repo.id, text, err);
}

static int
discount_manifest(struct txn *t, const struct deleting *x, struct err *err)
{
    const struct manifest *m = &x->manifest;

    if (quota_discount(t, x->repo.id, &x->target, x->record.size, err) != 0)
        return -1;
    for (size_t i = 0; i < m->descriptors_n; i++)
        if (quota_discount_blob(t, x->repo.id, &m->descriptors[i].digest, err) != 0)
            return -1;
    return 0;
}

static int
tell_deletion(struct txn *t, struct deleting *x, struct err *err)
{
    struct rec_event e = event_of_deletion(x, EVENT_UNTAG);

    if (tag_move_events(t, &x->move, &e, err) != 0)
        return -1;
    e.type = EVENT_DELETE;
    return x->all && !x->silent ? event_tell(t, x->actor, &e, err) : 0;
}

static int
delete_target(struct txn *t, void *arg, struct err *err)
{
    struct deleting *x = arg;
    const struct digest *made_from = &x->record.made_from;
    struct edge_batch edges = {.n = 0};

    x->stale = false;
    x->now = clock_wall_ms();
    if (tag_move_records(t, &x->move, err) != 0) {
        x->stale = x->move.stale;
        return -1;
    }
    if (x->all && made_from->algo != DIGEST_NONE &&
        x->reg->foreign->lease(t, x->reg, made_from, x->now, err) != 0)
        return -1;
    if (x->all && delete_manifest_record(t, x, err) != 0)
        return -1;
    if (x->all)
        collect_manifest_edges(x, &edges);
    if (tag_move_edges(t, &x->move, &edges, err) != 0 ||
        (x->all && discount_manifest(t, x, err) != 0) ||
        (x->all && look_at_parts(t, x, err) != 0) || forget_pulls(t, x, err) != 0)
        return -1;
    return tell_deletion(t, x, err);
}

/* ---- around it ---- */

static int
run_deletion(struct deleting *x, struct err *err)
{
    x->move.reg = x->reg;
    x->move.repo = x->repo.id;
    x->move.repository = x->repository;
    x->move.actor = x->actor;
    x->move.target_goes = x->all;
    disk_space_give(x->reg->dirfd);
    return txn_run_anyway(x->reg->kv, delete_target, x, err); /* on a full disk, too */
}

/* Finds the present target of the tag. 0; -1; 1: its manifest was just deleted, so look again. */
static int
delete_tag_once(struct deleting *x, const char *tag, struct err *err)
{
    struct rec_tag r;
    int rc = tbl_tag_get(kv_reads(x->reg->kv), x->repo.id, tag, &r, err);

    if (rc == 0)
        return err_set(err, ERR_NO_MANIFEST, "repository %s has no tag %s", x->repository, tag);
    if (rc < 0)
        return -1;
    x->target = r.target;
    rc = read_target(x, err);
    if (rc == 0)
        return refuse_stale(x, "a tag moved while it was deleted", err);
    if (rc < 0 || condition_check(x->condition, &x->target, err) != 0 ||
        immutable_check(x->reg, x->actor, x->repository, tag, &x->target, err) != 0 ||
        ask_about_deletion(x, tag, err) != 0)
        return -1;
    x->move.n = 0;
    add_tag_to_delete(x, tag);
    /* A derived manifest is deleted with its last tag. */
    x->silent = derived_is(&x->record);
    rc = x->silent ? is_needed(kv_reads(x->reg->kv), x, err) : 1;
    if (rc < 0)
        return -1;
    x->all = x->silent = rc == 0;
    return run_deletion(x, err);
}

static int
delete_tag_of(const struct registry *reg, const char *repository, const struct rec_repo *repo,
              const char *tag, const struct condition *condition, uint64_t pushed,
              const struct actor *actor, struct arena *arena, struct err *err)
{
    struct tag_move_tag one;
    struct deleting x = {.reg = reg,
                         .repository = repository,
                         .actor = actor,
                         .condition = condition,
                         .pushed = pushed,
                         .arena = arena,
                         .repo = *repo,
                         .move.tags = &one,
                         .stale = true};
    int rc = -1;

    for (int i = 0; i < TRIES && x.stale; i++) {
        x.stale = false;
        rc = delete_tag_once(&x, tag, err);
    }
    return rc;
}

int
delete_tag(const struct registry *reg, const char *repository, const char *tag,
           const struct condition *condition, const struct actor *actor, struct arena *arena,
           struct err *err)
{
    struct rec_repo repo;

    if (repository_need(reg, repository, &repo, err) != 0 ||
        delete_tag_of(reg, repository, &repo, tag, condition, 0, actor, arena, err) != 0)
        return -1;
    repository_settle(reg, repository);
    return 0;
}

int
delete_tag_seen(const struct registry *reg, const char *repository, const char *tag,
                const struct rec_tag *seen, const struct actor *actor, struct arena *arena,
                struct err *err)
{
    const struct condition same = {.match = {.given = true, .v = &seen->target, .n = 1}};
    struct rec_repo repo;

    if (repository_need(reg, repository, &repo, err) != 0 ||
        delete_tag_of(reg, repository, &repo, tag, &same, seen->updated, actor, arena, err) != 0)
        return -1;
    repository_settle(reg, repository);
    return 0;
}

/* Deletes as many of its tags as one transaction can, and the manifest with the last ones. */
static int
delete_manifest_once(struct deleting *x, struct err *err)
{
    char text[DIGEST_TEXT_MAX];
    int rc = read_target(x, err);

    if (rc == 0) {
        digest_text(text, &x->target);
        return err_set(err, ERR_NO_MANIFEST, "repository %s has no manifest %s", x->repository,
                       text);
    }
    x->move.n = 0;
    if (rc < 0 || condition_check(x->condition, &x->target, err) != 0 ||
        immutable_target_check(x->reg, x->actor, x->repository, x->repo.id, &x->target, err) != 0 ||
        ask_about_deletion(x, "", err) != 0 ||
        tbl_edge_each(kv_reads(x->reg->kv), &x->target, EDGE_TAG, x->repo.id, NULL,
                      collect_tag_to_delete, x, err) != 0 ||
        (!x->is_damaged &&
         manifest_ids_read(x->reg, &x->manifest, &x->target, x->arena, &x->ids, err) != 0))
        return -1;
    x->all = x->move.n < TAGS_MAX;
    return run_deletion(x, err);
}

int
delete_manifest(const struct registry *reg, const char *repository, const struct digest *d,
                const struct condition *condition, const struct actor *actor, struct arena *arena,
                struct err *err)
{
    struct deleting x = {.reg = reg,
                         .repository = repository,
                         .actor = actor,
                         .condition = condition,
                         .arena = arena,
                         .target = *d};
    int rc;

    x.move.tags = arena_array(arena, TAGS_MAX, sizeof *x.move.tags);
    if (x.move.tags == NULL)
        return arena_full(err);
    if (repository_need(reg, repository, &x.repo, err) != 0)
        return -1;
    for (int i = 0; i < TRIES;) {
        x.stale = false;
        rc = delete_manifest_once(&x, err);
        if (rc == 0 && x.all)
            repository_settle(reg, repository);
        if (rc == 0 ? x.all : !x.stale)
            return rc;
        i += rc != 0;
    }
    return -1;
}

int
delete_derived(const struct registry *reg, uint64_t repo, const struct digest *d, struct err *err)
{
    static const struct actor keeper = {.user = ""};
    struct arena arena;
    struct deleting x = {.reg = reg,
                         .repository = "",
                         .actor = &keeper,
                         .arena = &arena,
                         .target = *d,
                         .all = true,
                         .silent = true,
                         .repo = {.id = repo}};
    int rc;

    arena_init(&arena, DOCUMENT_MEMORY);
    rc = read_target(&x, err);
    if (rc == 1 && derived_is(&x.record)) {
        rc = is_needed(kv_reads(reg->kv), &x, err);
        if (rc == 0)
            rc = run_deletion(&x, err);
    }
    arena_reset(&arena);
    /* If it is stale, something needs the manifest now, or it is gone. */
    return rc < 0 && !x.stale ? -1 : 0;
}

/* Reads the manifest, and whether it may be deleted: 1, 0, -1. */
static int
may_collect(struct deleting *x, uint64_t before, struct err *err)
{
    int rc = read_target(x, err);

    if (rc != 1)
        return rc;
    if (x->record.pushed > before || x->record.untagged > before || derived_is(&x->record))
        return 0;
    rc = manifest_ids_read(x->reg, &x->manifest, &x->target, x->arena, &x->ids, err);
    return rc == 0 ? 1 : -1;
}

int
delete_unreached(const struct registry *reg, const char *repository, uint64_t repo,
                 const struct digest *d, uint64_t before, const char *by, struct err *err)
{
    const struct actor actor = {.user = by, .address = ""};
    struct arena arena;
    struct deleting x = {.reg = reg,
                         .repository = repository,
                         .actor = &actor,
                         .arena = &arena,
                         .target = *d,
                         .all = true,
                         .unreached = true,
                         .repo = {.id = repo}};
    int rc;

    arena_init(&arena, DOCUMENT_MEMORY);
    rc = may_collect(&x, before, err);
    if (rc == 1 && run_deletion(&x, err) != 0)
        rc = x.stale ? 0 : -1;
    arena_reset(&arena);
    if (rc == 1)
        repository_settle(reg, repository);
    return rc;
}

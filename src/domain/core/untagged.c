#include "domain/core/untagged.h"
#include "domain/core/delete.h"
#include "domain/core/derived.h"
#include "domain/core/manifest.h"
#include "domain/core/pull.h"
#include "domain/core/reach.h"
#include "domain/core/repository.h"
#include "storage/tables/tbl_manifest.h"
#include "util/clock.h"
#include "util/log.h"

/* Manifests that a step looks at. */
#define BATCH 100
/* Bytes of memory for the document of one of them. */
#define DOCUMENT_MEMORY (16u << 20)

struct untagged_batch {
    uint64_t before;   /* only what is older, */
    uint64_t lease_ms; /* and was pushed longer ago than this */
    uint64_t now;
    struct untagged_candidate {
        uint64_t repo;
        struct digest digest;
        struct rec_manifest r;
        uint64_t until; /* it stays until then; 0: it goes */
    } v[BATCH];
    size_t n;    /* of these, those that are old enough */
    size_t seen; /* manifests at all */
    uint64_t repo;
    struct digest last;
};

static int
add_old_manifest(uint64_t repo, const struct digest *d, const struct rec_manifest *r, void *arg,
                 struct err *err)
{
    struct untagged_batch *b = arg;

    (void)err;
    b->repo = repo;
    b->last = *d;
    if (r->pushed <= b->before && r->untagged <= b->before && !derived_is(r))
        b->v[b->n++] = (struct untagged_candidate){
            repo, *d, *r, r->pushed + b->lease_ms > b->now ? r->pushed + b->lease_ms : 0};
    return ++b->seen == BATCH;
}

/* Only the document tells whether there is a subject. 1, 0 (the manifest is gone), -1. */
static int
read_subject(const struct registry *reg, const struct untagged_candidate *c, struct digest *subject,
             struct err *err)
{
    struct arena arena;
    struct manifest m;
    struct bytes document;
    int rc;

    arena_init(&arena, DOCUMENT_MEMORY);
    rc = pull_document(reg, &c->digest, c->r.size, &arena, &document, err);
    if (rc == 1 && manifest_parse(&m, document, c->r.media_type, &arena, err) != 0)
        rc = -1;
    *subject = (struct digest){.algo = DIGEST_NONE};
    if (rc == 1 && m.has_subject)
        *subject = m.subject;
    arena_reset(&arena);
    return rc;
}

/* Most manifests have a tag, so the document is read last. m->until becomes later if the history
 * of a tag keeps the manifest, and nothing else. 1, 0, -1. */
static int
is_unreached(const struct registry *reg, const struct untagged_candidate *c,
             const struct gone_set *gone, struct untagged_manifest *m, struct err *err)
{
    struct digest subject = {.algo = DIGEST_NONE};
    struct txn *t = kv_reads(reg->kv);
    struct reach by;
    int rc = reach_find(t, c->repo, &c->digest, &subject, gone, &by, err);

    if (rc == 0 || by.kind == REACH_HISTORY)
        rc = read_subject(reg, c, &subject, err);
    else
        return rc < 0 ? -1 : 0;
    if (rc == 1 && subject.algo != DIGEST_NONE)
        rc = reach_find(t, c->repo, &c->digest, &subject, gone, &by, err) < 0 ? -1 : 1;
    if (by.kind == REACH_HISTORY)
        by.until = reach_end_of_history(reg, by.until);
    if (by.kind == REACH_HISTORY && by.until <= clock_wall_ms()) /* its job is due */
        by.kind = REACH_NONE;
    m->is_history = rc == 1 && by.kind == REACH_HISTORY && m->until < by.until;
    if (m->is_history)
        m->until = by.until;
    return rc == 1 ? by.kind == REACH_NONE || by.kind == REACH_HISTORY : rc;
}

/* 1: it goes, 0, -1. */
static int
take_candidate(const struct registry *reg, const struct untagged_candidate *c, uint64_t before,
               const struct untagged_rule *rule, struct err *err)
{
    struct untagged_manifest m = {.repo = c->repo,
                                  .digest = c->digest,
                                  .size = c->r.size,
                                  .pushed = c->r.pushed,
                                  .until = c->until};
    int rc;

    if ((rule->gone != NULL && gone_set_has(rule->gone, c->repo, &c->digest)) ||
        (c->until != 0 && rule->tell == NULL))
        return 0;
    rc = is_unreached(reg, c, rule->gone, &m, err);
    if (rc == 1)
        rc = repository_name(reg, c->repo, m.repository, err);
    if (rc == 1 && m.until == 0 && rule->gone == NULL && !rule->only_tells)
        rc = delete_unreached(reg, m.repository, c->repo, &c->digest, before,
                              rule->by != NULL ? rule->by : UNTAGGED_ACTOR, err);
    else if (rc == 1 && m.until == 0 && rule->gone != NULL)
        rc = gone_set_add(rule->gone, c->repo, &c->digest);
    if (rc == 1 && rule->tell != NULL)
        rule->tell(&m, rule->arg);
    return rc == 1 && m.until == 0 ? 1 : rc < 0 ? -1 : 0;
}

int
untagged_step(const struct registry *reg, struct untagged_walk *w, const struct untagged_rule *rule,
              struct err *err)
{
    uint64_t now = clock_wall_ms();
    struct untagged_batch b = {.before = now > rule->age_ms ? now - rule->age_ms : 0,
                               .lease_ms = reg->lease_ms,
                               .now = now};
    char text[DIGEST_TEXT_MAX];

    if (tbl_manifest_each(kv_reads(reg->kv), w->repo, &w->after, add_old_manifest, &b, err) != 0)
        return -1;
    for (size_t i = 0; i < b.n; i++) {
        int rc = take_candidate(reg, &b.v[i], b.before, rule, err);

        w->found += rc == 1;
        if (rc >= 0)
            continue;
        digest_text(text, &b.v[i].digest);
        log_line(LOG_WARN, "a manifest without tags stays for the next time", "digest=%s why=%s",
                 text, err->message);
    }
    w->seen += b.seen;
    w->repo = b.seen == BATCH ? b.repo : 0;
    w->after = b.seen == BATCH ? b.last : (struct digest){.algo = DIGEST_NONE};
    return b.seen == BATCH;
}

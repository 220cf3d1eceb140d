#include "domain/core/referrers.h"
#include <errno.h>
#include <strings.h>
#include "domain/core/manifest.h"
#include "domain/core/pull.h"
#include "domain/core/repository.h"
#include "storage/kv/kv.h"
#include "storage/tables/tbl_content.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_manifest.h"
#include "storage/tables/tbl_tag.h"

/* Referrers that are read at once; no cursor is open while they are looked up. */
#define BATCH 128

/* Bytes of an entry of the list without its annotations, at most. */
#define ENTRY_BYTES 1024

/* Memory for one document, in bytes. */
#define DOCUMENT_MEMORY (16u << 20)

struct referrer_search {
    const struct registry *reg;
    const struct digest *subject;
    const struct referrers_page *page;
    struct arena *arena;
    uint64_t repo;
    uint64_t read;  /* bytes of large documents */
    uint64_t bytes; /* of the entries */
    struct digest batch[BATCH];
    size_t batch_n;
    size_t n;                /* referrers in the page */
    struct digest *fallback; /* in order */
    size_t fallback_n;
    size_t fallback_at;
};

static int
add_referrer_edge(const struct edge *e, void *arg, struct err *err)
{
    struct referrer_search *s = arg;

    (void)err;
    s->batch[s->batch_n++] = e->from;
    return s->batch_n == BATCH;
}

/* Digits of the digest in the fallback tag (distribution-spec, "Referrers Tag Schema"). */
#define FALLBACK_HEX_MAX 64

/* Reads the manifests of the index that the fallback tag names, if there is one. */
static int
read_fallback(struct referrer_search *s, const struct digest *after, struct err *err)
{
    char hex[DIGEST_TEXT_MAX], tag[RECORD_TAG_MAX + 64];
    struct bytes document;
    struct rec_manifest r;
    struct rec_tag at;
    struct manifest m;
    int rc;

    digest_hex(hex, s->subject);
    snprintf(tag, sizeof tag, "%s-%.*s", digest_algo_name(s->subject->algo), FALLBACK_HEX_MAX, hex);
    rc = tbl_tag_get(kv_reads(s->reg->kv), s->repo, tag, &at, err);
    if (rc == 1)
        rc = tbl_manifest_get(kv_reads(s->reg->kv), s->repo, &at.target, &r, err);
    if (rc == 1)
        rc = pull_document(s->reg, &at.target, r.size, s->arena, &document, err);
    if (rc != 1)
        return rc;
    if (manifest_parse(&m, document, r.media_type, s->arena, err) != 0 ||
        m.media_type->kind != DOCUMENT_INDEX)
        return 0;
    s->fallback = arena_array(s->arena, m.descriptors_n + 1, sizeof *s->fallback);
    if (s->fallback == NULL)
        return arena_full(err);
    for (size_t i = 0; i < m.descriptors_n; i++)
        if (after->algo == DIGEST_NONE || digest_compare(&m.descriptors[i].digest, after) > 0)
            s->fallback[s->fallback_n++] = m.descriptors[i].digest;
    qsort(s->fallback, s->fallback_n, sizeof *s->fallback, digest_order);
    return 0;
}

/* Merges the edges and the fallback index: the next digest behind *at (DIGEST_NONE at first), each
 * once. 1, 0, -1. */
static int
next_referrer(struct referrer_search *s, struct digest *at, size_t *batch_at, struct err *err)
{
    const struct digest *one = NULL, *other = NULL;

    if (*batch_at == s->batch_n && (s->batch_n == BATCH || *batch_at == 0)) {
        struct digest after = *batch_at > 0 ? s->batch[s->batch_n - 1] : *at;

        *batch_at = s->batch_n = 0;
        if (tbl_edge_each(kv_reads(s->reg->kv), s->subject, EDGE_SUBJECT, s->repo,
                          after.algo != DIGEST_NONE ? &after : NULL, add_referrer_edge, s,
                          err) != 0)
            return -1;
    }
    if (*batch_at < s->batch_n)
        one = &s->batch[*batch_at];
    while (s->fallback_at < s->fallback_n && at->algo != DIGEST_NONE &&
           digest_compare(&s->fallback[s->fallback_at], at) <= 0)
        s->fallback_at++;
    if (s->fallback_at < s->fallback_n)
        other = &s->fallback[s->fallback_at];
    if (one == NULL && other == NULL)
        return 0;
    if (other == NULL || (one != NULL && digest_compare(one, other) <= 0)) {
        *at = *one;
        ++*batch_at;
    } else {
        *at = *other;
        s->fallback_at++;
    }
    return 1;
}

/* Does the error concern only this document? The list then continues without it. */
static bool
is_of_document(const struct err *err)
{
    return err->code == ERR_CORRUPT || err->code == ERR_BAD_REQUEST || err->sys == ENOENT;
}

/* Keeps a copy if it isn't too long for a list. n: set to its bytes. */
static struct json *
copy_annotations(const struct json *annotations, size_t *n)
{
    struct json *copy = manifest_annotations_are_good(annotations) ? json_copy(annotations) : NULL;

    *n = 0;
    if (copy != NULL)
        json_text(copy, n);
    if (*n <= REFERRER_ANNOTATIONS_MAX)
        return copy;
    *n = 0;
    json_free(copy);
    return NULL;
}

static bool
may_read_document(struct referrer_search *s, uint64_t size)
{
    if (size <= CONTENT_MAX)
        return true;
    if (s->read + size > REFERRERS_READ_MAX)
        return false;
    s->read += size;
    return true;
}

/* n: set to the bytes of the annotations; a document that is damaged has none. 1, 0 (the manifest
 * is gone), -1. */
static int
read_referrer_annotations(struct referrer_search *s, struct referrer *r, size_t *n, struct err *err)
{
    struct rec_manifest again;
    struct bytes document;
    struct arena arena;
    struct json *j;
    int rc;

    *n = 0;
    if (!may_read_document(s, r->size))
        return 1;
    arena_init(&arena, DOCUMENT_MEMORY);
    rc = pull_document(s->reg, &r->digest, r->size, &arena, &document, err);
    if (rc == 1 && json_parse(document, MANIFEST_DEPTH_MAX, &j, err) == 0) {
        r->annotations = copy_annotations(json_member(j, "annotations"), n);
        json_free(j);
    } else if (rc == 1) {
        rc = -1;
    } else if (rc == 0) {
        rc = tbl_manifest_get(kv_reads(s->reg->kv), s->repo, &r->digest, &again, err);
    }
    arena_reset(&arena);
    return rc < 0 && is_of_document(err) ? 1 : rc;
}

/* Does it (still) exist, and has it the wanted type? Fills r without the annotations. 1, 0, -1. */
static int
find_referrer(const struct referrer_search *s, const struct digest *d, struct referrer *r,
              struct err *err)
{
    struct rec_manifest record;
    int rc = tbl_manifest_get(kv_reads(s->reg->kv), s->repo, d, &record, err);

    if (rc != 1)
        return rc;
    if (s->page->artifact_type != NULL &&
        strcasecmp(s->page->artifact_type, record.artifact_type) != 0)
        return 0;
    *r = (struct referrer){.digest = *d, .size = record.size};
    snprintf(r->media_type, sizeof r->media_type, "%s", record.media_type);
    snprintf(r->artifact_type, sizeof r->artifact_type, "%s", record.artifact_type);
    return 1;
}

/* Adds the referrer to the page. 1; 0: the page is full; -1. */
static int
add_referrer_to_page(struct referrer_search *s, struct referrer *r, size_t annotations_n,
                     int (*fn)(struct referrer *r, void *arg, struct err *err), void *arg,
                     struct err *err)
{
    uint64_t bytes = ENTRY_BYTES + annotations_n;

    if (s->bytes + bytes > REFERRERS_BYTES_MAX) {
        json_free(r->annotations);
        return 0;
    }
    s->bytes += bytes;
    s->n++;
    return fn(r, arg, err) != 0 ? -1 : 1;
}

int
referrers_each(const struct registry *reg, const char *repository, const struct digest *subject,
               struct referrers_page *page, struct arena *arena,
               int (*fn)(struct referrer *r, void *arg, struct err *err), void *arg,
               struct err *err)
{
    struct referrer_search s = {.reg = reg, .subject = subject, .page = page, .arena = arena};
    struct digest at = page->after;
    struct rec_repo repo;
    struct referrer r;
    size_t annotations_n, seen = 0, batch_at = 0;
    int rc = repository_find(reg, repository, &repo, err);

    page->more = false;
    page->last = page->after;
    if (rc != 1)
        return rc;
    s.repo = repo.id;
    if (read_fallback(&s, &page->after, err) < 0)
        return -1;
    while ((rc = next_referrer(&s, &at, &batch_at, err)) == 1) {
        bool full;

        rc = find_referrer(&s, &at, &r, err);
        full = (rc == 1 && s.n == page->limit) || seen++ == REFERRERS_SEEN_MAX;
        if (rc == 1 && !full)
            rc = read_referrer_annotations(&s, &r, &annotations_n, err);
        if (rc == 1 && !full) {
            rc = add_referrer_to_page(&s, &r, annotations_n, fn, arg, err);
            full = rc == 0;
        }
        if (rc < 0)
            return -1;
        if (full) {
            page->more = true;
            return 0;
        }
        page->last = at;
    }
    return rc;
}

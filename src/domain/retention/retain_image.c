#include "domain/retention/retain_image.h"
#include <string.h>
#include "domain/core/manifest.h"
#include "domain/core/pull.h"
#include "storage/kv/kv.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_manifest.h"
#include "storage/tables/tbl_tag.h"
#include "util/arena.h"

#define PREFIX "sha256-"
#define HEX 64
/* For the document of a manifest. */
#define MEMORY (16u << 20)
/* The longest way, which is deeper than indexes can be. */
#define WAY_MAX 64
/* Tags or indexes of a manifest that are read at once. */
#define SOME 16

bool
retain_image_signed(const char *tag, struct digest *image)
{
    char text[DIGEST_TEXT_MAX];
    const char *end = tag + strlen(PREFIX) + HEX;
    struct err ignored;

    if (strncmp(tag, PREFIX, strlen(PREFIX)) != 0 || strlen(tag) < strlen(PREFIX) + HEX ||
        (*end != '\0' && *end != '.'))
        return false;
    snprintf(text, sizeof text, "sha256:%.*s", HEX, tag + strlen(PREFIX));
    return digest_parse(image, text, strlen(text), &ignored) == 0;
}

/* ---- around a manifest ---- */

/* The manifests on the way to the present one. Signatures can sign each other in a circle, which
 * keeps none of them. */
struct way {
    const struct digest *d;
    const struct way *before;
    unsigned n;
};

struct surroundings {
    const struct registry *reg;
    uint64_t repo;
    int (*stays)(const char *tag, const struct rec_tag *r, void *arg, struct err *err);
    void *arg;
    unsigned looks;
};

/* Some edges to a manifest: names of tags, or digests of indexes. */
struct some_edges {
    char after[RECORD_TAG_MAX + 1]; /* of tags: those that were seen before */
    bool has_after;
    char tags[SOME][RECORD_TAG_MAX + 1];
    struct digest from[SOME];
    size_t n;
};

static int
collect_some_edges(const struct edge *e, void *arg, struct err *err)
{
    struct some_edges *s = arg;

    (void)err;
    if (s->has_after && e->tag != NULL && strcmp(e->tag, s->after) <= 0)
        return 0;
    if (e->tag != NULL)
        snprintf(s->tags[s->n], sizeof s->tags[s->n], "%s", e->tag);
    s->from[s->n++] = e->from;
    return s->n == SOME;
}

static int does_manifest_stay(struct surroundings *x, const struct way *before,
                              const struct digest *d, struct err *err);

/* A signature is judged by its image, not by the clauses. */
static int
does_tag_stay(struct surroundings *x, const struct way *way, const char *tag, struct err *err)
{
    struct rec_tag r;
    struct digest image;
    int rc;

    if (++x->looks > RETAIN_IMAGE_LOOKS)
        return 1;
    if (retain_image_signed(tag, &image))
        return does_manifest_stay(x, way, &image, err);
    rc = tbl_tag_get(kv_reads(x->reg->kv), x->repo, tag, &r, err);
    return rc == 1 ? x->stays(tag, &r, x->arg, err) : rc;
}

static int
is_tagged_for_good(struct surroundings *x, const struct way *way, struct err *err)
{
    struct some_edges s = {.n = SOME};
    int rc = 0;

    while (rc == 0 && s.n == SOME) {
        s.n = 0;
        if (tbl_edge_each(kv_reads(x->reg->kv), way->d, EDGE_TAG, x->repo, NULL, collect_some_edges,
                          &s, err) != 0)
            return -1;
        for (size_t i = 0; i < s.n && rc == 0; i++)
            rc = does_tag_stay(x, way, s.tags[i], err);
        if (s.n > 0)
            memcpy(s.after, s.tags[s.n - 1], sizeof s.after);
        s.has_after = true;
    }
    return rc;
}

static int
is_in_index_for_good(struct surroundings *x, const struct way *way, struct err *err)
{
    struct some_edges s = {.n = SOME};
    struct digest after;
    int rc = 0;

    for (bool first = true; rc == 0 && s.n == SOME; first = false) {
        s.n = 0;
        if (tbl_edge_each(kv_reads(x->reg->kv), way->d, EDGE_CHILD, x->repo, first ? NULL : &after,
                          collect_some_edges, &s, err) != 0)
            return -1;
        for (size_t i = 0; i < s.n && rc == 0; i++)
            rc = does_manifest_stay(x, way, &s.from[i], err);
        if (s.n > 0)
            after = s.from[s.n - 1];
    }
    return rc;
}

/* If the manifest is there still, nobody knows what its subject is. */
static int
refuse_unread(const struct surroundings *x, const struct digest *d, struct err *err)
{
    char text[DIGEST_TEXT_MAX];
    struct rec_manifest again;
    int rc = tbl_manifest_get(kv_reads(x->reg->kv), x->repo, d, &again, err);

    if (rc != 1)
        return rc;
    digest_text(text, d);
    return err_set(err, ERR_CORRUPT,
                   "the manifest %s is damaged on the registry's disk, so it isn't known to which "
                   "image it belongs",
                   text);
}

/* The subject of the manifest: 1, 0 (it has none, or the manifest just went), -1; ERR_CORRUPT: its
 * document can't be read, or isn't what was pushed. */
static int
read_image_subject(const struct surroundings *x, const struct digest *d,
                   const struct rec_manifest *r, struct digest *subject, struct err *err)
{
    struct arena arena;
    struct bytes document;
    struct manifest m = {.has_subject = false};
    int rc;

    arena_init(&arena, MEMORY);
    rc = pull_document(x->reg, d, r->size, &arena, &document, err);
    if (rc == 1 && manifest_parse(&m, document, r->media_type, &arena, err) != 0)
        rc = -1;
    *subject = m.subject;
    arena_reset(&arena);
    if (rc == 0)
        return refuse_unread(x, d, err);
    return rc == 1 ? m.has_subject : -1;
}

static int
does_manifest_stay(struct surroundings *x, const struct way *before, const struct digest *d,
                   struct err *err)
{
    const struct way way = {.d = d, .before = before, .n = before != NULL ? before->n + 1 : 1};
    struct rec_manifest r;
    struct digest subject;
    int rc;

    for (const struct way *w = before; w != NULL; w = w->before)
        if (digest_equal(w->d, d))
            return 0;
    if (++x->looks > RETAIN_IMAGE_LOOKS || way.n > WAY_MAX)
        return 1;
    rc = tbl_manifest_get(kv_reads(x->reg->kv), x->repo, d, &r, err);
    if (rc != 1)
        return rc;
    rc = is_tagged_for_good(x, &way, err);
    if (rc == 0)
        rc = is_in_index_for_good(x, &way, err);
    if (rc != 0)
        return rc;
    rc = read_image_subject(x, d, &r, &subject, err);
    return rc == 1 ? does_manifest_stay(x, &way, &subject, err) : rc;
}

int
retain_image_stays(const struct registry *reg, uint64_t repo, const struct digest *d,
                   int (*stays)(const char *tag, const struct rec_tag *r, void *arg,
                                struct err *err),
                   void *arg, struct err *err)
{
    struct surroundings x = {.reg = reg, .repo = repo, .stays = stays, .arg = arg};

    return does_manifest_stay(&x, NULL, d, err);
}

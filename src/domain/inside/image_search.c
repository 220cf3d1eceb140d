#include "domain/core/index_place.h"
#include "domain/inside/image_search.h"
#include <stdlib.h>
#include "domain/core/config.h"
#include "domain/core/gone_set.h"
#include "domain/core/manifest.h"
#include "domain/core/platform.h"
#include "domain/core/pull.h"
#include "domain/core/repository.h"
#include "domain/inside/index_cache.h"
#include "domain/inside/layer_hits.h"
#include "domain/inside/search_tags.h"
#include "storage/tables/tbl_manifest.h"
#include "util/arena.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/pack.h"

/* Memory for the documents of one image. */
#define SEARCH_MEMORY ((size_t)32 << 20)
/* Layers whose paths are remembered, with their bytes; then all are forgotten. */
#define MEMO_LAYERS 20000
#define MEMO_BYTES ((size_t)32 << 20)
#define MEMO_SLOTS 65536u
/* With more bytes of paths, an image isn't looked into: a small layer may have many long ones. */
#define SEARCH_PATHS_MAX (2 * MEMO_BYTES)
/* Layers of an image, and images of an index, that are looked at. */
#define SEARCH_LAYERS_MAX 512
#define SEARCH_CHILDREN_MAX 200

/* The matching paths of one layer. */
struct layer_memo {
    struct digest layer;
    bool is_readable;
    size_t n;    /* paths, */
    char *paths; /* each with a NUL behind it */
};

struct searching {
    struct image_search *s;
    struct bytes base;    /* of all names that match; empty: not known */
    struct gone_set seen; /* images, by repository */
    struct layer_memo *memo;
    size_t memo_n, memo_room, memo_bytes;
    uint16_t *slots; /* by digest: 1 + the number of a memo; 0: free */
    uint64_t entries;
    size_t hits;
    bool over; /* a bound is met */

    /* the tag at hand */
    const struct search_tag *tag;
    char repository[RECORD_REPOSITORY_MAX + 1];
    uint64_t given, skip; /* hits of its image: so far, and those of a former page */
    struct arena arena;
};

/* ---- layers ---- */

static void
forget_layers(struct searching *g)
{
    for (size_t i = 0; i < g->memo_n; i++)
        free(g->memo[i].paths);
    g->memo_n = g->memo_bytes = 0;
    memset(g->slots, 0, MEMO_SLOTS * sizeof *g->slots);
}

/* Its slot, or the free one that it would have. Digests are spread evenly, and at most a third of
 * the slots are used. */
static uint16_t *
slot_of_layer(const struct searching *g, const struct digest *layer)
{
    uint32_t at = unpack_u32_at(layer->bytes) % MEMO_SLOTS;

    while (g->slots[at] != 0 && !digest_equal(&g->memo[g->slots[at] - 1].layer, layer))
        at = (at + 1) % MEMO_SLOTS;
    return &g->slots[at];
}

/* 0; the memo says whether the layer can be looked into. */
static int
read_layer_names(struct searching *g, struct layer_memo *m, struct err *err)
{
    const struct registry *reg = g->s->reg;
    struct layer_index *x;
    struct layer_hits hits = {.n = 0};
    struct buf paths;
    int rc = index_cache_take(reg->indexes, index_place(reg), &m->layer, &x, err);

    if (rc <= 0)
        return rc;
    buf_init(&paths, LAYER_HITS_MAX);
    if (layer_index_info(x)->browsable) {
        rc = layer_hits_find(x, g->s->pattern, g->base, g->s->until, &paths, &hits, err);
        g->entries += hits.entries;
        g->over = g->over || hits.is_over;
        m->is_readable = rc == 0 && !hits.is_over;
        m->n = hits.n;
    }
    index_cache_leave(reg->indexes, x);
    if (m->is_readable && m->n > 0) {
        m->paths = mem_alloc(paths.n);
        memcpy(m->paths, paths.p, paths.n);
        g->memo_bytes += paths.n;
    }
    buf_free(&paths);
    if (rc < 0 && err->code == ERR_CORRUPT) {
        index_cache_forget(reg->indexes, &m->layer);
        return 0;
    }
    return rc < 0 ? -1 : 0;
}

static int
memo_of_layer(struct searching *g, const struct digest *layer, struct layer_memo *out,
              struct err *err)
{
    uint16_t *slot = slot_of_layer(g, layer);

    if (*slot == 0) {
        g->memo = mem_grow(g->memo, &g->memo_room, g->memo_n + 1, sizeof *g->memo);
        g->memo[g->memo_n] = (struct layer_memo){.layer = *layer};
        if (read_layer_names(g, &g->memo[g->memo_n], err) != 0)
            return -1;
        *slot = (uint16_t)++g->memo_n;
    }
    *out = g->memo[*slot - 1];
    return 0;
}

/* ---- an image ---- */

struct searched_image {
    const struct digest *digest;
    const struct manifest *manifest;
    size_t n;
    struct digest *layers; /* top first */
    struct layer_memo *memos;
    struct layer_index **indexes; /* opened for the hits */
    struct layer_merge merge;
    const char *label; /* its value, if one is asked for */
    char platform[PLATFORM_TEXT_MAX];
};

static bool
is_out_of_bound(struct searching *g)
{
    g->over = g->over || g->entries >= IMAGE_SEARCH_ENTRIES || clock_mono_ms() >= g->s->until;
    return g->over;
}

/* node: NULL for a hit that is the image itself. */
static int
tell_hit(struct searching *g, const struct searched_image *im, struct bytes path,
         const struct layer_merge_node *node, struct err *err)
{
    const struct image_search_hit hit = {.repository = g->repository,
                                         .tag = g->tag->tag,
                                         .image = im->digest,
                                         .platform = im->platform,
                                         .label = im->label,
                                         .path = path,
                                         .entry = node != NULL ? &node->entry : NULL,
                                         .layer = node != NULL ? &im->layers[node->layer] : NULL};

    if (g->given < g->skip) {
        g->given++;
        return 0;
    }
    if (g->hits == g->s->limit) {
        g->over = true;
        return 0;
    }
    g->given++;
    g->hits++;
    return g->s->fn(g->s->arg, &hit, err);
}

/* A path of one layer, if a container sees it there. */
static int
look_at_path(struct searching *g, struct searched_image *im, size_t layer, const char *path,
             struct err *err)
{
    struct layer_merge_node node = {.layer = 0};
    struct arena arena;
    char *absolute;
    int rc;

    arena_init(&arena, (size_t)1 << 20);
    absolute = arena_printf(&arena, "/%s", path);
    rc = absolute == NULL
             ? arena_full(err)
             : layer_merge_find(&im->merge, &arena, bytes_str(absolute), false, &node, err);
    if (rc == 1 && absolute != NULL && node.layer == layer &&
        layer_find_fits(g->s->pattern, bytes_str(path), node.entry.type))
        rc = tell_hit(g, im, bytes_str(absolute), &node, err);
    else if (rc > 0)
        rc = 0;
    arena_reset(&arena);
    return rc;
}

static void
find_image_platform(struct searching *g, struct searched_image *im)
{
    struct platform p;
    struct bytes text;
    struct json *doc;
    struct err ignored;

    im->platform[0] = '\0';
    if (config_read(g->s->reg, &im->manifest->config, &g->arena, &text, &doc, &ignored) != 1)
        return;
    platform_read(&p, doc);
    if (p.os[0] != '\0')
        platform_text(im->platform, &p);
    json_free(doc);
}

/* 1; 0: an index is gone meanwhile; -1. */
static int
open_search_indexes(struct searching *g, struct searched_image *im, struct err *err)
{
    int rc = 1;

    for (size_t i = 0; i < im->n && rc == 1; i++)
        rc = index_cache_take(g->s->reg->indexes, index_place(g->s->reg), &im->layers[i],
                              &im->indexes[i], err);
    im->merge = (struct layer_merge){.layers = im->indexes, .n = im->n, .steps = LAYER_MERGE_STEPS};
    return rc;
}

static int
tell_hits_of_image(struct searching *g, struct searched_image *im, struct err *err)
{
    int rc = open_search_indexes(g, im, err);

    if (rc == 1)
        find_image_platform(g, im);
    for (size_t i = 0; i < im->n && rc == 1; i++) {
        const char *path = im->memos[i].paths;

        for (size_t k = 0; k < im->memos[i].n && rc == 1 && !is_out_of_bound(g); k++) {
            rc = look_at_path(g, im, i, path, err) == 0 ? 1 : -1;
            path += strlen(path) + 1;
        }
    }
    for (size_t i = 0; i < im->n; i++)
        if (im->indexes[i] != NULL)
            index_cache_leave(g->s->reg->indexes, im->indexes[i]);
    if (rc < 0 &&
        (err->code == ERR_CORRUPT || err->code == ERR_NOT_BROWSABLE || err->code == ERR_NO_FILE))
        rc = 0;
    g->s->skipped += rc == 0;
    return rc < 0 ? -1 : 0;
}

static int
collect_layers(struct searching *g, struct searched_image *im, struct err *err)
{
    const struct manifest *m = im->manifest;

    im->layers = arena_array(&g->arena, m->descriptors_n + 1, sizeof *im->layers);
    im->memos = arena_array(&g->arena, m->descriptors_n + 1, sizeof *im->memos);
    im->indexes = arena_array(&g->arena, m->descriptors_n + 1, sizeof *im->indexes);
    if (im->layers == NULL || im->memos == NULL || im->indexes == NULL)
        return arena_full(err);
    for (size_t i = m->descriptors_n; i > 0; i--)
        if (m->descriptors[i - 1].part == PART_LAYER)
            im->layers[im->n++] = m->descriptors[i - 1].digest;
    return 0;
}

/* Has the image the label that is asked for? 1, 0. One whose config can't be read is skipped. */
static int
has_image_label(struct searching *g, struct searched_image *im)
{
    struct err ignored;
    int rc = 1;

    if (g->s->label != NULL)
        rc = image_label_find(g->s->reg, g->s->label, &im->manifest->config, &g->arena, &im->label,
                              &ignored);
    g->s->skipped += rc < 0;
    return rc == 1;
}

static int
search_image(struct searching *g, const struct digest *digest, const struct manifest *manifest,
             struct err *err)
{
    struct searched_image im = {.digest = digest, .manifest = manifest};
    bool any = false, all = true;

    if (is_out_of_bound(g))
        return 0;
    g->s->images++;
    if (!has_image_label(g, &im))
        return 0;
    if (g->s->pattern == NULL) {
        find_image_platform(g, &im);
        return tell_hit(g, &im, bytes_of("", 0), NULL, err);
    }
    if (collect_layers(g, &im, err) != 0)
        return -1;
    if (im.n > SEARCH_LAYERS_MAX)
        all = false;
    if (g->memo_n + im.n > MEMO_LAYERS || g->memo_bytes > MEMO_BYTES)
        forget_layers(g);
    for (size_t i = 0; i < im.n && all; i++) {
        if (is_out_of_bound(g))
            return 0;
        if (memo_of_layer(g, &im.layers[i], &im.memos[i], err) != 0)
            return -1;
        if (g->over)
            return 0;
        all = im.memos[i].is_readable && g->memo_bytes <= SEARCH_PATHS_MAX;
        any = any || im.memos[i].n > 0;
    }
    if (!all) {
        g->s->skipped++;
        return 0;
    }
    return any ? tell_hits_of_image(g, &im, err) : 0;
}

/* ---- a tag ---- */

/* 1, 0: there is none, or it was looked at before; -1. */
static int
read_search_manifest(struct searching *g, const struct digest *d, struct manifest *m,
                     struct err *err)
{
    struct bytes document;
    struct rec_manifest r;
    int rc;

    if (!gone_set_add(&g->seen, g->tag->repo, d))
        return 0;
    rc = tbl_manifest_get(kv_reads(g->s->reg->kv), g->tag->repo, d, &r, err);
    if (rc == 1)
        rc = pull_document(g->s->reg, d, r.size, &g->arena, &document, err);
    if (rc != 1)
        return rc;
    return manifest_parse(m, document, r.media_type, &g->arena, err) == 0 ? 1 : 0;
}

/* Copies the digests of the first images that an index has. NULL: it has none. The caller frees. */
static struct digest *
copy_searched_children(const struct manifest *m, size_t *n)
{
    struct digest *children;

    *n = 0;
    if (m->descriptors_n == 0)
        return NULL;
    children = mem_array(m->descriptors_n, sizeof *children);
    for (size_t i = 0; i < m->descriptors_n && i < SEARCH_CHILDREN_MAX; i++)
        if (m->descriptors[i].part == PART_CHILD)
            children[(*n)++] = m->descriptors[i].digest;
    return children;
}

/* Leaves the arena empty, since the documents of an index and its images together may be larger
 * than it. children: NULL, or where those of an index are put; the caller frees them. */
static int
search_manifest_once(struct searching *g, const struct digest *d, struct digest **children,
                     size_t *children_n, struct err *err)
{
    struct manifest m;
    int rc = read_search_manifest(g, d, &m, err);

    if (rc == 1 && m.is_image)
        rc = search_image(g, d, &m, err);
    else if (rc == 1 && children != NULL)
        *children = copy_searched_children(&m, children_n);
    arena_reset(&g->arena);
    return rc < 0 ? -1 : 0;
}

static int
search_target(struct searching *g, const struct digest *target, struct err *err)
{
    struct digest *children = NULL;
    size_t n = 0;
    int rc = search_manifest_once(g, target, &children, &n, err);

    for (size_t i = 0; i < n && rc == 0 && !is_out_of_bound(g); i++)
        rc = search_manifest_once(g, &children[i], NULL, NULL, err);
    free(children);
    return rc;
}

static void
set_search_place(struct searching *g, uint64_t given)
{
    struct search_place *last = &g->s->last;

    memcpy(last->repository, g->repository, sizeof last->repository);
    memcpy(last->tag, g->tag->tag, sizeof last->tag);
    last->updated = g->tag->updated;
    last->given = given;
}

static bool
is_place_in(const struct searching *g)
{
    const struct search_place *after = &g->s->after;

    return after->given != UINT64_MAX && after->updated == g->tag->updated &&
           strcmp(after->tag, g->tag->tag) == 0 && strcmp(after->repository, g->repository) == 0;
}

/* An image that alone passes a bound is passed over, so that a search always gets on. */
static int
search_tag_at(struct searching *g, const struct search_tag *tag, bool is_first, struct err *err)
{
    int rc;

    g->tag = tag;
    rc = repository_name(g->s->reg, tag->repo, g->repository, err);
    if (rc != 1)
        return rc;
    g->skip = is_place_in(g) ? g->s->after.given : 0;
    g->given = 0;
    arena_init(&g->arena, SEARCH_MEMORY);
    rc = search_target(g, &tag->target, err);
    if (rc != 0)
        return -1;
    if (!g->over)
        set_search_place(g, UINT64_MAX);
    else if (g->given > g->skip)
        set_search_place(g, g->given);
    else if (is_first && g->hits < g->s->limit) {
        set_search_place(g, UINT64_MAX);
        g->s->skipped++;
    }
    return 0;
}

/* The name that each match ends with: what follows the last slash, if it has no wildcard. */
static struct bytes
base_of_pattern(struct bytes text)
{
    const char *p = text.p;
    size_t from;

    if (text.n == 0)
        return text;
    if (p[text.n - 1] == '/')
        text.n--;
    for (from = text.n; from > 0 && p[from - 1] != '/'; from--)
        if (strchr("*?[\\", p[from - 1]) != NULL)
            return bytes_of("", 0);
    return bytes_of(p + from, text.n - from);
}

int
image_search_run(struct image_search *s, struct err *err)
{
    struct searching g = {.s = s, .base = base_of_pattern(s->text)};
    struct search_tags tags = {.max = IMAGE_SEARCH_TAGS};
    const uint64_t begun = clock_mono_ms();
    int rc = search_tags_read(s->reg, s->actor, &s->after, &tags, err);

    s->until += clock_mono_ms() - begun;
    g.slots = mem_array(MEMO_SLOTS, sizeof *g.slots);
    s->last = s->after;
    s->images = s->skipped = 0;
    for (size_t i = 0; i < tags.n && rc == 0 && (i == 0 || !is_out_of_bound(&g)); i++)
        rc = search_tag_at(&g, &tags.v[i], i == 0, err);
    s->more = g.over || tags.more;
    forget_layers(&g);
    free(g.memo);
    free(g.slots);
    gone_set_free(&g.seen);
    search_tags_free(&tags);
    return rc;
}

#include "domain/inside/browse_history.h"
#include "domain/core/config.h"
#include "domain/core/foreign_images.h"
#include "domain/inside/layer_links.h"
#include "domain/inside/layer_walk.h"
#include "util/arena.h"
#include "util/buf.h"

#define LINKED_MAX 200000
#define TEXT_MAX ((size_t)64 << 10)

struct telling {
    struct browse_image *im;
    struct arena *arena;
    struct browse_step *steps;
    size_t n;
    size_t layers; /* number of the image's lowest layers that have a step already */
};

/* Gives the step the next layer, from the lowest on. A step beyond the last layer made none that is
 * in the image. */
static int
add_step(struct telling *t, const char *created, const char *by, bool empty, struct err *err)
{
    struct browse_step *s = &t->steps[t->n];

    if (t->n == BROWSE_HISTORY_MAX)
        return 0;
    *s = (struct browse_step){.created = arena_strdup(t->arena, created != NULL ? created : ""),
                              .created_by = arena_strdup(t->arena, by != NULL ? by : ""),
                              .empty = empty || t->layers == t->im->n};
    if (s->created == NULL || s->created_by == NULL)
        return arena_full(err);
    t->n++;
    if (!s->empty)
        s->layer = t->im->n - 1 - t->layers++;
    return 0;
}

static bool
is_true(const struct json *j)
{
    size_t n;
    struct json *copy;
    bool is;

    if (json_type(j) != JSON_BOOLEAN)
        return false;
    copy = json_copy(j);
    is = strcmp(json_text(copy, &n), "true") == 0;
    json_free(copy);
    return is;
}

/* Takes the history of a config. A config that can't be read gives no steps. */
static int
tell_config(struct telling *t, struct err *err)
{
    const struct json *history;
    struct bytes config;
    struct json *doc;
    int rc = config_read(t->im->reg, &t->im->id, t->arena, &config, &doc, err);

    if (rc != 1)
        return rc;
    history = json_member(doc, "history");
    rc = 0;
    for (size_t i = 0; i < json_length(history) && rc == 0; i++) {
        const struct json *one = json_item(history, i);

        rc = add_step(t, json_string(json_member(one, "created")),
                      json_string(json_member(one, "created_by")),
                      is_true(json_member(one, "empty_layer")), err);
    }
    json_free(doc);
    return rc;
}

/* The command of a v1 image on one line, as docker shows it. */
static int
tell_v1(struct telling *t, size_t layer, struct err *err)
{
    const struct json *command;
    struct bytes text;
    struct json *doc;
    struct buf line;
    int rc;

    if (t->im->reg->foreign->json(t->im->reg, &t->im->ids[layer], t->arena, &text, err) != 0)
        return -1;
    if (config_parse(text, &doc) != 0)
        return add_step(t, NULL, NULL, false, err);
    command = json_member(json_member(doc, "container_config"), "Cmd");
    buf_init(&line, TEXT_MAX);
    for (size_t i = 0; i < json_length(command); i++) {
        const char *word = json_string(json_item(command, i));

        if (word != NULL)
            buf_putf(&line, "%s%s", line.n > 0 ? " " : "", word);
    }
    rc = add_step(t, json_string(json_member(doc, "created")), buf_ok(&line) ? buf_text(&line) : "",
                  false, err);
    buf_free(&line);
    json_free(doc);
    return rc;
}

/* ---- sizes, and what is still visible ---- */

typedef int each_node(void *arg, struct bytes path, const struct layer_merge_node *node,
                      struct err *err);

static int
walk_once(struct browse_image *im, struct arena *arena, each_node *fn, void *arg, struct err *err)
{
    struct layer_merge_node node;
    struct layer_walk *w;
    struct bytes path;
    int rc = browse_find(im, arena, bytes_str("/"), true, &node, err);

    if (rc <= 0)
        return rc;
    w = layer_walk_begin(&im->merge, &node, LAYER_WALK_TREE, bytes_str(""), err);
    if (w == NULL)
        return -1;
    while ((rc = layer_walk_next(w, &path, &node, err)) > 0 &&
           (rc = fn(arg, path, &node, err)) == 0)
        ;
    layer_walk_end(w);
    return rc < 0 ? -1 : 0;
}

struct sums {
    struct browse_image *im;
    struct layer_links links;
    uint64_t *visible; /* visible bytes of each layer */
};

static int
collect_links(void *arg, struct bytes path, const struct layer_merge_node *node, struct err *err)
{
    struct sums *s = arg;

    (void)path;
    (void)err;
    layer_links_add(&s->links, node);
    return 0;
}

static int
sum_up(void *arg, struct bytes path, const struct layer_merge_node *node, struct err *err)
{
    struct sums *s = arg;
    struct bytes other;

    (void)err;
    if (node->entry.type == LAYER_FILE && !layer_links_name(&s->links, node, path, &other))
        s->visible[browse_layer_of(s->im, node)] += node->entry.size;
    return 0;
}

static int
sum_layer(struct sums *s, struct arena *arena, struct err *err)
{
    int rc;

    layer_links_init(&s->links, LINKED_MAX);
    memset(s->visible, 0, s->im->n * sizeof *s->visible);
    rc = walk_once(s->im, arena, collect_links, s, err);
    layer_links_sort(&s->links);
    if (rc == 0)
        rc = walk_once(s->im, arena, sum_up, s, err);
    layer_links_free(&s->links);
    return rc;
}

/* 1; 0: a layer isn't browsable, so the visible bytes are unknown. -1. */
static int
find_visible(struct browse_image *im, struct arena *arena, uint64_t *visible, struct err *err)
{
    struct sums s = {.im = im, .visible = visible};
    int rc;

    for (size_t i = 0; i < im->n; i++)
        if (!browse_layer_is_browsable(im, i))
            return 0;
    do {
        rc = sum_layer(&s, arena, err);
    } while (rc != 0 && err->code == ERR_CORRUPT && browse_mend(im, err) == 0);
    return rc != 0 ? -1 : 1;
}

static void
add_sums(struct telling *t, const uint64_t *visible)
{
    for (size_t i = 0; i < t->n; i++) {
        struct browse_step *s = &t->steps[i];
        const struct layer_info *info;

        if (s->empty)
            continue;
        s->known = browse_layer_is_browsable(t->im, s->layer);
        if (!s->known)
            continue;
        info = layer_index_info(t->im->indexes[s->layer]);
        s->files = info->files;
        s->visible_known = visible != NULL;
        if (visible != NULL && info->file_bytes > visible[s->layer])
            s->hidden_bytes = info->file_bytes - visible[s->layer];
    }
}

int
browse_history(struct browse_image *im, struct arena *arena, struct browse_step **steps, size_t *n,
               struct err *err)
{
    struct telling t = {.im = im, .arena = arena};
    uint64_t *visible = arena_array(arena, im->n + 1, sizeof *visible);
    int rc = 0;

    t.steps = arena_array(arena, BROWSE_HISTORY_MAX, sizeof *t.steps);
    if (t.steps == NULL || visible == NULL)
        return arena_full(err);
    if (im->image.document.p != NULL)
        rc = tell_config(&t, err);
    else
        for (size_t i = im->n; i > 0 && rc == 0; i--)
            rc = tell_v1(&t, i - 1, err);
    /* Adds steps for the layers without one. */
    while (rc == 0 && t.layers < im->n && t.n < BROWSE_HISTORY_MAX)
        rc = add_step(&t, NULL, NULL, false, err);
    if (rc == 0)
        rc = find_visible(im, arena, visible, err);
    if (rc < 0)
        return -1;
    add_sums(&t, rc > 0 ? visible : NULL);
    *steps = t.steps;
    *n = t.n;
    return 0;
}

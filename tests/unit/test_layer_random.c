/* Layers made at random: their merged tree is held against a simple model. */
#include "layer_fixture.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct item {
    char path[32];
    char kind; /* f d D */
    char text[8];
    bool hides, opaque;
    bool bare; /* a directory that only whiteouts need */
};

struct model {
    struct item items[512];
    size_t n;
};

static struct item *
model_find(struct model *m, const char *path)
{
    for (size_t i = 0; i < m->n; i++)
        if (strcmp(m->items[i].path, path) == 0)
            return &m->items[i];
    return NULL;
}

static bool
is_below(const char *path, const char *dir)
{
    size_t n = strlen(dir);

    return strncmp(path, dir, n) == 0 && (path[n] == '/' || n == 0);
}

static void
model_drop(struct model *m, const char *path, bool itself)
{
    size_t kept = 0;

    for (size_t i = 0; i < m->n; i++)
        if (!is_below(m->items[i].path, path) && !(itself && strcmp(m->items[i].path, path) == 0))
            m->items[kept++] = m->items[i];
    m->n = kept;
}

static struct item *
model_at(struct model *m, const char *path)
{
    struct item *item = model_find(m, path);

    if (item == NULL) {
        item = &m->items[m->n++];
        *item = (struct item){.kind = '-'};
        snprintf(item->path, sizeof item->path, "%s", path);
    }
    return item;
}

static void
model_parents(struct model *m, const char *path)
{
    for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        char parent[32];
        struct item *item;

        snprintf(parent, sizeof parent, "%.*s", (int)(slash - path), path);
        item = model_at(m, parent);
        if (item->kind != 'd' && item->kind != 'D')
            item->kind = 'D';
        item->bare = false;
    }
}

/* For a whiteout; false: something is in the way. */
static bool
model_parents_to_hide(struct model *m, const char *path)
{
    for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        char parent[32];
        struct item *item;

        snprintf(parent, sizeof parent, "%.*s", (int)(slash - path), path);
        item = model_find(m, parent);
        if (item != NULL && item->kind != 'd' && item->kind != 'D')
            return false;
        item = model_at(m, parent);
        item->bare = item->bare || item->kind == '-';
        item->kind = item->kind == '-' ? 'D' : item->kind;
    }
    return true;
}

static void
model_hide(struct model *m, const char *path)
{
    struct item *item;

    if (!model_parents_to_hide(m, path))
        return;
    item = model_at(m, path);
    if (item->bare) {
        model_drop(m, path, true);
        item = model_at(m, path);
    }
    item->hides = true;
}

static void
model_put(struct model *m, const char *path, char kind, const char *text)
{
    struct item *item;

    model_parents(m, path);
    item = model_at(m, path);
    if (kind == 'f') {
        model_drop(m, path, false);
        item = model_find(m, path);
        item->opaque = false;
    }
    item->kind = kind;
    item->bare = false;
    snprintf(item->text, sizeof item->text, "%s", text);
}

/* Puts a layer over what is there, as OCI has it. */
static void
model_apply(struct model *all, const struct model *layer)
{
    for (size_t i = 0; i < layer->n; i++) {
        const struct item *is = &layer->items[i];

        if (is->hides)
            model_drop(all, is->path, true);
        if (is->opaque)
            model_drop(all, is->path, false);
        if (is->kind == 'f')
            model_drop(all, is->path, true);
    }
    for (size_t i = 0; i < layer->n; i++) {
        const struct item *is = &layer->items[i];
        struct item *item;

        if (is->kind == '-')
            continue;
        item = model_at(all, is->path);
        if (is->kind != 'D' || (item->kind != 'd' && item->kind != 'D'))
            item->kind = is->kind;
        snprintf(item->text, sizeof item->text, "%s", is->text);
    }
}

/* In the order of a walk: '/' sorts before all else. */
static int
by_walk(const void *a, const void *b)
{
    const char *x = ((const struct item *)a)->path, *y = ((const struct item *)b)->path;

    for (; *x != '\0' && *x == *y; x++)
        y++;
    return (*x == '/' ? 1 : (unsigned char)*x) - (*y == '/' ? 1 : (unsigned char)*y);
}

static void
model_text(struct model *m, struct buf *out)
{
    qsort(m->items, m->n, sizeof *m->items, by_walk);
    for (size_t i = 0; i < m->n; i++)
        buf_putf(out, m->items[i].kind == 'f' ? "%c %s %s\n" : "%c %s\n", m->items[i].kind,
                 m->items[i].path, m->items[i].text);
}

static void
random_path(char *path)
{
    int depth = 1 + rand() % 3;

    path[0] = '\0';
    for (int i = 0; i < depth; i++)
        snprintf(path + strlen(path), 16, "%s%c", i > 0 ? "/" : "", "abc-"[rand() % 4]);
}

static void
random_entry(struct model *m, struct buf *tar)
{
    char path[32], line[64], *base;
    int kind = rand() % 10;

    random_path(path);
    base = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;
    if (kind < 5) {
        snprintf(line, sizeof line, "f %s %d", path, rand() % 1000);
        model_put(m, path, 'f', strrchr(line, ' ') + 1);
    } else if (kind < 7) {
        snprintf(line, sizeof line, "d %s", path);
        model_put(m, path, 'd', "");
    } else if (kind < 9) {
        snprintf(line, sizeof line, "f %.*s.wh.%s", (int)(base - path), path, base);
        model_hide(m, path);
    } else {
        snprintf(line, sizeof line, "f %s/.wh..wh..opq", path);
        snprintf(path + strlen(path), 3, "/x");
        if (model_parents_to_hide(m, path)) {
            path[strlen(path) - 2] = '\0';
            model_at(m, path)->opaque = true;
        }
    }
    layers_put_line(tar, line);
}

static void
random_layers_are_what_a_simple_model_says(void **state)
{
    struct buf tar, want;

    buf_init(&tar, 1u << 20);
    buf_init(&want, 1u << 20);
    for (unsigned seed = 1; seed <= 400; seed++) {
        static struct model all, layer;
        void *fresh;
        struct layers *l;
        size_t n;

        srand(seed);
        layers_begin(&fresh);
        l = fresh;
        all.n = 0;
        n = 1 + (size_t)rand() % 8;
        for (size_t i = 0; i < n; i++) {
            layer.n = 0;
            buf_reset(&tar);
            for (int entries = rand() % 14; entries > 0; entries--)
                random_entry(&layer, &tar);
            layers_put_end(&tar);
            layers_add_bytes(l, buf_bytes(&tar));
            model_apply(&all, &layer);
        }
        buf_reset(&want);
        model_text(&all, &want);
        if (strcmp(layers_tree(l), buf_text(&want)) != 0)
            fail_msg("seed %u:\n%s--- instead of\n%s", seed, buf_text(&l->text), buf_text(&want));
        layers_end(&fresh);
    }
    buf_free(&tar);
    buf_free(&want);
    (void)state;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_layers_are_what_a_simple_model_says),
    };
    return cmocka_run_group_tests_name("layer_random", tests, NULL, NULL);
}

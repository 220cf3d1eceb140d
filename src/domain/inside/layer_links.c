#include "domain/inside/layer_links.h"
#include "util/mem.h"

/* Limit of the bytes of all names. */
#define PATHS_MAX ((size_t)16 << 20)

void
layer_links_init(struct layer_links *l, size_t max)
{
    *l = (struct layer_links){.max = max};
    arena_init(&l->paths, PATHS_MAX);
}

void
layer_links_free(struct layer_links *l)
{
    free(l->all);
    arena_reset(&l->paths);
    *l = (struct layer_links){.max = 0};
}

static int
compare_links(const void *a, const void *b)
{
    const struct layer_link *x = a, *y = b;

    if (x->layer != y->layer)
        return x->layer < y->layer ? -1 : 1;
    return (x->data > y->data) - (x->data < y->data);
}

void
layer_links_add(struct layer_links *l, const struct layer_merge_node *node)
{
    if (node->entry.type != LAYER_FILE || (node->entry.flags & LAYER_HARD_LINK) == 0)
        return;
    if (l->n == l->max)
        return;
    l->all = mem_grow(l->all, &l->room, l->n + 1, sizeof *l->all);
    l->all[l->n++] = (struct layer_link){.layer = node->layer, .data = node->entry.data};
}

void
layer_links_sort(struct layer_links *l)
{
    size_t kept = 0;

    if (l->n > 0)
        qsort(l->all, l->n, sizeof *l->all, compare_links);
    for (size_t i = 0; i < l->n; i++)
        if (kept == 0 || compare_links(&l->all[kept - 1], &l->all[i]) != 0)
            l->all[kept++] = l->all[i];
    l->n = kept;
}

bool
layer_links_name(struct layer_links *l, const struct layer_merge_node *node, struct bytes path,
                 struct bytes *other)
{
    const struct layer_link is = {.layer = node->layer, .data = node->entry.data};
    struct layer_link *link = NULL;

    if (node->entry.type == LAYER_FILE && l->n > 0)
        link = bsearch(&is, l->all, l->n, sizeof *l->all, compare_links);
    if (link == NULL)
        return false;
    if (link->path.p == NULL)
        link->path = bytes_of(arena_copy(&l->paths, path.p, path.n), path.n);
    *other = link->path;
    return link->path.p != NULL && !bytes_equal(link->path, path);
}

#include "protocol/inside/browse_view.h"
#include "protocol/inside/browse_entry.h"
#include "protocol/http/page.h"
#include "util/arena.h"
#include "util/buf.h"

/* The length to which a path is cut in messages. */
#define SHOWN_MAX 100

struct browse_image *
browse_view_room(struct call *c, struct err *err)
{
    struct browse_image *im = arena_alloc(c->arena, sizeof *im);

    if (im == NULL)
        arena_full(err);
    return im;
}

int
browse_view_path(struct call *c, struct bytes *path, struct err *err)
{
    struct bytes rest = c->rest;
    const char *p = rest.p;
    char *text;
    size_t n = 0;

    if (rest.n + LAYER_NAME_MAX + 4 > BROWSE_PATH_MAX)
        return err_set(err, ERR_TOO_LONG, "the path is too long");
    text = arena_alloc(c->arena, rest.n + 2);
    if (text == NULL)
        return arena_full(err);
    for (size_t at = 0, end; at < rest.n; at = end) {
        while (at < rest.n && p[at] == '/')
            at++;
        for (end = at; end < rest.n && p[end] != '/'; end++)
            ;
        if (end == at || (end == at + 1 && p[at] == '.'))
            continue;
        if (end == at + 2 && p[at] == '.' && p[at + 1] == '.') {
            while (n > 0 && text[--n] != '/')
                ;
            continue;
        }
        text[n++] = '/';
        memcpy(text + n, p + at, end - at);
        n += end - at;
    }
    if (n == 0)
        text[n++] = '/';
    *path = bytes_of(text, n);
    return 0;
}

bool
browse_view_wants_directory(const struct call *c)
{
    return c->rest.n > 0 && ((const char *)c->rest.p)[c->rest.n - 1] == '/';
}

static int
refuse_missing(struct bytes path, struct err *err)
{
    return err_set(err, ERR_NO_FILE, "there is no %.*s in this image",
                   (int)(path.n < SHOWN_MAX ? path.n : SHOWN_MAX), (const char *)path.p);
}

int
browse_view_refuse(struct bytes path, const char *kind, struct err *err)
{
    return err_set(err, ERR_NO_FILE, "%.*s is %s", (int)(path.n < SHOWN_MAX ? path.n : SHOWN_MAX),
                   (const char *)path.p, kind);
}

int
browse_view_find(struct browse_image *im, struct arena *arena, struct bytes path,
                 struct layer_merge_node *node, struct err *err)
{
    int rc = browse_find(im, arena, path, true, node, err);

    return rc == 0 ? refuse_missing(path, err) : rc < 0 ? -1 : 0;
}

/* ---- a directory ---- */

struct listing {
    struct browse_image *im;
    struct arena *arena;
    struct bytes path;
    struct buf last; /* the last name that was given or asked for; passing its maximum is
                      * impossible */
    uint64_t left;   /* how many more entries the page may have */
    struct buf text;
    struct http_sink *to; /* NULL: only counted */
    bool any, more;
};

static void
end_listing(void *arg)
{
    struct listing *l = arg;

    buf_free(&l->last);
    buf_free(&l->text);
    browse_close(l->im);
}

static int
open_listed_directory(struct listing *l, struct layer_merge_node *node, struct err *err)
{
    if (browse_view_find(l->im, l->arena, l->path, node, err) != 0)
        return -1;
    return node->entry.type == LAYER_DIR ? 0 : browse_view_refuse(l->path, "not a directory", err);
}

static int
list_node(struct listing *l, const struct layer_merge_node *node, struct err *err)
{
    struct bytes name = node->entry.name;
    char path[BROWSE_PATH_MAX];
    size_t n = l->path.n;

    if (l->left == 0) {
        l->more = true;
        return 1;
    }
    l->left--;
    buf_reset(&l->last);
    buf_put(&l->last, name.p, name.n);
    if (l->to == NULL)
        return 0;
    memcpy(path, l->path.p, n);
    if (n > 1)
        path[n++] = '/';
    memcpy(path + n, name.p, name.n);
    buf_reset(&l->text);
    buf_putc(&l->text, l->any ? ',' : '[');
    browse_entry_put(&l->text, l->im, bytes_of(path, n + name.n), node);
    l->any = true;
    return l->to->put(l->to, buf_bytes(&l->text), err);
}

/* Goes on behind the last name that was given. */
static int
list_on(struct listing *l, struct err *err)
{
    struct layer_merge_node node;
    struct layer_merge_list *list;
    int rc;

    if (open_listed_directory(l, &node, err) != 0)
        return -1;
    if (l->last.n > 0)
        buf_putc(&l->last, '\0'); /* the next larger name that is possible */
    list = layer_merge_list(&l->im->merge, &node, buf_bytes(&l->last), err);
    if (l->last.n > 0)
        buf_cut(&l->last, l->last.n - 1);
    if (list == NULL)
        return -1;
    while ((rc = layer_merge_next(list, &node, err)) > 0)
        if ((rc = list_node(l, &node, err)) != 0)
            break;
    layer_merge_leave(list);
    return rc < 0 ? -1 : 0;
}

static int
list_all(struct listing *l, struct err *err)
{
    int rc = list_on(l, err);

    while (rc != 0 && err->code == ERR_CORRUPT && browse_mend(l->im, err) == 0)
        rc = list_on(l, err);
    return rc;
}

static int
produce_listing(void *arg, struct http_sink *to, struct err *err)
{
    struct listing *l = arg;

    l->to = to;
    if (list_all(l, err) != 0)
        return -1;
    return to->put(to, bytes_str(l->any ? "]" : "[]"), err);
}

/* A name, or a path that ends with it, with or without a slash. */
static void
take_last(struct listing *l, const char *text)
{
    size_t n = strlen(text), from;

    while (n > 1 && text[n - 1] == '/')
        n--;
    for (from = n; from > 0 && text[from - 1] != '/'; from--)
        ;
    buf_put(&l->last, text + from, n - from <= LAYER_NAME_MAX ? n - from : LAYER_NAME_MAX);
}

static int
add_listing_link(struct call *c, const struct listing *l, size_t limit, const char *base,
                 struct err *err)
{
    const char *platform = query_get(&c->query, "platform"), *path, *more;
    struct buf b;
    int rc = -1;

    buf_init(&b, 1u << 16);
    buf_puts(&b, base);
    page_escape(&b, c->rest);
    if (buf_ok(&b) && call_text(c, &path, err, "%s", buf_text(&b)) == 0) {
        buf_reset(&b);
        if (platform != NULL)
            buf_puts(&b, "&platform=");
        page_escape(&b, bytes_str(platform != NULL ? platform : ""));
        if (call_text(c, &more, err, "%s", buf_text(&b)) == 0)
            rc = page_link_more(c, path, limit, buf_bytes(&l->last), more, err);
    }
    buf_free(&b);
    return rc;
}

/* Goes through the page once before it is sent, to learn where the next page begins. */
static int
look_ahead(struct call *c, struct listing *l, const char *base, struct err *err)
{
    const char *last = query_get(&c->query, "last");
    struct layer_merge_node node;
    size_t limit;

    if (last != NULL)
        take_last(l, last);
    if (query_get(&c->query, "n") == NULL)
        return open_listed_directory(l, &node, err);
    if (page_limit(c, &limit, err) != 0)
        return -1;
    l->left = limit;
    if (list_all(l, err) != 0 ||
        (l->more && limit > 0 && add_listing_link(c, l, limit, base, err) != 0))
        return -1;
    l->left = limit;
    buf_reset(&l->last);
    if (last != NULL)
        take_last(l, last);
    return 0;
}

int
browse_view_tree(struct call *c, struct browse_image *im, const char *base, struct err *err)
{
    struct listing *l = arena_alloc(c->arena, sizeof *l);

    if (l == NULL) {
        browse_close(im);
        return arena_full(err);
    }
    *l = (struct listing){.im = im, .arena = c->arena, .left = UINT64_MAX};
    buf_init(&l->last, LAYER_NAME_MAX + 1);
    buf_init(&l->text, BROWSE_ENTRY_MAX);
    if (browse_view_path(c, &l->path, err) != 0 || look_ahead(c, l, base, err) != 0) {
        end_listing(l);
        return -1;
    }
    return call_stream(c, 200, "application/json",
                       &(const struct http_stream){produce_listing, end_listing, l});
}

/* ---- one entry ---- */

static int
stat_entry(struct call *c, struct browse_image *im, struct buf *text, struct err *err)
{
    struct layer_merge_node node;
    struct bytes path = {NULL, 0};
    int rc;

    if (browse_view_path(c, &path, err) != 0)
        return -1;
    rc = browse_find(im, c->arena, path, browse_view_wants_directory(c), &node, err);
    if (rc < 0)
        return -1;
    if (rc == 0 || (browse_view_wants_directory(c) && node.entry.type != LAYER_DIR))
        return refuse_missing(c->rest, err);
    browse_entry_put(text, im, path, &node);
    if (!buf_ok(text))
        return arena_full(err);
    return call_copy(c, 200, "application/json", buf_bytes(text), err);
}

int
browse_view_stat(struct call *c, struct browse_image *im, struct err *err)
{
    struct buf text;
    int rc;

    buf_init(&text, BROWSE_ENTRY_MAX);
    rc = stat_entry(c, im, &text, err);
    buf_free(&text);
    browse_close(im);
    return rc;
}

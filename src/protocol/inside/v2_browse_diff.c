#include "protocol/inside/v2_browse_diff.h"
#include "domain/inside/browse_files.h"
#include "domain/inside/layer_diff.h"
#include "protocol/http/page.h"
#include "protocol/inside/browse_entry.h"
#include "protocol/inside/browse_view.h"
#include "protocol/inside/v2_browse.h"
#include "util/arena.h"
#include "util/buf.h"

struct comparing {
    struct browse_image *from, *to;
    struct layer_diff_side sides[2];
    struct http_sink *sink;
    struct buf line;
    struct bytes after; /* the path that the answer begins behind, without slashes at its ends */
    bool is_page;       /* it has at most `left` lines */
    size_t left;
    struct buf last; /* the path of the last line */
    bool last_is_dir;
    bool more;
};

static void
end_diff(void *arg)
{
    struct comparing *d = arg;

    buf_free(&d->line);
    buf_free(&d->last);
    browse_close(d->from);
    browse_close(d->to);
}

static void
put_changed_names(struct buf *out, const char *member, unsigned bits)
{
    const char *between = "";

    buf_putf(out, ",\"%s\":[", member);
    for (unsigned i = 0; i < LAYER_DIFF_WHATS; i++) {
        if ((bits >> i & 1) == 0)
            continue;
        buf_putf(out, "%s\"%s\"", between, layer_diff_name(i));
        between = ",";
    }
    buf_putc(out, ']');
}

static int
put_change(void *arg, const struct layer_diff_change *change, struct err *err)
{
    static const char *const ops[] = {"add", "change", "remove"};
    struct comparing *d = arg;
    char path[BROWSE_PATH_MAX];
    size_t n = change->path.n < sizeof path - 1 ? change->path.n : sizeof path - 1;

    d->more = d->is_page && d->left == 0;
    if (d->more)
        return 1;
    d->left--;
    path[0] = '/';
    memcpy(path + 1, change->path.p, n);
    if (d->is_page) {
        buf_reset(&d->last);
        buf_put(&d->last, path, n + 1);
        d->last_is_dir = change->dir;
    }
    buf_reset(&d->line);
    buf_putf(&d->line, "{\"op\":\"%s\",", ops[change->op]);
    browse_entry_put_path(&d->line, bytes_of(path, n + 1), change->dir);
    if (change->op == LAYER_DIFF_CHANGE)
        put_changed_names(&d->line, "changed", change->changed);
    if (change->unknown != 0)
        put_changed_names(&d->line, "unknown", change->unknown);
    buf_puts(&d->line, "}\n");
    if (!buf_ok(&d->line))
        return arena_full(err);
    return d->sink->put(d->sink, buf_bytes(&d->line), err);
}

static int
produce_diff(void *arg, struct http_sink *to, struct err *err)
{
    struct comparing *d = arg;

    d->sink = to;
    if (layer_diff(&d->sides[0], &d->sides[1], d->after, put_change, d, err) != 0)
        return -1;
    if (!d->more)
        return 0;
    buf_reset(&d->line);
    buf_puts(&d->line, "{\"op\":\"more\",");
    browse_entry_put_path(&d->line, buf_bytes(&d->last), d->last_is_dir);
    buf_puts(&d->line, "}\n");
    return buf_ok(&d->line) ? to->put(to, buf_bytes(&d->line), err) : arena_full(err);
}

/* n= and last=. */
static int
find_diff_page(struct call *c, struct comparing *d, struct err *err)
{
    const char *last = query_get(&c->query, "last");
    size_t n;

    d->is_page = query_get(&c->query, "n") != NULL;
    if (page_limit(c, &d->left, err) != 0)
        return -1;
    if (d->is_page && d->left == 0)
        return err_set(err, ERR_BAD_REQUEST, "n must be at least 1 here");
    if (last == NULL)
        last = "";
    last += strspn(last, "/");
    n = strlen(last);
    while (n > 0 && last[n - 1] == '/')
        n--;
    if (n > BROWSE_PATH_MAX)
        return err_set(err, ERR_TOO_LONG, "the path in last is too long");
    d->after = bytes_of(last, n);
    return 0;
}

static int
open_from(struct call *c, struct browse_image **im, struct err *err)
{
    const char *from = query_get(&c->query, "from");

    if (from == NULL)
        return err_set(err, ERR_BAD_REQUEST, "which image to compare with: from=TAG or DIGEST");
    if (v2_browse_open_other(c, from, im, err) == 0)
        return 0;
    c->last = from; /* the reference that the error is about */
    return -1;
}

/* Checks that all layers can be looked into, while an error can still be sent. */
static int
check_other_image(struct call *c, struct browse_image *im, struct err *err)
{
    struct layer_merge_node root;

    return browse_find(im, c->arena, bytes_of("", 0), true, &root, err) < 0 ? -1 : 0;
}

int
v2_browse_diff(struct call *c, struct err *err)
{
    struct comparing *d = arena_alloc(c->arena, sizeof *d);

    if (d == NULL)
        return arena_full(err);
    if (find_diff_page(c, d, err) != 0 || open_from(c, &d->from, err) != 0)
        return -1;
    if (v2_browse_open(c, &d->to, err) != 0) {
        browse_close(d->from);
        return -1;
    }
    buf_init(&d->line, BROWSE_ENTRY_MAX);
    buf_init(&d->last, BROWSE_PATH_MAX);
    d->sides[0].layers = d->from->layers;
    d->sides[1].layers = d->to->layers;
    browse_files_of(&d->sides[0].files, d->from);
    browse_files_of(&d->sides[1].files, d->to);
    if (check_other_image(c, d->from, err) != 0 || check_other_image(c, d->to, err) != 0) {
        end_diff(d);
        return -1;
    }
    http_reply_header(c->reply, "Cache-Control", "no-cache");
    return call_stream(c, 200, "application/x-ndjson",
                       &(const struct http_stream){produce_diff, end_diff, d});
}

#include "protocol/inside/browse_blob.h"
#include "protocol/http/page.h"
#include "protocol/http/range.h"
#include "protocol/inside/browse_view.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/clock.h"

/* Sends a file of an image (browse_view.h). Its content isn't trusted, and a browser may be told to
 * show it, so it is sent as a download, with a type that no browser runs. */

struct reading {
    struct browse_image *im;
    struct layer_merge_node node;
    uint64_t from, n;
    struct http_sink *to;
};

static void
end_reading(void *arg)
{
    struct reading *r = arg;

    browse_close(r->im);
}

static int
send_file_piece(void *arg, struct bytes b, struct err *err)
{
    struct reading *r = arg;

    if (r->to->put(r->to, b, err) != 0)
        return -1;
    r->from += b.n;
    r->n -= b.n;
    return 0;
}

/* Bytes are sent once, even if an index has to be made again in between. */
static int
produce_bytes(void *arg, struct http_sink *to, struct err *err)
{
    struct reading *r = arg;
    int rc;

    r->to = to;
    do {
        rc = browse_read(r->im, &r->node, r->from, r->n, send_file_piece, r, err);
    } while (rc != 0 && err->code == ERR_CORRUPT && browse_mend(r->im, err) == 0);
    return rc;
}

static const char *
kind_of_entry(const struct layer_entry *e)
{
    switch (e->type) {
    case LAYER_DIR:
        return "a directory: tree/ lists it";
    case LAYER_CHAR:
    case LAYER_BLOCK:
        return "a device";
    case LAYER_FIFO:
        return "a fifo";
    case LAYER_NONE:
        return "a hard link without a target";
    case LAYER_SYMLINK:
    case LAYER_FILE:
        break;
    }
    return "not a file";
}

static int
find_file(struct call *c, struct reading *r, struct bytes path, struct err *err)
{
    if (browse_view_find(r->im, c->arena, path, &r->node, err) != 0)
        return -1;
    if (r->node.entry.type != LAYER_FILE)
        return browse_view_refuse(path, kind_of_entry(&r->node.entry), err);
    return browse_view_wants_directory(c) ? browse_view_refuse(path, "not a directory", err) : 0;
}

/* RFC 6266, 8187: a name of harmless letters for old clients, and the real name if it is UTF-8 (a
 * wrong escape is better than none). */
int
browse_blob_add_download(struct call *c, struct bytes name, struct err *err)
{
    const char *p = name.p, *text = NULL;
    struct buf b;
    int rc;

    buf_init(&b, 4096);
    buf_puts(&b, "attachment; filename=\"");
    for (size_t i = 0; i < name.n; i++)
        buf_putc(&b, p[i] >= ' ' && p[i] <= '~' && strchr("\"\\%/", p[i]) == NULL ? p[i] : '_');
    buf_puts(&b, "\"; filename*=UTF-8''");
    page_escape(&b, name);
    rc = buf_ok(&b) ? call_text(c, &text, err, "%s", buf_text(&b)) : arena_full(err);
    buf_free(&b);
    if (rc != 0)
        return -1;
    http_reply_header(c->reply, "Content-Disposition", text);
    http_reply_header(c->reply, "Content-Security-Policy", "sandbox; default-src 'none'");
    return 0;
}

/* The last name of a clean path. */
static struct bytes
last_name(struct bytes path)
{
    const char *p = path.p;
    size_t from = path.n;

    while (from > 0 && p[from - 1] != '/')
        from--;
    return bytes_of(p + from, path.n - from);
}

/* The same bytes of the same layer never change. */
static int
make_tag(struct call *c, const struct reading *r, const char **tag, struct err *err)
{
    char hex[DIGEST_TEXT_MAX];

    digest_hex(hex, &r->im->layers[browse_layer_of(r->im, &r->node)]);
    return call_text(c, tag, err, "%.64s-%llx-%llx", hex, (unsigned long long)r->node.entry.data,
                     (unsigned long long)r->node.entry.size);
}

static int
add_file_headers(struct call *c, const struct reading *r, const char *tag, struct bytes path,
                 struct err *err)
{
    const struct layer_entry *e = &r->node.entry;
    char date[HTTP_DATE_MAX];

    http_reply_header(c->reply, "Accept-Ranges", "bytes");
    http_reply_header(c->reply, "Cache-Control", "no-cache");
    if (e->mtime >= 0 && e->mtime <= (int64_t)(clock_wall_ms() / 1000)) {
        http_date(date, e->mtime);
        if (call_header(c, err, "Last-Modified", "%s", date) != 0)
            return -1;
    }
    if (call_header(c, err, "ETag", "\"%s\"", tag) != 0)
        return -1;
    return browse_blob_add_download(c, last_name(path), err);
}

/* RFC 9110 13.1.5: a client can't use a range of another version than the one that it has. */
static bool
is_same(const struct call *c, const struct reading *r, const char *tag)
{
    const char *want = c->req->header(c->req, "HTTP_IF_RANGE");
    char date[HTTP_DATE_MAX];
    size_t n = strlen(tag);

    if (want == NULL)
        return true;
    if (want[0] == '"')
        return strlen(want) == n + 2 && strncmp(want + 1, tag, n) == 0 && want[n + 1] == '"';
    http_date(date, r->node.entry.mtime);
    return r->node.entry.mtime >= 0 && strcmp(want, date) == 0;
}

/* 206, 200, or -1 and ERR_BAD_EXTENT. */
static int
choose_range(struct call *c, struct reading *r, const char *tag, struct err *err)
{
    const char *range = c->req->header(c->req, "HTTP_RANGE");
    uint64_t size = r->node.entry.size;

    r->n = size;
    if (range == NULL || c->req->method != HTTP_GET || !is_same(c, r, tag))
        return 200;
    switch (range_judge(range, size)) {
    case RANGE_IGNORED:
    case RANGE_SEVERAL:
    case RANGE_BACKWARDS:
        return 200;
    case RANGE_GOOD:
        range_take(range, size, &r->from, &r->n);
        return call_header(c, err, "Content-Range", "bytes %llu-%llu/%llu",
                           (unsigned long long)r->from, (unsigned long long)(r->from + r->n - 1),
                           (unsigned long long)size) == 0
                   ? 206
                   : -1;
    case RANGE_UNSATISFIABLE:
        break;
    }
    if (call_header(c, err, "Content-Range", "bytes */%llu", (unsigned long long)size) != 0)
        return -1;
    return err_set(err, ERR_BAD_EXTENT, "the file has %llu bytes", (unsigned long long)size);
}

static int
answer_file(struct call *c, struct reading *r, struct err *err)
{
    struct bytes path;
    const char *tag;
    int status;

    if (c->rest.n == 0)
        return err_set(err, ERR_NO_FILE, "/ is a directory: tree/ lists it");
    if (browse_view_path(c, &path, err) != 0 || find_file(c, r, path, err) != 0 ||
        make_tag(c, r, &tag, err) != 0)
        return -1;
    if (call_is_unchanged(c, tag)) {
        browse_close(r->im);
        return call_header(c, err, "ETag", "\"%s\"", tag) == 0 ? call_empty(c, 304) : -1;
    }
    if ((status = choose_range(c, r, tag, err)) < 0 ||
        browse_read_check(r->im, &r->node, r->from, err) != 0 ||
        add_file_headers(c, r, tag, path, err) != 0)
        return -1;
    return call_stream_of(c, status, "application/octet-stream", r->n,
                          &(const struct http_stream){produce_bytes, end_reading, r});
}

int
browse_blob_send(struct call *c, struct browse_image *im, struct err *err)
{
    struct reading *r = arena_alloc(c->arena, sizeof *r);
    int rc;

    if (r == NULL) {
        browse_close(im);
        return arena_full(err);
    }
    *r = (struct reading){.im = im};
    rc = answer_file(c, r, err);
    if (rc != 0)
        browse_close(im);
    return rc;
}

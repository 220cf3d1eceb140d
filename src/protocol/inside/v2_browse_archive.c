#include "protocol/inside/v2_browse_archive.h"
#include "domain/inside/browse_files.h"
#include "domain/inside/layer_archive.h"
#include "protocol/inside/browse_blob.h"
#include "protocol/inside/browse_view.h"
#include "protocol/inside/v2_browse.h"
#include "util/arena.h"

struct archiving {
    struct browse_image *im;
    struct layer_files files;
    struct bytes path;
    struct http_sink *to;
};

static void
end_archive(void *arg)
{
    struct archiving *a = arg;

    browse_close(a->im);
}

static int
put_archive_bytes(void *arg, struct bytes b, struct err *err)
{
    struct archiving *a = arg;

    return a->to->put(a->to, b, err);
}

static int
produce_archive(void *arg, struct http_sink *to, struct err *err)
{
    struct archiving *a = arg;

    a->to = to;
    return layer_archive(&a->files, a->path, put_archive_bytes, a, err);
}

/* Errors of the path are found here, before the first byte, so that a HEAD gets the same answer. */
static int
check_path(struct call *c, struct archiving *a, struct err *err)
{
    struct layer_merge_node node;

    if (browse_view_find(a->im, c->arena, a->path, &node, err) != 0)
        return -1;
    if (node.entry.type == LAYER_NONE)
        return browse_view_refuse(a->path, "a hard link without a target", err);
    if (browse_view_wants_directory(c) && node.entry.type != LAYER_DIR)
        return browse_view_refuse(a->path, "not a directory", err);
    return 0;
}

/* The last name of the path, or of the repository. */
static int
name_download(struct call *c, const struct archiving *a, struct err *err)
{
    struct bytes name = layer_archive_name(a->path);
    const char *slash = strrchr(c->name, '/'), *text;

    if (name.n == 0)
        name = bytes_str(slash != NULL ? slash + 1 : c->name);
    if (call_text(c, &text, err, "%.*s.tar", (int)name.n, (const char *)name.p) != 0)
        return -1;
    return browse_blob_add_download(c, bytes_str(text), err);
}

int
v2_browse_archive(struct call *c, struct err *err)
{
    struct archiving *a = arena_alloc(c->arena, sizeof *a);

    if (a == NULL)
        return arena_full(err);
    if (v2_browse_open(c, &a->im, err) != 0)
        return -1;
    browse_files_of(&a->files, a->im);
    if (browse_view_path(c, &a->path, err) != 0 || check_path(c, a, err) != 0 ||
        name_download(c, a, err) != 0) {
        browse_close(a->im);
        return -1;
    }
    http_reply_header(c->reply, "Cache-Control", "no-cache");
    http_reply_header(c->reply, "Accept-Ranges", "none");
    return call_stream(c, 200, "application/x-tar",
                       &(const struct http_stream){produce_archive, end_archive, a});
}

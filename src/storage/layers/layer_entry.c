#include "storage/layers/layer_entry.h"

#include <string.h>

#include "storage/layers/sorted_format.h"
#include "util/banned.h"

static uint64_t
zigzag(int64_t v)
{
    return (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0);
}

static int64_t
unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1 ^ ((v & 1) != 0 ? UINT64_MAX : 0));
}

static bool
is_device(const struct layer_entry *e)
{
    return e->type == LAYER_CHAR || e->type == LAYER_BLOCK;
}

void
layer_entry_encode(struct buf *out, const struct layer_entry *e)
{
    sorted_format_put_number(out, e->type);
    sorted_format_put_number(out, e->flags);
    if (e->type == LAYER_NONE && (e->flags & LAYER_LOWER) == 0)
        return;
    sorted_format_put_number(out, e->mode);
    sorted_format_put_number(out, e->uid);
    sorted_format_put_number(out, e->gid);
    sorted_format_put_number(out, zigzag(e->mtime));
    sorted_format_put_number(out, e->nanos);
    sorted_format_put_number(out, e->xattrs);
    if (e->type == LAYER_FILE) {
        sorted_format_put_number(out, e->size);
        sorted_format_put_number(out, e->data);
    }
    if (e->type == LAYER_DIR)
        sorted_format_put_number(out, e->dir);
    if (is_device(e)) {
        sorted_format_put_number(out, e->major);
        sorted_format_put_number(out, e->minor);
    }
    buf_put(out, e->link.p, e->link.n);
}

/* Reads numbers one after the other, and remembers if one was missing or too large. */
struct reader {
    struct bytes in;
    size_t at;
    bool bad;
};

static uint64_t
decode_number(struct reader *r, uint64_t max)
{
    uint64_t v;

    if (!sorted_format_get_number(r->in, &r->at, &v) || v > max)
        r->bad = true;
    return r->bad ? 0 : v;
}

static void
decode_attributes(struct layer_entry *e, struct reader *r)
{
    e->mode = (uint32_t)decode_number(r, 07777);
    e->uid = decode_number(r, UINT64_MAX);
    e->gid = decode_number(r, UINT64_MAX);
    e->mtime = unzigzag(decode_number(r, UINT64_MAX));
    e->nanos = (uint32_t)decode_number(r, 999999999);
    e->xattrs = (uint32_t)decode_number(r, UINT32_MAX);
    if (e->type == LAYER_FILE) {
        e->size = decode_number(r, INT64_MAX);
        e->data = decode_number(r, INT64_MAX);
    }
    if (e->type == LAYER_DIR)
        e->dir = (uint32_t)decode_number(r, UINT32_MAX);
    if (is_device(e)) {
        e->major = (uint32_t)decode_number(r, UINT32_MAX);
        e->minor = (uint32_t)decode_number(r, UINT32_MAX);
    }
}

int
layer_entry_decode(struct layer_entry *e, struct bytes in, struct err *err)
{
    struct reader r = {.in = in};
    struct bytes name = e->name;

    *e = (struct layer_entry){.name = name};
    e->type = (enum layer_type)decode_number(&r, LAYER_FIFO);
    e->flags = (unsigned)decode_number(&r, LAYER_FLAGS);
    if (e->type != LAYER_NONE || (e->flags & LAYER_LOWER) != 0)
        decode_attributes(e, &r);
    e->link = bytes_of((const uint8_t *)in.p + r.at, in.n - r.at);
    if (r.bad || e->link.n > LAYER_PATH_MAX)
        return err_set(err, ERR_CORRUPT, "an index is damaged: a malformed entry");
    return 0;
}

bool
layer_entry_name_ok(struct bytes name)
{
    const char *p = name.p;

    return name.n > 0 && name.n <= LAYER_NAME_MAX && memchr(p, '/', name.n) == NULL &&
           memchr(p, '\0', name.n) == NULL && !(name.n == 1 && p[0] == '.') &&
           !(name.n == 2 && p[0] == '.' && p[1] == '.');
}

#include "storage/layers/layer_entry.h"
#include "util/pack.h"

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
    pack_number(out, e->type);
    pack_number(out, e->flags);
    if (e->type == LAYER_NONE && (e->flags & LAYER_LOWER) == 0)
        return;
    pack_number(out, e->mode);
    pack_number(out, e->uid);
    pack_number(out, e->gid);
    pack_number(out, zigzag(e->mtime));
    pack_number(out, e->nanos);
    pack_number(out, e->xattrs);
    if (e->type == LAYER_FILE) {
        pack_number(out, e->size);
        pack_number(out, e->data);
    }
    if (e->type == LAYER_DIR)
        pack_number(out, e->dir);
    if (is_device(e)) {
        pack_number(out, e->major);
        pack_number(out, e->minor);
    }
    buf_put(out, e->link.p, e->link.n);
}

/* Reads a number, which is malformed when it is larger than max. */
static uint64_t
unpack_bounded(struct unpack *u, uint64_t max)
{
    uint64_t v = unpack_number(u);

    u->bad = u->bad || v > max;
    return u->bad ? 0 : v;
}

static void
decode_attributes(struct layer_entry *e, struct unpack *u)
{
    e->mode = (uint32_t)unpack_bounded(u, 07777);
    e->uid = unpack_number(u);
    e->gid = unpack_number(u);
    e->mtime = unzigzag(unpack_number(u));
    e->nanos = (uint32_t)unpack_bounded(u, 999999999);
    e->xattrs = (uint32_t)unpack_bounded(u, UINT32_MAX);
    if (e->type == LAYER_FILE) {
        e->size = unpack_bounded(u, INT64_MAX);
        e->data = unpack_bounded(u, INT64_MAX);
    }
    if (e->type == LAYER_DIR)
        e->dir = (uint32_t)unpack_bounded(u, UINT32_MAX);
    if (is_device(e)) {
        e->major = (uint32_t)unpack_bounded(u, UINT32_MAX);
        e->minor = (uint32_t)unpack_bounded(u, UINT32_MAX);
    }
}

bool
layer_entry_decode(struct layer_entry *e, struct bytes in)
{
    struct unpack u = unpack_of(in);

    *e = (struct layer_entry){.name = e->name};
    e->type = (enum layer_type)unpack_bounded(&u, LAYER_FIFO);
    e->flags = (unsigned)unpack_bounded(&u, LAYER_FLAGS);
    if (e->type != LAYER_NONE || (e->flags & LAYER_LOWER) != 0)
        decode_attributes(e, &u);
    e->link = unpack_rest(&u);
    return !u.bad && e->link.n <= LAYER_PATH_MAX;
}

bool
layer_entry_name_ok(struct bytes name)
{
    const char *p = name.p;

    return name.n > 0 && name.n <= LAYER_NAME_MAX && memchr(p, '/', name.n) == NULL &&
           memchr(p, '\0', name.n) == NULL && !(name.n == 1 && p[0] == '.') &&
           !(name.n == 2 && p[0] == '.' && p[1] == '.');
}

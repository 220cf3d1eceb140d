#include "storage/layers/layer_index.h"

#include <stdlib.h>
#include <string.h>

#include "storage/tables/key.h"
#include "storage/layers/sorted_format.h"
#include "util/arena.h"
#include "util/mem.h"
#include "util/pack.h"
#include "util/banned.h"

#define CHECKPOINT 'C'
#define ENTRY 'E'
#define INFO 'I'
#define ROOT 'R'
#define SPARSE 'S'

/* Bytes in front of the name in the key of an entry. */
#define ENTRY_PREFIX 5

struct layer_index_writer {
    struct sorted_writer *file;
    struct buf value;
};

struct layer_index {
    struct sorted_file *file;
    struct layer_info info;
};

static int
corrupt_index(struct err *err, const char *how)
{
    return err_set(err, ERR_CORRUPT, "an index is damaged: %s", how);
}

static void
key_position(struct key *k, uint8_t kind, uint64_t position)
{
    k->n = 0;
    key_u8(k, kind);
    key_u64(k, position);
}

static void
key_entry(struct key *k, uint32_t dir, struct bytes name)
{
    k->n = 0;
    key_u8(k, ENTRY);
    for (int shift = 24; shift >= 0; shift -= 8)
        key_u8(k, (uint8_t)(dir >> shift));
    key_bytes(k, name);
}

/* ---- writing ---- */

struct layer_index_writer *
layer_index_create(int fd)
{
    struct layer_index_writer *w = mem_alloc(sizeof *w);

    buf_init(&w->value, SORTED_FILE_VALUE_MAX);
    w->file = sorted_file_create(fd);
    return w;
}

void
layer_index_free(struct layer_index_writer *w)
{
    if (w == NULL)
        return;
    sorted_file_free(w->file);
    buf_free(&w->value);
    free(w);
}

/* Writes a record with the value in w->value. */
static int
put_index_record(struct layer_index_writer *w, const struct key *k, struct err *err)
{
    if (!buf_ok(&w->value))
        return err_set(err, ERR_SYSTEM, "a record is too long for an index");
    return sorted_file_put(w->file, key_of(k), buf_bytes(&w->value), err);
}

int
layer_index_put_checkpoint(struct layer_index_writer *w, const struct inflate_checkpoint *c,
                           struct err *err)
{
    struct key k;

    key_position(&k, CHECKPOINT, c->out);
    buf_reset(&w->value);
    sorted_format_put_number(&w->value, c->in);
    buf_putc(&w->value, (char)c->inside);
    buf_putc(&w->value, (char)c->bits);
    buf_putc(&w->value, (char)c->value);
    buf_put(&w->value, c->window.p, c->window.n);
    return put_index_record(w, &k, err);
}

int
layer_index_put_entry(struct layer_index_writer *w, uint32_t dir, const struct layer_entry *e,
                      struct err *err)
{
    struct key k;

    key_entry(&k, dir, e->name);
    buf_reset(&w->value);
    layer_entry_encode(&w->value, e);
    return put_index_record(w, &k, err);
}

static void
put_index_digest(struct buf *out, const struct digest *d)
{
    buf_putc(out, (char)d->algo);
    buf_put(out, d->bytes, digest_size(d->algo));
}

int
layer_index_put_info(struct layer_index_writer *w, const struct layer_info *info, struct err *err)
{
    struct key k = {.n = 0};
    struct buf *out = &w->value;

    key_u8(&k, INFO);
    buf_reset(out);
    sorted_format_put_number(out, LAYER_INDEX_VERSION);
    put_index_digest(out, &info->layer);
    put_index_digest(out, &info->diff_id);
    sorted_format_put_number(out, info->layer_size);
    sorted_format_put_number(out, info->format);
    sorted_format_put_number(out, info->browsable);
    sorted_format_put_number(out, info->incomplete);
    sorted_format_put_number(out, info->size);
    sorted_format_put_number(out, info->names);
    sorted_format_put_number(out, info->files);
    sorted_format_put_number(out, info->file_bytes);
    sorted_format_put_number(out, info->skipped);
    buf_puts(out, info->remark);
    return put_index_record(w, &k, err);
}

int
layer_index_put_root(struct layer_index_writer *w, const struct layer_entry *e, struct err *err)
{
    struct key k = {.n = 0};

    key_u8(&k, ROOT);
    buf_reset(&w->value);
    layer_entry_encode(&w->value, e);
    return put_index_record(w, &k, err);
}

int
layer_index_put_sparse(struct layer_index_writer *w, uint64_t data,
                       const struct layer_piece *pieces, size_t n, struct err *err)
{
    struct key k;
    uint64_t end = 0;

    key_position(&k, SPARSE, data);
    buf_reset(&w->value);
    for (size_t i = 0; i < n; i++) {
        sorted_format_put_number(&w->value, pieces[i].offset - end);
        sorted_format_put_number(&w->value, pieces[i].length);
        end = pieces[i].offset + pieces[i].length;
    }
    return put_index_record(w, &k, err);
}

int
layer_index_finish(struct layer_index_writer *w, struct err *err)
{
    return sorted_file_finish(w->file, err);
}

uint64_t
layer_index_written(const struct layer_index_writer *w)
{
    return sorted_file_written(w->file);
}

/* ---- reading ---- */

static void
get_digest(struct bytes in, size_t *at, struct digest *d)
{
    struct unpack u = unpack_of(bytes_of((const uint8_t *)in.p + *at, in.n - *at));

    unpack_digest(&u, d);
    *at = u.bad ? in.n : in.n - u.n;
}

static int
read_info(struct layer_info *info, struct bytes in, struct err *err)
{
    uint64_t version, n[9] = {0};
    size_t at = 0;
    bool good;

    *info = (struct layer_info){.browsable = false};
    if (!sorted_format_get_number(in, &at, &version) || version != LAYER_INDEX_VERSION)
        return err_set(err, ERR_CORRUPT, "an index of another version");
    get_digest(in, &at, &info->layer);
    get_digest(in, &at, &info->diff_id);
    good = true;
    for (size_t i = 0; i < 9; i++)
        good = good && sorted_format_get_number(in, &at, &n[i]);
    if (!good || n[1] >= INFLATE_FORMATS || in.n - at >= sizeof info->remark)
        return corrupt_index(err, "malformed layer info");
    info->layer_size = n[0];
    info->format = (enum inflate_format)n[1];
    info->browsable = n[2] != 0;
    info->incomplete = n[3] != 0;
    info->size = n[4];
    info->names = n[5];
    info->files = n[6];
    info->file_bytes = n[7];
    info->skipped = n[8];
    if (in.n > at)
        memcpy(info->remark, (const uint8_t *)in.p + at, in.n - at);
    return 0;
}

struct layer_index *
layer_index_open(int fd, struct err *err)
{
    struct layer_index *x = mem_alloc(sizeof *x);
    struct key k = {.n = 0};
    struct bytes value;
    int rc;

    x->file = sorted_file_open(fd, err);
    if (x->file == NULL) {
        free(x);
        return NULL;
    }
    key_u8(&k, INFO);
    rc = sorted_file_get(x->file, key_of(&k), &value, err);
    if (rc == 0)
        rc = corrupt_index(err, "no layer info");
    if (rc < 0 || read_info(&x->info, value, err) != 0) {
        sorted_file_forget(x->file);
        free(x);
        return NULL;
    }
    return x;
}

void
layer_index_close(struct layer_index *x)
{
    if (x == NULL)
        return;
    sorted_file_close(x->file);
    free(x);
}

const struct layer_info *
layer_index_info(const struct layer_index *x)
{
    return &x->info;
}

int
layer_index_check(struct layer_index *x, struct err *err)
{
    struct sorted_cursor cursor;
    struct bytes key, value;
    int rc;

    if (sorted_file_seek(x->file, &cursor, bytes_of("", 0), err) != 0)
        return -1;
    while ((rc = sorted_file_next(&cursor, &key, &value, err)) > 0)
        ;
    sorted_file_leave(&cursor);
    return rc;
}

int
layer_index_root(struct layer_index *x, struct layer_entry *e, struct err *err)
{
    struct key k = {.n = 0};
    struct bytes value;
    int rc;

    key_u8(&k, ROOT);
    rc = sorted_file_get(x->file, key_of(&k), &value, err);
    if (rc <= 0)
        return rc;
    e->name = bytes_of("", 0);
    if (layer_entry_decode(e, value, err) != 0)
        return -1;
    if (e->type != LAYER_DIR || e->dir != LAYER_INDEX_ROOT)
        return corrupt_index(err, "its root");
    return 1;
}

/* Decodes a record that should be an entry of that directory. */
static int
decode_index_entry(uint32_t dir, struct bytes name, struct bytes value, struct layer_entry *e,
                   struct err *err)
{
    e->name = name;
    if (layer_entry_decode(e, value, err) != 0)
        return -1;
    if (!layer_entry_name_ok(name) || (e->type == LAYER_DIR && e->dir <= dir))
        return corrupt_index(err, "an entry");
    return 1;
}

int
layer_index_get(struct layer_index *x, uint32_t dir, struct bytes name, struct layer_entry *e,
                struct err *err)
{
    struct key k;
    struct bytes found, value;
    int rc;

    if (!layer_entry_name_ok(name))
        return 0;
    key_entry(&k, dir, name);
    rc = sorted_file_floor(x->file, key_of(&k), &found, &value, err);
    if (rc <= 0 || !bytes_equal(found, key_of(&k)))
        return rc < 0 ? -1 : 0;
    return decode_index_entry(
        dir, bytes_of((const uint8_t *)found.p + ENTRY_PREFIX, found.n - ENTRY_PREFIX), value, e,
        err);
}

int
layer_index_list(struct layer_index *x, uint32_t dir, struct bytes from,
                 struct layer_index_list *list, struct err *err)
{
    struct key k;

    /* No name is longer than LAYER_NAME_MAX, so further bytes don't change the order. */
    if (from.n > LAYER_NAME_MAX + 1)
        from.n = LAYER_NAME_MAX + 1;
    key_entry(&k, dir, from);
    list->dir = dir;
    return sorted_file_seek(x->file, &list->cursor, key_of(&k), err);
}

int
layer_index_next(struct layer_index_list *list, struct layer_entry *e, struct err *err)
{
    struct bytes key, value;
    struct key prefix;
    int rc = sorted_file_next(&list->cursor, &key, &value, err);

    if (rc <= 0)
        return rc;
    key_entry(&prefix, list->dir, bytes_of(NULL, 0));
    if (!bytes_start_with(key, key_of(&prefix))) {
        layer_index_leave(list);
        return 0;
    }
    return decode_index_entry(list->dir,
                              bytes_of((const uint8_t *)key.p + ENTRY_PREFIX, key.n - ENTRY_PREFIX),
                              value, e, err);
}

void
layer_index_leave(struct layer_index_list *list)
{
    sorted_file_leave(&list->cursor);
}

int
layer_index_checkpoint(struct layer_index *x, uint64_t position, struct inflate_checkpoint *c,
                       struct err *err)
{
    struct bytes key, value;
    struct unpack u;
    struct key k;
    size_t at = 0;
    int rc;

    key_position(&k, CHECKPOINT, position);
    rc = sorted_file_floor(x->file, key_of(&k), &key, &value, err);
    if (rc <= 0)
        return rc;
    u = unpack_of(key);
    *c = (struct inflate_checkpoint){.out = 0};
    if (unpack_u8(&u) != CHECKPOINT)
        return 0;
    c->out = unpack_u64(&u);
    if (!unpack_done(&u) || !sorted_format_get_number(value, &at, &c->in) || value.n - at < 3 ||
        value.n - at - 3 > INFLATE_WINDOW)
        return corrupt_index(err, "a checkpoint");
    u = unpack_of(bytes_of((const uint8_t *)value.p + at, value.n - at));
    c->inside = unpack_u8(&u) != 0;
    c->bits = unpack_u8(&u);
    c->value = unpack_u8(&u);
    c->window = unpack_rest(&u);
    return 1;
}

static int
read_pieces(struct bytes value, struct layer_piece *pieces, size_t *n, struct err *err)
{
    uint64_t end = 0, gap, length;
    size_t at = 0;

    for (*n = 0; at < value.n; (*n)++) {
        if (*n == LAYER_INDEX_PIECES_MAX || !sorted_format_get_number(value, &at, &gap) ||
            !sorted_format_get_number(value, &at, &length) || gap > INT64_MAX - end ||
            length > INT64_MAX - end - gap)
            return corrupt_index(err, "a sparse file");
        pieces[*n] = (struct layer_piece){end + gap, length};
        end += gap + length;
    }
    return 1;
}

int
layer_index_sparse(struct layer_index *x, uint64_t data, struct layer_piece **pieces, size_t *n,
                   struct err *err)
{
    struct bytes value;
    struct key k;
    int rc;

    key_position(&k, SPARSE, data);
    rc = sorted_file_get(x->file, key_of(&k), &value, err);
    if (rc <= 0)
        return rc;
    /* Each piece takes two bytes at least. */
    *pieces = mem_array(value.n / 2 + 1, sizeof **pieces);
    rc = read_pieces(value, *pieces, n, err);
    if (rc < 0) {
        free(*pieces);
        *pieces = NULL;
    }
    return rc;
}

#include "storage/layers/layer_index.h"
#include <unistd.h>
#include "storage/layers/layer_names.h"
#include "storage/layers/sorted_writer.h"
#include "util/mem.h"
#include "util/pack.h"

#define CHECKPOINT 'C'
#define ENTRY 'E'
#define INFO 'I'
#define ROOT 'R'
#define SPARSE 'S'
#define NAMES 'Y'

/* Bytes in front of the name in the key of an entry. */
#define ENTRY_PREFIX 5

/* Room for the name of an entry, and for a byte more, with which a list may begin. */
struct index_key {
    uint8_t p[ENTRY_PREFIX + LAYER_NAME_MAX + 1];
    size_t n;
};

struct layer_index_writer {
    struct sorted_writer *file;
    struct buf value;
    uint64_t *names; /* hashes of the names of entries */
    size_t names_n, names_room;
};

struct layer_index {
    int fd;
    struct sorted_file *file;
    struct layer_info info;
};

/* ---- keys ---- */

static struct bytes
bytes_of_key(const struct index_key *k)
{
    return bytes_of(k->p, k->n);
}

static struct index_key
key_of_kind(uint8_t kind)
{
    return (struct index_key){.p = {kind}, .n = 1};
}

static struct index_key
key_of_position(uint8_t kind, uint64_t position)
{
    struct index_key k = {.p = {kind}, .n = 9};

    pack_uint_at(k.p + 1, position, 8);
    return k;
}

/* name: at most LAYER_NAME_MAX + 1 bytes. */
static struct index_key
key_of_entry(uint32_t dir, struct bytes name)
{
    struct index_key k;

    k.n = ENTRY_PREFIX + name.n;
    k.p[0] = ENTRY;
    pack_uint_at(k.p + 1, dir, 4);
    if (name.n > 0)
        memcpy(k.p + ENTRY_PREFIX, name.p, name.n);
    return k;
}

/* ---- writing ---- */

struct layer_index_writer *
layer_index_create(int fd)
{
    struct layer_index_writer *w = mem_alloc(sizeof *w);

    buf_init(&w->value, SORTED_FORMAT_VALUE_MAX);
    w->file = sorted_writer_new(fd);
    return w;
}

void
layer_index_free(struct layer_index_writer *w)
{
    if (w == NULL)
        return;
    sorted_writer_free(w->file);
    buf_free(&w->value);
    free(w->names);
    free(w);
}

/* Writes a record with the value w->value. */
static int
put_index_record(struct layer_index_writer *w, struct index_key k, struct err *err)
{
    if (!buf_ok(&w->value))
        return err_set(err, ERR_SYSTEM, "a record is too long for an index");
    return sorted_writer_put(w->file, bytes_of_key(&k), buf_bytes(&w->value), err);
}

int
layer_index_put_checkpoint(struct layer_index_writer *w, const struct inflate_checkpoint *c,
                           struct err *err)
{
    buf_reset(&w->value);
    pack_number(&w->value, c->in);
    pack_u8(&w->value, c->inside);
    pack_u8(&w->value, c->bits);
    pack_u8(&w->value, c->value);
    buf_put(&w->value, c->window.p, c->window.n);
    return put_index_record(w, key_of_position(CHECKPOINT, c->out), err);
}

static int
put_entry_record(struct layer_index_writer *w, struct index_key k, const struct layer_entry *e,
                 struct err *err)
{
    buf_reset(&w->value);
    layer_entry_encode(&w->value, e);
    return put_index_record(w, k, err);
}

int
layer_index_put_entry(struct layer_index_writer *w, uint32_t dir, const struct layer_entry *e,
                      struct err *err)
{
    if (e->name.n > LAYER_NAME_MAX)
        return err_set(err, ERR_SYSTEM, "a name is too long for an index");
    w->names = mem_grow(w->names, &w->names_room, w->names_n + 1, sizeof *w->names);
    w->names[w->names_n++] = layer_names_hash(e->name);
    return put_entry_record(w, key_of_entry(dir, e->name), e, err);
}

int
layer_index_put_root(struct layer_index_writer *w, const struct layer_entry *e, struct err *err)
{
    return put_entry_record(w, key_of_kind(ROOT), e, err);
}

int
layer_index_put_info(struct layer_index_writer *w, const struct layer_info *info, struct err *err)
{
    struct buf *out = &w->value;

    buf_reset(out);
    pack_number(out, LAYER_INDEX_VERSION);
    pack_digest(out, &info->layer);
    pack_digest(out, &info->diff_id);
    pack_number(out, info->layer_size);
    pack_number(out, info->format);
    pack_number(out, info->browsable);
    pack_number(out, info->incomplete);
    pack_number(out, info->size);
    pack_number(out, info->names);
    pack_number(out, info->files);
    pack_number(out, info->file_bytes);
    pack_number(out, info->skipped);
    buf_puts(out, info->remark);
    return put_index_record(w, key_of_kind(INFO), err);
}

int
layer_index_put_sparse(struct layer_index_writer *w, uint64_t data,
                       const struct layer_piece *pieces, size_t n, struct err *err)
{
    uint64_t end = 0;

    buf_reset(&w->value);
    for (size_t i = 0; i < n; i++) {
        pack_number(&w->value, pieces[i].offset - end);
        pack_number(&w->value, pieces[i].length);
        end = pieces[i].offset + pieces[i].length;
    }
    return put_index_record(w, key_of_position(SPARSE, data), err);
}

static struct index_key
key_of_piece(uint32_t piece)
{
    struct index_key k = {.p = {NAMES}, .n = 5};

    pack_uint_at(k.p + 1, piece, 4);
    return k;
}

static int
put_names(struct layer_index_writer *w, struct err *err)
{
    uint32_t n = layer_names_pieces(w->names_n);
    uint8_t *pieces = mem_array(n + 1, LAYER_NAMES_PIECE);
    int rc;

    memset(pieces, 0, (size_t)n * LAYER_NAMES_PIECE);
    for (size_t i = 0; i < w->names_n; i++)
        layer_names_add(pieces + (size_t)layer_names_piece(w->names[i], n) * LAYER_NAMES_PIECE,
                        w->names[i]);
    buf_reset(&w->value);
    pack_number(&w->value, n);
    rc = put_index_record(w, key_of_kind(NAMES), err);
    for (uint32_t i = 0; i < n && rc == 0; i++) {
        buf_reset(&w->value);
        buf_put(&w->value, pieces + (size_t)i * LAYER_NAMES_PIECE, LAYER_NAMES_PIECE);
        rc = put_index_record(w, key_of_piece(i), err);
    }
    free(pieces);
    return rc;
}

int
layer_index_finish(struct layer_index_writer *w, struct err *err)
{
    return put_names(w, err) != 0 ? -1 : sorted_writer_finish(w->file, err);
}

uint64_t
layer_index_written(const struct layer_index_writer *w)
{
    return sorted_writer_bytes(w->file);
}

/* ---- reading ---- */

static int
decode_info(struct layer_info *info, struct bytes in, struct err *err)
{
    struct unpack u = unpack_of(in);
    uint64_t version, format;
    struct bytes remark;

    *info = (struct layer_info){.browsable = false};
    version = unpack_number(&u);
    if (!u.bad && version > LAYER_INDEX_VERSION)
        return err_set(err, ERR_UNSUPPORTED, "an index of a newer version");
    if (version != LAYER_INDEX_VERSION)
        return err_set(err, ERR_CORRUPT, "an index of an older version");
    unpack_digest(&u, &info->layer);
    unpack_digest(&u, &info->diff_id);
    info->layer_size = unpack_number(&u);
    format = unpack_number(&u);
    info->browsable = unpack_number(&u) != 0;
    info->incomplete = unpack_number(&u) != 0;
    info->size = unpack_number(&u);
    info->names = unpack_number(&u);
    info->files = unpack_number(&u);
    info->file_bytes = unpack_number(&u);
    info->skipped = unpack_number(&u);
    remark = unpack_rest(&u);
    if (u.bad || format >= INFLATE_FORMATS || remark.n >= sizeof info->remark)
        return sorted_file_corrupt(err, "malformed layer info");
    info->format = (enum inflate_format)format;
    memcpy(info->remark, remark.p, remark.n);
    return 0;
}

/* Gets the record of that kind. Returns 1, 0, -1. */
static int
get_kind(struct layer_index *x, uint8_t kind, struct bytes *value, struct err *err)
{
    struct index_key k = key_of_kind(kind);

    return sorted_file_get(x->file, bytes_of_key(&k), value, err);
}

struct layer_index *
layer_index_open(int fd, struct err *err)
{
    struct sorted_file *file = sorted_file_open(fd, err);
    struct layer_index *x;
    struct bytes value;
    int rc;

    if (file == NULL)
        return NULL;
    x = mem_alloc(sizeof *x);
    *x = (struct layer_index){.fd = fd, .file = file};
    rc = get_kind(x, INFO, &value, err);
    if (rc == 0)
        rc = sorted_file_corrupt(err, "no layer info");
    if (rc > 0 && decode_info(&x->info, value, err) == 0)
        return x;
    sorted_file_close(file);
    free(x);
    return NULL;
}

void
layer_index_close(struct layer_index *x)
{
    if (x == NULL)
        return;
    sorted_file_close(x->file);
    close(x->fd);
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
    struct bytes value;
    int rc = get_kind(x, ROOT, &value, err);

    if (rc <= 0)
        return rc;
    e->name = bytes_of("", 0);
    if (!layer_entry_decode(e, value) || e->type != LAYER_DIR || e->dir != LAYER_INDEX_ROOT)
        return sorted_file_corrupt(err, "the entry of the root");
    return 1;
}

/* Decodes a record that should be an entry of that directory. */
static int
decode_index_entry(uint32_t dir, struct bytes key, struct bytes value, struct layer_entry *e,
                   struct err *err)
{
    e->name = bytes_after(key, ENTRY_PREFIX);
    if (!layer_entry_name_ok(e->name) || !layer_entry_decode(e, value) ||
        (e->type == LAYER_DIR && e->dir <= dir))
        return sorted_file_corrupt(err, "an entry");
    return 1;
}

int
layer_index_get(struct layer_index *x, uint32_t dir, struct bytes name, struct layer_entry *e,
                struct err *err)
{
    struct bytes key, value;
    struct index_key k;
    int rc;

    if (!layer_entry_name_ok(name))
        return 0;
    k = key_of_entry(dir, name);
    rc = sorted_file_floor(x->file, bytes_of_key(&k), &key, &value, err);
    if (rc <= 0 || !bytes_equal(key, bytes_of_key(&k)))
        return rc < 0 ? -1 : 0;
    return decode_index_entry(dir, key, value, e, err);
}

int
layer_index_list(struct layer_index *x, uint32_t dir, struct bytes from,
                 struct layer_index_list *list, struct err *err)
{
    struct index_key k;

    /* No name is longer, so one byte more than the longest changes nothing. */
    if (from.n > LAYER_NAME_MAX + 1)
        from.n = LAYER_NAME_MAX + 1;
    k = key_of_entry(dir, from);
    list->dir = dir;
    return sorted_file_seek(x->file, &list->cursor, bytes_of_key(&k), err);
}

int
layer_index_next(struct layer_index_list *list, struct layer_entry *e, struct err *err)
{
    struct index_key prefix = key_of_entry(list->dir, bytes_of(NULL, 0));
    struct bytes key, value;
    int rc = sorted_file_next(&list->cursor, &key, &value, err);

    if (rc <= 0)
        return rc;
    if (!bytes_start_with(key, bytes_of_key(&prefix))) {
        layer_index_leave(list);
        return 0;
    }
    return decode_index_entry(list->dir, key, value, e, err);
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
    struct index_key k = key_of_position(CHECKPOINT, position);
    struct bytes key, value;
    struct unpack u, v;
    int rc = sorted_file_floor(x->file, bytes_of_key(&k), &key, &value, err);

    if (rc <= 0)
        return rc;
    u = unpack_of(key);
    v = unpack_of(value);
    *c = (struct inflate_checkpoint){.out = 0};
    if (unpack_u8(&u) != CHECKPOINT)
        return 0;
    c->out = unpack_u64(&u);
    c->in = unpack_number(&v);
    c->inside = unpack_u8(&v) != 0;
    c->bits = unpack_u8(&v);
    c->value = unpack_u8(&v);
    c->window = unpack_rest(&v);
    if (!unpack_done(&u) || v.bad || c->window.n > INFLATE_WINDOW)
        return sorted_file_corrupt(err, "a checkpoint");
    return 1;
}

static int
decode_pieces(struct bytes value, struct layer_piece *pieces, size_t *n, struct err *err)
{
    struct unpack u = unpack_of(value);
    uint64_t end = 0;

    for (*n = 0; u.n > 0; (*n)++) {
        uint64_t gap = unpack_number(&u), length = unpack_number(&u);

        if (*n == LAYER_INDEX_PIECES_MAX || u.bad || gap > INT64_MAX - end ||
            length > INT64_MAX - end - gap)
            return sorted_file_corrupt(err, "a sparse file");
        pieces[*n] = (struct layer_piece){end + gap, length};
        end += gap + length;
    }
    return 1;
}

int
layer_index_sparse(struct layer_index *x, uint64_t data, struct layer_piece **pieces, size_t *n,
                   struct err *err)
{
    struct index_key k = key_of_position(SPARSE, data);
    struct bytes value;
    int rc = sorted_file_get(x->file, bytes_of_key(&k), &value, err);

    if (rc <= 0)
        return rc;
    /* Each piece takes at least two bytes. */
    *pieces = mem_array(value.n / 2 + 1, sizeof **pieces);
    rc = decode_pieces(value, *pieces, n, err);
    if (rc < 0) {
        free(*pieces);
        *pieces = NULL;
    }
    return rc;
}

/* ---- all names ---- */

int
layer_index_may_have(struct layer_index *x, struct bytes name, struct err *err)
{
    uint64_t hash = layer_names_hash(name), n;
    struct index_key k;
    struct bytes value;
    struct unpack u;
    int rc = get_kind(x, NAMES, &value, err);

    if (rc <= 0)
        return rc < 0 ? -1 : 1;
    u = unpack_of(value);
    n = unpack_number(&u);
    if (u.bad || n > LAYER_NAMES_PIECES_MAX)
        return sorted_file_corrupt(err, "the filter of names");
    if (n == 0)
        return 0;
    k = key_of_piece(layer_names_piece(hash, (uint32_t)n));
    rc = sorted_file_get(x->file, bytes_of_key(&k), &value, err);
    if (rc < 0)
        return -1;
    if (rc == 0 || value.n != LAYER_NAMES_PIECE)
        return sorted_file_corrupt(err, "a piece of the filter of names");
    return layer_names_may_have(value.p, hash);
}

int
layer_index_each(struct layer_index *x,
                 int (*fn)(void *arg, uint32_t dir, const struct layer_entry *e, struct err *err),
                 void *arg, struct err *err)
{
    struct index_key first = key_of_kind(ENTRY);
    struct sorted_cursor cursor;
    struct bytes key, value;
    struct layer_entry e;
    int rc;

    if (sorted_file_seek(x->file, &cursor, bytes_of_key(&first), err) != 0)
        return -1;
    while ((rc = sorted_file_next(&cursor, &key, &value, err)) > 0) {
        const uint8_t *p = key.p;
        uint32_t dir;

        if (p[0] != ENTRY || key.n < ENTRY_PREFIX) {
            rc = 0;
            break;
        }
        dir = unpack_u32_at(p + 1);
        rc = decode_index_entry(dir, key, value, &e, err);
        if (rc > 0)
            rc = fn(arg, dir, &e, err);
        if (rc != 0)
            break;
    }
    sorted_file_leave(&cursor);
    return rc < 0 ? -1 : 0;
}

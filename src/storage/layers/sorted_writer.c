#include "storage/layers/sorted_writer.h"
#include <zstd.h>
#include "storage/layers/sorted_format.h"
#include "util/buf.h"
#include "util/fdio.h"
#include "util/mem.h"

#define ZSTD_LEVEL 3
#define WHAT "an index"

/* The open block of one level. */
struct open_block {
    struct buf records;
    uint8_t first[SORTED_FORMAT_KEY_MAX];
    size_t first_n;
};

struct sorted_writer {
    int fd;
    uint64_t at; /* file offset of the next block */
    ZSTD_CCtx *zstd;
    struct open_block level[SORTED_FORMAT_HEIGHT_MAX];
    unsigned height;
    uint8_t last[SORTED_FORMAT_KEY_MAX];
    size_t last_n;
    size_t packed_room;
    uint8_t *packed;
};

struct sorted_writer *
sorted_writer_new(int fd)
{
    struct sorted_writer *w = mem_alloc(sizeof *w);

    w->fd = fd;
    w->at = SORTED_FORMAT_HEADER;
    for (unsigned i = 0; i < SORTED_FORMAT_HEIGHT_MAX; i++)
        buf_init(&w->level[i].records, SORTED_FORMAT_MAX);
    w->packed_room = SORTED_FORMAT_BLOCK_HEADER + ZSTD_compressBound(SORTED_FORMAT_MAX);
    w->packed = mem_resize(NULL, w->packed_room, 1);
    w->zstd = ZSTD_createCCtx();
    if (w->zstd == NULL)
        mem_exhausted();
    return w;
}

uint64_t
sorted_writer_bytes(const struct sorted_writer *w)
{
    return w->at;
}

void
sorted_writer_free(struct sorted_writer *w)
{
    if (w == NULL)
        return;
    for (unsigned i = 0; i < SORTED_FORMAT_HEIGHT_MAX; i++)
        buf_free(&w->level[i].records);
    ZSTD_freeCCtx(w->zstd);
    free(w->packed);
    free(w);
}

/* Writes the block of that level, empties it, and returns its place. */
static int
write_block(struct sorted_writer *w, unsigned level, struct sorted_format_place *place,
            struct err *err)
{
    struct buf *raw = &w->level[level].records;
    uint8_t *body = w->packed + SORTED_FORMAT_BLOCK_HEADER;
    size_t n;

    if (!buf_ok(raw))
        return err_set(err, ERR_SYSTEM, "a block of " WHAT " is too long");
    n = ZSTD_compressCCtx(w->zstd, body, w->packed_room - SORTED_FORMAT_BLOCK_HEADER, raw->p,
                          raw->n, ZSTD_LEVEL);
    if (ZSTD_isError(n) || n >= raw->n) {
        memcpy(body, raw->p, raw->n);
        n = raw->n;
    }
    n += SORTED_FORMAT_BLOCK_HEADER;
    sorted_format_seal(w->packed, n, w->at, (uint32_t)raw->n);
    if (fdio_write_at(w->fd, w->packed, n, w->at, WHAT, err) != 0)
        return -1;
    *place = (struct sorted_format_place){w->at, (uint32_t)n};
    w->at += n;
    buf_reset(raw);
    return 0;
}

static void
add_to_level(struct sorted_writer *w, unsigned level, struct bytes key, struct bytes value)
{
    struct open_block *b = &w->level[level];

    if (b->records.n == 0) {
        memcpy(b->first, key.p, key.n);
        b->first_n = key.n;
    }
    if (level >= w->height)
        w->height = level + 1;
    sorted_format_put_record(&b->records, key, value);
}

/* Writes the block of that level, and appends its place to the level above. */
static int
close_block(struct sorted_writer *w, unsigned level, struct err *err)
{
    struct sorted_format_place place = {0, 0};
    uint8_t value[SORTED_FORMAT_PLACE];

    if (level + 1 == SORTED_FORMAT_HEIGHT_MAX)
        return err_set(err, ERR_SYSTEM, WHAT " has too many records");
    if (write_block(w, level, &place, err) != 0)
        return -1;
    sorted_format_put_place(value, place);
    add_to_level(w, level + 1, bytes_of(w->level[level].first, w->level[level].first_n),
                 bytes_of(value, sizeof value));
    return 0;
}

int
sorted_writer_put(struct sorted_writer *w, struct bytes key, struct bytes value, struct err *err)
{
    if (key.n == 0 || key.n > SORTED_FORMAT_KEY_MAX || value.n > SORTED_FORMAT_VALUE_MAX)
        return err_set(err, ERR_SYSTEM,
                       "a key of %zu bytes and a value of %zu are no record of " WHAT, key.n,
                       value.n);
    if (bytes_compare(key, bytes_of(w->last, w->last_n)) <= 0)
        return err_set(err, ERR_SYSTEM, "the keys of " WHAT " don't ascend");
    memcpy(w->last, key.p, key.n);
    w->last_n = key.n;
    add_to_level(w, 0, key, value);
    for (unsigned i = 0; i < w->height && w->level[i].records.n >= SORTED_FORMAT_FULL; i++)
        if (close_block(w, i, err) != 0)
            return -1;
    return 0;
}

int
sorted_writer_finish(struct sorted_writer *w, struct err *err)
{
    struct sorted_format_header h = {.height = w->height};
    uint8_t header[SORTED_FORMAT_HEADER];

    /* The rest of each level is moved up, until a level is a single block. */
    for (unsigned i = 0; i + 1 < w->height; i++)
        if (w->level[i].records.n > 0 && close_block(w, i, err) != 0)
            return -1;
    if (w->height > 0 && write_block(w, w->height - 1, &h.root, err) != 0)
        return -1;
    h.size = w->at;
    sorted_format_put_header(header, &h);
    return fdio_write_at(w->fd, header, sizeof header, 0, WHAT, err);
}
